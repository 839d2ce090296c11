package ort_test

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"softprompt/onnx"
	"softprompt/onnx/ort"
	"softprompt/onnx/ort/orttest"
)

// mixed is y = x·w + v·scale + u with weights of every kind: w [n,n] in a file,
// v [n] large in memory, u small in memory.
func mixed(t *testing.T, n int64) (m *onnx.Model, want func(x []float32) []float32) {
	t.Helper()
	b := onnx.NewBuilder(onnx.NewModel("mixed"))
	x := b.Input("x", onnx.Float32, onnx.Size(1), onnx.Size(n))
	w := make([]float32, n*n)
	for i := range n {
		w[i*n+(i+1)%n] = 2 // the next element, doubled
	}
	dir := t.TempDir()
	file := onnx.Floats("w", []int64{n, n}, w)
	if err := os.WriteFile(filepath.Join(dir, "weights.bin"), file.Data, 0o644); err != nil {
		t.Fatal(err)
	}
	b.Model.Dir = dir
	file.External, file.Data = &onnx.External{Location: "weights.bin", Length: int64(len(file.Data))}, nil
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(i)
	}
	y := b.Add(b.MatMul(x, b.Weight(file)), b.Weight(onnx.Floats("v", []int64{n}, v)))
	b.Output("y", b.Add(y, b.Weight(onnx.Floats("u", []int64{1}, []float32{0.5}))))
	if err := b.Err(); err != nil {
		t.Fatal(err)
	}
	return b.Model, func(x []float32) []float32 {
		out := make([]float32, n)
		for i := range n {
			out[(i+1)%n] += 2 * x[i]
			out[i] += v[i] + 0.5
		}
		return out
	}
}

// TestLoad: constants in memory and in files come together, with and without
// repacking, and stay alive while the session does.
func TestLoad(t *testing.T) {
	rt := orttest.Runtime(t)
	for _, n := range []int64{3, 20_000} {
		size := n
		if n > 1000 {
			size = 512
		}
		for _, cfg := range []ort.Config{{}, {Prepack: true}, {Prepack: true, Pack: func(w string) bool { return w != "w" }}} {
			m, want := mixed(t, size)
			if n > 1000 { // v above the limit of what is lent
				m.Graph.Initializers[1].Dims = []int64{40, 512}
				m.Graph.Initializers[1].Data = bytes.Repeat(m.Graph.Initializers[1].Data, 40)
			}
			before, err := m.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			s, err := rt.Load(t.Context(), m, cfg)
			if err != nil {
				t.Fatal(err)
			}
			if after, err := m.Marshal(); err != nil || !bytes.Equal(before, after) {
				t.Errorf("the model was changed: %v", err)
			}
			if len(s.Inputs()) != 1 {
				t.Errorf("inputs %v", s.Inputs())
			}
			m = nil
			runtime.GC() // what was lent is kept by the session alone
			in := make([]float32, size)
			for i := range in {
				in[i] = float32(math.Sin(float64(i)))
			}
			x, err := ort.FromFloats(in, 1, size)
			if err != nil {
				t.Fatal(err)
			}
			out := map[string]*ort.Tensor{"y": nil}
			if err := s.Run(t.Context(), map[string]*ort.Tensor{"x": x}, out); err != nil {
				t.Fatal(err)
			}
			got := out["y"].Float32s()
			if !slices.EqualFunc(got[len(got)-int(size):], want(in), func(a, b float32) bool { return math.Abs(float64(a-b)) < 1e-4 }) {
				t.Errorf("size %d, prepack %v: y = %v…", n, cfg.Prepack, got[:3])
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestLoadRefuses a model whose constants are not as large as they say.
func TestLoadRefuses(t *testing.T) {
	m, _ := mixed(t, 512)
	v := m.Graph.Initializers[1]
	v.Dims, v.Data = []int64{1 << 15}, make([]byte, 1<<16)
	if _, err := orttest.Runtime(t).Load(t.Context(), m, ort.Config{}); err == nil {
		t.Error("a constant with half its bytes was taken")
	}
}
