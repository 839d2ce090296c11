package exported

import (
	"fmt"
	"slices"

	"softprompt/onnx"
)

// What nodes read and are called, through the graphs that they hold.

// subgraphs returns the graphs in a node's attributes.
func subgraphs(n *onnx.Node) []*onnx.Graph {
	var subs []*onnx.Graph
	for _, a := range n.Attrs {
		if a.Kind == onnx.AttrGraph && a.G != nil {
			subs = append(subs, a.G)
		}
	}
	return subs
}

// uses returns the values that a node reads: its inputs, and what its graphs
// take from outside.
func uses(n *onnx.Node) []string {
	read := slices.DeleteFunc(slices.Clone(n.Inputs), func(x string) bool { return x == "" })
	for _, g := range subgraphs(n) {
		read = append(read, captures(g)...)
	}
	return read
}

// own has the names that a graph gives to values itself.
func own(g *onnx.Graph) map[string]bool {
	names := map[string]bool{}
	for _, v := range g.Inputs {
		names[v.Name] = true
	}
	for _, t := range g.Initializers {
		names[t.Name] = true
	}
	for _, n := range g.Nodes {
		for _, y := range n.Outputs {
			names[y] = true
		}
	}
	return names
}

// captures returns the values that an inner graph reads from outside.
func captures(g *onnx.Graph) []string {
	inside := own(g)
	var read []string
	for _, n := range g.Nodes {
		read = append(read, uses(n)...)
	}
	read = append(read, namesOf(g.Outputs)...)
	return slices.DeleteFunc(read, func(x string) bool { return inside[x] })
}

// renamed returns a copy of a node in which values go by other names, in the
// graphs that it holds too.
func renamed(n *onnx.Node, names map[string]string) *onnx.Node {
	c := *n
	c.Inputs, c.Outputs, c.Attrs = mapped(n.Inputs, names), mapped(n.Outputs, names), slices.Clone(n.Attrs)
	for i, a := range c.Attrs {
		if a.Kind == onnx.AttrGraph && a.G != nil {
			c.Attrs[i].G = renamedInside(a.G, names)
		}
	}
	return &c
}

// renamedInside renames what an inner graph captures, and leaves what it names
// itself.
func renamedInside(g *onnx.Graph, names map[string]string) *onnx.Graph {
	inside, outer := own(g), map[string]string{}
	for from, to := range names {
		if !inside[from] {
			outer[from] = to
		}
	}
	c := *g
	c.Nodes, c.Outputs = slices.Clone(g.Nodes), slices.Clone(g.Outputs)
	for i, n := range c.Nodes {
		c.Nodes[i] = renamed(n, outer)
	}
	for i, v := range c.Outputs {
		if to, ok := outer[v.Name]; ok {
			c.Outputs[i].Name = to
		}
	}
	return &c
}

func mapped(list []string, names map[string]string) []string {
	list = slices.Clone(list)
	for i, x := range list {
		if to, ok := names[x]; ok {
			list[i] = to
		}
	}
	return list
}

// taken is the set of names in use in a graph and those inside it.
type taken map[string]bool

func takenIn(g *onnx.Graph) taken {
	t := taken{}
	var collect func(g *onnx.Graph)
	collect = func(g *onnx.Graph) {
		for name := range own(g) {
			t[name] = true
		}
		for _, n := range g.Nodes {
			t[n.Name] = true
			for _, sub := range subgraphs(n) {
				collect(sub)
			}
		}
	}
	collect(g)
	return t
}

// fresh returns base, or base with the first number that makes it new.
func (t taken) fresh(base string) string {
	name := base
	for i := 1; t[name]; i++ {
		name = fmt.Sprintf("%s.%d", base, i)
	}
	t[name] = true
	return name
}
