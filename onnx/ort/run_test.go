package ort_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"softprompt/onnx"
	"softprompt/onnx/ort"
	"softprompt/onnx/ort/orttest"
)

// graph builds a model, failing the test on the builder's error.
func graph(t testing.TB, build func(b *onnx.Builder)) *onnx.Model {
	t.Helper()
	b := onnx.NewBuilder(onnx.NewModel("test"))
	b.Block = "encoder.3"
	build(b)
	if err := b.Err(); err != nil {
		t.Fatal(err)
	}
	return b.Model
}

// linear returns y = x·w with x [B,2] and w [2,3].
func linear(t testing.TB) *onnx.Model {
	return graph(t, func(b *onnx.Builder) {
		x := b.Input("x", onnx.Float32, onnx.Sym("B"), onnx.Size(2))
		b.Output("y", b.MatMul(x, b.Weight(onnx.Floats("w", []int64{2, 3}, []float32{1, 2, 3, 4, 5, 6}))))
	})
}

type tensors = map[string]*ort.Tensor

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func floats(t testing.TB, shape []int64, v ...float32) *ort.Tensor {
	t.Helper()
	return must(ort.FromFloats(v, shape...))(t)
}

func zeros(t testing.TB, dtype onnx.DType, shape ...int64) *ort.Tensor {
	t.Helper()
	return must(ort.NewTensor(dtype, shape...))(t)
}

func TestRun(t *testing.T) {
	out := orttest.Run(t, linear(t), map[string]*onnx.Tensor{"x": onnx.Floats("x", []int64{1, 2}, []float32{1, 10})})
	y := must(out["y"].Float32s())(t)
	if want := []float32{41, 52, 63}; !slices.Equal(y, want) {
		t.Errorf("y = %v, want %v", y, want)
	}
}

// TestRunInPlace reuses one input and one output from run to run.
func TestRunInPlace(t *testing.T) {
	s := orttest.Session(t, linear(t), ort.Config{})
	x, y := zeros(t, onnx.Float32, 1, 2), zeros(t, onnx.Float32, 1, 3)
	in, out := x.Float32s(), y.Float32s()
	for i := range 3 {
		in[0], in[1] = float32(i), 1
		if err := s.Run(t.Context(), tensors{"x": x}, tensors{"y": y}); err != nil {
			t.Fatal(err)
		}
		if want := []float32{float32(i) + 4, 2*float32(i) + 5, 3*float32(i) + 6}; !slices.Equal(out, want) {
			t.Errorf("run %d: y = %v, want %v", i, out, want)
		}
	}
}

func TestSignature(t *testing.T) {
	s := orttest.Session(t, graph(t, func(b *onnx.Builder) {
		x := b.Input("ids", onnx.Int64, onnx.Sym("B"), onnx.Sym("S"))
		z := b.Input("step", onnx.Float32)
		u := b.Input("free", onnx.Bool, onnx.Unknown, onnx.Size(3))
		b.Output("a", b.Identity(x))
		b.Output("b", b.Identity(z))
		b.Output("c", b.Identity(u))
	}), ort.Config{})
	for _, c := range []struct {
		got  []onnx.Value
		want []string
	}{
		{s.Inputs(), []string{"ids int64 [B,S]", "step float32 []", "free bool [?,3]"}},
		{s.Outputs(), []string{"a int64 [B,S]", "b float32 []", "c bool [?,3]"}},
	} {
		for i, v := range c.got {
			if got := v.Name + " " + v.Type.String() + " " + v.Shape.String(); got != c.want[i] {
				t.Errorf("value %d is %s, want %s", i, got, c.want[i])
			}
		}
	}
}

// TestUnrankedInput tells an input without a shape from a scalar.
func TestUnrankedInput(t *testing.T) {
	m := linear(t)
	m.Graph.Inputs[0].Shape = nil
	m.Graph.Outputs[0].Shape = nil
	s := orttest.Session(t, m, ort.Config{})
	if v := s.Inputs()[0]; v.Shape.Ranked() {
		t.Errorf("x has shape %v, want none", v.Shape)
	}
	out := tensors{"y": nil}
	if err := s.Run(t.Context(), tensors{"x": zeros(t, onnx.Float32, 4, 5, 2)}, out); err != nil {
		t.Fatal(err)
	}
	if got, want := out["y"].Shape(), []int64{4, 5, 3}; !slices.Equal(got, want) {
		t.Errorf("y has shape %v, want %v", got, want)
	}
}

