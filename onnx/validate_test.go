package onnx

import (
	"strings"
	"testing"
)

// TestValidate breaks a sound model in one place after the other.
func TestValidate(t *testing.T) {
	if err := Validate(smallModel(t)); err != nil {
		t.Fatal(err)
	}
	inner := func(m *Model, g *Graph) {
		n := &Node{
			Name: "if", Op: "If", Inputs: []string{"z"}, Outputs: []string{"chosen"},
			Attrs: []Attr{{Name: "then_branch", Kind: AttrGraph, G: g}},
		}
		m.Graph.Nodes = append(m.Graph.Nodes, n)
	}
	for _, c := range []struct {
		name, want string // want "" for a model that is sound
		change     func(m *Model)
	}{
		{"no graph", "no graph", func(m *Model) { m.Graph = nil }},
		{"no version", "IR version", func(m *Model) { m.IRVersion = 0 }},
		{"no opset", `node 0 of 5 (MatMul node encoder.0.mlp/MatMul): the model has no operator set for domain ""`, func(m *Model) { m.Opset = nil }},
		{"no opset of a domain", `no operator set for domain "com.microsoft"`, func(m *Model) { m.Graph.Nodes[0].Domain = Microsoft }},
		{"no operator", "no operator", func(m *Model) { m.Graph.Nodes[1].Op = "" }},
		{"input twice", "graph input 1 \"x\"", func(m *Model) { m.Graph.Inputs = append(m.Graph.Inputs, m.Graph.Inputs[0]) }},
		{"input without a name", "graph input 0", func(m *Model) { m.Graph.Inputs[0].Name = "" }},
		{"initializer twice", "initializer 3 \"w\"", func(m *Model) { m.Graph.Initializers = append(m.Graph.Initializers, m.Graph.Initializers[0]) }},
		{"initializer that gives an input its default", "", func(m *Model) { m.Graph.Inputs = append(m.Graph.Inputs, Value{Name: "w", Type: Float32}) }},
		{"value twice", "a name that is taken", func(m *Model) { m.Graph.Nodes[1].Outputs[0] = "x" }},
		{"missing input", `nothing makes its input "nowhere"`, func(m *Model) { m.Graph.Nodes[2].Inputs[0] = "nowhere" }},
		{"wrong order", "topological order", func(m *Model) { n := m.Graph.Nodes; n[0], n[1] = n[1], n[0] }},
		{"cycle", "is made only by node 2", func(m *Model) { m.Graph.Nodes[0].Inputs[0] = m.Graph.Nodes[2].Outputs[0] }},
		{"itself", "is made only by node 0", func(m *Model) { m.Graph.Nodes[0].Inputs[0] = m.Graph.Nodes[0].Outputs[0] }},
		{"optional input", "", func(m *Model) { m.Graph.Nodes[2].Inputs = append(m.Graph.Nodes[2].Inputs, "") }},
		{"output that is not made", "graph output 0 \"nowhere\"", func(m *Model) { m.Graph.Outputs[0].Name = "nowhere" }},
		{"output twice", "graph output 1", func(m *Model) { m.Graph.Outputs = append(m.Graph.Outputs, m.Graph.Outputs[0]) }},
		{"too few bytes", "holds 4 bytes, want 2048", func(m *Model) { m.Graph.Initializers[0].Data = make([]byte, 4) }},
		{"negative size", "a size is negative", func(m *Model) { m.Graph.Initializers[0].Dims = []int64{-16, -32} }},
		{"sizes that overflow", "too large", func(m *Model) { m.Graph.Initializers[0].Dims = []int64{1 << 40, 1 << 40} }},
		{"bytes that overflow", "too large", func(m *Model) {
			m.Graph.Initializers[0].Dims, m.Graph.Initializers[0].Data = []int64{1 << 62}, nil
		}},
		{"no type", "has no type", func(m *Model) { m.Graph.Initializers[0].Type = Undefined }},
		{"string", "0 strings, want 512", func(m *Model) { m.Graph.Initializers[0].Type = String }},
		{"path", "not a path inside", func(m *Model) { m.Graph.Initializers[0].External = &External{Location: "a/../../b"} }},
		{"offset", "offset -1", func(m *Model) { m.Graph.Initializers[0].External = &External{Location: "b", Offset: -1} }},
		{"length", "has 5 bytes of external data, want 2048", func(m *Model) { m.Graph.Initializers[0].External = &External{Location: "b", Length: 5} }},
		{"overlap", "tensors w and v overlap", func(m *Model) {
			m.Graph.Initializers[0].External = &External{Location: "b"}
			m.Graph.Initializers[1].External = &External{Location: "b", Offset: 100}
		}},
		{"tied", "", func(m *Model) {
			m.Graph.Initializers[0].External = &External{Location: "b"}
			m.Graph.Initializers[1].External = &External{Location: "b"}
		}},
		{"attribute twice", "attribute a is there twice", func(m *Model) {
			m.Graph.Nodes[0].Attrs = []Attr{IntAttr("a", 1), IntAttr("a", 1)}
		}},
		{"attribute of unknown kind", "unknown kind 77", func(m *Model) { m.Graph.Nodes[0].Attrs = []Attr{{Name: "a", Kind: 77}} }},
		{"attribute without a name", "no name", func(m *Model) { m.Graph.Nodes[0].Attrs = []Attr{IntAttr("", 1)} }},
		{"empty attribute", "attribute a: it holds nothing", func(m *Model) { m.Graph.Nodes[0].Attrs = []Attr{{Name: "a", Kind: AttrTensor}} }},
		{"bad tensor in an attribute", "attribute a: tensor t", func(m *Model) {
			m.Graph.Nodes[0].Attrs = []Attr{TensorAttr("a", &Tensor{Name: "t", Type: Float32, Dims: []int64{3}})}
		}},
		{"inner graph that uses outer names", "", func(m *Model) {
			inner(m, &Graph{Nodes: []*Node{{Op: "Relu", Inputs: []string{"z"}, Outputs: []string{"r"}}}, Outputs: []Value{{Name: "r"}}})
		}},
		{"inner graph that lacks a name", `attribute then_branch: node 0 of 1 (Relu node that makes r): nothing makes its input "q"`, func(m *Model) {
			inner(m, &Graph{Nodes: []*Node{{Op: "Relu", Inputs: []string{"q"}, Outputs: []string{"r"}}}, Outputs: []Value{{Name: "r"}}})
		}},
		{"outer graph that uses inner names", `nothing makes its input "r"`, func(m *Model) {
			inner(m, &Graph{Nodes: []*Node{{Op: "Relu", Inputs: []string{"z"}, Outputs: []string{"r"}}}})
			m.Graph.Nodes = append(m.Graph.Nodes, &Node{Op: "Relu", Inputs: []string{"r"}, Outputs: []string{"s"}})
		}},
		{"endless graphs", "deep", func(m *Model) {
			g := &Graph{}
			for range maxDepth + 1 {
				g = &Graph{Nodes: []*Node{{Op: "If", Attrs: []Attr{{Name: "then_branch", Kind: AttrGraph, G: g}}}}}
			}
			inner(m, g)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := smallModel(t)
			c.change(m)
			err := Validate(m)
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

// TestInferShapesChecksOutputs checks that what a model says of its outputs is
// held against what is computed, and completed.
func TestInferShapesChecksOutputs(t *testing.T) {
	m := smallModel(t)
	m.Graph.Outputs[0] = Value{Name: "z"}
	if err := InferShapes(m); err != nil {
		t.Fatal(err)
	}
	if got := m.Graph.Outputs[0].String(); got != "z float32[B,?,16]" {
		t.Errorf("output is %s", got)
	}
	if len(m.Graph.Values) != 4 { // of five nodes, the last makes the output
		t.Errorf("values %v", m.Graph.Values)
	}
	for _, wrong := range []Value{
		{Name: "z", Type: Int64},
		{Name: "z", Type: Float32, Shape: Shape{Sym("B"), Unknown}},
		{Name: "z", Type: Float32, Shape: Shape{Sym("B"), Unknown, Size(17)}},
	} {
		m.Graph.Outputs[0] = wrong
		if err := InferShapes(m); err == nil || !strings.Contains(err.Error(), "is declared "+wrong.String()) {
			t.Errorf("%v: error %v", wrong, err)
		}
	}
}

// TestHints checks that what a file says of the results of an operator that
// inference does not know is used, and what it says of others is not trusted.
func TestHints(t *testing.T) {
	m := smallModel(t)
	n := m.Graph.Nodes[0]
	n.Domain, n.Op = "elsewhere", "Mystery"
	m.Graph.Values = []Value{
		{Name: n.Outputs[0], Type: Float32, Shape: Shape{Sym("B"), Size(3), Size(32)}},
		{Name: m.Graph.Nodes[2].Outputs[0], Type: Float32, Shape: Fixed(1, 2, 3)},
	}
	if err := InferShapes(m); err != nil {
		t.Fatal(err)
	}
	if got := m.Graph.Values[2].Shape.String(); got != "[B,3,16]" {
		t.Errorf("got %s", got)
	}
}
