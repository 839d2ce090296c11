package grad

import "math"

// Activations run over the largest tensors of a model and are bound by memory:
// each node below reads and writes all of it, so the formulas are arranged for
// few of them.

// gelu is the derivative of xΦ(x), where Φ is the normal distribution:
//
//	g(Φ(x) + xφ(x)) = g/2 · (1 + erf u + 2/√π·u·e^(−u²)),  u = x/√2
//
// The second input of BiasGelu is added to x first.
func gelu(c *call) string {
	if c.node.Str("approximate", "none") == "tanh" {
		return fastGelu(c)
	}
	u := c.Scale(c.biased(), 1/math.Sqrt2)
	bell := c.Scale(c.Mul(u, c.gauss(u)), 2/math.Sqrt(math.Pi))
	return c.Mul(c.Scale(c.g, 0.5), c.Add(c.Add(c.Erf(u), bell), c.Float(1, u)))
}

// fastGelu is the derivative of the tanh form of gelu,
//
//	y = x/2 · (1 + tanh z) = x·s,  z = k(x + ax³),  s = sigmoid(2z)
//	y' = s + x·s(1−s)·2z' = s·(1 + (x−y)·2z')
//
// so that one sigmoid is all that is computed again.
func fastGelu(c *call) string {
	const a = 0.044715
	k := math.Sqrt(2 / math.Pi)
	x := c.biased()
	xx := c.Mul(x, x)
	twice := c.Mul(x, c.Add(c.Scale(xx, 2*k*a), c.Float(2*k, x)))
	slope := c.Add(c.Scale(xx, 6*k*a), c.Float(2*k, x))
	d := c.Add(c.Mul(c.Sub(x, c.y), slope), c.Float(1, x))
	return c.Mul(c.Mul(c.g, c.Sigmoid(twice)), d)
}

// swish is the derivative of y = x·s, s = sigmoid(αx), with ONNX Runtime's
// QuickGelu among its names: g·s·(1 + α(x−y)).
func swish(alpha float64) formula {
	return func(c *call) string {
		alpha := c.attr("alpha", alpha)
		s := c.Sigmoid(c.Scale(c.x, alpha))
		d := c.Add(c.Scale(c.Sub(c.x, c.y), alpha), c.Float(1, c.x))
		return c.Mul(c.Mul(c.g, s), d)
	}
}

// mish is the derivative of y = x·t, t = tanh(softplus x):
// g·(t + x·sigmoid(x)·(1 − t²)).
func mish(c *call) string {
	t := c.Tanh(c.Op("Softplus", []string{c.x}))
	return c.Mul(c.g, c.Add(t, c.Mul(c.Mul(c.x, c.Sigmoid(c.x)), c.oneMinus(c.square(t)))))
}

// elu is the derivative of γx above 0 and of y = γα(eˣ − 1) below, which is
// y + γα.
func elu(alpha, gamma float64) formula {
	return func(c *call) string {
		alpha, gamma := c.attr("alpha", alpha), c.attr("gamma", gamma)
		below := c.Mul(c.g, c.Add(c.y, c.Float(gamma*alpha, c.y)))
		return c.Where(c.positive(), c.Scale(c.g, gamma), below)
	}
}

// celu is the derivative of x above 0 and of y = α(e^(x/α) − 1) below, which
// is y/α + 1.
func celu(c *call) string {
	below := c.Mul(c.g, c.onePlus(c.Scale(c.y, 1/c.attr("alpha", 1))))
	return c.Where(c.positive(), c.g, below)
}

// hardSwish is the derivative of 0 up to −3, of x from 3 on, and of
// x(x + 3)/6 between, which is x/3 + ½.
func hardSwish(c *call) string {
	middle := c.Mul(c.g, c.Add(c.Scale(c.x, 1.0/3), c.Float(0.5, c.x)))
	return c.Where(c.inside(c.x, -3, 3), middle, c.only(c.positive(), c.g))
}

// positive tells where x > 0.
func (c *call) positive() string { return c.Greater(c.x, c.Float(0, c.x)) }

// inside tells where v lies between two numbers.
func (c *call) inside(v string, low, high float64) string {
	return c.And(c.Greater(v, c.Float(low, v)), c.Less(v, c.Float(high, v)))
}

// biased returns the first input plus the second, if there is one.
func (c *call) biased() string {
	if bias := c.in(1); bias != "" {
		return c.Add(c.x, bias)
	}
	return c.x
}

// dropout scales what was kept as the forward node did: by 1/(1−ratio) when
// it trains, else not at all.
func dropout(c *call) string {
	ratio, training := c.in(1), c.in(2)
	if training == "" {
		return c.g
	}
	keep := c.Float(0.5, c.g)
	if ratio != "" {
		keep = c.oneMinus(c.as(ratio, c.g))
	}
	scale := c.Where(training, c.Reciprocal(keep), c.Float(1, c.g))
	return c.only(c.out(1), c.Mul(c.g, scale))
}
