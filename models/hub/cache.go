package hub

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"softprompt/onnx/hint"
)

// repoCache is a repository's folder in the cache:
//
//	blobs/ETAG               the files' content, named by its checksum
//	snapshots/COMMIT/NAME    symlinks to them
//	refs/REVISION            the commit that a branch or tag was last
//	trees/COMMIT.json        which files a commit has
//
// All writing goes through root, which symlinks do not lead out of.
type repoCache struct {
	dir    string // as named; what Snapshot returns lies in it
	real   string // dir without symlinks
	shared string // where huggingface_hub keeps content that repositories share
	root   *os.Root
	log    *slog.Logger
}

// openCache opens a repository's folder. One that is not there is
// fs.ErrNotExist.
func openCache(cacheDir string, ref Ref, log *slog.Logger) (*repoCache, error) {
	c := &repoCache{dir: filepath.Join(cacheDir, ref.folder()), log: log}
	var err error
	if c.real, err = filepath.EvalSymlinks(c.dir); err != nil {
		return nil, err
	}
	if c.shared, err = filepath.EvalSymlinks(cacheDir); err != nil {
		return nil, err
	}
	c.shared = filepath.Join(c.shared, "blobs")
	if c.root, err = os.OpenRoot(c.real); err != nil {
		return nil, err
	}
	return c, nil
}

// makeCache makes a repository's folder and opens it.
func makeCache(cacheDir string, ref Ref, log *slog.Logger) (*repoCache, error) {
	err := os.MkdirAll(filepath.Join(cacheDir, ref.folder()), 0o777)
	if err != nil {
		return nil, hint.Wrap(fmt.Errorf("making the hub's cache: %w", err), "set HF_HUB_CACHE or HF_HOME to a folder that can be written")
	}
	tag(cacheDir)
	return openCache(cacheDir, ref, log)
}

func (c *repoCache) close() {
	if c != nil {
		c.root.Close()
	}
}

// tag marks the cache for backup programs, in huggingface_hub's words. That
// it cannot is no error.
func tag(cacheDir string) {
	f, err := os.OpenFile(filepath.Join(cacheDir, "CACHEDIR.TAG"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return
	}
	io.WriteString(f, "Signature: 8a477f597d28d172789f06886806bc55\n"+
		"# This file is a cache directory tag created by huggingface_hub.\n"+
		"# For information about cache directory tags, see:\n"+
		"#\thttps://bford.info/cachedir/\n")
	f.Close()
}

// errOutside is the error of a file in the cache that lies somewhere else.
var errOutside = errors.New("leads out of the cache")

// stat finds a file of the cache through its symlinks, and refuses what they
// lead to outside of the repository's folder and the shared store. A file
// that is not there, or whose content is not, is fs.ErrNotExist.
func (c *repoCache) stat(name string) (fs.FileInfo, error) {
	path := filepath.Join(c.real, filepath.FromSlash(name))
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, fmt.Errorf("looking for %s in the hub's cache: %w", name, err)
	}
	if !within(c.real, real) && !within(c.shared, real) {
		return nil, hint.Wrap(fmt.Errorf("%s in the hub's cache %w, to %s", name, errOutside, real), "remove %s and download the model again", c.dir)
	}
	info, err := os.Stat(real)
	if err == nil && !info.Mode().IsRegular() {
		err = hint.Wrap(fmt.Errorf("%s is not a file", path), "remove %s and download the model again", c.dir)
	}
	return info, err
}

func within(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}

// has tells whether a file is there, with the size it should have (-1: any).
func (c *repoCache) has(name string, size int64) (bool, error) {
	info, err := c.stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	}
	return size < 0 || info.Size() == size, nil
}

func snapshotPath(commit, name string) string { return path.Join("snapshots", commit, name) }
func blobPath(etag string) string             { return path.Join("blobs", etag) }

