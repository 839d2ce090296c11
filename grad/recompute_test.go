package grad

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"softprompt/onnx"
	"softprompt/onnx/ort"
	"softprompt/onnx/ort/orttest"
)

// layers is a stack of n gated layers behind a prompt: [B,S,16]. All share a
// mask, and each has a trainable inside. Known sizes make every shape constant.
func layers(n int, known bool) *testGraph {
	g := newTestGraph(onnx.Float32, false)
	size := func(name string, v int64) onnx.Dim {
		if known {
			return onnx.Size(v)
		}
		return onnx.Sym(name)
	}
	b, s, d := size("B", 4), size("S", 32), onnx.Size(16)
	prompt := g.input("prompt", []int64{1, 16})
	x := g.Add(g.input("x", []int64{4, 32, 16}, b, s, d), prompt)
	mask := g.Tanh(g.input("mask", []int64{4, 32, 1}, b, s, onnx.Size(1)))
	linear := func(x, name string, out, in int64) string {
		return g.FusedMatMul(x, g.weight(name+fmt.Sprint(len(g.Model.Graph.Nodes)), out, in), false, true, 0.5)
	}
	for i := range n {
		scale := g.input(fmt.Sprint("scale", i), []int64{64})
		g.Block = fmt.Sprintf("stack.%d.mix", i)
		h, _ := g.RMSNorm(x, g.weight(fmt.Sprint("norm", i), 16), 1e-6)
		gate := g.Mul(g.FastGelu(linear(h, "a", 64, 16)), g.Mul(linear(h, "b", 64, 16), scale))
		x = g.Add(x, linear(g.Mul(gate, mask), "o", 16, 64))
		g.Block = fmt.Sprintf("stack.%d.squash", i)
		x = g.Add(x, linear(g.Tanh(linear(x, "wide", 64, 16)), "narrow", 16, 64))
		g.Block = ""
	}
	g.Output("y", x)
	g.Output("loss", g.ReduceMean(g.Mul(x, g.Sin(x)), false))
	g.Output("largest", g.Op("ReduceMax", []string{x}))
	return g
}

// reversed returns the gradient of a testGraph's loss in the named inputs.
func reversed(t testing.TB, g *testGraph, wrt ...string) *onnx.Model {
	t.Helper()
	if err := g.Err(); err != nil {
		t.Fatal(err)
	}
	return must(Reverse(g.Model, "loss", wrt))(t)
}

