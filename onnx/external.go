package onnx

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unsafe"

	"softprompt/onnx/hint"
)

// Read returns the tensor's elements, little-endian and in row-major order:
// Data itself, or what it reads from the file in folder dir that External
// names.
func (t *Tensor) Read(dir string) ([]byte, error) {
	if t.External == nil {
		return t.Data, nil
	}
	n, err := t.externalBytes()
	if err != nil || n == 0 {
		return nil, err
	}
	f, err := openInside(dir, dir, t.External.Location)
	if err != nil {
		return nil, fmt.Errorf("tensor %s: %w", t.Name, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("tensor %s: %w", t.Name, err)
	}
	if err := t.checkSpan(n, info.Size()); err != nil {
		return nil, err
	}
	data := make([]byte, n)
	if _, err := io.ReadFull(io.NewSectionReader(f, t.External.Offset, n), data); err != nil {
		return nil, fmt.Errorf("tensor %s: reading %s: %w", t.Name, t.External.Location, err)
	}
	return data, nil
}

// externalBytes returns how many bytes the elements take in their file.
func (t *Tensor) externalBytes() (int64, error) {
	if err := t.validate(); err != nil {
		return 0, err
	}
	if t.Type.Size() == 0 {
		if t.External.Length == 0 && t.Len() != 0 {
			return 0, fmt.Errorf("tensor %s of type %v: its external data does not say its length", t.Name, t.Type)
		}
		return t.External.Length, nil
	}
	return t.Len() * int64(t.Type.Size()), nil
}

// checkSpan checks that n bytes at the tensor's offset lie in a file.
func (t *Tensor) checkSpan(n, size int64) error {
	if at := t.External; at.Offset > size || n > size-at.Offset {
		return hint.Wrap(fmt.Errorf("tensor %s: %d bytes at offset %d of %s, which has %d", t.Name, n, at.Offset, at.Location, size),
			"the file may be cut short; fetch it again")
	}
	return nil
}

// checkLocation refuses paths that are not inside a folder.
func checkLocation(location string) error {
	if location == "" || strings.ContainsAny(location, "\\\x00") || !filepath.IsLocal(filepath.FromSlash(location)) {
		return fmt.Errorf("file %q of its external data is not a path inside the model's folder", location)
	}
	return nil
}

// openInside opens a file at a location in dir, a folder in or at within. A
// link that leads out of within is refused, and so is what is no file: opening
// a pipe could wait for ever.
func openInside(within, dir, location string) (*os.File, error) {
	if err := checkLocation(location); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(within)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	path, err := filepath.Rel(within, dir)
	if err != nil {
		return nil, err
	}
	path = filepath.Join(path, filepath.FromSlash(location))
	info, err := root.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, hint.Wrap(fmt.Errorf("opening external data: %w", err),
			"the weights of this model lie in %s, which belongs beside it", location)
	case err != nil:
		return nil, hint.Wrap(fmt.Errorf("opening external data %s in %s: %w", location, dir, err),
			"links that lead out of the model's folder are not followed; copy the file there")
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("external data %s is not a file", location)
	}
	return root.Open(path)
}

// besideFile is a file that lies beside a model, as it is mapped.
type besideFile struct {
	location string
	data     []byte
}

// Beside tells where in a file beside the model the elements of a tensor lie
// that [Load] mapped: the file's real path, without links, and the offset. It
// is false for a tensor whose elements the model's own file holds, or that
// were made since.
func (m *Model) Beside(t *Tensor) (path string, offset int64, ok bool) {
	if len(t.Data) == 0 {
		return "", 0, false
	}
	at := uintptr(unsafe.Pointer(&t.Data[0]))
	for _, f := range m.beside {
		start := uintptr(unsafe.Pointer(&f.data[0]))
		if at < start || at-start >= uintptr(len(f.data)) {
			continue
		}
		path, err := filepath.EvalSymlinks(filepath.Join(m.Dir, filepath.FromSlash(f.location)))
		if err == nil {
			path, err = filepath.Abs(path)
		}
		return path, int64(at - start), err == nil
	}
	return "", 0, false
}

// checkOverlap finds tensors that share some of their bytes, but not all: no
// writer means that. The same bytes twice are a tied weight.
func checkOverlap(g *Graph) error {
	type span struct {
		t        *Tensor
		from, to int64
	}
	files := map[string][]span{}
	for t := range g.tensors {
		if t.External == nil {
			continue
		}
		n, err := t.externalBytes()
		if err != nil {
			return err
		}
		if n > 0 {
			files[t.External.Location] = append(files[t.External.Location], span{t, t.External.Offset, t.External.Offset + n})
		}
	}
	for location, spans := range files {
		slices.SortFunc(spans, func(a, b span) int {
			return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to))
		})
		for i := 1; i < len(spans); i++ {
			a, b := spans[i-1], spans[i]
			if b.from < a.to && (a.from != b.from || a.to != b.to) {
				return fmt.Errorf("tensors %s and %s overlap in file %s: bytes %d to %d and %d to %d",
					a.t.Name, b.t.Name, location, a.from, a.to, b.from, b.to)
			}
		}
	}
	return nil
}

// tensors yields the constants of a graph, those in attributes and in the
// graphs that lie in them included.
func (g *Graph) tensors(yield func(*Tensor) bool) {
	for _, t := range g.Initializers {
		if !yield(t) {
			return
		}
	}
	for _, n := range g.Nodes {
		for _, a := range n.Attrs {
			if a.T != nil && !yield(a.T) {
				return
			}
			if a.G == nil {
				continue
			}
			for t := range a.G.tensors {
				if !yield(t) {
					return
				}
			}
		}
	}
}
