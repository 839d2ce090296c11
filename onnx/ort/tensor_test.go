package ort

import (
	"bytes"
	"context"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"pgregory.net/rapid"

	"softprompt/onnx"
)

var fixedTypes = []onnx.DType{
	onnx.Float32, onnx.Float64, onnx.Float16, onnx.BFloat16, onnx.Int64, onnx.Int32, onnx.Int16, onnx.Int8,
	onnx.Uint64, onnx.Uint32, onnx.Uint16, onnx.Uint8, onnx.Bool,
}

// TestTensor checks size, alignment and zeros for any type and shape.
func TestTensor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dtype := rapid.SampledFrom(fixedTypes).Draw(t, "type")
		shape := rapid.SliceOfN(rapid.Int64Range(0, 9), 0, 4).Draw(t, "shape")
		x, err := NewTensor(dtype, shape...)
		if err != nil {
			t.Fatal(err)
		}
		n := 1
		for _, d := range shape {
			n *= int(d)
		}
		if x.Len() != n || len(x.Bytes()) != n*dtype.Size() || x.Type() != dtype || !slices.Equal(x.Shape(), shape) {
			t.Fatalf("%v has %d elements, %d bytes", x, x.Len(), len(x.Bytes()))
		}
		if n > 0 && uintptr(unsafe.Pointer(&x.Bytes()[0]))%alignment != 0 {
			t.Fatal("the memory is not aligned")
		}
		if slices.ContainsFunc(x.Bytes(), func(b byte) bool { return b != 0 }) {
			t.Fatal("the memory is not zero")
		}
	})
}

// TestTensorRun sends any bytes through the runtime and back.
func TestTensorRun(t *testing.T) {
	s, err := open(t).NewSession(t.Context(), identity, Config{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.SliceOf(rapid.Float32()).Draw(t, "values")
		x, err := FromFloats(v, int64(len(v)))
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]*Tensor{"y": nil}
		if err := s.Run(context.Background(), map[string]*Tensor{"x": x}, out); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out["y"].Bytes(), x.Bytes()) {
			t.Fatalf("y = %v, x = %v", out["y"].Float32s(), v)
		}
	})
}

func TestONNX(t *testing.T) {
	c := onnx.Doubles("w", []int64{2, 1}, []float64{1, math.Inf(-1)})
	x, err := FromONNX(c)
	if err != nil {
		t.Fatal(err)
	}
	x.Float64s()[0] = 5
	if v, _ := c.Float64s(); v[0] != 1 {
		t.Error("the tensor shares the constant's memory")
	}
	back, err := x.ONNX("v").Float64s()
	if err != nil || !slices.Equal(back, []float64{5, math.Inf(-1)}) {
		t.Errorf("back: %v %v", back, err)
	}
	for want, bad := range map[string]*onnx.Tensor{
		"holds 4":              {Name: "w", Type: onnx.Float32, Dims: []int64{2}, Data: make([]byte, 4)},
		"were not read":        {Name: "w", Type: onnx.Float32, Dims: []int64{2}, External: &onnx.External{Location: "f"}},
		"no fixed size":        {Name: "w", Type: onnx.String, Dims: []int64{1}, Strings: [][]byte{nil}},
		"negative size":        {Name: "w", Type: onnx.Float32, Dims: []int64{-1}},
		"more bytes than can ": {Name: "w", Type: onnx.Float32, Dims: []int64{math.MaxInt64, 2}},
	} {
		if _, err := FromONNX(bad); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "w:") {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

func TestAccessors(t *testing.T) {
	x, err := FromInts([]int64{1, 2, 3}, 3)
	if err != nil {
		t.Fatal(err)
	}
	if x.Float32s() != nil || x.Float64s() != nil || x.Int32s() != nil || x.Bools() != nil || len(x.Int64s()) != 3 {
		t.Error("an accessor of another type gave something")
	}
	if got := x.String(); got != "int64 [3]" {
		t.Errorf("it calls itself %s", got)
	}
	v := x.Int64s()
	x.Close()
	x = nil
	runtime.GC()
	if v[2] != 3 {
		t.Error("the slice went with the tensor")
	}
	if _, err := FromInts([]int64{1, 2}, 3); err == nil {
		t.Error("2 values for 3 elements")
	}
	if _, err := FromFloats(nil, 2, -3); err == nil {
		t.Error("a negative size")
	}
	if _, err := NewTensor(onnx.Undefined, 2); err == nil {
		t.Error("a tensor of no type")
	}
	empty, err := NewTensor(onnx.Float32, 1<<40, 0)
	if err != nil || empty.Len() != 0 || empty.Float32s() == nil {
		t.Errorf("an empty tensor: %v %v", empty, err)
	}
}