// names returns which files of a commit are there, whole or not.
func (c *repoCache) names(commit string) ([]string, error) {
	var names []string
	dir := snapshotPath(commit, "")
	err := fs.WalkDir(c.root.FS(), dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name := strings.TrimPrefix(p, dir+"/")
		if ok, err := usable(name); !ok || err != nil {
			return nil
		}
		if ok, err := c.has(p, -1); ok || err != nil {
			names = append(names, name)
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return names, err
}

// commit returns the commit that a revision was when it was last asked for.
func (c *repoCache) commit(revision string) (string, bool) {
	if IsCommit(revision) {
		return revision, true
	}
	data, err := c.read("refs/"+revision, 100)
	commit := strings.TrimSpace(string(data))
	return commit, err == nil && IsCommit(commit)
}

// setCommit notes which commit a revision is now.
func (c *repoCache) setCommit(revision, commit string) error {
	if old, ok := c.commit(revision); ok && old == commit {
		return nil // the cache may be read-only
	}
	return c.write("refs/"+revision, []byte(commit))
}

// listing returns the files of a commit, if they were kept.
func (c *repoCache) listing(commit string) (listing, bool) {
	data, err := c.read("trees/"+commit+".json", listingLimit)
	if err != nil {
		return listing{}, false
	}
	l, err := parseTree(data, commit)
	if err != nil {
		c.log.Warn("ignoring a damaged list of files in the hub's cache", "dir", c.dir, "commit", commit, "err", err)
		return listing{}, false
	}
	slices.SortFunc(l.files, func(a, b listed) int { return cmp.Compare(a.name, b.name) })
	return l, true
}

// setListing keeps the files of a commit.
func (c *repoCache) setListing(l listing) error {
	data, ok := l.encode()
	if !ok {
		return nil
	}
	if _, err := c.root.Stat("trees/" + l.commit + ".json"); err == nil {
		if _, ok := c.listing(l.commit); ok {
			return nil
		}
	}
	return c.write("trees/"+l.commit+".json", data)
}

func (c *repoCache) read(name string, limit int64) ([]byte, error) {
	f, err := c.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s is longer than %d bytes", f.Name(), limit)
	}
	return data, err
}

// write puts a small file into the cache in one step.
func (c *repoCache) write(name string, data []byte) error {
	if err := c.root.MkdirAll(path.Dir(name), 0o777); err != nil {
		return err
	}
	temporary := name + "." + random() + ".tmp"
	f, err := c.root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		c.root.Remove(temporary)
		return err
	}
	return c.rename(temporary, name)
}

// rename gives a file its name, or removes it.
func (c *repoCache) rename(temporary, name string) error {
	err := c.root.Rename(temporary, name)
	if err != nil {
		c.root.Remove(temporary)
	}
	return err
}

// random is part of a name that no other process uses.
func random() string { return strconv.FormatUint(uint64(rand.Uint32()), 16) }

// link makes a blob a snapshot's file. Where there are no symlinks, a new
// blob is moved and another copied, as huggingface_hub's _create_symlink does:
// somebody may use the other one. The caller holds the blob's lock.
func (c *repoCache) link(etag, commit, name string, fresh, symlinks bool) error {
	pointer := snapshotPath(commit, name)
	if err := c.root.MkdirAll(path.Dir(pointer), 0o777); err != nil {
		return err
	}
	if symlinks {
		up := strings.Repeat("../", strings.Count(pointer, "/"))
		temporary := "blobs/" + random() + ".tmp"
		err := c.root.Symlink(filepath.FromSlash(up+blobPath(etag)), temporary)
		if err == nil {
			return c.rename(temporary, pointer)
		}
		c.log.Debug("no symlinks in the hub's cache", "err", err)
	}
	if fresh {
		return c.root.Rename(blobPath(etag), pointer)
	}
	return c.copy(blobPath(etag), pointer)
}

func (c *repoCache) copy(from, to string) error {
	src, err := c.root.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	temporary := "blobs/" + random() + ".tmp"
	dst, err := c.root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	if err == nil {
		err = dst.Sync()
	}
	if cerr := dst.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		c.root.Remove(temporary)
		return err
	}
	return c.rename(temporary, to)
}
