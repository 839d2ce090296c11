package onnx

import "fmt"

// mathOps are the elementwise operators.
var mathOps = join(
	operatorsLike(operator{1, 1, inferSame},
		"Abs", "Neg", "Sign", "Sqrt", "Reciprocal", "Exp", "Log", "Floor", "Ceil", "Round", "Identity",
		"Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Acosh", "Atanh",
		"Erf", "Tanh", "Sigmoid", "Relu", "LeakyRelu", "Elu", "Selu", "Celu", "ThresholdedRelu",
		"HardSigmoid", "HardSwish", "Mish", "Softplus", "Softsign", "Gelu", "Swish", "Shrink", "BitwiseNot",
		"com.microsoft.Gelu", "com.microsoft.QuickGelu"),
	operatorsLike(operator{1, -1, inferBroadcast}, "Sum", "Min", "Max", "Mean"),
	operatorsLike(operator{2, 2, inferBroadcast}, "Add", "Sub", "Mul", "Div", "Mod", "PRelu",
		"BitwiseAnd", "BitwiseOr", "BitwiseXor", "com.microsoft.BiasGelu"),
	operatorsLike(operator{2, 2, inferCompare}, "Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"),
	operatorsLike(operator{2, 2, inferLogic}, "And", "Or", "Xor"),
	operatorsLike(operator{1, 1, inferTest}, "IsNaN", "IsInf"),
	map[string]operator{
		"Not":                    {1, 1, inferLogic},
		"Pow":                    {2, 2, inferPow},
		"Where":                  {3, 3, inferWhere},
		"Clip":                   {1, 3, inferClip},
		"Cast":                   {1, 1, inferCast},
		"CastLike":               {2, 2, inferTyped},
		"Dropout":                {1, 3, inferDropout},
		"com.microsoft.FastGelu": {1, 2, inferFastGelu},
	},
)

// operatorsLike gives several operators one rule.
func operatorsLike(op operator, names ...string) map[string]operator {
	out := map[string]operator{}
	for _, n := range names {
		out[n] = op
	}
	return out
}

// inferSame is for results like the first operand.
func inferSame(c *call) error {
	c.set(0, c.dtype(0), c.shape(0))
	return nil
}

func inferBroadcast(c *call) error {
	t, err := c.sameType()
	if err != nil {
		return err
	}
	return c.setBroadcast(t)
}

// setBroadcast makes the result of type t and of all operands' shape.
func (c *call) setBroadcast(t DType) error {
	shapes := make([]Shape, len(c.in))
	for i := range c.in {
		shapes[i] = c.in[i].Shape
	}
	s, err := Broadcast(shapes...)
	if err != nil {
		return err
	}
	c.set(0, t, s)
	return nil
}

func inferCompare(c *call) error {
	if _, err := c.sameType(); err != nil {
		return err
	}
	return c.setBroadcast(Bool)
}

func inferLogic(c *call) error {
	for i := range c.in {
		if err := c.wantType(i, Bool); err != nil {
			return err
		}
	}
	return c.setBroadcast(Bool)
}

func inferTest(c *call) error {
	c.set(0, Bool, c.shape(0))
	return nil
}

// inferPow has a base and an exponent that may differ in type.
func inferPow(c *call) error { return c.setBroadcast(c.dtype(0)) }

func inferWhere(c *call) error {
	if err := c.wantType(0, Bool); err != nil {
		return err
	}
	t, err := c.sameType(1, 2)
	if err != nil {
		return err
	}
	return c.setBroadcast(t)
}

func inferClip(c *call) error {
	t, err := c.sameType()
	if err != nil {
		return err
	}
	for i := 1; i < len(c.in); i++ {
		if c.has(i) && product(c.shape(i)).Known() && product(c.shape(i)).Size != 1 {
			return fmt.Errorf("bound %d has shape %v, want a scalar", i, c.shape(i))
		}
	}
	c.set(0, t, c.shape(0))
	return nil
}

func inferCast(c *call) error {
	to := DType(c.Int("to", 0))
	if to == Undefined {
		return fmt.Errorf("attribute to is missing: it says which type to cast to")
	}
	c.set(0, to, c.shape(0))
	return nil
}

// inferTyped is for results of the first operand's shape and the second's type.
func inferTyped(c *call) error {
	c.set(0, c.dtype(1), c.shape(0))
	return nil
}

// inferDropout also makes the mask.
func inferDropout(c *call) error {
	c.set(0, c.dtype(0), c.shape(0))
	c.set(1, Bool, c.shape(0))
	return nil
}

// inferFastGelu has an optional bias of the last axis.
func inferFastGelu(c *call) error {
	t, err := c.sameType()
	if err != nil {
		return err
	}
	x, bias := c.shape(0), c.shape(1)
	if len(x) > 0 && len(bias) == 1 {
		if _, ok := unify(x[len(x)-1], bias[0]); !ok {
			return fmt.Errorf("bias of size %v does not fit the last axis of %v", bias[0], x)
		}
	}
	c.set(0, t, x)
	return nil
}
