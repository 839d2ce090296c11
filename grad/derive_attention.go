package grad

import "softprompt/onnx"

// attended returns Σgy for the probabilities y of an attention, "" for another
// softmax. Probabilities meet values in a product o = yv, so that g = dO·vᵀ and
//
//	Σₖ gₖyₖ = Σₖ Σ_d dO_d v_kd yₖ = Σ_d dO_d o_d
//
// which goes over the width of a head, d_kv, and not over all keys
// (FlashAttention, Dao et al. 2022, equation 4 of appendix B). A dropout mask m
// between softmax and product changes nothing: o = (my)v and g = m·dO·vᵀ.
func (c *call) attended() string {
	if axis := c.axis(-1); axis != -1 && axis != int64(len(c.Shape(c.y)))-1 {
		return ""
	}
	y, g := c.y, c.walk.maker(c.g)
	if g != nil && g.Op == "Mul" { // a mask
		n := c.walk.from(g)
		if n == nil || n.Op != "Mul" || n.Input(0) != y {
			return ""
		}
		y, g = n.Output(0), c.walk.maker(g.Input(0))
	}
	n := c.walk.from(g)
	if n == nil || g.Op != "FusedMatMul" || n.Op != "MatMul" || n.Input(0) != y || g.Input(1) != n.Input(1) {
		return ""
	}
	return c.ReduceSum(c.Mul(c.walk.grads[n.Output(0)], n.Output(0)), true, -1)
}

// maker returns the gradient node that makes a value, nil if there is none.
func (w *walk) maker(value string) *onnx.Node {
	nodes := w.Model.Graph.Nodes
	for i := len(nodes) - 1; i >= w.forward; i-- {
		if nodes[i].Output(0) == value {
			return nodes[i]
		}
	}
	return nil
}

// from returns the forward node that a gradient node comes from, or nil.
func (w *walk) from(g *onnx.Node) *onnx.Node {
	if g == nil {
		return nil
	}
	for _, n := range w.Model.Graph.Nodes[:w.forward] {
		if nameOf(n) == g.From {
			return n
		}
	}
	return nil
}
