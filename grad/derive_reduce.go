package grad

import "softprompt/onnx"

// Reductions: the gradient of a sum goes to each of its terms.

// unreduce gives v, of the shape of the node's output, back the axes that were
// reduced away, so that it broadcasts against x.
func (c *call) unreduce(v string) string {
	if c.node.Int("keepdims", 1) != 0 || c.in(1) == "" {
		return v // without axes it is a scalar, or nothing was reduced
	}
	return c.Op("Unsqueeze", []string{v, c.in(1)})
}

func reduceMean(c *call) string {
	return c.Expand(c.unreduce(c.overCount(c.g, c.x, c.y)), shapeOf(c.Builder, c.x))
}

// overCount divides v by the number of elements of x for each one of y.
func (c *call) overCount(v, x, y string) string {
	if n := count(c.Shape(x)).Over(count(c.Shape(y))); n.Known() && n.Size > 0 {
		return c.Scale(v, 1/float64(n.Size))
	}
	size := func(t string) string { return c.as(c.Op("Size", []string{t}), v) }
	return c.Mul(v, c.Div(size(y), size(x)))
}

// count returns the number of elements of a shape.
func count(s onnx.Shape) onnx.Dim {
	if s == nil {
		return onnx.Unknown
	}
	n := onnx.Size(1)
	for _, d := range s {
		n = n.Times(d)
	}
	return n
}

// reduceExtreme gives the gradient of a ReduceMax or ReduceMin to the elements
// that have the value, in equal parts.
func reduceExtreme(c *call) string {
	chosen := c.as(c.Equal(c.x, c.unreduce(c.y)), c.x)
	ties := c.Op("ReduceSum", []string{chosen, c.in(1)}, onnx.IntAttr("keepdims", 1),
		onnx.IntAttr("noop_with_empty_axes", c.node.Int("noop_with_empty_axes", 0)))
	return c.Mul(chosen, c.Div(c.unreduce(c.g), ties))
}

// reduceL2 is g·x/y, and 0 where the norm is.
func reduceL2(c *call) string {
	nonzero := c.Not(c.Equal(c.y, c.Float(0, c.y)))
	return c.Mul(c.x, c.unreduce(c.only(nonzero, c.Div(c.g, c.y))))
}

// reduceProd is g times the product of the other elements: of those that are
// not 0 if there is no other 0 among them, else 0.
func reduceProd(c *call) string {
	zero := c.Equal(c.x, c.Float(0, c.x))
	rest := c.Where(zero, c.Float(1, c.x), c.x)
	over := func(op, v string) string {
		return c.Op(op, []string{v, c.in(1)}, onnx.IntAttr("keepdims", 1),
			onnx.IntAttr("noop_with_empty_axes", c.node.Int("noop_with_empty_axes", 0)))
	}
	one := c.as(zero, c.x)
	others := c.Sub(over("ReduceSum", one), one)
	d := c.only(c.Equal(others, c.Float(0, c.x)), c.Div(over("ReduceProd", rest), rest))
	return c.Mul(d, c.unreduce(c.g))
}

// cumSum sums from the other end.
func cumSum(c *call) string {
	return c.Op("CumSum", []string{c.g, c.in(1)},
		onnx.IntAttr("exclusive", c.node.Int("exclusive", 0)),
		onnx.IntAttr("reverse", 1-c.node.Int("reverse", 0)))
}
