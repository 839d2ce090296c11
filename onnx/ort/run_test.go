package ort_test

import (
	"testing"

	"softprompt/onnx"
	"softprompt/onnx/ort"
	"softprompt/onnx/ort/orttest"
)

// linear returns y = x·w with x [B,2] and w [2,3].
func linear(t testing.TB) *onnx.Model {
	t.Helper()
	b := onnx.NewBuilder(onnx.NewModel("linear"))
	x := b.Input("x", onnx.Float32, onnx.Sym("B"), onnx.Size(2))
	w := b.Weight(onnx.Floats("w", []int64{2, 3}, []float32{1, 2, 3, 4, 5, 6}))
	b.Output("y", b.MatMul(x, w))
	if err := b.Err(); err != nil {
		t.Fatal(err)
	}
	return b.Model
}

func TestRun(t *testing.T) {
	out := orttest.Run(t, linear(t), map[string]*onnx.Tensor{"x": onnx.Floats("x", []int64{1, 2}, []float32{1, 10})})
	y, err := out["y"].Float32s()
	if err != nil {
		t.Fatal(err)
	}
	if len(y) != 3 || y[0] != 41 || y[1] != 52 || y[2] != 63 {
		t.Errorf("y = %v", y)
	}
	_ = ort.MinVersion
}
