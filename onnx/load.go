package onnx

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/edsrzf/mmap-go"

	"softprompt/onnx/hint"
)

// Load reads and validates a model file. Tensors, those in files beside it
// too, are mapped into memory, not copied, so that files of any size open at
// once; they stay valid until [Model.Close], as long as no one cuts the files
// short. Files beside the model are read only inside its folder; links that
// lead out of it are refused.
func Load(ctx context.Context, path string) (*Model, error) {
	return LoadWithin(ctx, path, filepath.Dir(path))
}

// LoadWithin is [Load] for a model in a cache, where files may be links to
// elsewhere in the cache: links of the files beside it are followed as far as
// they stay inside root, a folder that holds the model's.
func LoadWithin(ctx context.Context, path, root string) (*Model, error) {
	m, err := load(ctx, path, root)
	if err != nil {
		return nil, fmt.Errorf("reading ONNX model %s: %w", path, err)
	}
	return m, nil
}

func load(ctx context.Context, path, root string) (*Model, error) {
	dir, err := filepath.Rel(root, filepath.Dir(path))
	if err != nil || !filepath.IsLocal(dir) {
		return nil, fmt.Errorf("it is not inside %s", root)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	data, err := mapFile(f)
	if err != nil {
		return nil, err
	}
	m, err := decodeModel(data)
	if err != nil {
		err = explain(err, data)
		data.Unmap()
		return nil, err
	}
	m.Dir = filepath.Dir(path)
	m.root, m.files = root, append(m.files, data)
	if err = m.mapExternal(ctx); err == nil {
		err = Validate(m)
	}
	if err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// explain adds what may have gone wrong with a file that does not parse.
func explain(err error, data []byte) error {
	if bytes.HasPrefix(data, []byte("version https://git-lfs")) {
		return hint.Wrap(fmt.Errorf("the file is a Git LFS pointer, not the model"), "fetch the model with git lfs pull")
	}
	return hint.Wrap(err, "the file may be cut short, or no ONNX model; fetch it again")
}

// Close unmaps the files of a model that [Load] read. Its tensors, and those
// of models made from it, must not be used after.
func (m *Model) Close() error {
	var first error
	for _, f := range m.files {
		if err := f.Unmap(); err != nil && first == nil {
			first = fmt.Errorf("closing ONNX model: %w", err)
		}
	}
	m.files, m.beside = nil, nil
	return first
}

// mapFile maps a file for reading, and closes it.
func mapFile(f *os.File) (mmap.MMap, error) {
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a file", f.Name())
	case info.Size() == 0:
		return nil, fmt.Errorf("%s is empty", f.Name())
	}
	data, err := mmap.Map(f, mmap.RDONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("mapping %s into memory: %w", f.Name(), err)
	}
	return data, nil
}

// mapExternal gives the tensors that lie in other files their Data.
func (m *Model) mapExternal(ctx context.Context) error {
	if err := checkOverlap(m.Graph); err != nil {
		return err
	}
	files := map[string][]byte{}
	for t := range m.Graph.tensors {
		if t.External == nil {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		data, err := m.mapTensor(t, files)
		if err != nil {
			return err
		}
		t.Data, t.External = data, nil
	}
	return nil
}

// mapTensor returns the elements of an external tensor, mapping its file if it
// is the first that lies there.
func (m *Model) mapTensor(t *Tensor, files map[string][]byte) ([]byte, error) {
	n, err := t.externalBytes()
	if err != nil || n == 0 {
		return []byte{}, err
	}
	at := t.External
	file, ok := files[at.Location]
	if !ok {
		f, err := openInside(cmp.Or(m.root, m.Dir), m.Dir, at.Location)
		if err != nil {
			return nil, fmt.Errorf("tensor %s: %w", t.Name, err)
		}
		mapped, err := mapFile(f)
		if err != nil {
			return nil, fmt.Errorf("tensor %s: %w", t.Name, err)
		}
		m.files = append(m.files, mapped)
		m.beside = append(m.beside, besideFile{at.Location, mapped})
		file, files[at.Location] = mapped, mapped
	}
	if err := t.checkSpan(n, int64(len(file))); err != nil {
		return nil, err
	}
	return file[at.Offset : at.Offset+n : at.Offset+n], nil
}
