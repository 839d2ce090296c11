package onnx

import "fmt"

// attentionOps are the fused attention operators.
var attentionOps = map[string]operator{
	"Attention":                          {3, 7, inferAttention},
	"com.microsoft.Attention":            {2, 7, inferPackedAttention},
	"com.microsoft.MultiHeadAttention":   {1, 10, inferMultiHead},
	"com.microsoft.RelativePositionBias": {3, 3, inferRelativeBias},
	"RotaryEmbedding":                    {3, 4, inferSame},
	"com.microsoft.RotaryEmbedding":      {4, 4, inferSame},
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

// inferAttention is the standard's operator: query [B,h,S,d], key [B,g,T,d] and
// value [B,g,T,v], or [B,S,h·d], [B,T,g·d] and [B,T,g·v] with h and g as
// attributes. It also makes keys and values with the past ones before them,
// and the scores [B,h,S,P+T].
func inferAttention(c *call) error {
	t, err := c.sameType(0, 1)
	if err != nil {
		return err
	}
	for i := range c.out {
		c.set(i, t, nil)
	}
	rank := len(c.shape(0))
	for i := range 3 {
		if err := c.wantRank(i, 3, 4); err != nil {
			return err
		}
		if c.shape(i) == nil {
			return nil
		}
		if len(c.shape(i)) != rank {
			return fmt.Errorf("operand %d has rank %d, the query %d", i, len(c.shape(i)), rank)
		}
	}
	h, g := c.Int("q_num_heads", 0), c.Int("kv_num_heads", 0)
	if rank == 3 && (h <= 0 || g <= 0) {
		return fmt.Errorf("operands of rank 3 need the attributes q_num_heads and kv_num_heads")
	}
	q, key, value := byHead(c.shape(0), h), byHead(c.shape(1), g), byHead(c.shape(2), g)
	out := Shape{q[0], q[1], q[2], value[3]}
	if rank == 3 {
		out = Shape{q[0], q[2], q[1].Times(value[3])}
	}
	for i, s := range []Shape{key, value} {
		if past := c.shape(4 + i); c.has(4 + i) {
			if s[2] = Unknown; len(past) == 4 {
				s[2] = past[2].Plus(c.shape(1 + i)[rank-2])
			}
		}
	}
	c.set(0, t, out)
	c.set(1, t, key)
	c.set(2, c.dtype(2), value)
	c.set(3, t, Shape{q[0], q[1], q[2], key[2]})
	return nil
}

// byHead returns [B,S,h·d] as [B,h,S,d].
func byHead(s Shape, heads int64) Shape {
	if len(s) == 4 {
		return append(Shape{}, s...)
	}
	return Shape{s[0], Size(heads), s[1], s[2].Over(Size(heads))}
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
