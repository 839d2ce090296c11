package onnx

import (
	"fmt"
	"slices"
)

// normOps are the normalisations, with the statistics that they hand on, and
// the losses.
var normOps = map[string]operator{
	"LayerNormalization":           {2, 3, inferNorm},
	"SimplifiedLayerNormalization": {2, 2, inferNorm},
	"RMSNormalization":             {2, 2, inferNorm},
	"InstanceNormalization":        {3, 3, inferSame},
	"GroupNormalization":           {3, 3, inferSame},

	"com.microsoft.SkipLayerNormalization":           {3, 5, inferSkipNorm},
	"com.microsoft.SkipSimplifiedLayerNormalization": {3, 4, inferSkipNorm},

	"SoftmaxCrossEntropyLoss":   {2, 3, inferCrossEntropy},
	"NegativeLogLikelihoodLoss": {2, 3, inferCrossEntropy},
}

// inferNorm makes the result and, of each slice that was normalised, what it
// took: LayerNormalization mean and 1/deviation, SimplifiedLayerNormalization
// 1/root mean square.
func inferNorm(c *call) error {
	x := c.shape(0)
	t := c.dtype(1) // half-precision results may come from float32 operands
	if t == Undefined {
		t = c.dtype(0)
	}
	stat := DType(c.Int("stash_type", int64(Float32)))
	if x == nil {
		c.set(0, t, nil)
		c.set(1, stat, nil)
		c.set(2, stat, nil)
		return nil
	}
	axis, err := c.axisAttr(-1, len(x))
	if err != nil {
		return err
	}
	for i := 1; i < len(c.in); i++ {
		if err := fitsTail(c.shape(i), x[axis:]); err != nil {
			return fmt.Errorf("operand %d of shape %v does not fit the normalised axes %v", i, c.shape(i), x[axis:])
		}
	}
	c.set(0, t, x)
	reduced := concat(x[:axis], slices.Repeat(Shape{Size(1)}, len(x)-axis))
	c.set(1, stat, reduced)
	c.set(2, stat, reduced)
	return nil
}

// fitsTail checks that s broadcasts to the axes without enlarging them.
func fitsTail(s, axes Shape) error {
	if s == nil {
		return nil
	}
	both, err := Broadcast(s, axes)
	if err == nil && !compatible(Value{Shape: both}, Value{Shape: axes}) {
		err = fmt.Errorf("shape %v is larger than %v", s, axes)
	}
	return err
}

// inferSkipNorm normalises the sum of two operands along the last axis, and
// makes mean, 1/deviation and the sum as well.
func inferSkipNorm(c *call) error {
	t, err := c.sameType(0, 1, 2)
	if err != nil {
		return err
	}
	x := c.shape(0)
	if x == nil {
		for i := range c.out {
			c.set(i, t, nil)
		}
		return nil
	}
	if err := c.wantRank(0, 2, 3); err != nil {
		return err
	}
	if err := fitsTail(c.shape(1), x); err != nil {
		return fmt.Errorf("the operand to add has shape %v, want %v", c.shape(1), x)
	}
	for i := 2; i < len(c.in); i++ {
		if err := fitsTail(c.shape(i), x[len(x)-1:]); err != nil {
			return fmt.Errorf("operand %d of shape %v does not fit the last axis of %v", i, c.shape(i), x)
		}
	}
	stat := concat(x[:len(x)-1], Shape{Size(1)})
	c.set(0, t, x)
	c.set(1, Float32, stat)
	c.set(2, Float32, stat)
	c.set(3, t, x)
	return nil
}

// inferCrossEntropy has scores [N,C,…], labels [N,…] and perhaps weights [C].
func inferCrossEntropy(c *call) error {
	if err := c.wantIndex(1); err != nil {
		return err
	}
	t, err := c.sameType(0, 2)
	if err != nil {
		return err
	}
	x, labels := c.shape(0), c.shape(1)
	if err := c.wantRank(0, 2, maxRank); err != nil {
		return err
	}
	if x != nil && labels != nil {
		want := concat(x[:1], x[2:])
		if !compatible(Value{Shape: labels}, Value{Shape: want}) {
			return fmt.Errorf("labels have shape %v, want %v for scores %v", labels, want, x)
		}
	}
	loss := Shape{}
	if c.Str("reduction", "mean") == "none" {
		loss = labels
	}
	c.set(0, t, loss)
	c.set(1, t, x)
	return nil
}
