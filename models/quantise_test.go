package models

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func int8File(t *testing.T, dir, cache string) (*Model, *Checkpoint) {
	t.Helper()
	m, err := Open(t.Context(), dir, Options{CacheDir: cache})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	c, err := m.Int8File(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return m, c
}

// dequantised returns what the integers of a weight stand for, as [out,in].
func dequantised(t *testing.T, c *Checkpoint, name string, back bool, out, in int) []float32 {
	t.Helper()
	integers, scales := Int8Names(name, back)
	q, err := c.Bytes(integers)
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Float32(scales)
	if err != nil {
		t.Fatal(err)
	}
	w := make([]float32, out*in)
	for o := range out {
		for i := range in {
			if back {
				w[o*in+i] = float32(int8(q[o*in+i])) * s[i]
			} else {
				w[o*in+i] = float32(int8(q[i*out+o])) * s[o]
			}
		}
	}
	return w
}

// TestInt8File: every linear layer is there for both directions, and no element
// is off by more than half a step of its channel.
func TestInt8File(t *testing.T) {
	for _, dtype := range []DType{F32, BF16} {
		dir, cache := randomModel(t, map[string]any{"d_model": 6, "d_ff": 5}, 1, dtype), t.TempDir()
		m, c := int8File(t, dir, cache)
		wide, err := m.Float32File(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		linear := 0
		for _, w := range WeightShapes(m.Config) {
			name, _ := Int8Names(w.Name, false)
			if _, ok := c.Lookup(name); !ok {
				continue
			}
			linear++
			out, in := int(w.Shape[0]), int(w.Shape[1])
			want, err := wide.Float32(w.Name)
			if err != nil {
				t.Fatal(err)
			}
			for _, back := range []bool{false, true} {
				_, scales := Int8Names(w.Name, back)
				s, err := c.Float32(scales)
				if err != nil {
					t.Fatal(err)
				}
				for i, v := range dequantised(t, c, w.Name, back, out, in) {
					channel := i / in
					if back {
						channel = i % in
					}
					step := s[channel]
					if math.Abs(float64(v-want[i])) > 0.501*float64(step) {
						t.Fatalf("%s, back %v, element %d: %v for %v, step %v", w.Name, back, i, v, want[i], step)
					}
				}
			}
		}
		layers := m.Config.NumLayers*6 + m.Config.NumDecoderLayers*10
		if m.Config.Gated {
			layers += m.Config.NumLayers + m.Config.NumDecoderLayers
		}
		if linear != layers {
			t.Errorf("%d layers, want %d", linear, layers)
		}
	}
}

// TestInt8FileCached: a second opening takes the file as it is, and other
// weights, or a file that is damaged, have theirs made anew.
func TestInt8FileCached(t *testing.T) {
	dir, cache := randomModel(t, nil, 1, F32), t.TempDir()
	_, c := int8File(t, dir, cache)
	before, err := os.Stat(c.Path)
	if err != nil {
		t.Fatal(err)
	}
	_, again := int8File(t, dir, cache)
	if after, err := os.Stat(again.Path); err != nil || after.ModTime() != before.ModTime() {
		t.Errorf("made twice: %v, %v", after, err)
	}
	_, other := int8File(t, randomModel(t, nil, 2, F32), cache)
	if other.Path == c.Path {
		t.Errorf("two models share %s", c.Path)
	}
	if err := os.WriteFile(c.Path, []byte("no safetensors"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, mended := int8File(t, dir, cache)
	if len(mended.Names()) != len(again.Names()) {
		t.Errorf("%d tensors after the file was damaged, %d before", len(mended.Names()), len(again.Names()))
	}
}

func TestInt8FileErrors(t *testing.T) {
	m, err := Open(t.Context(), randomModel(t, nil, 1, F32), Options{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.Int8File(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(m.cache, "int8", "*")); len(left) != 0 {
		t.Errorf("left behind %v", left)
	}
	blocked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	m.cache = blocked
	if _, err := m.Int8File(t.Context()); err == nil || !strings.Contains(err.Error(), "quantising the weights of") {
		t.Errorf("a cache that cannot be written: %v", err)
	}
}

// TestQuantiseRefuses what has no place on a scale.
func TestQuantiseRefuses(t *testing.T) {
	for _, v := range []float32{float32(math.NaN()), float32(math.Inf(-1))} {
		w := matrix(2, 3, []float32{1, 2, 3, 4, v, 6})
		if _, err := quantise(w, 127); err == nil || !strings.Contains(err.Error(), "at [1,1]") {
			t.Errorf("%v: %v", v, err)
		}
	}
}

// TestQuantise: in any matrix, whatever its size and levels, the largest of a
// channel has the largest integer and a channel of zeros only zeros.
func TestQuantise(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		out, in := rapid.IntRange(1, 9).Draw(r, "out"), rapid.IntRange(1, 9).Draw(r, "in")
		levels := rapid.SampledFrom([]float32{64, 127}).Draw(r, "levels")
		size := rapid.SampledFrom([]float32{1e-20, 1, 3e30}).Draw(r, "size")
		values := make([]float32, out*in)
		for i := range values {
			values[i] = size * float32(rapid.IntRange(-1000, 1000).Draw(r, "v")) / 1000
		}
		parts, err := quantise(matrix(out, in, values), levels)
		if err != nil {
			r.Fatal(err)
		}
		for o := range out {
			most, largest := float32(0), 0.0
			for i, v := range values[o*in : (o+1)*in] {
				most = max(most, float32(math.Abs(float64(v))))
				largest = max(largest, math.Abs(float64(int8(parts[1][i*out+o]))))
			}
			want := float64(levels)
			if most == 0 {
				want = 0
			}
			if largest != want {
				r.Fatalf("channel %d: largest integer %v of %v", o, largest, want)
			}
			if s := math.Float32frombits(binary.LittleEndian.Uint32(parts[0][4*o:])); s != most/levels {
				r.Fatalf("channel %d: scale %v, want %v", o, s, most/levels)
			}
		}
	})
}

// matrix is a float32 tensor in memory.
func matrix(out, in int, values []float32) tensor {
	data := make([]byte, 4*len(values))
	putFloat32(data, values)
	return tensor{data: data, TensorInfo: TensorInfo{Name: "w", DType: F32, Shape: []int64{int64(out), int64(in)}, Length: int64(len(data))}}
}

// TestEvict: the bytes are the same after their pages were given back.
func TestEvict(t *testing.T) {
	_, c := int8File(t, randomModel(t, nil, 1, F32), t.TempDir())
	name := c.Names()[0]
	data, err := c.Bytes(name)
	if err != nil {
		t.Fatal(err)
	}
	before := append([]byte(nil), data...)
	c.Evict()
	if !bytes.Equal(before, data) {
		t.Error("other bytes after Evict")
	}
}