// TestOutputs has the runtime allocate outputs of the types and ranks that the
// wrapper cannot take: half types, scalars, and tensors without elements.
func TestOutputs(t *testing.T) {
	s := orttest.Session(t, graph(t, func(b *onnx.Builder) {
		x := b.Input("x", onnx.Float32, onnx.Sym("B"))
		b.Output("sum", b.ReduceSum(x, false))
		b.Output("half", b.Cast(x, onnx.Float16))
		b.Output("brain", b.Cast(x, onnx.BFloat16))
		b.Output("double", b.Cast(x, onnx.Float64))
		b.Output("long", b.Cast(x, onnx.Int64))
		b.Output("int", b.Cast(x, onnx.Int32))
		b.Output("positive", b.Greater(x, b.Float(0, x)))
	}), ort.Config{})
	out := tensors{}
	for _, v := range s.Outputs() {
		out[v.Name] = nil
	}
	if err := s.Run(t.Context(), tensors{"x": floats(t, []int64{2}, -1, 3)}, out); err != nil {
		t.Fatal(err)
	}
	if y := out["sum"]; len(y.Shape()) != 0 || y.Float32s()[0] != 2 {
		t.Errorf("sum = %v %v", y, y.Float32s())
	}
	for name, want := range map[string][]byte{
		"half":  {0x00, 0xbc, 0x00, 0x42},
		"brain": {0x80, 0xbf, 0x40, 0x40},
	} {
		if got := out[name].Bytes(); !slices.Equal(got, want) {
			t.Errorf("%s = %x, want %x", name, got, want)
		}
	}
	if y := out["double"].Float64s(); !slices.Equal(y, []float64{-1, 3}) {
		t.Errorf("double = %v", y)
	}
	if y := out["long"].Int64s(); !slices.Equal(y, []int64{-1, 3}) {
		t.Errorf("long = %v", y)
	}
	if y := out["int"].Int32s(); !slices.Equal(y, []int32{-1, 3}) {
		t.Errorf("int = %v", y)
	}
	if y := out["positive"].Bools(); !slices.Equal(y, []bool{false, true}) {
		t.Errorf("positive = %v", y)
	}

	// The same into tensors of ours, a scalar and a half type among them, and
	// only those that are asked for.
	some := tensors{"sum": zeros(t, onnx.Float32), "half": zeros(t, onnx.Float16, 0)}
	if err := s.Run(t.Context(), tensors{"x": zeros(t, onnx.Float32, 0)}, some); err != nil {
		t.Fatal(err)
	}
	if len(some) != 2 || some["half"].Len() != 0 || some["sum"].Float32s()[0] != 0 {
		t.Errorf("outputs %v", some)
	}
}

// TestScalarInput changes a rank-0 input between runs.
func TestScalarInput(t *testing.T) {
	s := orttest.Session(t, graph(t, func(b *onnx.Builder) {
		x := b.Input("x", onnx.Float32)
		b.Output("y", b.Mul(x, x))
	}), ort.Config{})
	x, y := zeros(t, onnx.Float32), zeros(t, onnx.Float32)
	for _, v := range []float32{3, 7} {
		x.Float32s()[0] = v
		if err := s.Run(t.Context(), tensors{"x": x}, tensors{"y": y}); err != nil {
			t.Fatal(err)
		}
		if got := y.Float32s()[0]; got != v*v {
			t.Errorf("%v² = %v", v, got)
		}
	}
}

