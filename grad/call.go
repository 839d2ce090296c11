package grad

import (
	"fmt"
	"slices"

	"softprompt/onnx"
	"softprompt/onnx/hint"
)

// maxRank bounds the axes that a model from outside can make formulas count.
const maxRank = 64

// derivative has the formula of each input of an operator, nil where there is
// none.
type derivative func(i int) formula

// formula makes the gradient in one input of a node, from those in its
// outputs, as nodes of the call's builder. It may return "" where the input
// has no influence on the outputs that matter.
type formula func(c *call) string

// inputs is the derivative of an operator with the given formulas, in order.
func inputs(f ...formula) derivative {
	return func(i int) formula {
		if i < len(f) {
			return f[i]
		}
		return nil
	}
}

// each is the derivative of an operator that treats all its inputs alike.
func each(f formula) derivative { return func(int) formula { return f } }

// unb sums what a formula makes over the axes along which the input was
// broadcast.
func unb(f formula) formula {
	return func(c *call) string { return c.unbroadcast(f(c)) }
}

// pass hands the gradient on as it is.
func pass(c *call) string { return c.g }

// without is for an input whose value does not matter, such as one that gives
// a type.
func without(*call) string { return "" }

// call is one use of a formula.
type call struct {
	*onnx.Builder
	walk *walk
	node *onnx.Node
	i    int // the input that the gradient is asked for

	x, y string // first input and output
	g    string // the gradient in y; "" when it is another output that matters
}

// in returns the name of an input, "" if it is left out.
func (c *call) in(i int) string { return c.node.Input(i) }

// out returns the name of an output, "" if it is left out.
func (c *call) out(i int) string { return c.node.Output(i) }

// gradient returns the gradient in an output, "" if the loss does not depend
// on it.
func (c *call) gradient(i int) string {
	if c.out(i) == "" {
		return ""
	}
	return c.walk.grads[c.out(i)]
}

// fail ends the derivation with an error.
func (c *call) fail(format string, args ...any) string {
	c.Fail(fmt.Errorf(format, args...))
	return ""
}

// rank returns the number of axes of a value that a formula cannot do
// without.
func (c *call) rank(x string) int {
	s := c.Shape(x)
	if s == nil && c.Err() == nil {
		c.Fail(hint.Wrap(fmt.Errorf("the rank of %s is not known", x),
			"give the graph's inputs shapes (sizes may be symbolic), or value_info for %s", x))
	}
	return len(s)
}

// axis returns the attribute "axis" as it is, or counted from the first when
// the rank of x is known.
func (c *call) axis(def int64) int64 {
	axis := c.node.Int("axis", def)
	if s := c.Shape(c.x); s != nil && axis < 0 {
		axis += int64(len(s))
	}
	return axis
}

// attr returns a float attribute.
func (c *call) attr(name string, def float64) float64 {
	if a := c.node.Attr(name); a != nil {
		return float64(a.F)
	}
	return def
}

// ints returns the elements of a constant integer vector or scalar.
func (c *call) ints(x string) ([]int64, bool) {
	if t := c.Constant(x); t != nil {
		if v, err := t.Int64s(); err == nil {
			return v, true
		}
	}
	return nil, false
}

// Float returns a constant scalar of the type of x, whether or not the type is
// known.
func (c *call) Float(v float64, x string) string { return float(c.Builder, v, x) }

// Scale returns x · v for a constant v.
func (c *call) Scale(x string, v float64) string {
	if v == 1 {
		return x
	}
	return c.Mul(x, c.Float(v, x))
}

// as returns x in the type of the value named like.
func (c *call) as(x, like string) string {
	if t := c.Type(like); t != onnx.Undefined {
		return c.Cast(x, t)
	}
	return c.Op("CastLike", []string{x, like})
}

// only keeps x where the condition holds, and is zero elsewhere.
func (c *call) only(cond, x string) string { return c.Where(cond, x, c.Float(0, x)) }

// float returns a constant scalar of the type of x.
func float(b *onnx.Builder, v float64, x string) string {
	if b.Type(x) == onnx.Undefined && b.Err() == nil {
		return b.Op("CastLike", []string{b.FloatOf(v, onnx.Float32), x})
	}
	return b.Float(v, x)
}

// full returns a tensor of the shape and type of x with all elements v.
func full(b *onnx.Builder, v float64, x string) string {
	t := b.Type(x)
	sizes, known := b.Shape(x).Sizes()
	switch {
	case known && len(sizes) == 0:
		return float(b, v, x)
	case t == onnx.Float32 || t == onnx.Float64:
		return b.Fill(shapeOf(b, x), v, t)
	}
	return b.Expand(float(b, v, x), shapeOf(b, x))
}

// zeros returns zeros in the shape and type of x.
func zeros(b *onnx.Builder, x string) string { return full(b, 0, x) }

// shapeOf returns the sizes of x as an int64 vector, a constant if they are
// known.
func shapeOf(b *onnx.Builder, x string) string {
	if sizes, ok := b.Shape(x).Sizes(); ok {
		return b.Ints(sizes...)
	}
	return b.ShapeOf(x)
}

// sizeOf returns the size of one axis of x, counted from either end, as an
// int64 vector of one element.
func (c *call) sizeOf(x string, axis int64) string {
	if s := c.Shape(x); s != nil {
		if axis < 0 {
			axis += int64(len(s))
		}
		if axis < int64(len(s)) && s[axis].Known() {
			return c.Ints(s[axis].Size)
		}
	}
	if axis == -1 {
		return c.SizesOf(x, axis, onnx.End)
	}
	return c.SizesOf(x, axis, axis+1)
}

// reshapeLike gives g, which has as many elements as x, the shape of x. Up to
// one size that has to be asked for at run time it is a constant reshape.
func (c *call) reshapeLike(g, x string) string {
	from, to := c.Shape(g), c.Shape(x)
	if to == nil {
		return c.reshapeAsRun(g, x)
	}
	if from.Same(to) {
		return g
	}
	sizes, asked := make([]int64, len(to)), 0
	for i, d := range to {
		switch {
		case d.Known() && d.Size > 0:
			sizes[i] = d.Size
		case i < len(from) && d.Same(from[i]):
			sizes[i] = 0 // the size that g has there
		default:
			sizes[i] = -1
			asked++
		}
	}
	if asked > 1 || slices.ContainsFunc(to, func(d onnx.Dim) bool { return d.Size == 0 }) {
		return c.reshapeAsRun(g, x)
	}
	return c.ReshapeTo(g, sizes...)
}

// reshapeAsRun is reshapeLike for sizes that only the run knows, any of which
// may be 0.
func (c *call) reshapeAsRun(g, x string) string {
	return c.Op("Reshape", []string{g, c.ShapeOf(x)}, onnx.IntAttr("allowzero", 1))
}
