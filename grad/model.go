package grad

import (
	"maps"
	"slices"

	"softprompt/onnx"
)

// Copies of models, names, and what nodes read.

// clone copies a model as far as Reverse changes it: its lists, but neither
// its nodes nor its tensors.
func clone(m *onnx.Model) *onnx.Model {
	c, g := *m, *m.Graph
	c.Opset, c.Metadata, c.Graph = maps.Clone(m.Opset), maps.Clone(m.Metadata), &g
	g.Nodes = slices.Clone(g.Nodes)
	g.Inputs = slices.Clone(g.Inputs)
	g.Outputs = slices.Clone(g.Outputs)
	g.Initializers = slices.Clone(g.Initializers)
	g.Values = slices.Clone(g.Values)
	return &c
}

// nameOf returns what the gradient nodes of n say they come from: its name,
// or its first output's if it has none.
func nameOf(n *onnx.Node) string {
	if n.Name != "" {
		return n.Name
	}
	return n.Output(0)
}

// newBuilder returns a builder that appends to a model, and keeps off the
// names in its inner graphs too.
func newBuilder(m *onnx.Model) *onnx.Builder {
	b := onnx.NewBuilder(m)
	for name := range onnx.NamesIn(m.Graph) {
		b.Reserve(name)
	}
	return b
}

// rename gives values other names in every place where the nodes have them.
func rename(nodes []*onnx.Node, names map[string]string) {
	for _, n := range nodes {
		for _, list := range [][]string{n.Inputs, n.Outputs} {
			for i, v := range list {
				if r, ok := names[v]; ok {
					list[i] = r
				}
			}
		}
	}
}

// opName is the key of the tables: the operator, after its domain unless that
// is the standard one.
func opName(n *onnx.Node) string {
	if n.Domain == "" || n.Domain == "ai.onnx" {
		return n.Op
	}
	return n.Domain + "." + n.Op
}
