package grad

// powBase is g·p·x^(p−1) for y = x^p. The exponents 1, 2 and 3 need no Pow.
func powBase(c *call) string {
	p, constant := c.number(c.in(1))
	switch {
	case constant && p == 1:
		return c.g
	case constant && p == 2:
		return c.Mul(c.Scale(c.g, 2), c.x)
	case constant && p == 3:
		return c.Mul(c.Scale(c.g, 3), c.Mul(c.x, c.x))
	case constant && p != 0:
		return c.Mul(c.Scale(c.g, p), c.Pow(c.x, c.Float(p-1, c.x)))
	}
	e := c.as(c.in(1), c.x)
	slope := c.Mul(e, c.Pow(c.x, c.Sub(e, c.Float(1, e))))
	return c.only(c.Not(c.Equal(e, c.Float(0, e))), c.Mul(c.g, slope)) // 0·0^(−1) is 0 here
}

// powExponent is g·y·ln x, and 0 at x = 0.
func powExponent(c *call) string {
	d := c.Mul(c.g, c.Mul(c.y, c.Log(c.x)))
	return c.as(c.only(c.Not(c.Equal(c.x, c.Float(0, c.x))), d), c.in(1))
}

// number returns the value of a constant with one element.
func (c *call) number(x string) (float64, bool) {
	t := c.Constant(x)
	if t == nil || t.Len() != 1 {
		return 0, false
	}
	if v, err := t.Float32s(); err == nil {
		return float64(v[0]), true
	}
	if v, err := t.Float64s(); err == nil {
		return v[0], true
	}
	if v, err := t.Int64s(); err == nil {
		return float64(v[0]), true
	}
	return 0, false
}

// extreme gives the gradient of an elementwise Max or Min to the operand that
// it was taken from; of equal ones, to the first. It compares operands with
// each other and not with the result, which rounds differently where a half
// type is computed through float32.
func extreme(c *call) string {
	chosen := ""
	for j, other := range c.node.Inputs {
		if j == c.i {
			continue
		}
		wins := c.beats(c.in(c.i), other, c.i < j)
		if chosen != "" {
			wins = c.And(chosen, wins)
		}
		chosen = wins
	}
	if chosen == "" {
		return c.g
	}
	return c.only(chosen, c.g)
}

// beats tells where a is what the node would choose of a and b.
func (c *call) beats(a, b string, orTies bool) string {
	if c.node.Op == "Min" {
		a, b = b, a
	}
	if orTies {
		return c.GreaterOrEqual(a, b)
	}
	return c.Greater(a, b)
}

// clip passes the gradient where x lies between the bounds or on one.
func clip(c *call) string {
	low, high, g := c.in(1), c.in(2), c.g
	if low != "" {
		g = c.only(c.GreaterOrEqual(c.x, low), g)
	}
	if high != "" {
		g = c.only(c.LessOrEqual(c.x, high), g)
	}
	return g
}

// clipLow is the gradient in the lower bound, which is the result where x is
// below it, unless the upper one is below both.
func clipLow(c *call) string {
	low, high := c.in(1), c.in(2)
	g := c.only(c.Less(c.x, low), c.g)
	if high != "" {
		g = c.only(c.LessOrEqual(low, high), g)
	}
	return g
}

// clipHigh is the gradient in the upper bound, which always holds.
func clipHigh(c *call) string {
	x := c.x
	if low := c.in(1); low != "" {
		x = c.Max(x, low)
	}
	return c.only(c.Greater(x, c.in(2)), c.g)
}

// square is x².
func (c *call) square(x string) string { return c.Mul(x, x) }

// onePlus is 1 + x.
func (c *call) onePlus(x string) string { return c.Add(x, c.Float(1, x)) }

// oneMinus is 1 − x.
func (c *call) oneMinus(x string) string { return c.Sub(c.Float(1, x), x) }

// gauss is e^(−x²).
func (c *call) gauss(x string) string { return c.Exp(c.Neg(c.Mul(x, x))) }
