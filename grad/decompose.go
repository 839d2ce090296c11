package grad

import (
	"math"
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

// attention is the standard operator, with queries, keys and values
// [B,h,L,d] or [B,L,h·d]. Keys and values of the past, grouped heads and a
// soft cap are not covered.
func attention(c *call) []string {
	n := c.node
	if c.in(4) != "" || c.in(5) != "" || c.in(6) != "" {
		return c.uncovered("keys and values of the past")
	}
	if n.Float("softcap", 0) != 0 {
		return c.uncovered("softcap")
	}
	heads, kvHeads := n.Int("q_num_heads", 0), n.Int("kv_num_heads", 0)
	q, flat := c.heads(c.in(0), heads)
	k, _ := c.heads(c.in(1), kvHeads)
	v, _ := c.heads(c.in(2), kvHeads)
	if a, b := c.Shape(q), c.Shape(k); heads != kvHeads || len(a) == 4 && len(b) == 4 && a[1].Known() && b[1].Known() && !a[1].Same(b[1]) {
		return c.uncovered("heads shared by several queries")
	}
	s := c.scores(q, k)
	if mask := c.in(3); mask != "" {
		if c.Type(mask) == onnx.Bool {
			mask = c.Where(mask, c.Float(0, q), c.Float(math.Inf(-1), q))
		}
		s = c.Add(s, mask)
	}
	if n.Int("is_causal", 0) != 0 {
		s = c.causal(s, math.Inf(-1))
	}
	p := c.Softmax(s, -1)
	if c.in(3) != "" || n.Int("is_causal", 0) != 0 {
		p = c.only(c.Not(c.Op("IsNaN", []string{p})), p) // where all keys are masked
	}
	return []string{c.merge(c.MatMul(p, v), flat)}
}

// multiHeadAttention is ONNX Runtime's operator, with queries [B,L,h·d] and
// keys and values [B,S,h·d] or [B,h,S,d]. Packed and past keys and values are
// not covered.
func multiHeadAttention(c *call) []string {
	n := c.node
	heads := n.Int("num_heads", 0)
	for i := 6; i < len(n.Inputs); i++ {
		if c.in(i) != "" {
			return c.uncovered("keys and values of the past")
		}
	}
	if c.in(1) == "" || c.in(2) == "" {
		return c.uncovered("queries, keys and values packed in one input")
	}
	q, k, v := c.in(0), c.in(1), c.in(2)
	if bias := c.in(3); bias != "" {
		q, k, v = c.withBias(bias, q, k, v)
	}
	q, _ = c.heads(q, heads)
	k, _ = c.heads(k, heads)
	v, _ = c.heads(v, heads)
	return []string{c.contribAttention(q, k, v, c.in(4), c.in(5))}
}

// packedAttention is ONNX Runtime's older operator, which also makes queries,
// keys and values, of x [B,S,d] and weights [d,3·h·d].
func packedAttention(c *call) []string {
	n := c.node
	if c.in(4) != "" || c.in(6) != "" {
		return c.uncovered("keys and values of the past")
	}
	if n.Int("do_rotary", 0) != 0 {
		return c.uncovered("rotary embeddings")
	}
	packed := c.MatMul(c.x, c.in(1))
	if bias := c.in(2); bias != "" {
		packed = c.Add(packed, bias)
	}
	sizes, attrs := "", []onnx.Attr{onnx.IntAttr("axis", -1)}
	if given := n.Ints("qkv_hidden_sizes"); given != nil {
		sizes = c.Ints(given...)
	} else {
		attrs = append(attrs, onnx.IntAttr("num_outputs", 3))
	}
	var byHead []string
	for _, x := range c.OpN("Split", 3, []string{packed, sizes}, attrs...) {
		x, _ = c.heads(x, n.Int("num_heads", 0))
		byHead = append(byHead, x)
	}
	return []string{c.contribAttention(byHead[0], byHead[1], byHead[2], c.in(3), c.in(5))}
}

// contribAttention is what ONNX Runtime's operators do with queries, keys and
// values by head.
func (c *call) contribAttention(q, k, v, mask, bias string) string {
	s := c.scores(q, k)
	if bias != "" {
		s = c.Add(s, bias)
	}
	filter := float64(c.node.Float("mask_filter_value", -10000))
	if mask != "" {
		if c.rank(mask) != 2 {
			c.uncovered("a key padding mask of rank %d", len(c.Shape(mask)))
			return ""
		}
		padded := c.Equal(c.Unsqueeze(mask, 1, 2), c.as(c.Int(0), mask)) // [B,1,1,S]
		s = c.Add(s, c.Where(padded, c.Float(filter, q), c.Float(0, q)))
	}
	if c.node.Int("unidirectional", 0) != 0 {
		s = c.causal(s, filter)
	}
	return c.merge(c.MatMul(c.Softmax(s, -1), v), true)
}

// uncovered ends the derivation at a form of the operator that the
// decomposition leaves out.
func (c *call) uncovered(form string, args ...any) []string {
	c.fail(form+": not covered", args...)
	return nil
}

// withBias adds the parts of a packed bias, h·d + h·d + h·dv elements long.
func (c *call) withBias(bias string, x ...string) (q, k, v string) {
	start := c.Ints(0)
	for i := range x {
		if c.rank(x[i]) != 3 {
			c.fail("a bias with keys and values by head: not covered")
		}
		end := c.plus(start, c.sizeOf(x[i], -1))
		x[i] = c.Add(x[i], c.Slice(bias, start, end, 0))
		start = end
	}
	return x[0], x[1], x[2]
}

// heads brings [B,L,h·d] to [B,h,L,d]; flat tells whether it had to.
func (c *call) heads(x string, h int64) (split string, flat bool) {
	if c.rank(x) == 4 {
		return x, false
	}
	if h <= 0 {
		return c.fail("the number of heads is not given"), false
	}
	return c.Transpose(c.ReshapeTo(x, 0, 0, h, -1), 0, 2, 1, 3), true
}

// merge undoes heads.
func (c *call) merge(x string, flat bool) string {
	if !flat {
		return x
	}
	return c.ReshapeTo(c.Transpose(x, 0, 2, 1, 3), 0, 0, -1)
}

// scores is scale·q·kᵀ, [B,h,L,S]. The scale is 1/√d unless it is given.
func (c *call) scores(q, k string) string {
	scale := float64(c.node.Float("scale", 0))
	if scale == 0 {
		s := c.Shape(q)
		if len(s) == 0 || !s[len(s)-1].Known() {
			return c.fail("the size of a head is not known, and no scale is given")
		}
		scale = 1 / math.Sqrt(float64(s[len(s)-1].Size))
	}
	return c.FusedMatMul(q, k, false, true, scale)
}

// causal adds filter to the scores of the keys that come after the query.
func (c *call) causal(s string, filter float64) string {
	rows, columns := c.sizeOf(s, -2), c.sizeOf(s, -1)
	full := c.Expand(c.FloatOf(1, onnx.Float32), c.Concat(0, rows, columns))
	later := c.Op("Trilu", []string{full, c.Int(1)}, onnx.IntAttr("upper", 1))
	return c.Add(s, c.Where(c.Cast(later, onnx.Bool), c.Float(filter, s), c.Float(0, s)))
}
