package onnx

import (
	"fmt"
	"slices"
)

// indexOps read and write at indices.
var indexOps = map[string]operator{
	"Gather":          {2, 2, inferGather},
	"GatherElements":  {2, 2, inferGatherElements},
	"GatherND":        {2, 2, inferGatherND},
	"ScatterND":       {3, 3, inferScatterND},
	"ScatterElements": {3, 3, inferScatterElements},
	"Scatter":         {3, 3, inferScatterElements},
	"OneHot":          {3, 3, inferOneHot},
	"NonZero":         {1, 1, inferNonZero},
	"Compress":        {2, 2, inferCompress},
	"ReverseSequence": {2, 2, inferSame},
}

func inferGather(c *call) error {
	if err := c.wantIndex(1); err != nil {
		return err
	}
	x, at := c.shape(0), c.shape(1)
	if x == nil || at == nil {
		c.set(0, c.dtype(0), nil)
		return nil
	}
	axis, err := c.axisAttr(0, len(x))
	if err != nil {
		return err
	}
	for _, e := range c.f.elems[c.Inputs[1]] {
		if n := x[axis].Size; e.known && x[axis].Known() && (e.num >= n || e.num < -n) {
			return fmt.Errorf("index %d is out of range for axis %d of size %d", e.num, axis, n)
		}
	}
	c.set(0, c.dtype(0), concat(x[:axis], at, x[axis+1:]))
	return nil
}

// wantElementIndex checks indices of single elements, which have the operand's
// rank.
func (c *call) wantElementIndex() error {
	if err := c.wantIndex(1); err != nil {
		return err
	}
	x, at := c.shape(0), c.shape(1)
	if x == nil {
		return nil
	}
	if at != nil && len(x) != len(at) {
		return fmt.Errorf("ranks %d and %d differ", len(x), len(at))
	}
	_, err := c.axisAttr(0, len(x))
	return err
}

func inferGatherElements(c *call) error {
	c.set(0, c.dtype(0), c.shape(1))
	return c.wantElementIndex()
}

// tupleShape returns the shape of what the index tuples in the last axis of
// operand 1 point to: [tuples…, rest of x…].
func (c *call) tupleShape(batch int) (Shape, error) {
	x, at := c.shape(0), c.shape(1)
	if x == nil || at == nil {
		return nil, nil
	}
	if len(at) == 0 || len(x) == 0 {
		return nil, fmt.Errorf("operand and indices cannot be scalars")
	}
	n := at[len(at)-1]
	if batch < 0 || batch >= min(len(x), len(at)) {
		return nil, fmt.Errorf("batch_dims %d is out of range", batch)
	}
	if !n.Known() {
		return nil, nil
	}
	if n.Size > int64(len(x)-batch) || n.Size < 1 {
		return nil, fmt.Errorf("index tuples have %v elements for %d axes", n, len(x)-batch)
	}
	return concat(at[:len(at)-1], x[batch+int(n.Size):]), nil
}

func inferGatherND(c *call) error {
	if err := c.wantType(1, Int64); err != nil {
		return err
	}
	out, err := c.tupleShape(int(min(max(c.Int("batch_dims", 0), -1), maxRank)))
	c.set(0, c.dtype(0), out)
	return err
}

func inferScatterND(c *call) error {
	if err := c.wantType(1, Int64); err != nil {
		return err
	}
	t, err := c.sameType(0, 2)
	if err != nil {
		return err
	}
	want, err := c.tupleShape(0)
	if err != nil {
		return err
	}
	if got := c.shape(2); !compatible(Value{Shape: got}, Value{Shape: want}) {
		return fmt.Errorf("updates have shape %v, want %v", got, want)
	}
	c.set(0, t, c.shape(0))
	return nil
}

func inferScatterElements(c *call) error {
	if err := c.wantElementIndex(); err != nil {
		return err
	}
	t, err := c.sameType(0, 2)
	if err != nil {
		return err
	}
	if got, at := c.shape(2), c.shape(1); !compatible(Value{Shape: got}, Value{Shape: at}) {
		return fmt.Errorf("updates have shape %v, want the indices' %v", got, at)
	}
	c.set(0, t, c.shape(0))
	return nil
}

func inferOneHot(c *call) error {
	at := c.shape(0)
	if at == nil {
		c.set(0, c.dtype(2), nil)
		return nil
	}
	depth := Unknown
	if e := c.elems(1); len(e) == 1 {
		depth = e[0].dim()
	}
	axis, err := c.axisAttr(-1, len(at)+1)
	if err != nil {
		return err
	}
	c.set(0, c.dtype(2), slices.Insert(append(Shape{}, at...), axis, depth))
	return nil
}

func inferNonZero(c *call) error {
	out := unknowns(2)
	if s := c.shape(0); s != nil {
		out[0] = Size(int64(len(s)))
	}
	c.set(0, Int64, out)
	return nil
}

// inferCompress keeps what a vector of truths says, along an axis or, without
// one, of all elements in a row.
func inferCompress(c *call) error {
	if err := c.wantType(1, Bool); err != nil {
		return err
	}
	if err := c.wantRank(1, 1, 1); err != nil {
		return err
	}
	x := c.shape(0)
	if c.Attr("axis") == nil {
		c.set(0, c.dtype(0), unknowns(1))
		return nil
	}
	if x == nil {
		c.set(0, c.dtype(0), nil)
		return nil
	}
	axis, err := c.axisAttr(0, len(x))
	if err != nil {
		return err
	}
	out := append(Shape{}, x...)
	out[axis] = Unknown
	c.set(0, c.dtype(0), out)
	return nil
}
