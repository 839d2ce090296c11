package grad

import "softprompt/onnx"

// Broadcasting uses an element of an operand many times, so its gradient is
// the sum over those uses.

// unbroadcast sums g, which has the shape of the node's output, over the axes
// along which the input that the call is about was broadcast.
func (c *call) unbroadcast(g string) string {
	x := c.in(c.i)
	var others []onnx.Shape
	for _, o := range c.node.Inputs {
		if o != "" && o != x {
			others = append(others, c.Shape(o))
		}
	}
	return c.sumTo(g, x, c.Shape(c.y), others, 0)
}

// sumTo sums g, of shape y, down to the shape of x, which was broadcast to y
// together with others. The last inner axes take no part in it.
func (c *call) sumTo(g, x string, y onnx.Shape, others []onnx.Shape, inner int) string {
	axes, known := stretched(outer(c.Shape(x), inner), outer(y, inner), others)
	switch {
	case !known:
		return c.sumToAsRun(g, x, inner)
	case len(axes) == 0:
		return g
	}
	lead := len(y) - len(c.Shape(x)) // axes that x does not have
	if len(axes) == lead {
		return c.ReduceSum(g, false, axes...)
	}
	g = c.ReduceSum(g, true, axes...)
	if lead > 0 {
		g = c.Squeeze(g, axes[:lead]...)
	}
	return g
}

// sumToAsRun is sumTo for sizes that only the run knows: it sums over the axes
// where x, filled up with leading ones, has size 1.
func (c *call) sumToAsRun(g, x string, inner int) string {
	sx, sg := c.ShapeOf(x), c.ShapeOf(g)
	if inner > 0 {
		sx, sg = c.SizesOf(x, 0, -int64(inner)), c.SizesOf(g, 0, -int64(inner))
	}
	lead := c.Sub(c.ShapeOf(sg), c.ShapeOf(sx))
	one := onnx.Longs("value", []int64{1}, []int64{1})
	ones := c.Op("ConstantOfShape", []string{lead}, onnx.TensorAttr("value", one))
	single := c.Equal(c.Concat(0, ones, sx), c.Ints(1))
	axes := c.ReshapeTo(c.Op("NonZero", []string{single}), -1)
	return c.Reshape(c.ReduceSumOver(g, axes), c.ShapeOf(x))
}

// stretched returns the axes of y along which x was broadcast: those that x
// lacks, and those where it has size 1 and y more. known is false when the
// sizes do not tell.
func stretched(x, y onnx.Shape, others []onnx.Shape) (axes []int64, known bool) {
	if x == nil || y == nil {
		return nil, allScalars(others)
	}
	lead := len(y) - len(x)
	for a, size := range y {
		if a < lead {
			axes = append(axes, int64(a))
			continue
		}
		switch d := x[a-lead]; {
		case d.Size == 1:
			if size.Size != 1 {
				axes = append(axes, int64(a))
			}
		case d.Known(), d.Same(size), alone(others, len(y)-a):
			// as large as y
		default:
			return nil, false
		}
	}
	return axes, true
}

// alone tells whether no other operand can stretch the axis that is the n-th
// from the end.
func alone(others []onnx.Shape, n int) bool {
	for _, o := range others {
		if o == nil || n <= len(o) && o[len(o)-n].Size != 1 {
			return false
		}
	}
	return true
}

// allScalars tells whether no other operand has axes at all.
func allScalars(others []onnx.Shape) bool {
	for _, o := range others {
		if o == nil || len(o) > 0 {
			return false
		}
	}
	return true
}

// outer returns a shape without its last inner axes.
func outer(s onnx.Shape, inner int) onnx.Shape {
	if s == nil || len(s) < inner {
		return nil
	}
	return s[:len(s)-inner]
}
