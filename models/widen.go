package models

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"

	"softprompt/onnx/atomicfile"
	"softprompt/onnx/hint"
)

const (
	// wideAlign is where tensors of a widened file start: multiples of a
	// cache line, and of what vector loads want.
	wideAlign = 64
	// widePad begins the names of the filler between tensors, since
	// safetensors knows no holes.
	widePad = "__padding__."
	// wideFormat changes when widened files are made differently.
	wideFormat = "softprompt float32 1"
)

// Float32File returns the model's weights as float32, in files that ONNX
// Runtime can use as external data where they lie (real paths, no symlinks).
// A float32 model is its own if its tensors lie row by row; any other is
// written out once into the cache, under a name made from its content. The model closes the checkpoint.
func (m *Model) Float32File(ctx context.Context) (*Checkpoint, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	weights, err := m.usedWeights()
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(weights, func(t tensor) bool { return !t.inPlace() }) {
		return m.Checkpoint, nil
	}
	if m.wide != nil {
		return m.wide, nil
	}
	key := contentKey(weights)
	dir := filepath.Join(m.cache, "float32")
	path := filepath.Join(dir, fmt.Sprintf("%s-%s.safetensors", filepath.Base(m.Name), key[:16]))
	if wide, err := openWide(path, key, weights); err == nil {
		m.wide = wide
		return wide, nil
	}
	m.log.Info("widening the weights to float32", "model", m.Ref, "file", path)
	advice := fmt.Sprintf("widening needs %d MB in %s; SOFTPROMPT_CACHE chooses another folder", wideBytes(weights)>>20+1, dir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, hint.Wrap(fmt.Errorf("widening the weights of %s: %w", m.Ref, err), "%s", advice)
	}
	if err := writeWide(ctx, path, key, weights); err != nil {
		return nil, hint.Wrap(fmt.Errorf("widening the weights of %s: %w", m.Ref, err), "%s", advice)
	}
	if m.wide, err = openWide(path, key, weights); err != nil {
		return nil, fmt.Errorf("widening the weights of %s: %w", m.Ref, err)
	}
	return m.wide, nil
}

// usedWeights returns the tensors that the model reads, in WeightShapes' order
// and under its names.
func (m *Model) usedWeights() ([]tensor, error) {
	var list []tensor
	for _, w := range WeightShapes(m.Config) {
		if w.Name == headName && m.Config.TieWordEmbeddings {
			continue // absent, or a copy of the embedding
		}
		t, err := m.Checkpoint.get(w.Name)
		if err != nil {
			return nil, err
		}
		list = append(list, t)
	}
	return list, nil
}

// contentKey identifies weights without reading gigabytes at every start: it
// hashes names, types and shapes, three spans of every tensor's bytes, and the
// sizes and times of the files, which catch an edit between the spans.
func contentKey(weights []tensor) string {
	h := sha256.New()
	fmt.Fprintln(h, wideFormat)
	file := ""
	for _, t := range weights {
		if t.File != file {
			file = t.File
			if info, err := os.Stat(file); err == nil {
				fmt.Fprintln(h, info.Size(), info.ModTime().UnixNano())
			}
		}
		fmt.Fprintln(h, t.Name, t.DType, t.Shape, t.stride, t.Offset)
		for _, s := range spans(int64(len(t.data)), 4096) {
			h.Write(t.data[s[0]:s[1]])
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// spans returns the first, the middle and the last `size` of n as [from,to);
// all of n where it is small.
func spans(n, size int64) [][2]int64 {
	if n <= 3*size {
		return [][2]int64{{0, n}}
	}
	mid := (n - size) / 2
	return [][2]int64{{0, size}, {mid, mid + size}, {n - size, n}}
}

// wideLayout returns the tensors of a widened file with filler between them.
// Source is the index among the weights, -1 for filler.
func wideLayout(weights []tensor) (infos []TensorInfo, source []int) {
	for i, t := range weights {
		n := 4 * t.Elements()
		infos, source = append(infos, TensorInfo{Name: t.Name, DType: F32, Shape: t.Shape, Length: n}), append(source, i)
		if pad := -n & (wideAlign - 1); pad != 0 {
			name := fmt.Sprintf("%s%d", widePad, i)
			infos, source = append(infos, TensorInfo{Name: name, DType: U8, Shape: []int64{pad}, Length: pad}), append(source, -1)
		}
	}
	return infos, source
}

func wideBytes(weights []tensor) (n int64) {
	infos, _ := wideLayout(weights)
	for _, t := range infos {
		n += t.Length
	}
	return n
}

// writeWide writes the widened file, a chunk at a time.
func writeWide(ctx context.Context, path, key string, weights []tensor) error {
	infos, source := wideLayout(weights)
	header, err := marshalHeader(infos, map[string]string{"source": key}, wideAlign)
	if err != nil {
		return err
	}
	f, err := atomicfile.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(header); err != nil {
		return err
	}
	const chunk = 1 << 18 // elements
	values, out := make([]float32, chunk), make([]byte, 4*chunk)
	gathered := make([]byte, 4*chunk)
	for i, info := range infos {
		if source[i] < 0 {
			if _, err := f.Write(make([]byte, info.Length)); err != nil {
				return err
			}
			continue
		}
		t := weights[source[i]]
		for at := int64(0); at < t.Elements(); at += chunk {
			if err := ctx.Err(); err != nil {
				return err
			}
			n := min(chunk, t.Elements()-at)
			widen(values[:n], t.raw(gathered, at, n), t.DType)
			putFloat32(out, values[:n])
			if _, err := f.Write(out[:4*n]); err != nil {
				return err
			}
		}
	}
	return f.Commit()
}

func putFloat32(out []byte, values []float32) {
	for i, v := range values {
		binary.LittleEndian.PutUint32(out[4*i:], math.Float32bits(v))
	}
}

// openWide opens a widened file and checks that it is what writeWide would
// write: the layout, the key, and the values at three places of every tensor.
func openWide(path, key string, weights []tensor) (_ *Checkpoint, err error) {
	wide, err := OpenSafetensors(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			wide.Close()
		}
	}()
	if wide.Metadata["source"] != key {
		return nil, fmt.Errorf("%s was made from other weights", path)
	}
	infos, source := wideLayout(weights)
	for i, info := range infos {
		if source[i] < 0 {
			delete(wide.tensors, info.Name)
			continue
		}
		got, want := wide.tensors[info.Name], weights[source[i]]
		if got.DType != F32 || got.Length != info.Length {
			return nil, fmt.Errorf("%s: tensor %q is %d bytes of %s, wanted %d of F32", path, info.Name, got.Length, got.DType, info.Length)
		}
		for _, s := range spans(want.Elements(), 256) {
			values := make([]float32, s[1]-s[0])
			want.floats(values, s[0])
			wanted := make([]byte, 4*len(values))
			putFloat32(wanted, values)
			if !bytes.Equal(wanted, got.data[4*s[0]:4*s[1]]) {
				return nil, fmt.Errorf("%s: tensor %q is damaged", path, info.Name)
			}
		}
	}
	return wide, nil
}
