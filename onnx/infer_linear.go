package onnx

import (
	"fmt"
	"strings"
)

// linearOps are the products and what goes with quantised ones.
var linearOps = map[string]operator{
	"MatMul":                    {2, 2, inferMatMul},
	"com.microsoft.FusedMatMul": {2, 2, inferMatMul},
	"Gemm":                      {2, 3, inferGemm},
	"Einsum":                    {1, -1, inferEinsum},

	"MatMulInteger":                       {2, 4, inferMatMulInteger},
	"com.microsoft.DynamicQuantizeMatMul": {3, 5, inferDynamicMatMul},
	"com.microsoft.MatMulIntegerToFloat":  {4, 7, inferMatMulToFloat},
	"com.microsoft.MatMulNBits":           {3, 6, inferMatMulNBits},
	"com.microsoft.MatMulBnb4":            {3, 3, inferMatMulNBits},
	"QuantizeLinear":                      {2, 3, inferQuantize},
	"DequantizeLinear":                    {2, 3, inferTyped},
	"DynamicQuantizeLinear":               {1, 1, inferDynamicQuantize},
}

// matMul returns the shape of x·y, with the last two axes of either swapped
// first if its flag is set. A vector is a row on the left and a column on the
// right, and that axis is left out of the result.
func matMul(x, y Shape, swapX, swapY bool) (Shape, error) {
	if x == nil || y == nil {
		return nil, nil
	}
	if len(x) == 0 || len(y) == 0 {
		return nil, fmt.Errorf("a scalar cannot be multiplied as a matrix")
	}
	a, b := x, y
	if len(x) == 1 {
		a, swapX = Shape{Size(1), x[0]}, false
	}
	if len(y) == 1 {
		b, swapY = Shape{y[0], Size(1)}, false
	}
	m, k := ends(a, swapX)
	k2, n := ends(b, swapY)
	if _, ok := unify(k, k2); !ok {
		return nil, fmt.Errorf("inner sizes %v and %v differ", k, k2)
	}
	out, err := Broadcast(a[:len(a)-2], b[:len(b)-2])
	if err != nil {
		return nil, err
	}
	if len(x) > 1 {
		out = append(out, m)
	}
	if len(y) > 1 {
		out = append(out, n)
	}
	return out, nil
}

// ends returns the sizes of the last two axes.
func ends(s Shape, swap bool) (rows, columns Dim) {
	rows, columns = s[len(s)-2], s[len(s)-1]
	if swap {
		return columns, rows
	}
	return rows, columns
}

func inferMatMul(c *call) error {
	t, err := c.sameType()
	if err != nil {
		return err
	}
	return c.setMatMul(t)
}

// setMatMul makes the result the product of operands 0 and 1, of type t. Only
// FusedMatMul has the flags.
func (c *call) setMatMul(t DType) error {
	if c.Int("transBatchA", 0) != 0 || c.Int("transBatchB", 0) != 0 {
		c.set(0, t, nil)
		return nil
	}
	s, err := matMul(c.shape(0), c.shape(1), c.Int("transA", 0) != 0, c.Int("transB", 0) != 0)
	c.set(0, t, s)
	return err
}

// The products of quantised operands, and what type they have.
func inferMatMulInteger(c *call) error { return c.setMatMul(Int32) }
func inferDynamicMatMul(c *call) error { return c.setMatMul(c.dtype(0)) }
func inferMatMulToFloat(c *call) error { return c.setMatMul(c.dtype(2)) }

func inferGemm(c *call) error {
	t, err := c.sameType()
	if err != nil {
		return err
	}
	for i := range 2 {
		if err := c.wantRank(i, 2, 2); err != nil {
			return err
		}
	}
	s, err := matMul(c.shape(0), c.shape(1), c.Int("transA", 0) != 0, c.Int("transB", 0) != 0)
	if err != nil {
		return err
	}
	if bias := c.shape(2); s != nil && bias != nil {
		if sum, err := Broadcast(s, bias); err != nil || !compatible(Value{Shape: s}, Value{Shape: sum}) {
			return fmt.Errorf("operand 2 of shape %v does not broadcast to the product's %v", bias, s)
		}
	}
	if s == nil {
		s = unknowns(2)
	}
	c.set(0, t, s)
	return nil
}

// inferMatMulNBits has a packed weight, whose sizes K and N are attributes.
func inferMatMulNBits(c *call) error {
	x := c.shape(0)
	if err := c.wantRank(0, 1, maxRank); err != nil {
		return err
	}
	if x == nil {
		c.set(0, c.dtype(0), nil)
		return nil
	}
	k, n := Size(max(c.Int("K", 0), 0)), Size(max(c.Int("N", 0), 0))
	inner := x[len(x)-1]
	if c.Int("transB", 1) == 0 {
		k, n = n, k
	}
	if _, ok := unify(inner, k); !ok {
		return fmt.Errorf("inner sizes %v and K=%v differ", inner, k)
	}
	c.set(0, c.dtype(0), concat(x[:len(x)-1], Shape{n}))
	return nil
}

func inferQuantize(c *call) error {
	t := c.dtype(2)
	if t == Undefined && !c.has(2) {
		if t = DType(c.Int("output_dtype", 0)); t == Undefined {
			t = Uint8
		}
	}
	c.set(0, t, c.shape(0))
	return nil
}

func inferDynamicQuantize(c *call) error {
	c.set(0, Uint8, c.shape(0))
	c.set(1, Float32, Shape{})
	c.set(2, Uint8, Shape{})
	return nil
}

// inferEinsum follows equations without an ellipsis.
func inferEinsum(c *call) error {
	t, err := c.sameType()
	if err != nil {
		return err
	}
	equation := strings.ReplaceAll(c.Str("equation", ""), " ", "")
	left, right, explicit := strings.Cut(equation, "->")
	terms := strings.Split(left, ",")
	if len(terms) != len(c.in) {
		return fmt.Errorf("equation %q has %d terms for %d operands", equation, len(terms), len(c.in))
	}
	if strings.Contains(equation, "...") || !explicit {
		c.set(0, t, nil)
		return nil
	}
	sizes := map[rune]Dim{}
	for i, term := range terms {
		s := c.shape(i)
		if s == nil {
			continue
		}
		if len(s) != len(term) {
			return fmt.Errorf("term %q of the equation has %d axes, operand %d has %d", term, len(term), i, len(s))
		}
		for j, label := range term {
			d, seen := sizes[label]
			if !seen {
				d = Unknown
			}
			// Size 1 broadcasts here too.
			both, ok := broadcastDim(d, s[j])
			if !ok {
				return fmt.Errorf("sizes %v and %v of %q differ", d, s[j], label)
			}
			if !seen {
				both = s[j]
			}
			sizes[label] = both
		}
	}
	out := Shape{}
	for _, label := range right {
		d, ok := sizes[label]
		if !ok {
			d = Unknown
		}
		out = append(out, d)
	}
	c.set(0, t, out)
	return nil
}
