package onnx

import "testing"

var (
	axisIs  = func(n int64) Attr { return IntAttr("axis", n) }
	axesAre = func(n ...int64) Attr { return IntsAttr("axes", n...) }
	dropped = IntAttr("keepdims", 0)
	noop    = IntAttr("noop_with_empty_axes", 1)
)

// TestReduceRules checks both forms of axes, as attribute and as operand, and
// what is left to say when the operand is not known.
func TestReduceRules(t *testing.T) {
	with := func(a ...Attr) []Attr { return a }
	checkRules(t, []ruleCase{
		{op: "ReduceSum", operands: "float32[B,S,8] {1}", want: "float32[B,1,8]"},
		{op: "ReduceSum", operands: "float32[B,S,8] {-1,0}", attrs: with(dropped), want: "float32[S]"},
		{op: "ReduceSum", operands: "float32[B,S,8]", want: "float32[1,1,1]"},
		{op: "ReduceSum", operands: "float32[B,S,8]", attrs: with(dropped), want: "float32[]"},
		{op: "ReduceSum", operands: "float32[B,S,8] {}", want: "float32[1,1,1]"},
		{op: "ReduceSum", operands: "float32[B,S,8] {}", attrs: with(noop), want: "float32[B,S,8]"},
		{op: "ReduceSum", operands: "float32[B,S,8]", attrs: with(noop, dropped), want: "float32[B,S,8]"},
		{op: "ReduceSum", operands: "float32[B,S,8] {1}", attrs: with(noop), want: "float32[B,1,8]"},
		{op: "ReduceSum", operands: "float32[B,S,8] int64[0]", attrs: with(noop), want: "float32[B,S,8]"},
		{op: "ReduceSum", operands: "float32[B,S,8] int64[2]", want: "float32[?,?,?]"},
		{op: "ReduceSum", operands: "float32[B,S,8] int64[2]", attrs: with(dropped), want: "float32[?]"},
		{op: "ReduceSum", operands: "float32[B,S,8] int64[4]", attrs: with(dropped), want: "float32[…]"},
		{op: "ReduceSum", operands: "float32[B,S,8] int64[N]", attrs: with(dropped), want: "float32[…]"},
		{op: "ReduceSum", operands: "float32[B,S,8] int64[…]", want: "float32[?,?,?]"},
		{op: "ReduceSum", operands: "float32[…] {1}", want: "float32[…]"},
		{op: "ReduceSum", operands: "float32[] -", want: "float32[]"},
		{op: "ReduceSum", operands: "float32[B,S] {2}", want: "axis 2 is out of range for rank 2"},
		{op: "ReduceSum", operands: "float32[B,S] {0,-2}", want: "axis -2 is given twice"},
		{op: "ReduceSum", operands: "float32[B,S] float32[1]", want: "operand 1 is float32, want [int64 int32]"},
		{op: "ReduceSum", operands: "float32[B,S,8]", attrs: with(axesAre(1, 2)), want: "float32[B,1,1]", opset: 11},
		{op: "ReduceMean", operands: "float32[B,S,8]", attrs: with(axesAre(-1), dropped), want: "float32[B,S]", opset: 13},
		{op: "ReduceMean", operands: "float32[B,S,8] {-1}", want: "float32[B,S,1]", opset: 18},
		{op: "ReduceMax", operands: "float32[B,S,8]", attrs: with(axesAre(3)), want: "axis 3 is out of range for rank 3", opset: 13},
		{op: "ReduceMin", operands: "int64[B,S] {0}", want: "int64[1,S]"},
		{op: "ReduceL2", operands: "float32[B,S] {0}", attrs: with(dropped), want: "float32[S]", opset: 23},

		{op: "ArgMax", operands: "float32[B,S,V]", attrs: with(axisIs(-1), dropped), want: "int64[B,S]"},
		{op: "ArgMax", operands: "float32[B,S]", want: "int64[1,S]"},
		{op: "ArgMin", operands: "float32[…]", want: "int64[…]"},
		{op: "ArgMin", operands: "float32[B,S]", attrs: with(axisIs(2)), want: "axis 2 is out of range for rank 2"},
		{op: "CumSum", operands: "int64[B,S] =1", want: "int64[B,S]"},
		{op: "CumSum", operands: "int64[B,S] int64[]", want: "int64[B,S]"},
		{op: "CumSum", operands: "int64[B,S] =-3", want: "axis -3 is out of range for rank 2"},
		{op: "CumSum", operands: "int64[B,S] float32[]", want: "operand 1 is float32, want [int64 int32]"},
		{op: "TopK", operands: "float32[B,V] {5}", want: "float32[B,5] int64[B,5]"},
		{op: "TopK", operands: "float32[B,V] <K>", attrs: with(axisIs(0)), want: "float32[K,V] int64[K,V]"},
		{op: "TopK", operands: "float32[B,V] int64[1]", want: "float32[B,?] int64[B,?]"},
		{op: "TopK", operands: "float32[…] {5}", want: "float32[…] int64[…]"},
		{op: "TopK", operands: "float32[B,4] {5}", want: "k is 5, but axis 1 has 4 elements"},
		{op: "TopK", operands: "float32[B,4] {-1}", want: "k is -1"},
		{op: "TopK", operands: "float32[B,4] {1}", attrs: with(axisIs(2)), want: "axis 2 is out of range for rank 2"},
	})
}

