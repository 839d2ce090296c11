package exported

import (
	"math"
	"slices"
	"testing"

	"softprompt/onnx"
)

// nested is a node with a graph in it that has a graph in it: the inner ones
// read a, b and c from outside, and name x and y themselves.
func nested() *onnx.Node {
	inner := &onnx.Graph{
		Nodes:   []*onnx.Node{{Op: "Add", Inputs: []string{"x", "b"}, Outputs: []string{"y"}}, {Op: "Mul", Inputs: []string{"y", "c"}, Outputs: []string{"z"}}},
		Outputs: []onnx.Value{{Name: "z"}},
	}
	outer := &onnx.Graph{
		Inputs: []onnx.Value{{Name: "x"}}, Initializers: []*onnx.Tensor{onnx.Floats("w", nil, []float32{1})},
		Nodes: []*onnx.Node{
			{Op: "If", Inputs: []string{"a"}, Outputs: []string{"chosen"}, Attrs: []onnx.Attr{{Name: "then_branch", Kind: onnx.AttrGraph, G: inner}}},
		},
		Outputs: []onnx.Value{{Name: "chosen"}, {Name: "w"}, {Name: "b"}},
	}
	return &onnx.Node{Name: "loop", Op: "Loop", Inputs: []string{"n", "", "start"}, Outputs: []string{"end"}, Attrs: []onnx.Attr{
		onnx.IntAttr("k", 1), {Name: "body", Kind: onnx.AttrGraph, G: outer},
	}}
}

// TestUses: what a node reads is what its graphs read from outside, too.
func TestUses(t *testing.T) {
	got := uses(nested())
	slices.Sort(got)
	if want := []string{"a", "b", "b", "c", "n", "start"}; !slices.Equal(got, want) {
		t.Errorf("the node reads %q, want %q", got, want)
	}
}

// TestRenamed: names change wherever they are read, but not what an inner
// graph names itself, and the node that was given stays.
func TestRenamed(t *testing.T) {
	n := nested()
	c := renamed(n, map[string]string{"a": "A", "b": "B", "x": "X", "w": "W", "end": "END", "start": "START"})
	got := uses(c)
	slices.Sort(got)
	if want := []string{"A", "B", "B", "START", "c", "n"}; !slices.Equal(got, want) {
		t.Errorf("the renamed node reads %q, want %q", got, want)
	}
	if c.Outputs[0] != "END" {
		t.Errorf("it makes %q", c.Outputs)
	}
	body := c.Attrs[1].G
	if out := namesOf(body.Outputs); !slices.Equal(out, []string{"chosen", "w", "B"}) {
		t.Errorf("its body gives %q", out)
	}
	got = uses(n)
	slices.Sort(got)
	if !slices.Equal(got, []string{"a", "b", "b", "c", "n", "start"}) || n.Outputs[0] != "end" {
		t.Errorf("the given node now reads %q", got)
	}
}

// TestTaken: fresh names are new in inner graphs as well.
func TestTaken(t *testing.T) {
	used := takenIn(&onnx.Graph{Nodes: []*onnx.Node{nested()}})
	for base, want := range map[string]string{"y": "y.1", "z": "z.1", "loop": "loop.1", "new": "new"} {
		if got := used.fresh(base); got != want {
			t.Errorf("a fresh name for %s is %s, want %s", base, got, want)
		}
	}
	if got := used.fresh("y"); got != "y.2" {
		t.Errorf("the second fresh name is %s", got)
	}
}

// folded puts nodes of one input x [B,E,4] and one output y through fold.
func folded(t *testing.T, constants []*onnx.Tensor, nodes ...*onnx.Node) *onnx.Graph {
	t.Helper()
	m := onnx.NewModel("fold")
	m.Graph.Inputs = []onnx.Value{{Name: "x", Type: onnx.Float32, Shape: onnx.Shape{onnx.Sym("B"), onnx.Sym("E"), onnx.Size(4)}}}
	m.Graph.Outputs = []onnx.Value{{Name: "y"}}
	m.Graph.Initializers, m.Graph.Nodes = constants, nodes
	p := &part{file: "test.onnx", model: m}
	if err := p.fold(); err != nil {
		t.Fatal(err)
	}
	if err := onnx.Validate(m); err != nil {
		t.Fatal(err)
	}
	return m.Graph
}

