package prompt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"

	"softprompt/models"
	"softprompt/onnx/hint"
)

// FileName is the name of the best prompt in a run folder.
const FileName = "prompt.safetensors"

// Save writes a prompt as a .safetensors file with its metadata, whole or not
// at all. The same prompt gives the same bytes. A prompt that does not pass
// [Prompt.Check] is not written.
func Save(path string, p *Prompt) error {
	if err := p.Check(); err != nil {
		return fmt.Errorf("saving a prompt to %s: %w", path, err)
	}
	tensors := make([]models.NamedTensor, len(p.Tensors))
	for i, t := range p.Tensors {
		data := make([]byte, 0, 4*len(t.Data))
		for _, v := range t.Data {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
		}
		tensors[i] = models.NamedTensor{Name: t.Name, DType: models.F32, Shape: t.Shape, Data: data}
	}
	if err := models.WriteSafetensors(path, tensors, p.Meta.encode(p.Method)); err != nil {
		return fmt.Errorf("saving a prompt: %w", err)
	}
	return nil
}

// Load reads a .safetensors file that [Save] wrote, tensors in the order of
// their names. See [LoadFile] for other forms.
func Load(path string) (*Prompt, error) {
	c, err := models.OpenSafetensors(path)
	if err != nil {
		return nil, fmt.Errorf("loading a prompt: %w", err)
	}
	defer c.Close()
	p, err := load(c)
	if err == nil {
		err = p.Check()
	}
	if err != nil {
		return nil, fmt.Errorf("loading a prompt from %s: %w", path, err)
	}
	return p, nil
}

func load(c *models.Checkpoint) (*Prompt, error) {
	method, meta, err := decodeMeta(c.Metadata)
	if err != nil {
		return nil, err
	}
	p := &Prompt{Method: method, Meta: meta}
	for _, name := range c.Names() {
		info, _ := c.Lookup(name)
		data, err := c.Float32(name)
		if err != nil {
			return nil, err
		}
		p.Tensors = append(p.Tensors, Tensor{name, info.Shape, data})
	}
	return p, nil
}

// LoadFile reads a prompt in any form that softprompt knows: a run folder, a
// .safetensors file of [Save], an adapter folder as [LoadAdapter] reads it, or a
// .npy matrix [P,d] as Google's prompt-tuning
// writes it (with or without the suffix: the content decides). A .npy matrix
// says nothing about its model or task.
func LoadFile(path string) (*Prompt, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, hint.Wrap(fmt.Errorf("loading a prompt: %w", err),
			"name a run folder, a .safetensors or a .npy file")
	}
	if info.IsDir() {
		return loadFolder(path)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("loading a prompt from %s: not a regular file", path)
	}
	isNPY, err := startsWith(path, npyMagic)
	if err != nil {
		return nil, fmt.Errorf("loading a prompt: %w", err)
	}
	if !isNPY && filepath.Ext(path) != ".npy" {
		return Load(path)
	}
	shape, rows, err := ReadNPY(path)
	if err != nil {
		return nil, fmt.Errorf("loading a prompt: %w", err)
	}
	if len(shape) != 2 {
		return nil, fmt.Errorf("loading a prompt from %s: it holds an array of shape %v, want a matrix of prompt length and width", path, shape)
	}
	p := New(rows, int(shape[0]), int(shape[1]))
	if err := p.Check(); err != nil {
		return nil, fmt.Errorf("loading a prompt from %s: %w", path, err)
	}
	return p, nil
}

func loadFolder(dir string) (*Prompt, error) {
	path := filepath.Join(dir, FileName)
	if _, err := os.Stat(path); err == nil {
		return Load(path)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("loading a prompt: %w", err)
	}
	if isAdapter(dir) {
		return LoadAdapter(dir)
	}
	if below, _ := filepath.Glob(filepath.Join(dir, "*", FileName)); len(below) > 0 {
		for i := range below {
			below[i] = filepath.Dir(below[i])
		}
		return nil, hint.Wrap(fmt.Errorf("loading a prompt from %s: it holds several", dir), "name one of them: %s", strings.Join(below, ", "))
	}
	return nil, hint.Wrap(fmt.Errorf("loading a prompt from %s: no %s in this folder", dir, FileName),
		"name a run folder of softprompt train that has saved a prompt")
}

// startsWith reports whether a file begins with the given bytes.
func startsWith(path string, magic []byte) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	head := make([]byte, len(magic))
	if _, err := io.ReadFull(f, head); err != nil {
		return false, nil // too short is not it; a read error shows again later
	}
	return bytes.Equal(head, magic), nil
}
