package grad

import (
	"slices"

	"softprompt/onnx"
)

// decompositions has the operators whose gradient goes through their parts:
// each is written with the builder as the nodes that it stands for. The
// functions return its outputs as far as they are covered, "" for one that is
// not. The forward pass is slower for it by less than the backward pass would
// take to compute again what the operator keeps to itself, such as attention
// probabilities.
var decompositions = map[string]func(c *call) []string{
	"RMSNormalization": rmsNorm,
	"com.microsoft.SkipSimplifiedLayerNormalization": skipRMSNorm,
	"Attention":                        attention,
	"com.microsoft.MultiHeadAttention": multiHeadAttention,
	"com.microsoft.Attention":          packedAttention,
}

// decompose replaces the nodes that take part in the gradient and have a
// decomposition.
func decompose(m *onnx.Model, loss string, wrt []string) (*onnx.Model, error) {
	m = clone(m)
	b := newBuilder(m)
	a, err := analyse(b, loss, wrt)
	if err != nil {
		return nil, err
	}
	var nodes []*onnx.Node
	for _, n := range slices.Clone(m.Graph.Nodes) {
		write, ok := decompositions[opName(n)]
		if !ok || !a.on[n] {
			nodes = append(nodes, n)
			continue
		}
		b.Block = n.Block
		start := len(m.Graph.Nodes)
		c := &call{Builder: b, node: n, x: n.Input(0), y: n.Output(0)}
		made, outputs := write(c), map[string]string{}
		for i, y := range n.Outputs {
			switch {
			case y == "":
			case i < len(made) && made[i] != "":
				outputs[made[i]] = y
			default:
				c.fail("its output %d, %s, is not covered", i, y)
			}
		}
		if err := b.Err(); err != nil {
			return nil, a.fail(n, err)
		}
		parts := m.Graph.Nodes[start:]
		rename(parts, outputs)
		nodes = append(nodes, parts...)
	}
	m.Graph.Nodes = nodes
	return m, nil
}

// rmsNorm is ONNX Runtime's older operator for the same, which hands out 1/rms.
func rmsNorm(c *call) []string {
	return c.simplified(c.x, c.in(1), c.node.Int("axis", -1), c.node.Float("epsilon", 1e-5))[:1]
}

// skipRMSNorm adds its operands first, and hands out the sum. ONNX Runtime
// 1.24 leaves its 1/rms out on the processor.
func skipRMSNorm(c *call) []string {
	sum := c.Add(c.in(0), c.in(1))
	if bias := c.in(3); bias != "" {
		sum = c.Add(sum, bias)
	}
	y := c.simplified(sum, c.in(2), -1, c.node.Float("epsilon", 1e-5))
	return []string{y[0], "", y[1], sum}
}

// simplified is SimplifiedLayerNormalization with its two outputs.
func (c *call) simplified(x, scale string, axis int64, eps float32) []string {
	return c.OpN("SimplifiedLayerNormalization", 2, []string{x, scale},
		onnx.IntAttr("axis", axis), onnx.FloatAttr("epsilon", eps))
}

// uncovered ends the derivation at a form of the operator that the
// decomposition leaves out.
func (c *call) uncovered(form string, args ...any) []string {
	c.fail(form+": not covered", args...)
	return nil
}
