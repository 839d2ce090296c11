package models

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/edsrzf/mmap-go"

	"softprompt/onnx/hint"
)

// Checkpoint is a set of named tensors over one or several files.
// The files are mapped: no byte is read before it is asked for. Many
// goroutines may read at once; none may after Close.
type Checkpoint struct {
	Path     string            // the file opened, or the index of a sharded checkpoint
	Metadata map[string]string // the (first) file's __metadata__; may be nil

	tensors map[string]tensor
	mu      sync.Mutex
	maps    []mmap.MMap
	closed  bool
}

// errClosed is what reading a closed checkpoint gives.
var errClosed = errors.New("the checkpoint is closed")

// OpenSafetensors opens a .safetensors file, or a sharded checkpoint by its
// .safetensors.index.json. The caller closes it.
func OpenSafetensors(path string) (*Checkpoint, error) { return openCheckpoint(path, readSafetensors) }

// reader finds the tensors of a whole, mapped file, without their File.
type reader func(file []byte) (tensors []tensor, metadata map[string]string, err error)

// openCheckpoint opens a file that read can read, or the index of several.
func openCheckpoint(path string, read reader) (*Checkpoint, error) {
	c := &Checkpoint{Path: path, tensors: map[string]tensor{}}
	open := c.addFile
	if filepath.Ext(path) == ".json" {
		open = c.addShards
	}
	if err := open(path, read); err != nil {
		c.Close()
		return nil, fmt.Errorf("reading weights from %s: %w", path, err)
	}
	return c, nil
}

// addFile maps one file and takes in its tensors.
func (c *Checkpoint) addFile(path string, read reader) error {
	real, err := realPath(path)
	if err != nil {
		return err
	}
	data, err := mapFile(real)
	if err != nil {
		return err
	}
	c.maps = append(c.maps, data)
	tensors, metadata, err := read(data)
	if err != nil {
		return err
	}
	if c.Metadata == nil {
		c.Metadata = metadata
	}
	for _, t := range tensors {
		if old, ok := c.tensors[t.Name]; ok {
			return fmt.Errorf("tensor %q is also in %s", t.Name, old.File)
		}
		t.File = real
		c.tensors[t.Name] = t
	}
	return nil
}

// realPath makes a path absolute and resolves symlinks, since ONNX Runtime
// refuses external data behind a symlink (the hub's cache is full of them).
func realPath(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(abs)
}

// mapFile maps a regular file for reading; an empty one gives no bytes.
func mapFile(path string) (mmap.MMap, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	if info.Size() == 0 {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // the mapping outlives the handle
	m, err := mmap.Map(f, mmap.RDONLY, 0)
	if err != nil {
		return nil, hint.Wrap(fmt.Errorf("mapping %s: %w", path, err), "the address space is limited: raise it with ulimit -v")
	}
	return m, nil
}

// Names returns the tensors' names, sorted.
func (c *Checkpoint) Names() []string { return slices.Sorted(maps.Keys(c.tensors)) }

// Lookup describes a tensor. A nil Checkpoint has none.
func (c *Checkpoint) Lookup(name string) (TensorInfo, bool) {
	if c == nil {
		return TensorInfo{}, false
	}
	t, ok := c.tensors[name]
	return t.TensorInfo, ok
}

// Bytes returns a tensor's bytes row by row, little-endian. They are mapped,
// or a copy if they lie otherwise: they must not be written to, nor used after
// Close.
func (c *Checkpoint) Bytes(name string) ([]byte, error) {
	t, err := c.get(name)
	if err != nil {
		return nil, err
	}
	return t.all(), nil
}

// Float32 returns a tensor's values, widened if they are F16 or BF16, as a
// copy that the caller owns.
func (c *Checkpoint) Float32(name string) ([]float32, error) {
	t, err := c.get(name)
	if err != nil {
		return nil, err
	}
	if !isFloat(t.DType) {
		return nil, c.notFloat(t)
	}
	values := make([]float32, t.Elements())
	t.floats(values, 0)
	return values, nil
}

func (c *Checkpoint) get(name string) (tensor, error) {
	if c == nil { // models.Open does not recover weights; see Model.Checkpoint
		return tensor{}, fmt.Errorf("reading tensor %q: the model is exported ONNX, and its weights were not recovered", name)
	}
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	if closed {
		return tensor{}, fmt.Errorf("reading tensor %q of %s: %w", name, c.Path, errClosed)
	}
	t, ok := c.tensors[name]
	if !ok {
		return tensor{}, fmt.Errorf("%s has no tensor %q", c.Path, name)
	}
	return t, nil
}

func (c *Checkpoint) notFloat(t tensor) error {
	advice := "quantised checkpoints cannot be used: take the model in float32, float16 or bfloat16"
	if t.DType == "F64" {
		advice = "float64 would lose digits here: convert the model to float32 with what made it"
	}
	return hint.Wrap(fmt.Errorf("tensor %q in %s is %s, wanted F32, F16 or BF16", t.Name, t.File, t.DType), "%s", advice)
}

// alias gives a tensor a second name.
func (c *Checkpoint) alias(name, existing string) {
	t := c.tensors[existing]
	t.Name = name
	c.tensors[name] = t
}

// Close unmaps the files. A second Close does nothing.
func (c *Checkpoint) Close() error {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	var errs []error
	for i := range c.maps {
		if c.maps[i] != nil {
			errs = append(errs, c.maps[i].Unmap())
		}
	}
	c.maps = nil
	return errors.Join(errs...)
}
