package grad

import "softprompt/onnx"

// softmax is y(g − Σgy), arranged as gy − y·Σ(gy): the product is there
// already when the sum is known, and one pass over memory less. In an attention
// the sum is to be had without a pass over the probabilities at all.
func softmax(c *call) string {
	y := c.defined(c.y)
	if sum := c.attended(); sum != "" && y == c.y {
		return c.Mul(y, c.Sub(c.g, sum))
	}
	gy := c.Mul(c.g, y)
	return c.Sub(gy, c.Mul(y, c.ReduceSum(gy, true, c.node.Int("axis", -1))))
}

// defined returns y with zeros for what is not a number, if the graph chooses
// between y and something else: exporters write so to give a row of scores that
// are all masked, −∞, the probabilities 0. Its gradient must not be 0·NaN then.
func (c *call) defined(y string) string {
	same := map[string]bool{y: true}
	for _, n := range c.Model.Graph.Nodes {
		switch {
		case n.Op == "Where" && (same[n.Input(1)] || same[n.Input(2)]):
			return c.Where(c.Op("IsNaN", []string{y}), c.Float(0, y), y)
		case (n.Op == "Cast" || n.Op == "Identity") && same[n.Input(0)]:
			same[n.Output(0)] = true
		}
	}
	return y
}

// logSoftmax is g − e^y·Σg.
func logSoftmax(c *call) string {
	return c.Sub(c.g, c.Mul(c.Exp(c.y), c.ReduceSum(c.g, true, c.node.Int("axis", -1))))
}

// RMS norm, T5's layer norm: y = x·r·w, where r = (mean(x²) + ε)^(−½) is the
// node's second output. With t = g·w:
//
//	dx = r·t − x·r³·mean(t·x)
//	dw = Σ g·x·r
//
// What the loss makes of r itself arrives as the gradient s in it; since
// dr/dx = −r³·x/n, it joins the mean as s/n.

func rmsInput(c *call) string {
	x, r, s := c.x, c.as(c.out(1), c.x), c.gradient(1)
	cube := c.Mul(c.Mul(r, r), r)
	along := ""
	if s != "" {
		along = c.overCount(c.as(s, x), x, r)
	}
	if c.g == "" {
		return c.Neg(c.Mul(x, c.Mul(cube, along)))
	}
	t := c.Mul(c.as(c.g, x), c.as(c.in(1), x))
	along = c.sum(c.ReduceMean(c.Mul(t, x), true, c.normAxes()...), along)
	return c.Sub(c.Mul(t, r), c.Mul(x, c.Mul(cube, along)))
}

func rmsScale(c *call) string {
	if c.g == "" {
		return ""
	}
	x, w := c.x, c.in(1)
	return c.as(c.perFeature(c.Mul(c.Mul(c.as(c.g, x), x), c.as(c.out(1), x)), w), w)
}

// Layer norm: y = x̂·w + b, x̂ = (x − μ)·r, where μ and r = (var(x) + ε)^(−½) are
// the node's second and third output. With t = g·w, and the gradients m and s
// in μ and r:
//
//	dx = r·t − x̂·r·(mean(t·x̂) + r·s/n) − (r·mean(t) − m/n)
//	dw = Σ g·x̂
//	db = Σ g

func normInput(c *call) string {
	x, mean, r := c.x, c.as(c.out(1), c.x), c.as(c.out(2), c.x)
	m, s := c.gradient(1), c.gradient(2)
	var tr, along, shift string
	if c.g != "" {
		t := c.Mul(c.g, c.in(1))
		axes := c.normAxes()
		tr = c.Mul(t, r)
		along = c.ReduceMean(c.Mul(t, c.normed(mean, r)), true, axes...)
		shift = c.Mul(r, c.ReduceMean(t, true, axes...))
	}
	if s != "" {
		along = c.sum(along, c.Mul(r, c.overCount(c.as(s, x), x, r)))
	}
	if m != "" {
		shift = c.sum(shift, c.Neg(c.overCount(c.as(m, x), x, mean)))
	}
	less := shift
	if along != "" {
		less = c.sum(c.Mul(c.normed(mean, r), c.Mul(r, along)), shift)
	}
	if tr == "" {
		return c.Expand(c.Neg(less), shapeOf(c.Builder, x))
	}
	return c.Sub(tr, less)
}

func normScale(c *call) string {
	if c.g == "" {
		return ""
	}
	return c.perFeature(c.Mul(c.g, c.normed(c.as(c.out(1), c.x), c.as(c.out(2), c.x))), c.in(1))
}

func normBias(c *call) string {
	if c.g == "" {
		return ""
	}
	return c.perFeature(c.g, c.in(2))
}

// normed is x̂.
func (c *call) normed(mean, r string) string { return c.Mul(c.Sub(c.x, mean), r) }

// sum adds two gradients of which either may be "".
func (c *call) sum(a, b string) string {
	switch {
	case a == "":
		return b
	case b == "":
		return a
	}
	return c.Add(a, b)
}

// perFeature sums d, of the shape of the node's output, to that of a scale or
// a bias.
func (c *call) perFeature(d, w string) string {
	y := c.Shape(c.y)
	return c.sumTo(d, w, y, []onnx.Shape{y}, 0)
}

// normAxes returns the axes that a norm goes over: its axis and those after.
func (c *call) normAxes() []int64 {
	axis := c.node.Int("axis", -1)
	if axis < -maxRank {
		c.fail("there is no axis %d", axis)
		return nil
	}
	if axis < 0 {
		return span(axis, 0)
	}
	return span(axis, int64(c.rank(c.x)))
}

// lpNorm is for y = x/n, where n is the norm of x along an axis:
// (g − n'·Σgy)/n with n' = y for p = 2 and sign x for p = 1. Where n is 0, so
// is y, and the gradient here.
func lpNorm(c *call) string {
	axis := c.node.Int("axis", -1)
	op, slope := "ReduceL2", c.y
	if c.node.Int("p", 2) == 1 {
		op, slope = "ReduceL1", c.Sign(c.x)
	}
	n := c.Op(op, []string{c.x, c.Ints(axis)}, onnx.IntAttr("keepdims", 1))
	d := c.Div(c.Sub(c.g, c.Mul(slope, c.ReduceSum(c.Mul(c.g, c.y), true, axis))), n)
	return c.Where(c.Equal(n, c.Float(0, n)), c.Float(0, d), d)
}
