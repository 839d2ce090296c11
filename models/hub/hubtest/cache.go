package hubtest

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/txtar"
)

// What the names of a cache written as text say beyond a file's name: that it
// is a symlink, and that its content ends without the line end that the
// format adds.
const (
	leadsTo   = " -> "
	noNewline = " (no newline)"
)

// CacheText writes a cache, or any folder of text files and symlinks, as a
// txtar archive: the same folder always as the same text.
func CacheText(dir, comment string) (string, error) {
	a := txtar.Archive{Comment: []byte(comment + "\n\n")}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		f := txtar.File{Name: filepath.ToSlash(rel)}
		if d.Type()&fs.ModeSymlink != 0 {
			target, err := os.Readlink(p)
			f.Name += leadsTo + filepath.ToSlash(target)
			a.Files = append(a.Files, f)
			return err
		}
		f.Data, err = os.ReadFile(p)
		if len(f.Data) > 0 && !bytes.HasSuffix(f.Data, []byte("\n")) {
			f.Name += noNewline
		}
		a.Files = append(a.Files, f)
		return err
	})
	slices.SortFunc(a.Files, func(a, b txtar.File) int { return strings.Compare(a.Name, b.Name) })
	return string(txtar.Format(&a)), err
}

// WriteCache makes a folder again from its text.
func WriteCache(dir string, text []byte) error {
	a := txtar.Parse(text)
	if len(a.Files) == 0 {
		return fmt.Errorf("no files in an archive of %d bytes", len(text))
	}
	for _, f := range a.Files {
		name, target, link := strings.Cut(f.Name, leadsTo)
		name, bare := strings.CutSuffix(name, noNewline)
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if bare {
			f.Data = bytes.TrimSuffix(f.Data, []byte("\n"))
		}
		var err error
		if link {
			err = os.Symlink(filepath.FromSlash(target), path)
		} else {
			err = os.WriteFile(path, f.Data, 0o644)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
