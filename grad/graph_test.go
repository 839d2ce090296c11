package grad

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"softprompt/onnx"
	"softprompt/onnx/ort"
	"softprompt/onnx/ort/orttest"
)

// Whole graphs: rules that are right one by one must be so together.

// testGraph is a graph with a loss, whose trainables are inputs or weights.
type testGraph struct {
	*onnx.Builder
	dtype  onnx.DType
	fed    bool // the weights are inputs
	random *rand.Rand
	feeds  map[string]*onnx.Tensor
}

func newTestGraph(dtype onnx.DType, fed bool) *testGraph {
	return &testGraph{onnx.NewBuilder(onnx.NewModel("test")), dtype, fed, rand.New(rand.NewPCG(3, 4)), map[string]*onnx.Tensor{}}
}

// input adds an input with values; a dim of the shape may be symbolic.
func (g *testGraph) input(name string, dims []int64, shape ...onnx.Dim) string {
	if shape == nil {
		shape = onnx.Fixed(dims...)
	}
	n := onnx.Tensor{Dims: dims}
	g.feeds[name] = floats(g.dtype, dims, normal(g.random, int(n.Len())))
	return g.Input(name, g.dtype, shape...)
}

// weight adds a weight, scaled down as its rows are long.
func (g *testGraph) weight(name string, dims ...int64) string {
	n := onnx.Tensor{Dims: dims}
	v := normal(g.random, int(n.Len()))
	for i := range v {
		v[i] /= 2
	}
	t := floats(g.dtype, dims, v)
	if g.fed {
		g.feeds[name] = t
		return g.Input(name, g.dtype, onnx.Fixed(dims...)...)
	}
	t.Name = name
	return g.Weight(t)
}

// perceptron is a classifier with a hidden layer: [B,4] to 3 classes.
func perceptron(dtype onnx.DType, fed bool) *testGraph {
	g := newTestGraph(dtype, fed)
	x := g.input("x", []int64{5, 4}, onnx.Sym("B"), onnx.Size(4))
	labels := g.Input("labels", onnx.Int64, onnx.Sym("B"))
	g.feeds["labels"] = onnx.Longs("", []int64{5}, []int64{2, 0, -100, 1, 1})
	hidden := g.Tanh(g.Add(g.MatMul(x, g.weight("w1", 4, 6)), g.weight("b1", 6)))
	scores := g.Op("Gemm", []string{hidden, g.weight("w2", 3, 6), g.weight("b2", 3)}, onnx.IntAttr("transB", 1))
	g.Output("scores", scores)
	g.Output("loss", g.Op("SoftmaxCrossEntropyLoss", []string{scores, labels}, onnx.IntAttr("ignore_index", -100)))
	return g
}

