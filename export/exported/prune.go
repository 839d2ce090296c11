package exported

import (
	"slices"

	"softprompt/onnx"
)

// prune leaves out the nodes, constants and inputs on which no output depends.
func (p *part) prune() {
	g := p.model.Graph
	needed := map[string]bool{}
	for _, v := range g.Outputs {
		needed[v.Name] = true
	}
	var nodes []*onnx.Node
	for _, n := range slices.Backward(g.Nodes) {
		if !slices.ContainsFunc(n.Outputs, func(y string) bool { return needed[y] }) {
			continue
		}
		nodes = append(nodes, n)
		for _, x := range n.Uses() {
			needed[x] = true
		}
	}
	slices.Reverse(nodes)
	g.Nodes = nodes
	g.Initializers = slices.DeleteFunc(slices.Clone(g.Initializers), func(t *onnx.Tensor) bool { return !needed[t.Name] })
	g.Inputs = slices.DeleteFunc(slices.Clone(g.Inputs), func(v onnx.Value) bool { return !needed[v.Name] })
	used := map[string]bool{"": true}
	for _, n := range nodes {
		used[n.Domain] = true
	}
	for domain := range p.model.Opset {
		if !used[domain] {
			delete(p.model.Opset, domain)
		}
	}
}