func node(op, y string, inputs ...string) *onnx.Node {
	return &onnx.Node{Op: op, Inputs: inputs, Outputs: []string{y}}
}

func with(n *onnx.Node, attrs ...onnx.Attr) *onnx.Node {
	n.Attrs = attrs
	return n
}

func longs(name string, v ...int64) *onnx.Tensor {
	return onnx.Longs(name, []int64{int64(len(v))}, v)
}

// TestFoldRules: what is left of a few nodes, by operator.
func TestFoldRules(t *testing.T) {
	last := longs("last", math.MaxInt64)
	for name, c := range map[string]struct {
		constants []*onnx.Tensor
		nodes     []*onnx.Node
		want      []string
	}{
		"copies and casts to the same type": {nil, []*onnx.Node{
			node("Identity", "a", "x"), with(node("Cast", "b", "a"), onnx.IntAttr("to", int64(onnx.Float32))), node("Neg", "y", "b"),
		}, []string{"Neg"}},
		"a cast to another type": {nil, []*onnx.Node{
			with(node("Cast", "a", "x"), onnx.IntAttr("to", int64(onnx.Float64))), with(node("Cast", "y", "a"), onnx.IntAttr("to", int64(onnx.Float32))),
		}, []string{"Cast", "Cast"}},
		"dropout at inference": {[]*onnx.Tensor{onnx.Floats("rate", nil, []float32{0.5})}, []*onnx.Node{
			node("Dropout", "a", "x", "rate"), node("Neg", "y", "a"),
		}, []string{"Neg"}},
		"dropout whose mask is read": {nil, []*onnx.Node{
			{Op: "Dropout", Inputs: []string{"x"}, Outputs: []string{"a", "mask"}}, with(node("Cast", "y", "mask"), onnx.IntAttr("to", int64(onnx.Float32))),
		}, []string{"Dropout", "Cast"}},
		"a reshape to its own shape": {nil, []*onnx.Node{
			node("Shape", "s", "x"), node("Reshape", "a", "x", "s"), node("Relu", "y", "a"),
		}, []string{"Relu"}},
		"heads": {[]*onnx.Tensor{onnx.Longs("0", nil, []int64{0}), longs("axis", 0), longs("heads", 2, 2)}, []*onnx.Node{
			node("Shape", "s", "x"), node("Gather", "b", "s", "0"), node("Unsqueeze", "rows", "b", "axis"),
			with(node("Shape", "length", "x"), onnx.IntAttr("start", 1), onnx.IntAttr("end", 2)),
			with(node("Concat", "to", "rows", "length", "heads"), onnx.IntAttr("axis", 0)), node("Reshape", "y", "x", "to"),
		}, []string{"Reshape"}},
		"two sizes asked for at run time": {nil, []*onnx.Node{ // E and B swapped
			with(node("Shape", "b", "x"), onnx.IntAttr("end", 1)), with(node("Shape", "e", "x"), onnx.IntAttr("start", 1)),
			with(node("Shape", "e1", "x"), onnx.IntAttr("start", 1), onnx.IntAttr("end", 2)), with(node("Shape", "d", "x"), onnx.IntAttr("start", 2)),
			with(node("Concat", "to", "e1", "b", "d"), onnx.IntAttr("axis", 0)), node("Reshape", "y", "x", "to"),
		}, []string{"Shape", "Shape", "Concat", "Reshape"}},
		"the last of all": {[]*onnx.Tensor{longs("axes", 1), last}, []*onnx.Node{
			with(node("Shape", "e", "x"), onnx.IntAttr("start", 1), onnx.IntAttr("end", 2)), node("Neg", "from", "e"),
			node("Slice", "a", "x", "from", "last", "axes"), node("Relu", "y", "a"),
		}, []string{"Relu"}},
		"the last of another axis": {[]*onnx.Tensor{longs("axes", 0), last}, []*onnx.Node{
			with(node("Shape", "e", "x"), onnx.IntAttr("start", 1), onnx.IntAttr("end", 2)), node("Neg", "from", "e"),
			node("Slice", "a", "x", "from", "last", "axes"), node("Relu", "y", "a"),
		}, []string{"Shape", "Neg", "Slice", "Relu"}},
		"a slice that turns around": {[]*onnx.Tensor{longs("axes", 2), longs("from", -1), longs("to", math.MinInt64), longs("steps", -1)}, []*onnx.Node{
			node("Slice", "y", "x", "from", "to", "axes", "steps"),
		}, []string{"Slice"}},
		"axes in place, and not": {nil, []*onnx.Node{
			with(node("Transpose", "a", "x"), onnx.IntsAttr("perm", 0, 1, 2)), with(node("Transpose", "y", "a"), onnx.IntsAttr("perm", 1, 0, 2)),
		}, []string{"Transpose"}},
		"no axes given": {nil, []*onnx.Node{node("Transpose", "y", "x")}, []string{"Transpose"}},
		"the same twice": {nil, []*onnx.Node{
			node("Relu", "a", "x"), node("Relu", "b", "x"), node("Add", "y", "a", "b"),
		}, []string{"Relu", "Add"}},
		"random numbers twice": {nil, []*onnx.Node{
			node("RandomNormalLike", "a", "x"), node("RandomNormalLike", "b", "x"), node("Add", "y", "a", "b"),
		}, []string{"RandomNormalLike", "RandomNormalLike", "Add"}},
		"numbers of one element": {nil, []*onnx.Node{
			with(node("Constant", "d"), onnx.Attr{Name: "value_int", Kind: onnx.AttrInt, I: 64}), with(node("Cast", "f", "d"), onnx.IntAttr("to", int64(onnx.Float32))),
			node("Sqrt", "r", "f"), with(node("Constant", "one"), onnx.FloatAttr("value_float", 1)), node("Div", "s", "one", "r"), node("Mul", "y", "x", "s"),
		}, []string{"Mul"}},
		"the input itself": {nil, []*onnx.Node{node("Identity", "y", "x")}, []string{"Identity"}},
	} {
		g := folded(t, c.constants, c.nodes...)
		var got []string
		for _, n := range g.Nodes {
			got = append(got, n.Op)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q are left, want %q", name, got, c.want)
		}
	}
}

