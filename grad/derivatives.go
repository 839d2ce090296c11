package grad

import (
	"maps"
	"math"
	"slices"
)

// derivatives has what each operator does to a gradient. In the formulas g is
// the gradient in the output y, x the first input; unb sums over broadcast
// axes. What does not fit on a line is a function in the file of its family.
var derivatives = map[string]derivative{
	// Arithmetic. (derive_math.go)
	"Identity": inputs(pass),
	"Cast":     inputs(func(c *call) string { return c.as(c.g, c.x) }),
	"CastLike": inputs(func(c *call) string { return c.as(c.g, c.x) }, without),
	"Neg":      inputs(func(c *call) string { return c.Neg(c.g) }),
	"Add":      each(unb(pass)),
	"Sum":      each(unb(pass)),
	"Mean":     each(unb(func(c *call) string { return c.Scale(c.g, 1/float64(len(c.node.Inputs))) })),
	"Sub":      inputs(unb(pass), unb(func(c *call) string { return c.Neg(c.g) })),
	"Mul": inputs(
		unb(func(c *call) string { return c.Mul(c.g, c.in(1)) }),
		unb(func(c *call) string { return c.Mul(c.g, c.in(0)) })),
	"Div": inputs(
		unb(func(c *call) string { return c.Div(c.g, c.in(1)) }),
		unb(func(c *call) string { return c.Neg(c.Mul(c.Div(c.g, c.in(1)), c.y)) })),
	"Pow":        inputs(unb(powBase), unb(powExponent)),
	"Sqrt":       inputs(func(c *call) string { return c.Div(c.Scale(c.g, 0.5), c.y) }),
	"Reciprocal": inputs(func(c *call) string { return c.Neg(c.Mul(c.g, c.Mul(c.y, c.y))) }),
	"Exp":        inputs(func(c *call) string { return c.Mul(c.g, c.y) }),
	"Log":        inputs(func(c *call) string { return c.Div(c.g, c.x) }),
	"Mod":        inputs(unb(pass), unb(func(c *call) string { return c.Neg(c.Mul(c.g, c.Div(c.Sub(c.x, c.y), c.in(1)))) })),
	"Abs":        inputs(func(c *call) string { return c.Mul(c.g, c.Sign(c.x)) }),
	"Max":        each(unb(extreme)),
	"Min":        each(unb(extreme)),
	"Clip": inputs(
		clip,
		unb(clipLow), unb(clipHigh)),
	"Where": inputs(nil,
		unb(func(c *call) string { return c.only(c.x, c.g) }),
		unb(func(c *call) string { return c.Where(c.x, c.Float(0, c.g), c.g) })),

	// Angles and hyperbolas.
	"Sin":   inputs(func(c *call) string { return c.Mul(c.g, c.Cos(c.x)) }),
	"Cos":   inputs(func(c *call) string { return c.Neg(c.Mul(c.g, c.Sin(c.x))) }),
	"Tan":   inputs(func(c *call) string { return c.Mul(c.g, c.onePlus(c.square(c.y))) }),
	"Asin":  inputs(func(c *call) string { return c.Div(c.g, c.Sqrt(c.oneMinus(c.square(c.x)))) }),
	"Acos":  inputs(func(c *call) string { return c.Neg(c.Div(c.g, c.Sqrt(c.oneMinus(c.square(c.x))))) }),
	"Atan":  inputs(func(c *call) string { return c.Div(c.g, c.onePlus(c.square(c.x))) }),
	"Sinh":  inputs(func(c *call) string { return c.Mul(c.g, c.Op("Cosh", []string{c.x})) }),
	"Cosh":  inputs(func(c *call) string { return c.Mul(c.g, c.Op("Sinh", []string{c.x})) }),
	"Asinh": inputs(func(c *call) string { return c.Div(c.g, c.Sqrt(c.onePlus(c.square(c.x)))) }),
	"Acosh": inputs(func(c *call) string { return c.Div(c.g, c.Sqrt(c.Neg(c.oneMinus(c.square(c.x))))) }),
	"Atanh": inputs(func(c *call) string { return c.Div(c.g, c.oneMinus(c.square(c.x))) }),

	// Activations. (derive_activation.go)
	"Relu":                    inputs(func(c *call) string { return c.Mul(c.g, c.Sign(c.y)) }),
	"Tanh":                    inputs(func(c *call) string { return c.Sub(c.g, c.Mul(c.g, c.Mul(c.y, c.y))) }),
	"Sigmoid":                 inputs(func(c *call) string { return c.Mul(c.Mul(c.g, c.y), c.oneMinus(c.y)) }),
	"Erf":                     inputs(func(c *call) string { return c.Mul(c.Scale(c.g, 2/math.Sqrt(math.Pi)), c.gauss(c.x)) }),
	"Gelu":                    inputs(gelu),
	"com.microsoft.Gelu":      inputs(gelu),
	"com.microsoft.BiasGelu":  each(unb(gelu)),
	"com.microsoft.FastGelu":  each(unb(fastGelu)),
	"com.microsoft.QuickGelu": inputs(swish(1.702)),
	"Swish":                   inputs(swish(1)),
	"Mish":                    inputs(mish),
	"Softplus":                inputs(func(c *call) string { return c.Mul(c.g, c.Sigmoid(c.x)) }),
	"Softsign":                inputs(func(c *call) string { return c.Div(c.g, c.square(c.onePlus(c.Abs(c.x)))) }),
	"Elu":                     inputs(elu(1, 1)),
	"Selu":                    inputs(elu(1.67326319217681884765625, 1.05070102214813232421875)),
	"Celu":                    inputs(celu),
	"LeakyRelu":               inputs(func(c *call) string { return c.Where(c.positive(), c.g, c.Scale(c.g, c.attr("alpha", 0.01))) }),
	"PRelu": inputs(
		func(c *call) string { return c.Where(c.positive(), c.g, c.Mul(c.g, c.in(1))) },
		unb(func(c *call) string { return c.only(c.Not(c.positive()), c.Mul(c.g, c.x)) })),
	"ThresholdedRelu": inputs(func(c *call) string { return c.only(c.Greater(c.x, c.Float(c.attr("alpha", 1), c.x)), c.g) }),
	"Shrink":          inputs(func(c *call) string { return c.only(c.Greater(c.Abs(c.x), c.Float(c.attr("lambd", 0.5), c.x)), c.g) }),
	"HardSigmoid":     inputs(func(c *call) string { return c.only(c.inside(c.y, 0, 1), c.Scale(c.g, c.attr("alpha", 0.2))) }),
	"HardSwish":       inputs(hardSwish),
	"Dropout":         inputs(dropout),

	// Products. (derive_linear.go)
	"MatMul":                    inputs(productLeft, productRight),
	"com.microsoft.FusedMatMul": inputs(productLeft, productRight),
	"Gemm":                      inputs(productLeft, productRight, gemmBias),
	"Einsum":                    each(einsum),

	// Shapes. (derive_shape.go)
	"Reshape":                       inputs(func(c *call) string { return c.reshapeLike(c.g, c.x) }),
	"Flatten":                       inputs(func(c *call) string { return c.reshapeLike(c.g, c.x) }),
	"Squeeze":                       inputs(func(c *call) string { return c.reshapeLike(c.g, c.x) }),
	"Unsqueeze":                     inputs(func(c *call) string { return c.Op("Squeeze", []string{c.g, c.in(1)}) }),
	"Transpose":                     inputs(transpose),
	"Expand":                        inputs(expand),
	"Tile":                          inputs(tile),
	"Concat":                        each(concat),
	"Split":                         inputs(split),
	"Slice":                         inputs(slice),
	"Pad":                           inputs(pad, nil, padValue),
	"Compress":                      inputs(moved),
	"ReverseSequence":               inputs(func(c *call) string { return c.Op("ReverseSequence", []string{c.g, c.in(1)}, c.node.Attrs...) }),
	"DepthToSpace":                  inputs(depthToSpace),
	"SpaceToDepth":                  inputs(spaceToDepth),
	"RotaryEmbedding":               inputs(func(c *call) string { return c.rotateBack(c.in(1), c.Neg(c.in(2)), c.in(3)) }),
	"com.microsoft.RotaryEmbedding": inputs(func(c *call) string { return c.rotateBack(c.in(1), c.in(2), c.Neg(c.in(3))) }),
	"Trilu":                         inputs(func(c *call) string { return c.Op("Trilu", []string{c.g, c.in(1)}, c.node.Attrs...) }),

	// Reading and writing by index. (derive_index.go)
	"Gather":          inputs(gather),
	"GatherElements":  inputs(gatherElements),
	"GatherND":        inputs(gatherND),
	"ScatterElements": inputs(scattered, nil, updates),
	"ScatterND":       inputs(scattered, nil, updates),
	"TopK":            inputs(topK),

	// Sums and other reductions. (derive_reduce.go)
	"ReduceSum":       inputs(func(c *call) string { return c.Expand(c.unreduce(c.g), shapeOf(c.Builder, c.x)) }),
	"ReduceMean":      inputs(reduceMean),
	"ReduceMax":       inputs(reduceExtreme),
	"ReduceMin":       inputs(reduceExtreme),
	"ReduceL1":        inputs(func(c *call) string { return c.Mul(c.Sign(c.x), c.unreduce(c.g)) }),
	"ReduceL2":        inputs(reduceL2),
	"ReduceSumSquare": inputs(func(c *call) string { return c.Mul(c.x, c.unreduce(c.Scale(c.g, 2))) }),
	"ReduceLogSum":    inputs(func(c *call) string { return c.Expand(c.unreduce(c.Div(c.g, c.Exp(c.y))), shapeOf(c.Builder, c.x)) }),
	"ReduceLogSumExp": inputs(func(c *call) string { return c.Mul(c.Exp(c.Sub(c.x, c.unreduce(c.y))), c.unreduce(c.g)) }),
	"ReduceProd":      inputs(reduceProd),
	"CumSum":          inputs(cumSum),

	// Normalisations. (derive_norm.go)
	"Softmax":                      inputs(softmax),
	"LogSoftmax":                   inputs(logSoftmax),
	"SimplifiedLayerNormalization": inputs(rmsInput, rmsScale),
	"LayerNormalization":           inputs(normInput, normScale, normBias),
	"LpNormalization":              inputs(lpNorm),

	// Losses. (derive_loss.go)
	"SoftmaxCrossEntropyLoss":   inputs(crossEntropy),
	"NegativeLogLikelihoodLoss": inputs(negativeLogLikelihood),
}