func TestRunChecks(t *testing.T) {
	s := orttest.Session(t, graph(t, func(b *onnx.Builder) {
		x := b.Input("x", onnx.Float32, onnx.Sym("B"), onnx.Size(2))
		m := b.Input("mask", onnx.Float32, onnx.Sym("B"), onnx.Size(1))
		b.Output("y", b.Mul(x, m))
		b.Output("z", b.Add(x, m))
	}), ort.Config{})
	x, m := zeros(t, onnx.Float32, 4, 2), zeros(t, onnx.Float32, 4, 1)
	closed := zeros(t, onnx.Float32, 4, 2)
	closed.Close()
	y := zeros(t, onnx.Float32, 4, 2)
	for _, c := range []struct {
		name    string
		in, out tensors
		want    string
	}{
		{"missing", tensors{"x": x}, tensors{"y": nil}, "input mask is missing: the model takes float32 [B,1]"},
		{"nil", tensors{"x": x, "mask": nil}, tensors{"y": nil}, "input mask is missing"},
		{"unknown", tensors{"x": x, "mask": m, "msk": m}, tensors{"y": nil}, "no input msk: it has x, mask"},
		{"type", tensors{"x": zeros(t, onnx.Int64, 4, 2), "mask": m}, tensors{"y": nil}, "input x is int64 [4,2], the model wants float32 [B,2]"},
		{"rank", tensors{"x": zeros(t, onnx.Float32, 8), "mask": m}, tensors{"y": nil}, "input x has shape [8], the model wants [B,2]"},
		{"size", tensors{"x": zeros(t, onnx.Float32, 4, 3), "mask": m}, tensors{"y": nil}, "input x has shape [4,3], the model wants [B,2]"},
		{"symbol", tensors{"x": x, "mask": zeros(t, onnx.Float32, 5, 1)}, tensors{"y": nil}, "input mask has shape [5,1], the model wants [B,1], where B is 4 as in x"},
		{"closed", tensors{"x": closed, "mask": m}, tensors{"y": nil}, "input x: the tensor is closed"},
		{"unknown output", tensors{"x": x, "mask": m}, tensors{"loss": nil}, "no output loss: it has y, z"},
		{"no output", tensors{"x": x, "mask": m}, tensors{}, "no output is asked for: the model has y, z"},
		{"output type", tensors{"x": x, "mask": m}, tensors{"y": zeros(t, onnx.Float64, 4, 2)}, "output y is float64 [4,2], the model wants float32 [B,2]"},
		{"output rank", tensors{"x": x, "mask": m}, tensors{"y": zeros(t, onnx.Float32, 8)}, "output y has shape [8]"},
		{"output size", tensors{"x": x, "mask": m}, tensors{"y": zeros(t, onnx.Float32, 5, 2)}, "[5,2], and this run gives [4,2]"},
		{"one tensor twice", tensors{"x": x, "mask": m}, tensors{"y": y, "z": y}, "outputs y and z share one tensor"},
		{"input is output", tensors{"x": x, "mask": m}, tensors{"y": x}, "input x and output y share one tensor"},
	} {
		err := s.Run(t.Context(), c.in, c.out)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
	}
}

// TestRunMany runs one session from many goroutines.
func TestRunMany(t *testing.T) {
	s := orttest.Session(t, linear(t), ort.Config{Threads: 1})
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Go(func() {
			x := floats(t, []int64{1, 2}, float32(g), 1)
			y := zeros(t, onnx.Float32, 1, 3)
			for range 100 {
				if err := s.Run(t.Context(), tensors{"x": x}, tensors{"y": y}); err != nil {
					t.Error(err)
					return
				}
				if got := y.Float32s()[0]; got != float32(g)+4 {
					t.Errorf("goroutine %d: %v", g, got)
					return
				}
			}
		})
	}
	wg.Wait()
}

// slow returns a chain of products that runs for minutes.
func slow(t testing.TB) *onnx.Model {
	return graph(t, func(b *onnx.Builder) {
		x := b.Input("x", onnx.Float32, onnx.Sym("N"), onnx.Sym("N"))
		y := x
		for range 4000 {
			y = b.MatMul(y, x)
		}
		b.Output("y", y)
	})
}

// TestCancel stops a run that is under way.
func TestCancel(t *testing.T) {
	s := orttest.Session(t, slow(t), ort.Config{Optimize: ort.LevelNone})
	x := zeros(t, onnx.Float32, 384, 384)
	ctx, cancel := context.WithCancel(t.Context())
	var asked time.Time
	time.AfterFunc(200*time.Millisecond, func() { asked = time.Now(); cancel() })
	err := s.Run(ctx, tensors{"x": x}, tensors{"y": nil})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v, want one that wraps context.Canceled", err)
	}
	if d := time.Since(asked); d > time.Second {
		t.Errorf("the run ended %v after it was cancelled", d)
	}
	// The session is as good as new.
	if err := s.Run(t.Context(), tensors{"x": zeros(t, onnx.Float32, 1, 1)}, tensors{"y": nil}); err != nil {
		t.Error(err)
	}
	if err := s.Run(ctx, tensors{"x": x}, tensors{"y": nil}); !errors.Is(err, context.Canceled) {
		t.Errorf("a run with an ended context: %v", err)
	}
	deadline, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := s.Run(deadline, tensors{"x": x}, tensors{"y": nil}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a run past its deadline: %v", err)
	}
}

// TestOutOfMemory asks for 32 TB.
func TestOutOfMemory(t *testing.T) {
	s := orttest.Session(t, graph(t, func(b *onnx.Builder) {
		x := b.Input("x", onnx.Float32, onnx.Sym("A"), onnx.Size(1))
		y := b.Input("y", onnx.Float32, onnx.Size(1), onnx.Sym("B"))
		b.Output("z", b.MatMul(x, y))
	}), ort.Config{})
	n := int64(1) << 21
	err := s.Run(t.Context(), tensors{"x": zeros(t, onnx.Float32, n, 1), "y": zeros(t, onnx.Float32, 1, 2*n)}, tensors{"z": nil})
	if !errors.Is(err, ort.ErrOutOfMemory) || !strings.Contains(err.Error(), "encoder.3/MatMul") {
		t.Errorf("error %v", err)
	}
}
