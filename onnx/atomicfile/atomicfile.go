// Package atomicfile writes files that are there whole or not at all: to a
// temporary name in the same folder, synced, then renamed. Call [Write] for
// bytes at hand and [Create] for what is streamed. [Sweep] removes what a
// process left behind that was killed before it could rename.
package atomicfile

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// temporary follows the name of a file under way.
const temporary = ".tmp-"

// File is a file under way. Until Commit its name does not show; Close
// without Commit removes it.
type File struct {
	*os.File
	path string
	done bool
}

// Create starts a file that Commit will put at path, replacing what is there.
// The folder must exist.
func Create(path string) (*File, error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+temporary+"*")
	if err != nil {
		return nil, fmt.Errorf("creating a temporary file for %s: %w", path, err)
	}
	// CreateTemp gives 0600; what we write is meant to be shared as usual.
	if err := f.Chmod(0o644); err != nil && runtime.GOOS != "windows" {
		f.Close()
		os.Remove(f.Name())
		return nil, fmt.Errorf("creating a temporary file for %s: %w", path, err)
	}
	return &File{File: f, path: path}, nil
}

// Commit syncs the file and its folder and gives the file its name. On an
// error the old file, if any, is untouched and the temporary one is gone.
func (f *File) Commit() error {
	if f.done {
		return fmt.Errorf("writing %s: already committed or closed", f.path)
	}
	f.done = true
	err := f.File.Sync()
	if cerr := f.File.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), f.path)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("writing %s: %w", f.path, err)
	}
	syncDir(filepath.Dir(f.path))
	return nil
}

// Close discards the file unless it was committed. Safe to defer.
func (f *File) Close() error {
	if f.done {
		return nil
	}
	f.done = true
	f.File.Close()
	return os.Remove(f.Name())
}

// Write puts data at path in one step.
func Write(path string, data []byte) error {
	f, err := Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.File.Write(data); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return f.Commit()
}

// syncDir makes a rename durable. Not every file system can sync a folder;
// the rename itself is atomic all the same, so its failure is no error.
func syncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		d.Sync()
		d.Close()
	}
}

// Sweep removes the temporary files that were to become path. Nobody may be
// writing it.
func Sweep(path string) {
	dir, name := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // nothing is there
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "."+name+temporary) {
			os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}