// TestFoldValues: the constants that come out are the right ones.
func TestFoldValues(t *testing.T) {
	g := folded(t, nil,
		with(node("Constant", "d"), onnx.Attr{Name: "value_int", Kind: onnx.AttrInt, I: 64}), with(node("Cast", "f", "d"), onnx.IntAttr("to", int64(onnx.Float32))),
		node("Sqrt", "r", "f"), node("Reciprocal", "i", "r"), node("Neg", "n", "i"), node("Mul", "y", "x", "n"))
	if v, err := g.Initializers[0].Float32s(); err != nil || len(g.Initializers) != 1 || v[0] != -0.125 {
		t.Errorf("−1/√64 came out as %v of %d constants, %v", v, len(g.Initializers), err)
	}
	g = folded(t, []*onnx.Tensor{longs("heads", 2, 2)},
		with(node("Shape", "s", "x"), onnx.IntAttr("end", 2)), with(node("Concat", "to", "s", "heads"), onnx.IntAttr("axis", 0)), node("Reshape", "y", "x", "to"))
	for _, c := range g.Initializers {
		if v, err := c.Int64s(); err != nil || !slices.Equal(v, []int64{0, 0, 2, 2}) {
			t.Errorf("heads are cut to %v, %v", v, err)
		}
	}
}
