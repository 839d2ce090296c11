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

// firstEqual gives the gradient of an elementwise Max or Min to the operand
// that it was taken from; of equal ones, to the first.
func firstEqual(c *call) string {
	chosen := c.Equal(c.in(c.i), c.y)
	for j := range c.i {
		chosen = c.And(chosen, c.Not(c.Equal(c.in(j), c.y)))
	}
	return c.only(chosen, c.g)
}

// oneMinus is 1 − x.
func (c *call) oneMinus(x string) string { return c.Sub(c.Float(1, x), x) }

// gauss is e^(−x²).
func (c *call) gauss(x string) string { return c.Exp(c.Neg(c.Mul(x, x))) }
