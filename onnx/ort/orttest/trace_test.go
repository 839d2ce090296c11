package orttest

import (
	"slices"
	"testing"

	"softprompt/onnx"
	"softprompt/onnx/ort"
)

// TestTrace runs a chain whose values are 40 bytes each.
func TestTrace(t *testing.T) {
	b := onnx.NewBuilder(onnx.NewModel("chain"))
	x := b.Input("x", onnx.Float32, onnx.Sym("N"))
	early := b.Sin(x)
	late := b.Exp(b.Reshape(b.Neg(b.Tanh(early)), b.Ints(-1)))
	b.Output("y", b.Add(b.Sub(late, early), late))
	if err := b.Err(); err != nil {
		t.Fatal(err)
	}
	in := map[string]*onnx.Tensor{"x": onnx.Floats("", []int64{10}, make([]float32, 10))}
	for _, level := range []ort.Level{ort.LevelNone, ort.LevelBasic} {
		ran := Trace(t, b.Model, in, level)
		for _, name := range []string{"Sin", "Tanh", "Neg", "Exp", "Sub", "Add"} {
			if !slices.Contains(ran, Ran{name, 40}) {
				t.Errorf("level %v: no node %s of 40 bytes in %v", level, name, ran)
			}
		}
		// Sin's result waits while Neg reads Tanh's, and while Add reads Sub's
		// and Exp's it is gone.
		if peak := Peak(b.Model, ran); peak != 120 {
			t.Errorf("level %v: a peak of %d bytes, want 120", level, peak)
		}
	}
}

// TestPeak looks at orders of the same nodes.
func TestPeak(t *testing.T) {
	b := onnx.NewBuilder(onnx.NewModel("tree"))
	x := b.Input("x", onnx.Float32, onnx.Sym("N"))
	sums := []string{b.ReduceSum(b.Sin(x), true, 0), b.ReduceSum(b.Cos(x), true, 0)}
	b.Output("y", b.Add(sums[0], sums[1]))
	if err := b.Err(); err != nil {
		t.Fatal(err)
	}
	size := map[string]int64{"Sin": 400, "Cos": 400, "ReduceSum": 4, "ReduceSum.1": 4, "Add": 4}
	for _, tc := range []struct {
		order []string
		peak  int64
	}{
		{[]string{"Sin", "ReduceSum", "Cos", "ReduceSum.1", "Add"}, 408},
		{[]string{"Sin", "Cos", "ReduceSum", "ReduceSum.1", "Add"}, 804},
		{[]string{"Sin", "Cos", "Add"}, 804}, // sums that the runtime made views
	} {
		var ran []Ran
		for _, name := range tc.order {
			ran = append(ran, Ran{name, size[name]})
		}
		if got := Peak(b.Model, ran); got != tc.peak {
			t.Errorf("%v: a peak of %d bytes, want %d", tc.order, got, tc.peak)
		}
	}
}
