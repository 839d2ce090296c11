package onnx

import "testing"

// TestMathRules checks the elementwise operators: the shapes that their
// operands broadcast to, and the types that they have and want.
func TestMathRules(t *testing.T) {
	to := func(d DType) []Attr { return []Attr{IntAttr("to", int64(d))} }
	checkRules(t, []ruleCase{
		{op: "Relu", operands: "float32[B,S,8]", want: "float32[B,S,8]"},
		{op: "Relu", operands: "bfloat16[…]", want: "bfloat16[…]"},
		{op: "Relu", want: "operand 0 is missing; the operator takes at least 1"},
		{op: "Relu", operands: "float32[B] float32[B]", want: "2 operands, but the operator takes at most 1"},
		{op: "ms.QuickGelu", operands: "float16[B,8]", want: "float16[B,8]"},

		{op: "Add", operands: "float32[B,S,8] float32[8]", want: "float32[B,S,8]"},
		{op: "Add", operands: "float32[8] float32[B,S,8]", want: "float32[B,S,8]"},
		{op: "Add", operands: "float32[B,1,8] float32[S,1]", want: "float32[B,S,8]"},
		{op: "Add", operands: "float32[B] float32[S]", want: "float32[?]"},
		{op: "Add", operands: "float32[B] float32[B]", want: "float32[B]"},
		{op: "Add", operands: "float32[B] float32[7]", want: "float32[7]"},
		{op: "Add", operands: "float32[B] float32[0]", want: "float32[0]"},
		{op: "Add", operands: "float32[?] float32[?]", want: "float32[?]"},
		{op: "Add", operands: "float32[?] float32[1]", want: "float32[?]"},
		{op: "Add", operands: "float32[B,8] float32[…]", want: "float32[…]"},
		{op: "Add", operands: "[B,8] float32[8]", want: "float32[B,8]"},
		{op: "Add", operands: "[B,8] [8]", want: "undefined[B,8]"},
		{op: "Add", operands: "float32[B,8] float32[B,7]", want: "shapes [[B,8] [B,7]] do not broadcast: sizes of axis -1 clash"},
		{op: "Add", operands: "float32[0] float32[2]", want: "shapes [[0] [2]] do not broadcast: sizes of axis -1 clash"},
		{op: "Add", operands: "float32[B] float64[B]", want: "operand types float32 and float64 differ"},
		{op: "Add", operands: "float32[B] -", want: "operand 1 is missing; the operator takes at least 2"},
		{op: "Mod", operands: "int64[B,S] int64[]", want: "int64[B,S]"},
		{op: "PRelu", operands: "float32[B,S,8] float32[8]", want: "float32[B,S,8]"},
		{op: "ms.BiasGelu", operands: "float32[B,S,8] float32[8]", want: "float32[B,S,8]"},

		{op: "Sum", operands: "float32[B,1,1] float32[S,1] float32[8]", want: "float32[B,S,8]"},
		{op: "Max", operands: "float32[B]", want: "float32[B]"},
		{op: "Min", operands: "int64[B] int64[B] float32[B]", want: "operand types int64 and float32 differ"},
		{op: "Mean", want: "operand 0 is missing; the operator takes at least 1"},

		{op: "Equal", operands: "int64[B,S] int64[]", want: "bool[B,S]"},
		{op: "Less", operands: "float32[S,1] float32[T]", want: "bool[S,T]"},
		{op: "LessOrEqual", operands: "float32[S] int64[S]", want: "operand types float32 and int64 differ"},
		{op: "Greater", operands: "float32[2] float32[3]", want: "shapes [[2] [3]] do not broadcast: sizes of axis -1 clash"},
		{op: "GreaterOrEqual", operands: "[…] [B]", want: "bool[…]"},
		{op: "And", operands: "bool[B,1,S] bool[S,1]", want: "bool[B,S,S]"},
		{op: "Or", operands: "bool[B] float32[B]", want: "operand 1 is float32, want [bool]"},
		{op: "Xor", operands: "[B] bool[1]", want: "bool[B]"},
		{op: "Not", operands: "bool[B,S]", want: "bool[B,S]"},
		{op: "Not", operands: "int64[B,S]", want: "operand 0 is int64, want [bool]"},
		{op: "IsNaN", operands: "float32[B,S]", want: "bool[B,S]"},

		{op: "Pow", operands: "float32[B,S] int64[]", want: "float32[B,S]"},
		{op: "Pow", operands: "float32[2] float32[3]", want: "shapes [[2] [3]] do not broadcast: sizes of axis -1 clash"},
		{op: "Where", operands: "bool[B,1,S] float32[] float32[H,1,1]", want: "float32[?,1,S]"},
		{op: "Where", operands: "bool[S] [S] int64[S]", want: "int64[S]"},
		{op: "Where", operands: "int64[S] float32[S] float32[S]", want: "operand 0 is int64, want [bool]"},
		{op: "Where", operands: "bool[S] float32[S] int64[S]", want: "operand types float32 and int64 differ"},

		{op: "Clip", operands: "float32[B,S] - float32[]", want: "float32[B,S]"},
		{op: "Clip", operands: "float32[B,S] float32[1]", want: "float32[B,S]"},
		{op: "Clip", operands: "float32[B,S] float32[N]", want: "float32[B,S]"},
		{op: "Clip", operands: "float32[B,S] float32[] float32[2]", want: "bound 2 has shape [2], want a scalar"},
		{op: "Clip", operands: "float32[B,S] int64[]", want: "operand types float32 and int64 differ"},
		{op: "Cast", operands: "float32[B,S]", attrs: to(Int64), want: "int64[B,S]"},
		{op: "Cast", operands: "[…]", attrs: to(Float16), want: "float16[…]"},
		{op: "Cast", operands: "float32[B]", want: "attribute to is missing: it says which type to cast to"},
		{op: "CastLike", operands: "int64[B,S] float32[T]", want: "float32[B,S]"},
		{op: "Dropout", operands: "float32[B,S] float32[] bool[]", want: "float32[B,S] bool[B,S]"},
		{op: "ms.FastGelu", operands: "float32[B,S,8] float32[8]", want: "float32[B,S,8]"},
		{op: "ms.FastGelu", operands: "float32[B,S,D] float32[8]", want: "float32[B,S,D]"},
		{op: "ms.FastGelu", operands: "float32[B,S,8] float32[7]", want: "bias of size 7 does not fit the last axis of [B,S,8]"},
		{op: "ms.FastGelu", operands: "float32[8] float64[8]", want: "operand types float32 and float64 differ"},
	})
}
