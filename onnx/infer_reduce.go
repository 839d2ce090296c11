package onnx

import (
	"fmt"
	"slices"
)

// reduceOps join the elements along axes.
var reduceOps = join(
	operatorsLike(operator{1, 2, inferReduce}, "ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd",
		"ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp"),
	operatorsLike(operator{1, 1, inferArg}, "ArgMax", "ArgMin"),
	operatorsLike(operator{1, 1, inferAlong}, "Softmax", "LogSoftmax", "Hardmax", "LpNormalization"),
	map[string]operator{
		"CumSum": {2, 2, inferCumSum},
		"TopK":   {1, 2, inferTopK},
	},
)

func inferReduce(c *call) error {
	x, t := c.shape(0), c.dtype(0)
	keep := c.Int("keepdims", 1) != 0
	if x == nil {
		c.set(0, t, nil)
		return nil
	}
	axes, err := c.axes("axes", 1, len(x))
	if err != nil {
		return err
	}
	var out Shape
	none := !axes.given || axes.count == 0
	switch {
	case none && c.Int("noop_with_empty_axes", 0) != 0:
		out = x
	case none || axes.known:
		out = Shape{}
		for i, d := range x {
			if reduced := none || slices.Contains(axes.list, i); !reduced {
				out = append(out, d)
			} else if keep {
				out = append(out, Size(1))
			}
		}
	case keep:
		out = unknowns(len(x))
	case axes.count > 0:
		out = unknowns(len(x) - axes.count)
	}
	c.set(0, t, out)
	return nil
}

func inferArg(c *call) error {
	x := c.shape(0)
	if x == nil {
		c.set(0, Int64, nil)
		return nil
	}
	axis, err := c.axisAttr(0, len(x))
	if err != nil {
		return err
	}
	out := append(Shape{}, x...)
	if out[axis] = Size(1); c.Int("keepdims", 1) == 0 {
		out = slices.Delete(out, axis, axis+1)
	}
	c.set(0, Int64, out)
	return nil
}

// inferAlong is for operators that keep the shape but work along an axis.
func inferAlong(c *call) error {
	if x := c.shape(0); x != nil {
		def := int64(-1)
		if v := c.f.opset[""]; v > 0 && v < 13 && c.Op != "LpNormalization" {
			def = min(1, int64(len(x))-1)
		}
		if _, err := c.axisAttr(def, len(x)); err != nil {
			return err
		}
	}
	c.set(0, c.dtype(0), c.shape(0))
	return nil
}

func inferCumSum(c *call) error {
	if err := c.wantIndex(1); err != nil {
		return err
	}
	if axis, ok := c.ints(1); ok && len(axis) == 1 && c.shape(0) != nil {
		if _, err := axisIn(axis[0], len(c.shape(0))); err != nil {
			return err
		}
	}
	c.set(0, c.dtype(0), c.shape(0))
	return nil
}

func inferTopK(c *call) error {
	x := c.shape(0)
	if x == nil {
		c.set(0, c.dtype(0), nil)
		c.set(1, Int64, nil)
		return nil
	}
	axis, err := c.axisAttr(-1, len(x))
	if err != nil {
		return err
	}
	k := Unknown
	if e := c.elems(1); len(e) == 1 {
		if k = e[0].dim(); e[0].known && e[0].num < 0 {
			return fmt.Errorf("k is %d", e[0].num)
		}
	}
	if k.Known() && x[axis].Known() && k.Size > x[axis].Size {
		return fmt.Errorf("k is %v, but axis %d has %v elements", k, axis, x[axis])
	}
	out := append(Shape{}, x...)
	out[axis] = k
	c.set(0, c.dtype(0), out)
	c.set(1, Int64, out)
	return nil
}
