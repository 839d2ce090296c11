package exported

import (
	"math"
	"strings"
	"testing"

	"softprompt/onnx"
)

// TestPlain: what leaves numbers as they are is passed, and nothing else.
func TestPlain(t *testing.T) {
	b := onnx.NewBuilder(onnx.NewModel("plain"))
	x := b.Input("x", onnx.Float32, onnx.Sym("B"))
	ids := b.Input("ids", onnx.Int64, onnx.Sym("B"))
	f := func(v float64) string { return b.FloatOf(v, onnx.Float32) }
	choice := b.Where(b.Greater(b.ReduceMax(x, false), f(1)), f(64504), f(65504))
	for name, c := range map[string]struct{ value, want string }{
		"a copy":                {b.Identity(x), x},
		"dropout":               {b.Op("Dropout", []string{x}), x},
		"half and back":         {b.Cast(b.Cast(x, onnx.Float16), onnx.Float32), x},
		"a clamp at the edge":   {b.Op("Clip", []string{x, b.Neg(choice), choice}), x},
		"two halves of a clamp": {b.Min(b.Max(x, f(-65504)), f(65504)), x},
		"a floor for masks":     {b.Max(f(-math.MaxFloat32), x), x},
		"no number at all":      {b.Where(b.Op("IsNaN", []string{x}), f(0), x), x},
	} {
		if got := newView(b.Model).plain(c.value); got != c.want {
			t.Errorf("%s: %s leads to %s, want %s", name, c.value, got, c.want)
		}
	}
	for name, value := range map[string]string{
		"a clamp that bites":   b.Op("Clip", []string{x, f(-1), f(65504)}),
		"relu6":                b.Min(b.Relu(x), f(6)),
		"the larger of two":    b.Max(x, b.Tanh(x)),
		"ids as numbers":       b.Cast(ids, onnx.Float32),
		"a mask":               b.Where(b.Greater(x, f(0)), f(0), x),
		"another number there": b.Where(b.Op("IsNaN", []string{x}), f(1), x),
		"a scale":              b.Scale(x, 2),
	} {
		if got := newView(b.Model).plain(value); got != value {
			t.Errorf("%s: %s is passed over to %s", name, value, got)
		}
	}
	if err := b.Err(); err != nil {
		t.Fatal(err)
	}
}

// TestNamesAreACheckOnly: names that contradict the structure change nothing,
// but are told.
func TestNamesAreACheckOnly(t *testing.T) {
	e, d := plainForms().write(t, smallConfig())
	for _, n := range e.Graph.Nodes {
		if n.Op == "MatMul" {
			n.Name = "/block.7/layer.0/SelfAttention/k/MatMul"
		}
	}
	r, err := Recover(smallConfig(), e, d)
	if err != nil {
		t.Fatal(err)
	}
	checkWeights(t, smallConfig(), r.direct(), 0)
	// 2 layers of q, k, v, o, wi_0, wi_1 and wo.
	if text := strings.Join(r.Notes, "\n"); !strings.Contains(text, "speak against 14 (/block.7/layer.0/SelfAttention/k/MatMul, found as encoder.block.0.layer.0.SelfAttention.k.weight)") {
		t.Errorf("the notes say\n%s", text)
	}
}

// TestColumns: parts of a matrix are read as such.
func TestColumns(t *testing.T) {
	packed := newSource(onnx.Floats("w", []int64{2, 6}, []float32{0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15}))
	s := packed.columns(2, 3)
	got := make([]float32, 6)
	s.read(got, 0)
	sameNumbers(t, "columns", got, []float32{2, 12, 3, 13, 4, 14})
	for i, want := range got {
		if v := s.at(int64(i)); v != want {
			t.Errorf("number %d is %v, want %v", i, v, want)
		}
	}
	if err := s.check(); err != nil {
		t.Error(err)
	}
}
