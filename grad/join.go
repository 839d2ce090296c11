package grad

import (
	"slices"

	"softprompt/onnx"
)

// join makes one product of a sum of products. Where a value is used by many
// products, as the encoder's states are by every layer of the decoder, its
// gradient is a sum of as many:
//
//	A₁ᵀB₁ + A₂ᵀB₂ + … = [A₁;A₂;…]ᵀ[B₁;B₂;…]
//
// for batches of matrices Aᵢ [N,mᵢ,p] and Bᵢ [N,mᵢ,q]. The right side passes
// over the result [N,p,q] once and not with each term twice, and its inner size
// Σmᵢ is one that fills the arithmetic units. Only gradient nodes, those after
// the first forward ones, are changed; the values in keep stay.
func join(b *onnx.Builder, forward int, keep []string) error {
	j := &joiner{Builder: b, made: map[string]*onnx.Node{}, uses: map[string]int{}, gone: map[*onnx.Node]bool{}}
	g := b.Model.Graph
	for i, n := range g.Nodes {
		for _, x := range n.Uses() {
			j.uses[x]++
		}
		if i >= forward {
			for _, y := range n.Outputs {
				j.made[y] = n
			}
		}
	}
	for _, v := range g.Outputs {
		j.uses[v.Name]++
	}
	for _, v := range keep {
		j.uses[v]++
	}
	instead := map[*onnx.Node][]*onnx.Node{} // what takes the place of the last Add of a sum
	for _, n := range slices.Backward(g.Nodes[forward:]) {
		if n.Op == "Add" && !j.gone[n] {
			instead[n] = j.rewrite(n)
		}
	}
	nodes := g.Nodes[:forward:forward]
	for _, n := range g.Nodes[forward:] {
		switch {
		case len(instead[n]) > 0:
			nodes = append(nodes, instead[n]...)
		case !j.gone[n]:
			nodes = append(nodes, n)
		}
	}
	g.Nodes = nodes
	return b.Err()
}

// joiner is the state of a join.
type joiner struct {
	*onnx.Builder
	made map[string]*onnx.Node // gradient nodes by output
	uses map[string]int
	gone map[*onnx.Node]bool // no longer needed
}

// rewrite returns the nodes of a sum with its products joined, or nil if there
// is nothing to join. root is the last addition.
func (j *joiner) rewrite(root *onnx.Node) []*onnx.Node {
	adds, terms := j.sum(root, root.Output(0))
	groups := map[productForm][]*onnx.Node{}
	for _, t := range terms {
		if f, ok := j.form(t); ok {
			groups[f] = append(groups[f], j.made[t])
		}
	}
	joined := map[string]bool{}
	for _, g := range groups {
		for _, n := range g {
			joined[n.Output(0)] = len(g) > 1
		}
	}
	if !slices.ContainsFunc(terms, func(t string) bool { return joined[t] }) {
		return nil
	}
	for _, n := range adds {
		j.gone[n] = true
	}
	all := j.Model.Graph.Nodes
	defer func() { j.Model.Graph.Nodes = all }()
	j.Block, j.From = root.Block, root.From
	total := ""
	for _, t := range terms {
		if joined[t] {
			f, _ := j.form(t)
			if j.gone[j.made[t]] { // its group is in the sum already
				continue
			}
			t = j.product(groups[f])
		}
		if total == "" {
			total = t
		} else {
			total = j.Add(total, t)
		}
	}
	made := j.Model.Graph.Nodes[len(all):]
	rename(made, map[string]string{total: root.Output(0)})
	return made
}

// sum returns the additions that make a value and what they add up, in order.
func (j *joiner) sum(root *onnx.Node, value string) (adds []*onnx.Node, terms []string) {
	n := j.made[value]
	inside := n == root || j.uses[value] == 1
	if n == nil || n.Op != "Add" || !inside || !j.Shape(value).Same(j.Shape(root.Output(0))) {
		return nil, []string{value}
	}
	adds = []*onnx.Node{n}
	for _, x := range n.Inputs {
		a, t := j.sum(root, x)
		adds, terms = append(adds, a...), append(terms, t...)
	}
	return adds, terms
}

// productForm is what products must have in common to be joined.
type productForm struct {
	alpha       float32
	batch, p, q onnx.Dim
}

// form returns that of a term AᵀB that nothing else reads; ok is false for
// other values.
func (j *joiner) form(term string) (f productForm, ok bool) {
	n := j.made[term]
	if n == nil || n.Op != "FusedMatMul" || j.uses[term] != 1 || n.Int("transA", 0) != 1 ||
		n.Int("transB", 0)+n.Int("transBatchA", 0)+n.Int("transBatchB", 0) != 0 {
		return f, false
	}
	a, b := j.Shape(n.Input(0)), j.Shape(n.Input(1))
	if len(a) != 3 || len(b) != 3 || !a[0].Same(b[0]) || !a[2].Same(a[2]) || !b[2].Same(b[2]) {
		return f, false
	}
	return productForm{n.Float("alpha", 1), a[0], a[2], b[2]}, true
}

// product returns the product of what the operands of several are end to end.
func (j *joiner) product(group []*onnx.Node) string {
	var a, b []string
	for _, n := range group {
		a, b = append(a, n.Input(0)), append(b, n.Input(1))
		j.gone[n] = true
	}
	return j.FusedMatMul(j.Concat(1, a...), j.Concat(1, b...), true, false, float64(group[0].Float("alpha", 1)))
}
