package measure

import (
	"math"
	"strings"
	"testing"

	"softprompt/grad"
	"softprompt/onnx"
	"softprompt/onnx/ort"
	"softprompt/onnx/ort/orttest"
)

func TestErrorOf(t *testing.T) {
	for _, c := range []struct {
		name string
		a, b []float32
		want Error
	}{
		{"equal", []float32{1, -2}, []float32{1, -2}, Error{0, 0, 1}},
		{"a tenth more", []float32{3.3, 4.4}, []float32{3, 4}, Error{0.1, 0.1, 1}},
		{"turned by 90 degrees", []float32{0, 2}, []float32{2, 0}, Error{math.Sqrt2, 1, 0}},
		{"the other way", []float32{-1}, []float32{1}, Error{2, 2, -1}},
		{"one element", []float32{1, 1, 1, 3}, []float32{1, 1, 1, 1}, Error{1, 2, 6 / math.Sqrt(12) / 2}},
		{"both nothing", []float32{0, 0}, []float32{0, 0}, Error{0, 0, 1}},
		{"nothing to compare with", []float32{1e-9}, []float32{0}, Error{1, 1, 0}},
		{"lost", []float32{0, 0}, []float32{1, 2}, Error{1, 1, 0}},
		{"no elements", nil, nil, Error{0, 0, 1}},
		{"large numbers", []float32{2e30}, []float32{1e30}, Error{1, 1, 1}},
	} {
		got, err := ErrorOf(c.a, c.b)
		close := func(x, y float64) bool { return math.Abs(x-y) < 1e-6 }
		if err != nil || !close(got.Relative, c.want.Relative) || !close(got.Largest, c.want.Largest) || !close(got.Cosine, c.want.Cosine) {
			t.Errorf("%s: got %+v, %v; want %+v", c.name, got, err, c.want)
		}
	}
	if _, err := ErrorOf([]float32{1}, nil); err == nil || !strings.Contains(err.Error(), "1 elements against 0") {
		t.Errorf("lengths: %v", err)
	}
}

