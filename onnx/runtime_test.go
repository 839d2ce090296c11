package onnx_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"softprompt/onnx"
	"softprompt/onnx/ort"
	"softprompt/onnx/ort/orttest"
)

// TestRuntimeReadsWhatWeWrite runs a model from what was saved: in one file,
// in two, and read and saved again. Nodes carry metadata, and weights lie in
// a file of their own.
func TestRuntimeReadsWhatWeWrite(t *testing.T) {
	b := onnx.NewBuilder(onnx.NewModel("saved"))
	b.Block, b.From = "encoder.0", "somewhere"
	x := b.Input("x", onnx.Float32, onnx.Sym("B"), onnx.Size(64))
	hidden := b.MatMul(x, b.Weight(floatsNamed("w", 64, 32)))
	b.Output("y", b.FusedMatMul(b.Relu(hidden), b.Weight(floatsNamed("v", 16, 32)), false, true, 0.5))
	b.Output("h", hidden)
	if b.Err() != nil {
		t.Fatal(b.Err())
	}
	dir := t.TempDir()
	one, two, again := filepath.Join(dir, "one.onnx"), filepath.Join(dir, "two.onnx"), filepath.Join(dir, "again.onnx")
	if err := b.Model.Save(one); err != nil {
		t.Fatal(err)
	}
	if err := b.Model.SaveExternal(two); err != nil {
		t.Fatal(err)
	}
	m, err := onnx.Load(context.Background(), two)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := onnx.InferShapes(m); err != nil {
		t.Fatal(err)
	}
	if err := m.SaveExternal(again); err != nil {
		t.Fatal(err)
	}

	in, err := ort.FromONNX(floatsNamed("x", 3, 64))
	if err != nil {
		t.Fatal(err)
	}
	var first []byte
	for _, path := range []string{one, two, again} {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		s, err := orttest.Runtime(t).NewSession(t.Context(), data, ort.Config{Folder: dir})
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		defer s.Close()
		out := map[string]*ort.Tensor{"y": nil}
		if err := s.Run(t.Context(), map[string]*ort.Tensor{"x": in}, out); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if first == nil {
			first = bytes.Clone(out["y"].Bytes())
		}
		if len(first) != 3*16*4 || !bytes.Equal(out["y"].Bytes(), first) {
			t.Errorf("%s gives another result", path)
		}
	}
}

func floatsNamed(name string, dims ...int64) *onnx.Tensor {
	t := floats(dims)
	t.Name = name
	return t
}
