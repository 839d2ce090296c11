package onnx

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"softprompt/onnx/atomicfile"
)

// Tensors smaller than this stay in the model file: shapes and axes are needed
// where the graph is read. Larger ones start at multiples of alignment in
// theirs, so that their elements can be used where they are mapped.
const (
	minExternal = 1 << 10
	alignment   = 64
)

// Save writes the model to a file, which is there whole or not at all. A model
// that is too large for one file ([MaxBytes]) is saved as by
// [Model.SaveExternal]. Tensors that are External stay so when path is in the
// model's own folder or the model has none, and are written out otherwise.
func (m *Model) Save(path string) error {
	return m.save(path, MaxBytes)
}

// SaveExternal writes the tensors of 1 KiB and more to a file of their own,
// path with "_data" appended, and then the model to path.
func (m *Model) SaveExternal(path string) error {
	return m.save(path, 0)
}

// save moves the weights out of a file that would have more than limit bytes.
func (m *Model) save(path string, limit int64) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("writing ONNX model %s: %w", path, err)
		}
	}()
	if m.Graph == nil {
		return fmt.Errorf("the model has no graph")
	}
	dir, dataName := filepath.Dir(path), filepath.Base(path)+"_data"
	own := m.Dir == "" || sameFolder(m.Dir, dir)
	m, err = m.fetch(func(t *Tensor) bool {
		return !own || t.External.Location == dataName
	})
	if err != nil {
		return err
	}
	defer m.Close()
	parts, err := m.encode()
	if err != nil {
		return err
	}
	if sizeOf(parts) > limit {
		if m, err = m.external(dir, dataName); err != nil {
			return err
		}
		if parts, err = m.encode(); err != nil {
			return err
		}
		if n := sizeOf(parts); n > MaxBytes {
			return fmt.Errorf("%d bytes without the weights are more than a model file can have", n)
		}
	}
	f, err := atomicfile.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	if err := writeParts(w, parts); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Commit()
}

// external writes the tensors of 1 KiB and more to the file name in folder
// dir, and returns a model that refers to them there; m itself is unchanged.
// The new model shares everything else with m.
func (m *Model) external(dir, name string) (*Model, error) {
	if err := checkLocation(name); err != nil {
		return nil, err
	}
	f, err := atomicfile.Create(filepath.Join(dir, filepath.FromSlash(name)))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	offset := int64(0)
	out, err := m.withInitializers(func(t *Tensor) (*Tensor, error) {
		if !t.isInline() || len(t.Data) < minExternal {
			return t, nil
		}
		pad := -offset & (alignment - 1)
		if _, err := w.Write(make([]byte, pad)); err != nil {
			return nil, err
		}
		if _, err := w.Write(t.Data); err != nil {
			return nil, err
		}
		moved := *t
		moved.Data = nil
		moved.External = &External{Location: name, Offset: offset + pad, Length: int64(len(t.Data))}
		offset += pad + int64(len(t.Data))
		return &moved, nil
	})
	if err != nil {
		return nil, err
	}
	out.Dir = dir
	if err := w.Flush(); err != nil {
		return nil, err
	}
	return out, f.Commit()
}

// fetch returns a copy of the model in which chosen external tensors are
// mapped. Closing the copy unmaps them.
func (m *Model) fetch(chosen func(*Tensor) bool) (*Model, error) {
	for t := range m.Graph.tensors {
		if t.External != nil && chosen(t) && !slices.Contains(m.Graph.Initializers, t) {
			return nil, fmt.Errorf("tensor %s of an attribute lies in file %s, from where it cannot be moved", t.Name, t.External.Location)
		}
	}
	holder := &Model{Dir: m.Dir}
	files := map[string][]byte{}
	out, err := m.withInitializers(func(t *Tensor) (*Tensor, error) {
		if t.External == nil || !chosen(t) {
			return t, nil
		}
		data, err := holder.mapTensor(t, files)
		if err != nil {
			return nil, err
		}
		near := *t
		near.Data, near.External = data, nil
		return &near, nil
	})
	if err != nil {
		holder.Close()
		return nil, err
	}
	out.files = holder.files
	return out, nil
}

// withInitializers returns a copy of the model with other initializers. The
// copy does not own the files that m has mapped.
func (m *Model) withInitializers(change func(*Tensor) (*Tensor, error)) (*Model, error) {
	out, g := *m, *m.Graph
	out.Graph, out.files, out.beside = &g, nil, nil
	g.Initializers = make([]*Tensor, len(m.Graph.Initializers))
	for i, t := range m.Graph.Initializers {
		var err error
		if g.Initializers[i], err = change(t); err != nil {
			return nil, err
		}
	}
	return &out, nil
}

// sameFolder tells whether two paths are one folder.
func sameFolder(a, b string) bool {
	if a == b {
		return true
	}
	ia, err := os.Stat(a)
	ib, err2 := os.Stat(b)
	return err == nil && err2 == nil && os.SameFile(ia, ib)
}