// layered is a model of one block, x + norm(x)·w, with the loss Σ c·norm of
// that. w stretches the block's part, and nothing turns: all that changes in
// the stream is its length.
func layered(t *testing.T, w float32) *onnx.Model {
	t.Helper()
	b := onnx.NewBuilder(onnx.NewModel("layered"))
	one := func() string { return b.Const(onnx.Floats("", []int64{2}, []float32{1, 1})) }
	b.Block = "embedding"
	x := b.Op("Identity", []string{b.Input("x", onnx.Float32, onnx.Size(1), onnx.Size(2))})
	b.Block = "block.0"
	n, _ := b.RMSNorm(x, one(), 0)
	y := b.Add(x, b.MatMul(n, b.Weight(onnx.Floats("w", []int64{2, 2}, []float32{w, 0, 0, w}))))
	b.Block = "head"
	z, _ := b.RMSNorm(y, one(), 0)
	example := b.ReduceSum(b.Mul(z, b.Const(onnx.Floats("", []int64{2}, []float32{1, 0}))), false, 1)
	b.Output("example_loss", example)
	b.Output("loss", b.ReshapeTo(b.ReduceSum(example, false), 1))
	if err := b.Err(); err != nil {
		t.Fatal(err)
	}
	m, err := grad.Reverse(b.Model, "loss", []string{"x"})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func point(t *testing.T) map[string]*ort.Tensor {
	t.Helper()
	x, err := ort.FromFloats([]float32{3, 4}, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]*ort.Tensor{"x": x}
}

// TestCompareKnown: the errors of a stretched block can be worked out.
func TestCompareKnown(t *testing.T) {
	c, err := Compare(t.Context(), orttest.Runtime(t), layered(t, 1.5), layered(t, 1), point(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Layers) != 2 || c.Layers[0].Block != "embedding" || c.Layers[1].Block != "block.0" {
		t.Fatalf("layers %+v", c.Layers)
	}
	close := func(name string, got, want float64) {
		if math.Abs(got-want) > 1e-5 {
			t.Errorf("%s is %.7f, want %.7f", name, got, want)
		}
	}
	close("error of the embedding", c.Layers[0].Activation.Relative, 0)
	// y = x·(1 + w/r), r = √12.5 being the root mean square of x.
	r := math.Sqrt(12.5)
	y := c.Layers[1].Activation
	close("relative error of the block", y.Relative, 0.5/(1+r))
	close("largest error of the block", y.Largest, 0.5/(1+r))
	close("cosine of the block", y.Cosine, 1)
	// The norm that follows has the inverse of the length as its slope.
	g := c.Layers[1].Gradient
	if g == nil {
		t.Fatal("the block has no gradient")
	}
	close("relative error of the gradient", g.Relative, 1-(1+1/r)/(1+1.5/r))
	close("cosine of the gradient", g.Cosine, 1)
	// Beyond the norm nothing is left of it.
	close("loss", c.Loss, c.Exact)
	close("loss", c.Exact, 3/r)
	close("error of the example's loss", c.ExampleLoss.Relative, 0)
	// The gradient in x is that in y, along what the block lets through: across
	// x, where all of it lies, the norm's slope is w/r.
	if e := c.Gradients["grad.x"]; len(c.Gradients) != 1 {
		t.Errorf("gradients %v", c.Gradients)
	} else {
		close("error of the gradient in x", e.Relative, 0)
	}
}

// TestCompareSame: a graph is no distance from itself.
func TestCompareSame(t *testing.T) {
	c, err := Compare(t.Context(), orttest.Runtime(t), layered(t, 1), layered(t, 1), point(t))
	if err != nil {
		t.Fatal(err)
	}
	none := Error{Cosine: 1}
	for _, l := range c.Layers {
		if l.Activation != none || l.Gradient == nil || *l.Gradient != none {
			t.Errorf("%s: %+v", l.Block, l)
		}
	}
	if c.ExampleLoss != none || c.Gradients["grad.x"] != none || c.Loss != c.Exact {
		t.Errorf("%+v", c)
	}
}

func TestCompareRefuses(t *testing.T) {
	rt := orttest.Runtime(t)
	renamed := layered(t, 1)
	for _, n := range renamed.Graph.Nodes {
		*n = *n.Renamed(map[string]string{"block.0/Add": "elsewhere"})
	}
	without := layered(t, 1)
	for _, n := range without.Graph.Nodes {
		if n.Op == "SimplifiedLayerNormalization" {
			n.Op = "LayerNormalization"
		}
	}
	wrong, err := ort.FromFloats([]float32{1, 2, 3}, 1, 3)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		reduced, exact *onnx.Model
		inputs         map[string]*ort.Tensor
		want           string
	}{
		"another name":   {renamed, layered(t, 1), point(t), "no value block.0/Add"},
		"no norms":       {layered(t, 1), without, point(t), "no norm reads a residual stream"},
		"missing input":  {layered(t, 1), layered(t, 1), nil, "x"},
		"a wrong input":  {layered(t, 1), layered(t, 1), map[string]*ort.Tensor{"x": wrong}, "x"},
		"a broken model": {&onnx.Model{Graph: &onnx.Graph{}}, layered(t, 1), point(t), "no value"},
	} {
		if _, err := Compare(t.Context(), rt, c.reduced, c.exact, c.inputs); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got error %v, want one with %q", name, err, c.want)
		}
	}
	if _, err := values(t.Context(), rt, layered(t, 1), point(t), []string{"loss", "nothing"}); err == nil || !strings.Contains(err.Error(), "no value nothing") {
		t.Errorf("a value that is not there: %v", err)
	}
}

// TestValuesLeaveTheGraph: what is asked for is not left behind in the model.
func TestValuesLeaveTheGraph(t *testing.T) {
	m := layered(t, 1)
	before := len(m.Graph.Outputs)
	got, err := values(t.Context(), orttest.Runtime(t), m, point(t), []string{"loss", "block.0/Add"})
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Graph.Outputs) != before {
		t.Errorf("%d outputs, had %d", len(m.Graph.Outputs), before)
	}
	scale := 1 + 1/math.Sqrt(12.5)
	if y := got["block.0/Add"]; len(y) != 2 || math.Abs(float64(y[0])-3*scale) > 1e-5 || math.Abs(float64(y[1])-4*scale) > 1e-5 {
		t.Errorf("the block's value is %v", y)
	}
}