// again returns the nodes that run a second time.
func again(m *onnx.Model) (nodes []*onnx.Node) {
	for _, n := range m.Graph.Nodes {
		if strings.HasSuffix(n.Name, "/again") {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// sameBytes runs both models and compares all outputs to the bit.
func sameBytes(t *testing.T, what string, got, want *onnx.Model, feeds map[string]*onnx.Tensor, level ort.Level) {
	t.Helper()
	cfg := ort.Config{Optimize: level, Threads: 1}
	a, b := runWith(t, got, feeds, cfg), runWith(t, want, feeds, cfg)
	if len(a) != len(b) {
		t.Fatalf("%s: %d outputs, want %d", what, len(a), len(b))
	}
	for name := range b {
		if !bytes.Equal(a[name].Data, b[name].Data) {
			t.Errorf("%s, level %v: %s differs from that of the graph without recomputation", what, level, name)
		}
	}
}

// TestRecompute holds the new graph against the old: the same numbers to the
// bit, every copy run, and none before the gradient is there.
func TestRecompute(t *testing.T) {
	sublayer := func(block string) string { return block }
	for _, tc := range []struct {
		name  string
		known bool
		layer func(string) string
		share int64 // of the memory, in percent
	}{
		{"symbolic sizes", false, nil, 45},
		{"known sizes", true, nil, 45},
		{"half layers", false, sublayer, 45},
		{"all in one", false, func(b string) string { return strings.SplitN(b, ".", 2)[0] }, 101},
	} {
		g := layers(6, tc.known)
		plain := reversed(t, g, "prompt", "scale0", "scale3")
		m := must(Recompute(plain, tc.layer))(t)
		if err := onnx.Validate(m); err != nil {
			t.Fatal(err)
		}
		for _, level := range []ort.Level{ort.LevelNone, ort.LevelBasic} {
			sameBytes(t, tc.name, m, plain, g.feeds, level)
			before := orttest.Peak(plain, orttest.Trace(t, plain, g.feeds, level))
			ran := orttest.Trace(t, m, g.feeds, level)
			if after := orttest.Peak(m, ran); after*100 > before*tc.share {
				t.Errorf("%s, level %v: a peak of %d bytes, %d without recomputation", tc.name, level, after, before)
			}
			checkOrder(t, fmt.Sprintf("%s, level %v", tc.name, level), m, ran, tc.layer)
		}
	}
}

// checkOrder looks at what the runtime did: it ran each copy and each original,
// and when it first ran a copy, nothing of an earlier layer's gradient.
func checkOrder(t *testing.T, what string, m *onnx.Model, ran []orttest.Ran, layer func(string) string) {
	t.Helper()
	if layer == nil {
		layer = Layer
	}
	place := map[string]int{}
	for i, r := range ran {
		place[r.Node] = i
	}
	end := map[string]int{} // where a layer's gradient was done
	for _, n := range m.Graph.Nodes {
		if n.From != "" && layer(n.Block) != "" {
			end[layer(n.Block)] = max(end[layer(n.Block)], place[n.Name])
		}
	}
	if len(again(m)) == 0 {
		t.Errorf("%s: nothing is computed again", what)
	}
	var before string
	for _, n := range again(m) {
		if _, ok := place[n.Name]; !ok {
			t.Errorf("%s: the runtime merged %s with another node", what, n.Name)
		}
		if _, ok := place[n.From]; !ok {
			t.Errorf("%s: the runtime dropped %s", what, n.From)
		}
		if at := layer(n.Block); before != at {
			if before != "" && place[n.Name] < end[before] {
				t.Errorf("%s: %s ran before the gradient had left %s", what, n.Name, before)
			}
			if before != "" && end[at] < end[before] {
				t.Errorf("%s: the gradient of %s was done before that of %s", what, at, before)
			}
			before = at
		}
	}
}

// TestRecomputeNodes looks at what is computed again and what is not.
func TestRecomputeNodes(t *testing.T) {
	plain := reversed(t, layers(3, false), "prompt")
	before := must(plain.Marshal())(t)
	m := must(Recompute(plain, nil))(t)
	if after := must(plain.Marshal())(t); string(after) != string(before) {
		t.Error("the given model was changed")
	}
	if twice := must(Recompute(plain, nil))(t); string(must(twice.Marshal())(t)) != string(must(m.Marshal())(t)) {
		t.Error("two runs differ")
	}
	if once := must(Recompute(m, nil))(t); len(once.Graph.Nodes) != len(m.Graph.Nodes) {
		t.Errorf("a second pass makes %d nodes of %d", len(once.Graph.Nodes), len(m.Graph.Nodes))
	}
	originals := map[string]*onnx.Node{}
	for _, n := range plain.Graph.Nodes {
		originals[n.Name] = n
	}
	count := map[string]map[string]int{}
	for _, n := range again(m) {
		o := originals[n.From]
		if o == nil || o.Op != n.Op || o.Block != n.Block || n.Name != o.Name+"/again" {
			t.Errorf("%v in block %q says that it comes from %s", n, n.Block, n.From)
		}
		if count[n.Block] == nil {
			count[n.Block] = map[string]int{}
		}
		count[n.Block][n.Op]++
	}
	// Of the second half, nothing reads what "narrow" makes but the forward
	// pass; what "wide" makes is needed to make the Tanh.
	want := map[string]int{"SimplifiedLayerNormalization": 1, "FusedMatMul": 3, "FastGelu": 1, "Mul": 3, "Add": 1}
	for i := range 3 {
		mix, squash := count[fmt.Sprintf("stack.%d.mix", i)], count[fmt.Sprintf("stack.%d.squash", i)]
		if fmt.Sprint(squash) != "map[FusedMatMul:1 Tanh:1]" {
			t.Errorf("layer %d: %v run again of the second half", i, squash)
		}
		if fmt.Sprint(mix) != fmt.Sprint(want) {
			t.Errorf("layer %d: %v run again of the first half, want %v", i, mix, want)
		}
	}
	// Before the first trainable there is no gradient.
	for _, n := range again(must(Recompute(reversed(t, layers(4, false), "scale2"), nil))(t)) {
		if l := Layer(n.Block); l != "stack.2" && l != "stack.3" {
			t.Errorf("%v runs again in %s", n, l)
		}
	}
	// The gradient of what the forward pass ends in follows at once.
	if m := must(Recompute(plain, func(string) string { return "all" }))(t); m != plain {
		t.Errorf("one layer is all there is: %d nodes run again", len(again(m)))
	}
	// A pass over the finished graph finds the products by their weights.
	products := map[string]int{}
	for _, n := range m.Graph.Nodes {
		if n.Op == "FusedMatMul" && n.From != "" && strings.HasSuffix(n.Name, "/again") {
			products[n.Inputs[1]]++
		}
	}
	for _, w := range plain.Graph.Initializers {
		delete(products, w.Name)
	}
	if len(products) > 0 {
		t.Errorf("products whose weight was replaced: %v", products)
	}
}

// TestRecomputeLeaves has layers that are left as they are.
func TestRecomputeLeaves(t *testing.T) {
	d := onnx.Size(8)
	graph := func(layer func(g *testGraph, x string) string) *testGraph {
		g := newTestGraph(onnx.Float32, false)
		x := g.input("x", []int64{4, 8}, onnx.Sym("B"), d)
		g.Block = "stack.0"
		x = layer(g, x)
		g.Block = ""
		g.Output("loss", g.ReduceMean(g.Mul(x, g.Sin(x)), false))
		return g
	}
	for name, tc := range map[string]struct {
		layer func(g *testGraph, x string) string
		want  []string // operators that run again
	}{
		"nothing that the gradient reads": {func(g *testGraph, x string) string {
			return g.MatMul(g.Add(x, g.weight("b", 8)), g.weight("w", 8, 8))
		}, nil},
		"a small value from a large one that is not needed": {func(g *testGraph, x string) string {
			wide := g.MatMul(x, g.weight("w", 8, 512))
			g.Block = "stack.1"
			return g.Neg(g.Exp(g.MatMul(wide, g.weight("v", 512, 8))))
		}, nil},
		"a value that another reads": {func(g *testGraph, x string) string {
			y := g.Exp(g.Exp(x))
			g.Block = ""
			return g.Mul(y, y)
		}, []string{"Exp"}},
		"an output of the graph": {func(g *testGraph, x string) string {
			y := g.Exp(x)
			g.Output(y, y)
			return g.Tanh(g.MatMul(g.Exp(y), g.weight("w", 8, 8)))
		}, []string{"Exp"}},
		"random numbers": {func(g *testGraph, x string) string {
			noise := g.Op("RandomNormalLike", []string{x}, onnx.FloatAttr("seed", 1))
			return g.Neg(g.Exp(g.Neg(g.Mul(x, noise))))
		}, []string{"Exp", "Mul", "Neg"}},
		"constants": {func(g *testGraph, x string) string {
			return g.Neg(g.Exp(g.Mul(x, g.Exp(g.weight("w", 8)))))
		}, []string{"Exp", "Mul"}},
		"a whole number": {func(g *testGraph, x string) string {
			at := g.Input("at", onnx.Int64, onnx.Sym("B"))
			g.feeds["at"] = onnx.Longs("", []int64{4}, []int64{2, 0, 1, 3})
			table := g.Mul(g.Gather(g.weight("table", 4, 8), at, 0), g.Gather(g.weight("more", 4, 8), at, 0))
			return g.Neg(g.Mul(table, x))
		}, []string{"Gather", "Gather", "Mul"}},
		"a graph inside": {func(g *testGraph, x string) string {
			branch := func(op string) *onnx.Graph {
				return &onnx.Graph{
					Name:    op,
					Nodes:   []*onnx.Node{{Op: op, Inputs: []string{"inside"}, Outputs: []string{op + "ed"}}},
					Outputs: []onnx.Value{{Name: op + "ed", Type: onnx.Float32}},
				}
			}
			g.Alias("inside", g.Abs(g.input("other", []int64{4, 8}, onnx.Sym("B"), d)))
			g.Model.Graph.Nodes[len(g.Model.Graph.Nodes)-1].Block = g.Block
			positive := g.Greater(g.ReduceSum("inside", false), g.Float(0, "inside"))
			scale := g.Op("If", []string{positive},
				onnx.Attr{Name: "then_branch", Kind: onnx.AttrGraph, G: branch("Exp")},
				onnx.Attr{Name: "else_branch", Kind: onnx.AttrGraph, G: branch("Neg")})
			return g.Neg(g.Mul(scale, x))
		}, []string{"Abs", "Greater", "Identity", "If", "ReduceSum"}},
	} {
		g := graph(tc.layer)
		plain := reversed(t, g, "x")
		m := must(Recompute(plain, nil))(t)
		var got []string
		for _, n := range again(m) {
			got = append(got, n.Op)
		}
		if slices.Sort(got); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v run again, want %v", name, got, tc.want)
		}
		if len(tc.want) == 0 && m != plain {
			t.Errorf("%s: there is nothing to do, and a new model came out", name)
		}
		if !strings.Contains(name, "random") {
			for _, level := range []ort.Level{ort.LevelNone, ort.LevelBasic} {
				sameBytes(t, name, m, plain, g.feeds, level)
			}
		}
	}
}

// TestRecomputeRefuses has models that it cannot do anything with.
func TestRecomputeRefuses(t *testing.T) {
	forward := layers(2, false).Model
	if _, err := Recompute(forward, nil); err == nil || !strings.Contains(err.Error(), "gradient") {
		t.Errorf("a model without a gradient: %v", err)
	}
	broken := reversed(t, layers(2, false), "prompt")
	broken.Graph.Nodes = slices.Clone(broken.Graph.Nodes)
	slices.Reverse(broken.Graph.Nodes)
	if _, err := Recompute(broken, nil); err == nil || !strings.Contains(err.Error(), "recomputing") {
		t.Errorf("nodes in the wrong order: %v", err)
	}
	if _, err := Recompute(&onnx.Model{}, nil); err == nil {
		t.Error("a model without a graph was taken")
	}
}

func TestLayer(t *testing.T) {
	for block, want := range map[string]string{
		"encoder.3.attention": "encoder.3", "decoder.11.a.b": "decoder.11", "encoder.0": "encoder.0",
		"encoder": "", "": "", "head": "",
	} {
		if got := Layer(block); got != want {
			t.Errorf("block %q is in layer %q, want %q", block, got, want)
		}
	}
}