// block is a layer of T5 behind a prompt: self-attention with a relative
// position bias, then a gated feed-forward layer. [B,P+S,8], two heads.
func block(dtype onnx.DType, fed bool) *testGraph {
	g := newTestGraph(dtype, fed)
	prompt := g.input("prompt", []int64{2, 8})
	text := g.input("text", []int64{2, 3, 8}, onnx.Sym("B"), onnx.Sym("S"), onnx.Size(8))
	buckets := g.Input("buckets", onnx.Int64, onnx.Sym("S+2"), onnx.Sym("S+2"))
	g.feeds["buckets"] = onnx.Longs("", []int64{5, 5}, []int64{
		0, 1, 2, 3, 3, 4, 0, 1, 2, 3, 5, 4, 0, 1, 2, 6, 5, 4, 0, 1, 6, 6, 5, 4, 0,
	})
	batch := g.SizesOf(text, 0, 1)
	prompts := g.Expand(prompt, g.Concat(0, batch, g.Ints(2, 8)))
	x := g.Concat(1, prompts, text)

	linear := func(x, name string, out, in int64) string {
		return g.FusedMatMul(x, g.weight(name, out, in), false, true, 1)
	}
	norm := func(x, name string) string {
		y, _ := g.RMSNorm(x, g.weight(name, 8), 1e-6)
		return y
	}
	heads := func(x string) string { return g.Transpose(g.ReshapeTo(x, 0, 0, 2, 4), 0, 2, 1, 3) }
	g.Block = "encoder.0.attention"
	h := norm(x, "norm0")
	q, k, v := heads(linear(h, "q", 8, 8)), heads(linear(h, "k", 8, 8)), heads(linear(h, "v", 8, 8))
	bias := g.Unsqueeze(g.Transpose(g.Gather(g.weight("table", 7, 2), buckets, 0), 2, 0, 1), 0)
	p := g.Softmax(g.Add(g.FusedMatMul(q, k, false, true, 1), bias), -1)
	merged := g.ReshapeTo(g.Transpose(g.MatMul(p, v), 0, 2, 1, 3), 0, 0, 8)
	x = g.Add(x, linear(merged, "o", 8, 8))
	g.Block = "encoder.0.feed-forward"
	h = norm(x, "norm1")
	x = g.Add(x, linear(g.Mul(g.FastGelu(linear(h, "wi0", 6, 8)), linear(h, "wi1", 6, 8)), "wo", 8, 6))
	g.Block = ""
	g.Output("y", x)
	y := norm(x, "final")
	g.Output("loss", g.ReduceMean(g.Mul(y, g.Sin(y)), false))
	return g
}

var (
	perceptronWeights = []string{"w1", "b1", "w2", "b2"}
	blockWeights      = []string{"norm0", "q", "k", "v", "table", "o", "norm1", "wi0", "wi1", "wo", "final"}
)

func TestPerceptron(t *testing.T) {
	checkGraph(t, perceptron, []string{"x"}, perceptronWeights, 1e-8)
}

func TestBlock(t *testing.T) {
	checkGraph(t, block, []string{"prompt", "text"}, blockWeights, 3e-6)
}

// checkGraph compares gradients in inputs and weights with differences.
func checkGraph(t *testing.T, build func(onnx.DType, bool) *testGraph, inputs, weights []string, tolerance float64) {
	all := slices.Concat(inputs, weights)
	dtype := onnx.Float64
	if g := build(dtype, true); !runs(t, must(Reverse(g.Model, "loss", all))(t)) {
		dtype, tolerance = onnx.Float32, 2e-3
	}
	fed, frozen := build(dtype, true), build(dtype, false)
	if err := fed.Err(); err != nil {
		t.Fatal(err)
	}
	want := differences(t, fed.feeds, all, func(feeds map[string]*onnx.Tensor) func() float64 {
		s := orttest.Session(t, fed.Model, plain)
		return func() float64 {
			in := map[string]*ort.Tensor{}
			for name, x := range feeds {
				in[name] = must(ort.FromONNX(x))(t)
			}
			out := map[string]*ort.Tensor{"loss": nil}
			if err := s.Run(t.Context(), in, out); err != nil {
				t.Fatal(err)
			}
			return values(t, out["loss"].ONNX("loss"))[0]
		}
	})
	before := run(t, fed.Model, fed.feeds)
	for what, g := range map[string]*testGraph{"inputs": fed, "weights": frozen} {
		out := run(t, must(Reverse(g.Model, "loss", all))(t), g.feeds)
		for _, x := range all {
			near(t, x+" of "+what, values(t, out[Prefix+x]), want[x], tolerance)
		}
		for _, level := range []ort.Level{ort.LevelBasic, ort.LevelAll} {
			fast := runWith(t, must(Reverse(g.Model, "loss", all))(t), g.feeds, ort.Config{Optimize: level, Threads: 1})
			for _, x := range all {
				near(t, fmt.Sprintf("%s of %s at level %v", x, what, level), values(t, fast[Prefix+x]), want[x], tolerance)
			}
		}
		for y, v := range before {
			near(t, y+" beside the gradient", values(t, out[y]), values(t, v), 1e-12)
		}
	}
}

