package onnx

import "fmt"

// attentionOps are the fused attention operators.
var attentionOps = map[string]operator{
	"Attention":                          {3, 7, inferAttention},
	"com.microsoft.Attention":            {2, 7, inferPackedAttention},
	"com.microsoft.MultiHeadAttention":   {1, 10, inferMultiHead},
	"com.microsoft.RelativePositionBias": {3, 3, inferRelativeBias},
}

// inferMultiHead has query [B,S,h·d], key [B,T,h·d] and value [B,T,h·v], keys
// and values also as [B,h,T,d]; or all three packed as [B,S,h,3,d].
func inferMultiHead(c *call) error {
	t, err := c.sameType(0, 1, 2)
	if err != nil {
		return err
	}
	q, v := c.shape(0), c.shape(2)
	heads := c.Int("num_heads", 0)
	if heads <= 0 {
		return fmt.Errorf("attribute num_heads is %d", heads)
	}
	if err := c.wantRank(0, 3, 5); err != nil {
		return err
	}
	out := unknowns(3)
	switch {
	case q == nil:
	case len(q) == 5:
		out = Shape{q[0], q[1], q[2].Times(q[4])}
	case len(v) == 3:
		if _, ok := unify(q[0], v[0]); !ok {
			return fmt.Errorf("batch sizes %v and %v differ", q[0], v[0])
		}
		out = Shape{q[0], q[1], v[2]}
	case len(v) == 4:
		out = Shape{q[0], q[1], v[1].Times(v[3])}
	default:
		out = Shape{q[0], q[1], Unknown}
	}
	c.set(0, t, out)
	for i := 1; i < 4; i++ { // present key and value, and the products of query and key
		c.set(i, t, unknowns(4))
	}
	return nil
}

// inferPackedAttention has input [B,S,k] and weights [k,3·h·d].
func inferPackedAttention(c *call) error {
	t, err := c.sameType(0, 1)
	if err != nil {
		return err
	}
	x, w := c.shape(0), c.shape(1)
	if err := c.wantRank(0, 3, 3); err != nil {
		return err
	}
	if err := c.wantRank(1, 2, 2); err != nil {
		return err
	}
	out := unknowns(3)
	if x != nil && w != nil {
		if _, ok := unify(x[2], w[0]); !ok {
			return fmt.Errorf("inner sizes %v and %v differ", x[2], w[0])
		}
		out = Shape{x[0], x[1], w[1].Over(Size(3))}
		if sizes := c.Ints("qkv_hidden_sizes"); len(sizes) == 3 && sizes[2] >= 0 {
			out[2] = Size(sizes[2])
		}
	}
	c.set(0, t, out)
	c.set(1, t, unknowns(5))
	return nil
}

// inferAttention is the standard's operator: query [B,h,S,d], key [B,k,T,d],
// value [B,k,T,v], or [B,S,h·d] and so on with the heads as attributes.
func inferAttention(c *call) error {
	t, err := c.sameType(0, 1)
	if err != nil {
		return err
	}
	q, v := c.shape(0), c.shape(2)
	for i := range 3 {
		if err := c.wantRank(i, 3, 4); err != nil {
			return err
		}
	}
	out := unknowns(len(q))
	switch {
	case len(q) == 4 && len(v) == 4:
		out = Shape{q[0], q[1], q[2], v[3]}
	case len(q) == 3 && len(v) == 3:
		heads, groups := c.Int("q_num_heads", 0), c.Int("kv_num_heads", 0)
		if heads <= 0 || groups <= 0 {
			return fmt.Errorf("operands of rank 3 need the attributes q_num_heads and kv_num_heads")
		}
		out = Shape{q[0], q[1], v[2].Over(Size(groups)).Times(Size(heads))}
	case q == nil || v == nil:
		out = nil
	default:
		return fmt.Errorf("query of rank %d and value of rank %d", len(q), len(v))
	}
	c.set(0, t, out)
	for i := 1; i < 4; i++ {
		c.set(i, t, unknowns(4))
	}
	return nil
}

// inferRelativeBias has a table [buckets,h] and two scalars, the lengths of
// query and key; it makes [1,h,S,T].
func inferRelativeBias(c *call) error {
	out := Shape{Size(1), Unknown, Unknown, Unknown}
	if table := c.shape(0); len(table) == 2 {
		out[1] = table[1]
	}
	for i := 1; i <= 2; i++ {
		if e := c.elems(i); len(e) == 1 {
			out[1+i] = e[0].dim()
		}
	}
	c.set(0, c.dtype(0), out)
	return nil
}
