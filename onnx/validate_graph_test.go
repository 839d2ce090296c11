package onnx

import (
	"strings"
	"testing"

	"softprompt/onnx/hint"
)

// TestValidateGraphs validates graphs from the bottom up: the whole message is
// checked, as it is what a user has to go by.
func TestValidateGraphs(t *testing.T) {
	relu := func(in, out string) *Node { return &Node{Op: "Relu", Inputs: []string{in}, Outputs: []string{out}} }
	branch := func(g *Graph) *Node {
		return &Node{Name: "if", Op: "If", Outputs: []string{"chosen"}, Attrs: []Attr{{Name: "then_branch", Kind: AttrGraph, G: g}}}
	}
	x := []Value{{Name: "x"}}
	for _, c := range []struct {
		name, want string
		graph      Graph
	}{
		{"nothing", "", Graph{}},
		{"chain", "", Graph{Inputs: x, Nodes: []*Node{relu("x", "y"), relu("y", "z")}, Outputs: []Value{{Name: "z"}, {Name: "y"}}}},
		{"outputs left out", "", Graph{Inputs: x, Nodes: []*Node{relu("x", ""), relu("x", "")}}},
		{"input as output", "", Graph{Inputs: x, Outputs: x}},
		{
			"too late", `node 0 of 2 (Relu node that makes z): its input "y" is made only by node 1 (Relu node that makes y): nodes must be in topological order`,
			Graph{Inputs: x, Nodes: []*Node{relu("y", "z"), relu("x", "y")}},
		},
		{
			"same output twice in a node", `node 0 of 1 (Split node s): its output "y" has a name that is taken`,
			Graph{Inputs: x, Nodes: []*Node{{Name: "s", Op: "Split", Inputs: []string{"x"}, Outputs: []string{"y", "y"}}}},
		},
		{
			"initializer made again", `node 0 of 1 (Relu node that makes w): its output "w" has a name that is taken`,
			Graph{Inputs: x, Initializers: []*Tensor{Floats("w", nil, []float32{1})}, Nodes: []*Node{relu("x", "w")}},
		},
		{
			"nameless constant", `initializer 0 "": the name is empty or taken`,
			Graph{Initializers: []*Tensor{Floats("", nil, []float32{1})}},
		},
		{
			"bad constant", "initializer 1: tensor v, float32[2]: it holds 4 bytes, want 8",
			Graph{Initializers: []*Tensor{Floats("w", nil, []float32{1}), Floats("v", []int64{2}, []float32{1})}},
		},
		{"output of nothing", `graph output 0 "": no node makes it`, Graph{Inputs: x, Nodes: []*Node{relu("x", "")}, Outputs: []Value{{}}}},
		{
			"inner graph hides an outer name", "",
			Graph{Inputs: x, Nodes: []*Node{branch(&Graph{Inputs: x, Nodes: []*Node{relu("x", "y")}, Outputs: []Value{{Name: "y"}}})}},
		},
		{
			"inner graph sees two graphs up", "",
			Graph{Inputs: x, Nodes: []*Node{branch(&Graph{Nodes: []*Node{branch(&Graph{Nodes: []*Node{relu("x", "y")}})}})}},
		},
		{
			"two branches use one name", "",
			Graph{Inputs: x, Nodes: []*Node{{Op: "If", Attrs: []Attr{
				{Name: "then_branch", Kind: AttrGraph, G: &Graph{Nodes: []*Node{relu("x", "y")}}},
				{Name: "else_branch", Kind: AttrGraph, G: &Graph{Nodes: []*Node{relu("x", "y")}}},
			}}}},
		},
		{
			"inner graph sees what comes later", `node 0 of 2 (If node if): attribute then_branch: node 0 of 1 (Relu node that makes z): nothing makes its input "y"`,
			Graph{Inputs: x, Nodes: []*Node{branch(&Graph{Nodes: []*Node{relu("y", "z")}}), relu("x", "y")}},
		},
		{
			"empty inner graph", "node 0 of 1 (If node if): attribute then_branch: it holds nothing",
			Graph{Nodes: []*Node{branch(nil)}},
		},
	} {
		m := NewModel("graph")
		m.Graph = &c.graph
		err := Validate(m)
		if got := errorText(err); got != c.want {
			t.Errorf("%s: error %q, want %q", c.name, got, c.want)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestValidateHints checks that a missing operator set is advised on.
func TestValidateHints(t *testing.T) {
	m := oneNode(&Node{Op: "FusedMatMul", Domain: Microsoft})
	err := Validate(m)
	if !strings.Contains(hint.Of(err), "opset imports") {
		t.Errorf("error %v, advice %q", err, hint.Of(err))
	}
	m.Opset[Microsoft] = 1
	if err := Validate(m); err != nil {
		t.Error(err)
	}
}

// TestValidateKeepsForeign checks that an attribute of a kind that is only
// carried is no fault.
func TestValidateKeepsForeign(t *testing.T) {
	m := oneNode(&Node{Op: "Op", Attrs: []Attr{{Name: "types", Kind: 13, raw: []byte{1}}}})
	if err := Validate(m); err != nil {
		t.Error(err)
	}
	m.Graph.Nodes[0].Attrs[0].raw = nil
	if err := Validate(m); err == nil || err.Error() != "node 0 of 1 (Op): attribute types: unknown kind 13" {
		t.Errorf("error %v", err)
	}
}

// TestInferShapesReports checks the errors of whole graphs: the node that
// fails, and outputs that nothing makes.
func TestInferShapesReports(t *testing.T) {
	m := smallModel(t)
	m.Graph.Outputs = append(m.Graph.Outputs, Value{Name: "nowhere"})
	if got := errorText(InferShapes(m)); got != "graph output nowhere: no node makes it" {
		t.Errorf("error %q", got)
	}
	m = smallModel(t)
	m.Graph.Inputs[0].Shape[2] = Size(15)
	const want = "MatMul node encoder.0.mlp/MatMul of (x float32[B,?,15], w float32[16,32]): inner sizes 15 and 16 differ"
	if got := errorText(InferShapes(m)); got != want {
		t.Errorf("error %q, want %q", got, want)
	}
	if len(m.Graph.Values) != 0 {
		t.Errorf("values of a graph that failed: %v", m.Graph.Values)
	}
}

// TestInferShapesOpsets infers one graph in the forms of its operators before
// and since axes became operands: what comes out is the same.
func TestInferShapesOpsets(t *testing.T) {
	axis := IntsAttr("axes", 1)
	for _, c := range []struct {
		opset                     int64
		squeeze, unsqueeze, slice bool // axes, or bounds, are operands
		mean                      bool
	}{
		{9, false, false, false, false},
		{11, false, false, true, false},
		{12, false, false, true, false},
		{13, true, true, true, false},
		{18, true, true, true, true},
		{23, true, true, true, true},
	} {
		m := NewModel("opsets")
		m.Opset[""] = c.opset
		g := m.Graph
		g.Inputs = []Value{{Name: "x", Type: Float32, Shape: Shape{Sym("B"), Sym("P+S"), Size(8)}}}
		g.Initializers = []*Tensor{Longs("one", []int64{1}, []int64{1}), Longs("end", []int64{1}, []int64{End})}
		g.Outputs = []Value{{Name: "out"}}
		step := func(op, in, out string, operand bool, attrs ...Attr) {
			n := &Node{Op: op, Inputs: []string{in}, Outputs: []string{out}, Attrs: attrs}
			if operand {
				n.Inputs = append(n.Inputs, "one")
			} else {
				n.Attrs = append(n.Attrs, axis)
			}
			g.Nodes = append(g.Nodes, n)
		}
		step("Unsqueeze", "x", "wide", c.unsqueeze)
		step("ReduceMean", "wide", "mean", c.mean, IntAttr("keepdims", 1))
		step("Squeeze", "mean", "narrow", c.squeeze)
		cut := &Node{Op: "Slice", Inputs: []string{"narrow"}, Outputs: []string{"cut"}}
		if c.slice {
			cut.Inputs = append(cut.Inputs, "one", "end", "end2")
			g.Initializers = append(g.Initializers, Longs("end2", []int64{1}, []int64{2}))
		} else {
			cut.Attrs = []Attr{IntsAttr("starts", 1), IntsAttr("ends", End), IntsAttr("axes", 2)}
		}
		g.Nodes = append(g.Nodes, cut, &Node{Op: "Softmax", Inputs: []string{"cut"}, Outputs: []string{"out"}})
		if err := InferShapes(m); err != nil {
			t.Errorf("opset %d: %v", c.opset, err)
			continue
		}
		var got []string
		for _, v := range append(g.Values, g.Outputs...) {
			got = append(got, v.String())
		}
		const want = "wide float32[B,1,P+S,8], mean float32[B,1,P+S,8], narrow float32[B,P+S,8], cut float32[B,P+S,7], out float32[B,P+S,7]"
		if s := strings.Join(got, ", "); s != want {
			t.Errorf("opset %d: got %s, want %s", c.opset, s, want)
		}
	}
}

// TestInferShapesReplaces checks that what a file said of interior values makes
// way for what is inferred, and that nothing is listed that is not known.
func TestInferShapesReplaces(t *testing.T) {
	m := smallModel(t)
	m.Graph.Values = []Value{{Name: "gone", Type: Float32}}
	m.Graph.Nodes[2].Domain, m.Graph.Nodes[2].Op = "elsewhere", "Mystery"
	if err := InferShapes(m); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, v := range m.Graph.Values {
		names = append(names, v.Name)
	}
	if got := strings.Join(names, " "); got != "encoder.0.mlp/MatMul encoder.0.mlp/Relu grad/Add" { // of the sum only the type
		t.Errorf("values %q", got)
	}
	if got := m.Graph.Outputs[0]; got.Type != Float32 {
		t.Errorf("output %v", got)
	}
}
