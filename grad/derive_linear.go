package grad

import "softprompt/onnx"

// Matrix products. MatMul, FusedMatMul and Gemm are all y = α·op(A)·op(B),
// where op may transpose, and so are their gradients: transposing is a flag of
// the product, never a node, so that a frozen weight is read as it lies.
//
//	        dA           dB
//	 A  B   α g  Bᵀ      α Aᵀ g
//	 A  Bᵀ  α g  B       α gᵀ A
//	 Aᵀ B   α B  gᵀ      α A  g
//	 Aᵀ Bᵀ  α Bᵀ gᵀ      α gᵀ Aᵀ

// product has what the gradients of a product are made of. Vectors stand here
// as the matrices that they take part as.
type product struct {
	a, b, g        string
	transA, transB bool
	alpha          float64
}

// product reads the node. An operand of unknown rank is taken for a matrix or
// more.
func (c *call) product() product {
	n := c.node
	p := product{
		a: n.Input(0), b: n.Input(1), g: c.g,
		transA: n.Int("transA", 0) != 0, transB: n.Int("transB", 0) != 0,
		alpha: float64(n.Float("alpha", 1)),
	}
	if n.Int("transBatchA", 0) != 0 || n.Int("transBatchB", 0) != 0 {
		c.fail("transBatchA and transBatchB are not covered")
	}
	rowA, columnB := len(c.Shape(p.a)) == 1, len(c.Shape(p.b)) == 1
	switch {
	case rowA && columnB:
		p.g = c.ReshapeTo(p.g, 1, 1)
	case rowA:
		p.g = c.Unsqueeze(p.g, -2)
	case columnB:
		p.g = c.Unsqueeze(p.g, -1)
	}
	if rowA {
		p.a, p.transA = c.Unsqueeze(p.a, 0), false
	}
	if columnB {
		p.b, p.transB = c.Unsqueeze(p.b, 1), false
	}
	return p
}

// productLeft is dA.
func productLeft(c *call) string {
	p := c.product()
	var d string
	if p.transA {
		d = c.FusedMatMul(p.b, p.g, p.transB, true, p.alpha)
	} else {
		d = c.FusedMatMul(p.g, p.b, false, !p.transB, p.alpha)
	}
	return c.operand(d, p.a, p.b, c.x)
}

// productRight is dB.
func productRight(c *call) string {
	p := c.product()
	if len(c.Shape(p.b)) == 2 && len(c.Shape(p.a)) != 2 && !p.transA {
		return c.operand(c.weight(p), p.b, "", c.in(1))
	}
	var d string
	if p.transB {
		d = c.FusedMatMul(p.g, p.a, true, p.transA, p.alpha)
	} else {
		d = c.FusedMatMul(p.a, p.g, !p.transA, false, p.alpha)
	}
	return c.operand(d, p.b, p.a, c.in(1))
}

// weight is dB of a matrix that meets a batch [..,M,K]: one product over all
// rows of the batch, which a sum over batched products would keep in memory
// one by one.
func (c *call) weight(p product) string {
	a, g := c.rows(p.a), c.rows(p.g)
	if p.transB {
		a, g = g, a
	}
	return c.Op("Gemm", []string{a, g}, onnx.IntAttr("transA", 1), onnx.FloatAttr("alpha", float32(p.alpha)))
}

// rows joins all axes but the last into one.
func (c *call) rows(x string) string {
	if s := c.Shape(x); len(s) > 0 && s[len(s)-1].Known() {
		return c.ReshapeTo(x, -1, s[len(s)-1].Size)
	}
	return c.Reshape(x, c.Concat(0, c.Ints(-1), c.sizeOf(x, -1)))
}

// operand brings the gradient d of the matrices m, which were broadcast with
// those of other, to the shape of the operand that they stand for.
func (c *call) operand(d, m, other, operand string) string {
	if other != "" {
		d = c.sumTo(d, m, c.Shape(d), []onnx.Shape{outer(c.Shape(other), 2)}, 2)
	}
	if m != operand {
		d = c.ReshapeTo(d, -1)
	}
	return d
}

// gemmBias is the gradient in C of αAB + βC.
func gemmBias(c *call) string {
	y := c.Shape(c.y)
	return c.sumTo(c.Scale(c.g, float64(c.node.Float("beta", 1))), c.in(2), y, []onnx.Shape{y}, 0)
}
