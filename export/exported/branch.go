package exported

import (
	"cmp"
	"slices"

	"softprompt/onnx"
)

// settle replaces the If of a merged decoder by its branch without a cache.
// Which one that is shows in what it reads: the other one goes on from the
// past keys and values, inputs that the role does not have. An If of another
// kind is left for [part.fold], which knows whether its condition is constant.
func (p *part) settle() error {
	g := p.model.Graph
	cache := map[string]bool{}
	for _, v := range g.Inputs {
		cache[v.Name] = !slices.Contains(p.inputs, v.Name)
	}
	reads := func(names []string) bool {
		return slices.ContainsFunc(names, func(x string) bool { return cache[x] })
	}
	var nodes []*onnx.Node
	used := onnx.NamesIn(g)
	for _, n := range g.Nodes {
		then, otherwise := branches(n)
		if n.Op == "If" && n.Domain == "" && (then == nil || otherwise == nil) {
			return p.fail(n, "it lacks a branch; want a graph without branches, or one that goes by the cache")
		}
		if then != nil && reads(then.Captures()) && reads(otherwise.Captures()) {
			return p.fail(n, "both branches go on from a cache; want one that starts without")
		}
		if then == nil || reads(then.Captures()) == reads(otherwise.Captures()) {
			nodes = append(nodes, n)
			if reads(n.Uses()) {
				for _, y := range n.Outputs {
					cache[y] = true
				}
			}
			continue
		}
		name, keep := "then_branch", then
		if reads(then.Captures()) {
			name, keep = "else_branch", otherwise
		}
		if len(keep.Outputs) != len(n.Outputs) {
			return p.fail(n, "its %s has %d outputs, want %d", name, len(keep.Outputs), len(n.Outputs))
		}
		p.note("kept the %s of %v, which reads no cache: %d nodes", name, n, len(keep.Nodes))
		nodes = append(nodes, inline(g, used, keep, n.Outputs)...)
	}
	g.Nodes = nodes
	return nil
}

// branches returns the graphs of an If, nil for another node.
func branches(n *onnx.Node) (then, otherwise *onnx.Graph) {
	if n.Op != "If" || n.Domain != "" {
		return nil, nil
	}
	for _, a := range n.Attrs {
		switch {
		case a.Kind == onnx.AttrGraph && a.Name == "then_branch":
			then = a.G
		case a.Kind == onnx.AttrGraph && a.Name == "else_branch":
			otherwise = a.G
		}
	}
	return then, otherwise
}

// inline returns the nodes of a branch as nodes of the graph that it stands in,
// with what it makes under the names outputs. Its constants move to the graph.
// Names that are taken outside change.
func inline(g *onnx.Graph, used onnx.Names, branch *onnx.Graph, outputs []string) []*onnx.Node {
	names := map[string]string{}
	outer := g.Own()
	for name := range branch.Own() {
		if name != "" && outer[name] {
			names[name] = used.Fresh(name)
		}
	}
	for _, t := range branch.Initializers {
		if to, ok := names[t.Name]; ok {
			c := *t
			c.Name, t = to, &c
		}
		g.Initializers = append(g.Initializers, t)
	}
	var nodes []*onnx.Node
	for _, n := range branch.Nodes {
		nodes = append(nodes, n.Renamed(names))
	}
	for i, v := range branch.Outputs {
		from := []string{cmp.Or(names[v.Name], v.Name)}
		nodes = append(nodes, &onnx.Node{Name: used.Fresh(outputs[i] + "/Identity"), Op: "Identity", Inputs: from, Outputs: []string{outputs[i]}})
	}
	return nodes
}