// stops has the operators that end a gradient without a word, because their
// results are no numbers with a slope: sizes, truths, positions and steps.
var stops = set("Shape", "Size", "Constant", "ConstantOfShape", "EyeLike", "NonZero",
	"Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Not", "And", "Or", "Xor", "IsNaN", "IsInf",
	"ArgMax", "ArgMin", "Hardmax", "Floor", "Ceil", "Round", "Sign",
	"RandomNormalLike", "RandomUniformLike", "Bernoulli", "Multinomial")

// rounds has the operators of quantised models that round what a gradient
// would have to go through.
var rounds = set("QuantizeLinear", "DynamicQuantizeLinear", "QLinearMatMul", "QLinearConv",
	"com.microsoft.QuantizeLinear", "com.microsoft.DynamicQuantizeMatMul", "com.microsoft.MatMulIntegerToFloat", "com.microsoft.QAttention",
	"com.microsoft.QLinearAdd", "com.microsoft.QLinearMul", "com.microsoft.QGemm")

// Operators returns the operators that [Reverse] can go through, contrib ones
// after their domain, in order.
func Operators() []string {
	all := slices.Concat(slices.Collect(maps.Keys(derivatives)), slices.Collect(maps.Keys(decompositions)))
	slices.Sort(all)
	return slices.Compact(all)
}

func set(keys ...string) map[string]bool {
	s := map[string]bool{}
	for _, k := range keys {
		s[k] = true
	}
	return s
}
