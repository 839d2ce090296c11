package exported

import (
	"math"
	"slices"
	"testing"

	"softprompt/onnx"
)

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
		"heads, with zeros allowed": {[]*onnx.Tensor{longs("heads", 2, 2)}, []*onnx.Node{
			with(node("Shape", "s", "x"), onnx.IntAttr("end", 2)), with(node("Concat", "to", "s", "heads"), onnx.IntAttr("axis", 0)),
			with(node("Reshape", "y", "x", "to"), onnx.IntAttr("allowzero", 1)),
		}, []string{"Reshape"}},
		"two sizes asked for at run time": {nil, []*onnx.Node{ // E and B swapped
			with(node("Shape", "b", "x"), onnx.IntAttr("end", 1)), with(node("Shape", "e", "x"), onnx.IntAttr("start", 1)),
			with(node("Shape", "e1", "x"), onnx.IntAttr("start", 1), onnx.IntAttr("end", 2)), with(node("Shape", "d", "x"), onnx.IntAttr("start", 2)),
			with(node("Concat", "to", "e1", "b", "d"), onnx.IntAttr("axis", 0)), node("Reshape", "y", "x", "to"),
		}, []string{"Shape", "Shape", "Concat", "Reshape"}},
		"by way of a flat one": {nil, []*onnx.Node{
			with(node("Shape", "e", "x"), onnx.IntAttr("start", 1), onnx.IntAttr("end", 2)), with(node("Shape", "b", "x"), onnx.IntAttr("end", 1)),
			with(node("Constant", "rest"), onnx.IntsAttr("value_ints", 2, 2)), with(node("Constant", "flat"), onnx.IntsAttr("value_ints", -1)),
			node("Reshape", "line", "x", "flat"), with(node("Concat", "to", "b", "e", "rest"), onnx.IntAttr("axis", 0)), node("Reshape", "y", "line", "to"),
		}, []string{"Reshape"}},
		"axes of size 1": {nil, []*onnx.Node{
			with(node("Shape", "s", "x"), onnx.IntAttr("end", 2)), with(node("Shape", "d", "x"), onnx.IntAttr("start", 2)),
			with(node("Constant", "one"), onnx.IntsAttr("value_ints", 1)), with(node("Concat", "to", "one", "s", "one", "d"), onnx.IntAttr("axis", 0)),
			node("Reshape", "y", "x", "to"),
		}, []string{"Unsqueeze"}},
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
		with(node("Shape", "s", "x"), onnx.IntAttr("end", 2)), with(node("Concat", "to", "s", "heads"), onnx.IntAttr("axis", 0)), with(node("Reshape", "y", "x", "to"), onnx.IntAttr("allowzero", 1)))
	if len(g.Nodes[0].Attrs) != 0 {
		t.Errorf("a 0 would be a size: %v", g.Nodes[0].Attrs)
	}
	for _, c := range g.Initializers {
		if v, err := c.Int64s(); err != nil || !slices.Equal(v, []int64{0, 0, 2, 2}) {
			t.Errorf("heads are cut to %v, %v", v, err)
		}
	}
}

// TestAddedAxes: axes of size 1 are told from sizes that are 1 already.
func TestAddedAxes(t *testing.T) {
	b, e := onnx.Sym("B"), onnx.Sym("E")
	one := onnx.Size(1)
	for _, c := range []struct {
		from, to onnx.Shape
		want     []int64
	}{
		{onnx.Shape{b, e}, onnx.Shape{b, one, one, e}, []int64{1, 2}},
		{onnx.Shape{b, one}, onnx.Shape{one, b, one, one}, []int64{0, 3}},
		{onnx.Shape{}, onnx.Shape{one}, []int64{0}},
		{onnx.Shape{b, e}, onnx.Shape{e, one, b}, nil},
		{onnx.Shape{b, e}, onnx.Shape{b, one}, nil},
		{nil, onnx.Shape{one}, nil},
		{onnx.Shape{onnx.Unknown}, onnx.Shape{onnx.Unknown, one}, nil},
	} {
		if got := addedAxes(c.from, c.to); !slices.Equal(got, c.want) {
			t.Errorf("%v becomes %v by axes %v, want %v", c.from, c.to, got, c.want)
		}
	}
}