// runs tells whether the runtime has kernels for the model.
func runs(t *testing.T, m *onnx.Model) bool {
	s, err := orttest.Runtime(t).NewSession(t.Context(), must(m.Marshal())(t), plain)
	if err == nil {
		s.Close()
		return true
	}
	if !strings.Contains(err.Error(), "no kernel") {
		t.Fatal(err)
	}
	return false
}

// TestFrozenWeights looks at what is made for a prompt alone.
func TestFrozenWeights(t *testing.T) {
	g := block(onnx.Float32, false)
	forward := len(g.Model.Graph.Nodes)
	count := func(wrt ...string) (nodes []*onnx.Node, ops map[string]int) {
		r := must(Reverse(g.Model, "loss", wrt))(t)
		if err := onnx.Validate(r); err != nil {
			t.Fatal(err)
		}
		ops = map[string]int{}
		for _, n := range r.Graph.Nodes[forward:] {
			ops[n.Op]++
		}
		return r.Graph.Nodes[forward:], ops
	}
	prompt, ops := count("prompt")
	full, fullOps := count(append([]string{"prompt"}, blockWeights...)...)
	if ops["Gemm"] != 0 || ops["OneHot"] != 0 {
		t.Errorf("a product for a frozen weight: %v", ops)
	}
	if want := 7; fullOps["Gemm"] != want { // one a linear layer
		t.Errorf("%d Gemm for %d weights", fullOps["Gemm"], want)
	}
	if len(prompt) >= len(full) {
		t.Errorf("%d nodes for the prompt alone, %d for all", len(prompt), len(full))
	}
	if want := 84; len(prompt) > want {
		t.Errorf("%d gradient nodes, no more than %d wanted: %v", len(prompt), want, ops)
	}
	weights := map[string]bool{}
	for _, w := range g.Model.Graph.Initializers {
		weights[w.Name] = w.Type.IsFloat() && len(w.Dims) > 1
	}
	for _, n := range full {
		if n.Op == "Transpose" && weights[n.Inputs[0]] {
			t.Errorf("%v transposes the weight %s", n, n.Inputs[0])
		}
	}
	// Where a node came from is written on it.
	blocks := map[string]bool{}
	for _, n := range prompt {
		if n.From == "" {
			t.Errorf("%v does not say what it comes from", n)
		}
		blocks[n.Block] = true
	}
	for _, b := range []string{"", "encoder.0.attention", "encoder.0.feed-forward"} {
		if !blocks[b] {
			t.Errorf("no gradient node in block %q", b)
		}
	}
}

// TestModelIsNotChanged compares the bytes of the model before and after.
func TestModelIsNotChanged(t *testing.T) {
	for name, build := range map[string]func(onnx.DType, bool) *testGraph{"perceptron": perceptron, "block": block} {
		m := build(onnx.Float32, false).Model
		m.Opset["com.example"] = 1
		before := must(m.Marshal())(t)
		r := must(Reverse(m, "loss", []string{m.Graph.Inputs[0].Name}))(t)
		if after := must(m.Marshal())(t); string(after) != string(before) {
			t.Errorf("%s: the model was changed", name)
		}
		for i, w := range m.Graph.Initializers {
			if r.Graph.Initializers[i] != w {
				t.Errorf("%s: weight %s was copied", name, w.Name)
			}
		}
	}
}

// TestSameModelTwice: the result does not hang on map order.
func TestSameModelTwice(t *testing.T) {
	var first []byte
	for range 5 {
		r := must(Reverse(block(onnx.Float32, false).Model, "loss", append([]string{"prompt"}, blockWeights...)))(t)
		if data := must(r.Marshal())(t); first == nil {
			first = data
		} else if string(data) != string(first) {
			t.Fatal("two runs of Reverse differ")
		}
	}
}