// TestSoftmaxAxis checks the axis that counts when none is given: the last
// one since opset 13, the second before.
func TestSoftmaxAxis(t *testing.T) {
	checkRules(t, []ruleCase{
		{op: "Softmax", operands: "float32[B,H,S,T]", want: "float32[B,H,S,T]"},
		{op: "Softmax", operands: "float32[S]", want: "float32[S]", opset: 11},
		{op: "LogSoftmax", operands: "float32[…]", attrs: []Attr{axisIs(9)}, want: "float32[…]"},
		{op: "LogSoftmax", operands: "float32[B,S]", attrs: []Attr{axisIs(2)}, want: "axis 2 is out of range for rank 2", opset: 11},
		{op: "Softmax", operands: "float32[B,S]", attrs: []Attr{axisIs(-3)}, want: "axis -3 is out of range for rank 2", opset: 23},
		{op: "LpNormalization", operands: "float32[S]", want: "float32[S]", opset: 11},
	})
}

// TestNormRules checks the normalisations, the statistics that they hand on,
// and the losses.
func TestNormRules(t *testing.T) {
	none := StringAttr("reduction", "none")
	const skip = "ms.SkipSimplifiedLayerNormalization"
	checkRules(t, []ruleCase{
		{op: "LayerNormalization", operands: "float32[B,S,8] float32[8] float32[8]", want: "float32[B,S,8] float32[B,S,1] float32[B,S,1]"},
		{op: "LayerNormalization", operands: "float32[B,S,8] float32[S,8]", attrs: []Attr{axisIs(1)}, want: "float32[B,S,8] float32[B,1,1] float32[B,1,1]"},
		{op: "LayerNormalization", operands: "float16[…] float16[8]", want: "float16[…] float32[…] float32[…]"},
		{op: "LayerNormalization", operands: "float32[B,8] […]", want: "float32[B,8] float32[B,1]"},
		{op: "LayerNormalization", operands: "float32[B,8] float32[8]", attrs: []Attr{IntAttr("stash_type", int64(Float64))}, want: "float32[B,8] float64[B,1]"},
		{op: "LayerNormalization", operands: "float32[B,8] float32[8] float32[7]", want: "operand 2 of shape [7] does not fit the normalised axes [8]"},
		{op: "LayerNormalization", operands: "float32[B,8] float32[S,8]", want: "operand 1 of shape [S,8] does not fit the normalised axes [8]"},
		{op: "LayerNormalization", operands: "float32[B,8] float32[8]", attrs: []Attr{axisIs(2)}, want: "axis 2 is out of range for rank 2"},
		{op: "SimplifiedLayerNormalization", operands: "float16[B,S,8] float32[8]", want: "float32[B,S,8] float32[B,S,1]"},
		{op: "RMSNormalization", operands: "float32[B,S,8] float32[8]", want: "float32[B,S,8]", opset: 23},
		{op: "GroupNormalization", operands: "float32[B,4,S] float32[4] float32[4]", want: "float32[B,4,S]", opset: 21},
		{op: skip, operands: "float32[B,S,8] float32[B,S,8] float32[8]", want: "float32[B,S,8] float32[B,S,1] float32[B,S,1] float32[B,S,8]"},
		{op: skip, operands: "float32[B,S,8] float32[S,8] float32[8]", want: "float32[B,S,8]"},
		{op: skip, operands: "float32[…] float32[B,S,8] float32[8]", want: "float32[…] float32[…]"},
		{op: skip, operands: "float32[8] float32[8] float32[8]", want: "operand 0 has rank 1, want 2 to 3"},
		{op: skip, operands: "float32[B,S,8] float32[B,S,7] float32[8]", want: "the operand to add has shape [B,S,7], want [B,S,8]"},
		{op: skip, operands: "float32[B,S,8] float32[B,S,8] float32[7]", want: "operand 2 of shape [7] does not fit the last axis of [B,S,8]"},
		{op: skip, operands: "float32[B,S,8] float32[B,S,8] float16[8]", want: "operand types float32 and float16 differ"},

		{op: "SoftmaxCrossEntropyLoss", operands: "float32[N,V] int64[N]", want: "float32[] float32[N,V]"},
		{op: "SoftmaxCrossEntropyLoss", operands: "float32[B,V,S] int64[B,S] float32[V]", attrs: []Attr{none}, want: "float32[B,S] float32[B,V,S]"},
		{op: "SoftmaxCrossEntropyLoss", operands: "float32[…] int64[B,S]", want: "float32[]"},
		{op: "NegativeLogLikelihoodLoss", operands: "float32[4,V] int64[5]", want: "labels have shape [5], want [4] for scores [4,V]"},
		{op: "NegativeLogLikelihoodLoss", operands: "float32[V] int64[]", want: "operand 0 has rank 1, want at least 2"},
		{op: "NegativeLogLikelihoodLoss", operands: "float32[N,V] float32[N]", want: "operand 1 is float32, want [int64 int32]"},
		{op: "NegativeLogLikelihoodLoss", operands: "float32[N,V] int64[N] float64[V]", want: "operand types float32 and float64 differ"},
	})
}
