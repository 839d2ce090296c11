package grad

import (
	"fmt"
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

// names is a set of names that are taken.
type names map[string]bool

// namesOf returns the names of a model's nodes and values.
func namesOf(m *onnx.Model) names {
	taken := names{}
	var collect func(g *onnx.Graph)
	collect = func(g *onnx.Graph) {
		for _, v := range g.Inputs {
			taken[v.Name] = true
		}
		for _, t := range g.Initializers {
			taken[t.Name] = true
		}
		for _, n := range g.Nodes {
			taken[n.Name] = true
			for _, y := range n.Outputs {
				taken[y] = true
			}
			for _, sub := range subgraphs(n) {
				collect(sub)
			}
		}
	}
	collect(m.Graph)
	return taken
}

// newBuilder returns a builder that appends to a model, and keeps off the
// names in its inner graphs too.
func newBuilder(m *onnx.Model) *onnx.Builder {
	b := onnx.NewBuilder(m)
	for name := range namesOf(m) {
		b.Reserve(name)
	}
	return b
}

// fresh returns base, or base with the first number that makes it new, and
// takes it.
func (t names) fresh(base string) string {
	name := base
	for i := 1; t[name]; i++ {
		name = fmt.Sprintf("%s.%d", base, i)
	}
	t[name] = true
	return name
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

// uses returns what a node reads: its inputs and what its subgraphs take from
// outside.
func uses(n *onnx.Node) []string {
	subs := subgraphs(n)
	if subs == nil {
		return n.Inputs
	}
	read := slices.Clone(n.Inputs)
	for _, g := range subs {
		own := map[string]bool{}
		for _, v := range g.Inputs {
			own[v.Name] = true
		}
		for _, t := range g.Initializers {
			own[t.Name] = true
		}
		for _, inner := range g.Nodes {
			for _, y := range inner.Outputs {
				own[y] = true
			}
		}
		outer := func(name string) {
			if !own[name] {
				read = append(read, name)
			}
		}
		for _, inner := range g.Nodes {
			for _, x := range uses(inner) {
				outer(x)
			}
		}
		for _, v := range g.Outputs {
			outer(v.Name)
		}
	}
	return read
}

// subgraphs returns the graphs in a node's attributes: the branches of an If,
// the body of a Loop.
func subgraphs(n *onnx.Node) []*onnx.Graph {
	var subs []*onnx.Graph
	for _, a := range n.Attrs {
		if a.Kind == onnx.AttrGraph && a.G != nil {
			subs = append(subs, a.G)
		}
	}
	return subs
}
