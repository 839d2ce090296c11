package onnx

import (
	"fmt"
	"slices"
)

// What nodes read and are called, through the graphs that they hold.

// Graphs returns the graphs in a node's attributes: the branches of an If, the
// body of a Loop.
func (n *Node) Graphs() []*Graph {
	var subs []*Graph
	for _, a := range n.Attrs {
		if a.Kind == AttrGraph && a.G != nil {
			subs = append(subs, a.G)
		}
	}
	return subs
}

// Uses returns the values that a node reads: its inputs but for those left out,
// and what its graphs take from outside.
func (n *Node) Uses() []string {
	read := slices.DeleteFunc(slices.Clone(n.Inputs), func(x string) bool { return x == "" })
	for _, g := range n.Graphs() {
		read = append(read, g.Captures()...)
	}
	return read
}

// Own returns the names that a graph gives to values itself, those in the
// graphs of its nodes aside.
func (g *Graph) Own() map[string]bool {
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

// Captures returns the values that an inner graph reads from outside.
func (g *Graph) Captures() []string {
	inside := g.Own()
	var read []string
	for _, n := range g.Nodes {
		read = append(read, n.Uses()...)
	}
	for _, v := range g.Outputs {
		read = append(read, v.Name)
	}
	return slices.DeleteFunc(read, func(x string) bool { return inside[x] })
}

// Renamed returns a copy of a node in which values go by other names, in the
// graphs that it holds too.
func (n *Node) Renamed(names map[string]string) *Node {
	c := *n
	c.Inputs, c.Outputs, c.Attrs = mapped(n.Inputs, names), mapped(n.Outputs, names), slices.Clone(n.Attrs)
	for i, a := range c.Attrs {
		if a.Kind == AttrGraph && a.G != nil {
			c.Attrs[i].G = renamedInside(a.G, names)
		}
	}
	return &c
}

// renamedInside renames what an inner graph captures, and leaves what it names
// itself.
func renamedInside(g *Graph, names map[string]string) *Graph {
	inside, outer := g.Own(), map[string]string{}
	for from, to := range names {
		if !inside[from] {
			outer[from] = to
		}
	}
	c := *g
	c.Nodes, c.Outputs = slices.Clone(g.Nodes), slices.Clone(g.Outputs)
	for i, n := range c.Nodes {
		c.Nodes[i] = n.Renamed(outer)
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

// Names is a set of names that are taken.
type Names map[string]bool

// NamesIn returns the names of the nodes and values of a graph and of those
// inside it.
func NamesIn(g *Graph) Names {
	taken := Names{}
	var collect func(g *Graph)
	collect = func(g *Graph) {
		for name := range g.Own() {
			taken[name] = true
		}
		for _, n := range g.Nodes {
			taken[n.Name] = true
			for _, sub := range n.Graphs() {
				collect(sub)
			}
		}
	}
	collect(g)
	return taken
}

// Fresh returns base, or base with the first number that makes it new, and
// takes it.
func (t Names) Fresh(base string) string {
	name := base
	for i := 1; t[name]; i++ {
		name = fmt.Sprintf("%s.%d", base, i)
	}
	t[name] = true
	return name
}
