package measure

import "cmp"

// Kind is what a kernel does, as far as its time is concerned.
type Kind string

// The kinds, in the order in which a budget lists them.
const (
	Float32Products Kind = "float32 products"
	Int8Products    Kind = "int8 products"
	HalfProducts    Kind = "half products" // float16 and bfloat16
	Quantising      Kind = "quantising"    // floats to integers and back
	Elementwise     Kind = "elementwise"
	Norms           Kind = "softmax, norms, sums" // whatever goes along an axis
	Copies          Kind = "copies"               // what moves or reads numbers and computes none
	Other           Kind = "other"
	// RuntimeOwn is the time of runs in which no kernel works.
	RuntimeOwn Kind = "between kernels"
	// GoOwn is the time of a step in which no session runs: drawing dropout,
	// padding rows, adding gradients up, the update.
	GoOwn Kind = "Go"
)

// kinds has all kinds in order.
var kinds = []Kind{Float32Products, Int8Products, HalfProducts, Quantising, Elementwise, Norms, Copies, Other, RuntimeOwn, GoOwn}

// products has the operators that multiply matrices. What numbers they multiply
// is seen by their first input.
var products = set("MatMul", "FusedMatMul", "Gemm", "MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul")

// productKinds says of what kind a product is by the type of its first input,
// where that is not float32.
var productKinds = map[string]Kind{
	"uint8": Int8Products, "int8": Int8Products,
	"float16": HalfProducts, "bfloat16": HalfProducts,
}

// operatorKinds has the operators of each kind but products.
var operatorKinds = map[Kind]map[string]bool{
	Quantising: set("QuantizeLinear", "DynamicQuantizeLinear", "DequantizeLinear"),
	Elementwise: set(
		"Abs", "Add", "And", "BiasGelu", "Ceil", "Clip", "Cos", "Div", "Equal", "Erf", "Exp", "FastGelu", "Floor", "Gelu", "Greater",
		"GreaterOrEqual", "IsInf", "IsNaN", "Less", "LessOrEqual", "Log", "Max", "Min", "Mod", "Mul", "Neg", "Not", "Or", "Pow",
		"QuickGelu", "Reciprocal", "Relu", "Round", "Sigmoid", "Sign", "Sin", "Softplus", "Sqrt", "Sub", "Sum", "Tanh", "Where",
	),
	Norms: set(
		"ArgMax", "ArgMin", "CumSum", "LayerNormalization", "LogSoftmax", "RMSNormalization", "ReduceL2", "ReduceLogSumExp",
		"ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare", "SimplifiedLayerNormalization",
		"SkipLayerNormalization", "SkipSimplifiedLayerNormalization", "Softmax",
	),
	Copies: set(
		"Cast", "Concat", "ConstantOfShape", "Expand", "Flatten", "Gather", "GatherElements", "GatherND", "Identity", "MemcpyFromHost",
		"MemcpyToHost", "Pad", "Range", "Reshape", "ScatterElements", "ScatterND", "Shape", "Size", "Slice", "Split", "Squeeze",
		"Tile", "Transpose", "Trilu", "Unsqueeze",
	),
}

func set(names ...string) map[string]bool {
	s := make(map[string]bool, len(names))
	for _, n := range names {
		s[n] = true
	}
	return s
}

// KindOf returns the kind of a kernel: an operator whose first input has a type,
// float where it is not known.
func KindOf(op, first string) Kind {
	if op == "DynamicQuantizeMatMul" { // takes floats and rounds them itself
		return Int8Products
	}
	if products[op] {
		return cmp.Or(productKinds[first], Float32Products)
	}
	for _, k := range kinds {
		if operatorKinds[k][op] {
			return k
		}
	}
	return Other
}

// kind is the kernel's.
func (k Kernel) kind() Kind {
	first := ""
	if len(k.Inputs) > 0 {
		first = k.Inputs[0].Type
	}
	return KindOf(k.Op, first)
}
