package grad

import (
	"math"

	"softprompt/onnx"
)

// attention is the standard operator, with queries [B,h,L,d] or [B,L,h·d] and
// keys and values [B,g,S,d] or [B,S,g·d] of as many heads, or of fewer that
// several queries share. It also hands out keys and values with the past ones
// before them, and the scores on one of the stages that they go through.
func attention(c *call) []string {
	n := c.node
	if c.in(6) != "" { // whose meaning together with is_causal has changed since
		return c.uncovered("nonpad_kv_seqlen")
	}
	q, flat := c.heads(c.in(0), n.Int("q_num_heads", 0))
	k, _ := c.heads(c.in(1), n.Int("kv_num_heads", 0))
	v, _ := c.heads(c.in(2), n.Int("kv_num_heads", 0))
	if past := c.in(4); past != "" {
		k, v = c.Concat(2, past, k), c.Concat(2, c.in(5), v)
	}
	raw := c.scores(q, c.shared(k, q))
	s, top := c.masked(raw, q), float64(n.Float("softcap", 0))
	switch {
	case top != 0 && (s != raw || c.out(3) != ""): // releases differ in what comes first
		return c.uncovered("softcap with a mask, or with the scores handed out")
	case top != 0:
		raw = c.Scale(c.Tanh(c.Scale(raw, 1/top)), top)
		s = raw
	}
	p := c.Softmax(s, -1)
	if s != raw {
		p = c.only(c.Not(c.Op("IsNaN", []string{p})), p) // where all keys are hidden
	}
	y := c.merge(c.MatMul(p, c.shared(v, q)), flat)
	mode := min(max(n.Int("qk_matmul_output_mode", 0), 0), 3)
	if mode == 1 && s != raw && c.out(3) != "" { // which was the other side of the mask once
		return c.uncovered("qk_matmul_output_mode 1 with a mask")
	}
	stage := []string{raw, raw, s, p}[mode]
	for i, x := range []*string{&k, &v} {
		if c.out(1+i) != "" && *x == c.in(1+i) {
			*x = c.Identity(*x)
		}
	}
	return []string{y, k, v, stage}
}

// shared repeats the heads of keys or values for the queries that share them.
func (c *call) shared(k, q string) string {
	from, to := c.Shape(k), c.Shape(q)
	if len(from) != 4 || len(to) != 4 || from[1].Same(to[1]) {
		return k
	}
	if from[1].Known() && to[1].Known() && (from[1].Size == 0 || to[1].Size%from[1].Size != 0) {
		return c.fail("%v heads of queries and %v of keys: not covered", to[1], from[1])
	}
	heads := c.sizeOf(q, 1)
	times := c.Div(heads, c.sizeOf(k, 1))
	each := c.Expand(c.Unsqueeze(k, 2), c.Concat(0, c.Ints(1, 1), times, c.Ints(1, 1)))
	return c.Reshape(each, c.Concat(0, c.SizesOf(k, 0, 1), heads, c.SizesOf(k, 2, onnx.End)))
}

// masked makes the scores [B,h,L,S] of the keys that a query does not see −∞, or
// adds a float mask to them.
func (c *call) masked(s, q string) string {
	n := c.node
	if mask := c.in(3); mask != "" {
		if c.Type(mask) == onnx.Bool {
			mask = c.Where(mask, c.Float(0, q), c.Float(math.Inf(-1), q))
		}
		m, of := c.Shape(mask), c.Shape(s)
		if len(m) > 0 && len(of) > 0 && m[len(m)-1].Size != 1 && !m[len(m)-1].Same(of[len(of)-1]) {
			left := c.Sub(c.sizeOf(s, -1), c.sizeOf(mask, -1)) // a mask may be shorter
			mask = c.Op("Pad", []string{mask, c.Concat(0, c.Ints(0), left), c.Float(math.Inf(-1), q), c.Ints(-1)})
		}
		s = c.Add(s, mask)
	}
	left, right := n.Int("left_window_size", -1), n.Int("right_window_size", -1)
	if n.Int("is_causal", 0) != 0 {
		right = 0
	}
	first := "" // position of the first query
	if past := c.in(4); past != "" {
		first = c.sizeOf(past, 2)
	}
	return c.window(s, first, left, right, math.Inf(-1))
}

// window hides the keys that lie more than left before the query or more than
// right after it; −1 is no bound.
func (c *call) window(s, first string, left, right int64, filter float64) string {
	if left < 0 && right < 0 {
		return s
	}
	queries := c.Unsqueeze(c.positions(s, -2), 1) // [L,1]
	if first != "" {
		queries = c.Add(queries, first)
	}
	ahead := c.Sub(c.positions(s, -1), queries)
	if left >= 0 {
		s = c.hide(s, c.Less(ahead, c.Int(-left)), filter)
	}
	if right >= 0 {
		s = c.hide(s, c.Greater(ahead, c.Int(right)), filter)
	}
	return s
}

// positions counts along an axis from 0.
func (c *call) positions(x string, axis int64) string {
	return c.Range(c.Int(0), c.Squeeze(c.sizeOf(x, axis), 0), c.Int(1))
}

// hide adds filter to some of the scores; −∞ takes their place, and with it the
// gradient.
func (c *call) hide(s, which string, filter float64) string {
	if math.IsInf(filter, -1) {
		return c.Where(which, c.Float(filter, s), s)
	}
	return c.Add(s, c.Where(which, c.Float(filter, s), c.Float(0, s)))
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
		s = c.hide(s, padded, filter)
	}
	if c.node.Int("unidirectional", 0) != 0 {
		s = c.window(s, "", -1, 0, filter)
	}
	return c.merge(c.MatMul(c.Softmax(s, -1), v), true)
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
