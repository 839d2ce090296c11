package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"softprompt/onnx/atomicfile"
	"softprompt/onnx/hint"
)

// libraryVariable names the file of an ONNX Runtime of the user's own.
const libraryVariable = "ONNXRUNTIME_SHARED_LIBRARY_PATH"

// A setup is one tree to be furnished.
type setup struct {
	root     string // the tree
	cache    string // the folder that all trees share
	platform string // GOOS/GOARCH
	releases []release
	progress func(format string, args ...any) // told of what takes long
}

// An artifact is one native library: where the tree wants it, what it is
// called in the cache, and how it is made when it is in neither.
type artifact struct {
	name   string // for messages
	tree   string // path in the tree
	stamp  string // what the tree's copy was made from, where its path does not tell; "" else
	cache  string // file name in the cache; another source or version has another name
	needs  []tool // what making it needs
	making string // what making it does, for the line shown meanwhile
	make   func(ctx context.Context, scratch string) (file string, err error)
}

// run furnishes the tree and returns the path of ONNX Runtime's library:
// that of version, or where version is "" the user's own or the pinned one.
func (s *setup) run(ctx context.Context, version string) (string, error) {
	tokenizers, err := s.tokenizers()
	if err != nil {
		return "", err
	}
	wanted := []artifact{tokenizers}
	library, err := ownLibrary(version)
	if err != nil {
		return "", err
	}
	if library == "" {
		sources, err := s.runtimes(version)
		if err != nil {
			return "", err
		}
		chosen := s.pick(sources)
		wanted = append(wanted, chosen)
		library = chosen.tree
	}

	// All that is missing is told at once, before anything slow begins.
	missing := missingTools(compilers())
	for _, a := range wanted {
		if !s.has(a) {
			missing = append(missing, missingTools(a.needs)...)
		}
	}
	if err := errors.Join(missing...); err != nil {
		return "", err
	}
	s.sweep()
	for _, a := range wanted {
		if err := s.ensure(ctx, a); err != nil {
			return "", err
		}
	}
	return library, nil
}

// ownLibrary is the user's own ONNX Runtime, or "" where there is none or
// where a version was asked for.
func ownLibrary(version string) (string, error) {
	own := os.Getenv(libraryVariable)
	if own == "" || version != "" {
		return "", nil
	}
	if !isFile(own) {
		return "", hint.Wrap(fmt.Errorf("%s is %q: no such file", libraryVariable, own),
			"unset it, and make deps sets up a runtime of its own")
	}
	return own, nil
}

// pick chooses among sources of one thing: one in the tree before one in the
// cache before one that can be made here before any.
func (s *setup) pick(sources []artifact) artifact {
	for _, fits := range []func(artifact) bool{
		s.inTree,
		s.inCache,
		func(a artifact) bool { return len(missingTools(a.needs)) == 0 },
	} {
		for _, a := range sources {
			if fits(a) {
				return a
			}
		}
	}
	return sources[0]
}

func (s *setup) has(a artifact) bool { return s.inTree(a) || s.inCache(a) }

func (s *setup) inTree(a artifact) bool {
	if !isFile(a.tree) {
		return false
	}
	if a.stamp == "" {
		return true
	}
	stamp, err := os.ReadFile(a.tree + ".stamp")
	return err == nil && string(stamp) == a.stamp
}

func (s *setup) inCache(a artifact) bool { return isFile(filepath.Join(s.cache, a.cache)) }

// ensure puts a into the tree. Files appear under their names whole or not at
// all, so any number of these may run at once; the last one's copy stays.
func (s *setup) ensure(ctx context.Context, a artifact) error {
	if s.inTree(a) {
		return nil
	}
	if !s.inCache(a) {
		s.progress("%s: %s", a.name, a.making)
		start := time.Now()
		if err := s.fill(ctx, a); err != nil {
			return fmt.Errorf("%s: %w", a.name, err)
		}
		s.progress("%s: done in %.0f s", a.name, time.Since(start).Seconds())
	}
	if err := os.MkdirAll(filepath.Dir(a.tree), 0o755); err != nil {
		return fmt.Errorf("%s: %w", a.name, err)
	}
	// A copy, not a link: nothing done in one tree reaches the others.
	if err := copyFile(a.tree, filepath.Join(s.cache, a.cache)); err != nil {
		return fmt.Errorf("%s: %w", a.name, err)
	}
	if a.stamp == "" {
		return nil
	}
	return atomicfile.Write(a.tree+".stamp", []byte(a.stamp))
}

// fill makes a in a scratch folder and moves it into the cache.
func (s *setup) fill(ctx context.Context, a artifact) error {
	if err := os.MkdirAll(s.cache, 0o755); err != nil {
		return hint.Wrap(err, "set XDG_CACHE_HOME to a folder that can be written")
	}
	scratch, err := os.MkdirTemp(s.cache, scratchPrefix)
	if err != nil {
		return hint.Wrap(err, "set XDG_CACHE_HOME to a folder that can be written")
	}
	defer os.RemoveAll(scratch)
	file, err := a.make(ctx, scratch)
	if err != nil {
		return err
	}
	return copyFile(filepath.Join(s.cache, a.cache), file)
}

const scratchPrefix = "making-"

// sweep removes the scratch folders of runs that were killed.
func (s *setup) sweep() {
	scratches, _ := filepath.Glob(filepath.Join(s.cache, scratchPrefix+"*"))
	for _, scratch := range scratches {
		if info, err := os.Stat(scratch); err == nil && time.Since(info.ModTime()) > 24*time.Hour {
			os.RemoveAll(scratch)
		}
	}
}

// copyFile puts what from holds at to.
func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := atomicfile.Create(to)
	if err != nil {
		return err
	}
	defer out.Close()
	if _, err := io.Copy(out.File, in); err != nil {
		return fmt.Errorf("copying %s to %s: %w", from, to, err)
	}
	return out.Commit()
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Size() > 0
}
