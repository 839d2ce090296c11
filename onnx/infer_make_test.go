package onnx

import "testing"

// TestMakeRules checks what attributes and sizes make.
func TestMakeRules(t *testing.T) {
	value := func(t *Tensor) []Attr { return []Attr{TensorAttr("value", t)} }
	dtype := func(d DType) Attr { return IntAttr("dtype", int64(d)) }
	checkRules(t, []ruleCase{
		{op: "ConstantOfShape", operands: "<B,S,1>", want: "float32[B,S,1]"},
		{op: "ConstantOfShape", operands: "{}", want: "float32[]"},
		{op: "ConstantOfShape", operands: "{2}", attrs: value(Longs("", []int64{1}, []int64{7})), want: "int64[2]"},
		{op: "ConstantOfShape", operands: "int64[2]", attrs: value(&Tensor{Type: Bool, Dims: []int64{1}, Data: []byte{1}}), want: "bool[?,?]"},
		{op: "ConstantOfShape", operands: "int64[N]", want: "float32[…]"},
		{op: "ConstantOfShape", operands: "int64[65]", want: "float32[…]"},
		{op: "ConstantOfShape", operands: "{2,-3}", want: "size -3 of axis 1 is negative"},
		{op: "ConstantOfShape", operands: "float32[2]", want: "operand 0 is float32, want [int64]"},

		{op: "Range", operands: "=0 =7 =2", want: "int64[4]"},
		{op: "Range", operands: "=7 =0 =-2", want: "int64[4]"},
		{op: "Range", operands: "=7 =0 =2", want: "int64[0]"},
		{op: "Range", operands: "=0 <S> =1", want: "int64[S]"},
		{op: "Range", operands: "<P> <P+S> =1", want: "int64[S]"},
		{op: "Range", operands: "=1 <S> =1", want: "int64[?]"},
		{op: "Range", operands: "=0 <S> =2", want: "int64[?]"},
		{op: "Range", operands: "=0 =9223372036854775807 =1", want: "int64[?]"},
		{op: "Range", operands: "float32[] float32[] float32[]", want: "float32[?]"},
		{op: "Range", operands: "=0 =7 =0", want: "step is 0"},
		{op: "Range", operands: "=0 float32[] =1", want: "operand types int64 and float32 differ"},

		{op: "EyeLike", operands: "float32[S,S]", want: "float32[S,S]"},
		{op: "EyeLike", operands: "float32[S,S]", attrs: []Attr{dtype(Bool)}, want: "bool[S,S]"},
		{op: "RandomUniformLike", operands: "float16[…]", want: "float16[…]"},
		{op: "RandomNormal", attrs: []Attr{IntsAttr("shape", 2, 3)}, want: "float32[2,3]"},
		{op: "RandomUniform", attrs: []Attr{IntsAttr("shape", 2), dtype(Float64)}, want: "float64[2]"},
		{op: "RandomNormal", attrs: []Attr{IntsAttr("shape", 2, -1)}, want: "attribute shape is [2 -1]"},
		{op: "Constant", attrs: []Attr{IntAttr("value", 3)}, want: "attribute value holds no tensor"},
		{op: "Constant", want: "no attribute holds the value"},
		{op: "Constant", operands: "float32[2]", attrs: []Attr{IntAttr("value_int", 3)}, want: "1 operands, but the operator takes at most 0"},
	})
}
