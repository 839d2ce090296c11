package onnx

import (
	"fmt"
	"math"
)

// makeOps make tensors from attributes and sizes.
var makeOps = map[string]operator{
	"Constant":          {0, 0, inferConstant},
	"ConstantOfShape":   {1, 1, inferConstantOfShape},
	"Range":             {3, 3, inferRange},
	"EyeLike":           {1, 1, inferLike},
	"RandomNormal":      {0, 0, inferRandom},
	"RandomUniform":     {0, 0, inferRandom},
	"RandomNormalLike":  {1, 1, inferLike},
	"RandomUniformLike": {1, 1, inferLike},
	"Bernoulli":         {1, 1, inferLike},
}

// inferConstant knows all forms but the sparse one.
func inferConstant(c *call) error {
	t, err := c.ConstantValue()
	if err != nil {
		return err
	}
	if t == nil {
		return nil
	}
	named := *t
	named.Name = c.Output(0)
	c.f.SetConst(&named)
	c.set(0, t.Type, t.Shape())
	return nil
}

// ConstantValue returns the tensor that a Constant node stands for, whichever
// attribute holds it; nil for a sparse one.
func (n *Node) ConstantValue() (*Tensor, error) {
	for _, a := range n.Attrs {
		switch a.Name {
		case "value":
			if a.T == nil {
				return nil, fmt.Errorf("attribute value holds no tensor")
			}
			return a.T, nil
		case "value_float":
			return Floats(n.Output(0), nil, []float32{a.F}), nil
		case "value_floats":
			return Floats(n.Output(0), []int64{int64(len(a.Floats))}, a.Floats), nil
		case "value_int":
			return Longs(n.Output(0), nil, []int64{a.I}), nil
		case "value_ints":
			return Longs(n.Output(0), []int64{int64(len(a.Ints))}, a.Ints), nil
		case "value_string":
			return &Tensor{Name: n.Output(0), Type: String, Strings: [][]byte{a.S}}, nil
		case "value_strings":
			return &Tensor{Name: n.Output(0), Type: String, Dims: []int64{int64(len(a.Strings))}, Strings: a.Strings}, nil
		case "sparse_value":
			return nil, nil
		}
	}
	return nil, fmt.Errorf("no attribute holds the value")
}

func inferConstantOfShape(c *call) error {
	if err := c.wantType(0, Int64); err != nil {
		return err
	}
	t := Float32
	if a := c.Attr("value"); a != nil && a.T != nil {
		t = a.T.Type
	}
	sizes := c.elems(0)
	if sizes == nil || len(sizes) > maxRank {
		c.set(0, t, nil)
		return nil
	}
	out := make(Shape, len(sizes))
	for i, e := range sizes {
		if out[i] = e.dim(); e.known && e.num < 0 {
			return fmt.Errorf("size %d of axis %d is negative", e.num, i)
		}
	}
	c.set(0, t, out)
	return nil
}

func inferRange(c *call) error {
	t, err := c.sameType()
	if err != nil {
		return err
	}
	n := Unknown
	start, limit, step := c.elems(0), c.elems(1), c.elems(2)
	if len(start) == 1 && len(limit) == 1 && len(step) == 1 {
		n, err = rangeSize(start[0], limit[0], step[0])
	}
	c.set(0, t, Shape{n})
	return err
}

// rangeSize returns how many numbers start, start+step, … lie before limit.
func rangeSize(start, limit, step elem) (Dim, error) {
	switch {
	case step.is(0):
		return Unknown, fmt.Errorf("step is 0")
	case start.known && limit.known && step.known:
		n := math.Ceil((float64(limit.num) - float64(start.num)) / float64(step.num))
		if n > math.MaxInt32 { // past what floats count exactly, and what memory holds
			return Unknown, nil
		}
		return Size(int64(max(n, 0))), nil
	case step.is(1):
		return limit.minus(start).dim(), nil
	}
	return Unknown, nil
}

// inferLike is for results of the operand's shape and, unless an attribute
// says otherwise, type.
func inferLike(c *call) error {
	t := DType(c.Int("dtype", 0))
	if t == Undefined {
		t = c.dtype(0)
	}
	c.set(0, t, c.shape(0))
	return nil
}

func inferRandom(c *call) error {
	sizes := c.Ints("shape")
	for _, n := range sizes {
		if n < 0 {
			return fmt.Errorf("attribute shape is %v", sizes)
		}
	}
	c.set(0, DType(c.Int("dtype", int64(Float32))), Fixed(sizes...))
	return nil
}
