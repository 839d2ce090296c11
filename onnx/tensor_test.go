package onnx

import (
	"math"
	"slices"
	"strings"
	"testing"
)

func TestTensorElements(t *testing.T) {
	floats := []float32{1, -0.5, float32(math.Inf(1)), 0}
	if got, err := Floats("t", []int64{2, 2}, floats).Float32s(); err != nil || !slices.Equal(got, floats) {
		t.Errorf("float32: %v, %v", got, err)
	}
	doubles := []float64{math.Pi, -1}
	if got, err := Doubles("t", []int64{2}, doubles).Float64s(); err != nil || !slices.Equal(got, doubles) {
		t.Errorf("float64: %v, %v", got, err)
	}
	longs := []int64{math.MinInt64, -1, math.MaxInt64}
	if got, err := Longs("t", []int64{3}, longs).Int64s(); err != nil || !slices.Equal(got, longs) {
		t.Errorf("int64: %v, %v", got, err)
	}
	for _, c := range []struct {
		t    *Tensor
		want string
	}{
		{Doubles("t", nil, []float64{1}), "tensor t is float64, want float32"},
		{Floats("t", []int64{3}, []float32{1}), "holds 4 bytes, want 12"},
		{Floats("t", []int64{-1}, nil), "a size is negative"},
		{Floats("t", []int64{1 << 62}, nil), "too large"},
		{&Tensor{Name: "t", Type: Float32, External: &External{Location: "far"}}, "lies in file far"},
	} {
		if _, err := c.t.Float32s(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
	}
}

func TestScalar(t *testing.T) {
	for _, c := range []struct {
		t    DType
		size int
	}{{Float32, 4}, {Float64, 8}, {Int64, 8}} {
		s, err := Scalar("s", c.t, 2)
		if err != nil || s.Type != c.t || len(s.Data) != c.size || s.Len() != 1 || len(s.Shape()) != 0 || !s.Shape().Ranked() {
			t.Errorf("%v: %+v, %v", c.t, s, err)
		}
	}
	if _, err := Scalar("s", Bool, 1); err == nil {
		t.Error("a bool was made")
	}
}

func TestTensorLen(t *testing.T) {
	for _, c := range []struct {
		dims []int64
		want int64
	}{
		{nil, 1},
		{[]int64{0}, 0},
		{[]int64{2, 3}, 6},
		{[]int64{-1}, -1},
		{[]int64{1 << 31, 1 << 31}, 1 << 62},
		{[]int64{1 << 32, 1 << 32}, -1},
		{[]int64{0, 1 << 62, 1 << 62}, 0},
	} {
		if got := (&Tensor{Dims: c.dims}).Len(); got != c.want {
			t.Errorf("%v: %d, want %d", c.dims, got, c.want)
		}
	}
}

func TestDTypes(t *testing.T) {
	for _, c := range []struct {
		t     DType
		name  string
		size  int
		float bool
	}{
		{Float32, "float32", 4, true},
		{BFloat16, "bfloat16", 2, true},
		{Float16, "float16", 2, true},
		{Float64, "float64", 8, true},
		{Int64, "int64", 8, false},
		{Bool, "bool", 1, false},
		{Complex128, "complex128", 16, false},
		{String, "string", 0, false},
		{DType(21), "dtype(21)", 0, false},
		{DType(-1), "dtype(-1)", 0, false},
	} {
		if c.t.String() != c.name || c.t.Size() != c.size || c.t.IsFloat() != c.float {
			t.Errorf("%v has %d bytes, float %v", c.t, c.t.Size(), c.t.IsFloat())
		}
	}
}

func TestShapes(t *testing.T) {
	var none Shape
	scalar := Shape{}
	if none.Ranked() || !scalar.Ranked() || none.String() != "[…]" || scalar.String() != "[]" {
		t.Error("a scalar and an unknown rank are one")
	}
	s := Shape{Sym("B"), Sym("P").Plus(Sym("S")), Size(8), Unknown}
	if s.String() != "[B,P+S,8,?]" {
		t.Errorf("got %v", s)
	}
	if _, ok := s.Sizes(); ok || s.Same(s) || !s[:3].Same(Shape{Sym("B"), Sym("P+S"), Size(8)}) || s[:3].Same(s[:2]) || none.Same(none) {
		t.Error("Same or Sizes")
	}
	if n, ok := Fixed(2, 3).Sizes(); !ok || !slices.Equal(n, []int64{2, 3}) {
		t.Errorf("sizes %v", n)
	}
	if _, err := Broadcast(Fixed(2, 3), Fixed(4)); err == nil || !strings.Contains(err.Error(), "[2,3] [4]") {
		t.Errorf("error %v", err)
	}
	if got, err := Broadcast(Fixed(2, 3), nil); got != nil || err != nil {
		t.Errorf("with an unknown rank: %v, %v", got, err)
	}
}
