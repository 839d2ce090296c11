package onnx

import "testing"

// TestMatMulRules checks products: of matrices, of batches of them, of vectors,
// and with either side transposed.
func TestMatMulRules(t *testing.T) {
	flag := func(names ...string) (attrs []Attr) {
		for _, n := range names {
			attrs = append(attrs, IntAttr(n, 1))
		}
		return attrs
	}
	packed := []Attr{IntAttr("K", 8), IntAttr("N", 4)}
	checkRules(t, []ruleCase{
		{op: "MatMul", operands: "float32[B,S,8] float32[8,4]", want: "float32[B,S,4]"},
		{op: "MatMul", operands: "float32[B,H,S,8] float32[B,H,8,T]", want: "float32[B,H,S,T]"},
		{op: "MatMul", operands: "float32[B,1,S,8] float32[H,8,T]", want: "float32[B,H,S,T]"},
		{op: "MatMul", operands: "float32[B,S,8] float32[H,8,T]", want: "float32[?,S,T]"},
		{op: "MatMul", operands: "float32[B,S,D] float32[8,4]", want: "float32[B,S,4]"},
		{op: "MatMul", operands: "float32[8] float32[B,8,4]", want: "float32[B,4]"},
		{op: "MatMul", operands: "float32[B,S,8] float32[8]", want: "float32[B,S]"},
		{op: "MatMul", operands: "float32[D] float32[D]", want: "float32[]"},
		{op: "MatMul", operands: "float32[…] float32[8,4]", want: "float32[…]"},
		{op: "MatMul", operands: "float32[B,8] float32[]", want: "a scalar cannot be multiplied as a matrix"},
		{op: "MatMul", operands: "float32[B,7] float32[8,4]", want: "inner sizes 7 and 8 differ"},
		{op: "MatMul", operands: "float32[2,S,8] float32[3,8,4]", want: "shapes [[2] [3]] do not broadcast: sizes of axis -1 clash"},
		{op: "MatMul", operands: "float32[B,8] float64[8,4]", want: "operand types float32 and float64 differ"},

		{op: "ms.FusedMatMul", operands: "float32[B,H,S,8] float32[B,H,T,8]", attrs: flag("transB"), want: "float32[B,H,S,T]"},
		{op: "ms.FusedMatMul", operands: "float32[8,S] float32[8,T]", attrs: flag("transA"), want: "float32[S,T]"},
		{op: "ms.FusedMatMul", operands: "float32[8] float32[T,8]", attrs: flag("transA", "transB"), want: "float32[T]"},
		{op: "ms.FusedMatMul", operands: "float32[B,S,8] float32[B,8,T]", attrs: flag("transB"), want: "float32[B,S,8]"},
		{op: "ms.FusedMatMul", operands: "float32[2,3] float32[3,4]", attrs: flag("transB"), want: "inner sizes 3 and 4 differ"},
		{op: "ms.FusedMatMul", operands: "float32[S,B,8] float32[B,8,T]", attrs: flag("transBatchA"), want: "float32[…]"},
		{op: "ms.FusedMatMul", operands: "float32[…] float32[B,8,T]", attrs: flag("transBatchB"), want: "float32[…]"},
		{op: "ms.FusedMatMul", operands: "float32[2] int64[2]", want: "operand types float32 and int64 differ"},

		{op: "Gemm", operands: "float32[B,8] float32[8,4] float32[4]", want: "float32[B,4]"},
		{op: "Gemm", operands: "float32[8,B] float32[4,8] float32[B,1]", attrs: flag("transA", "transB"), want: "float32[B,4]"},
		{op: "Gemm", operands: "float32[…] float32[8,4]", want: "float32[?,?]"},
		{op: "Gemm", operands: "float32[B,8] float32[8,4] float32[…]", want: "float32[B,4]"},
		{op: "Gemm", operands: "float32[B,8] float32[8,4] float32[3]", want: "operand 2 of shape [3] does not broadcast to the product's [B,4]"},
		{op: "Gemm", operands: "float32[B,8] float32[8,4] float32[2,B,4]", want: "operand 2 of shape [2,B,4] does not broadcast to the product's [B,4]"},
		{op: "Gemm", operands: "float32[B,8] float32[B,8,4]", want: "operand 1 has rank 3, want 2"},
		{op: "Gemm", operands: "float32[B,8] float32[8,4] int64[4]", want: "operand types float32 and int64 differ"},

		{op: "MatMulInteger", operands: "uint8[B,S,8] int8[8,4]", want: "int32[B,S,4]"},
		{op: "MatMulInteger", operands: "uint8[B,S,8] int8[7,4]", want: "inner sizes 8 and 7 differ"},
		{op: "ms.MatMulIntegerToFloat", operands: "uint8[B,8] int8[8,4] float32[] float32[]", want: "float32[B,4]"},
		{op: "ms.DynamicQuantizeMatMul", operands: "float32[B,8] int8[8,4] float32[]", want: "float32[B,4]"},
		{op: "ms.MatMulNBits", operands: "float32[B,S,8] uint8[…] float32[…]", attrs: packed, want: "float32[B,S,4]"},
		{op: "ms.MatMulNBits", operands: "float32[…] uint8[…] float32[…]", attrs: packed, want: "float32[…]"},
		{op: "ms.MatMulNBits", operands: "float32[B,7] uint8[…] float32[…]", attrs: packed, want: "inner sizes 7 and K=8 differ"},
		{op: "ms.MatMulNBits", operands: "float32[] uint8[…] float32[…]", attrs: packed, want: "operand 0 has rank 0, want at least 1"},
		{op: "ms.MatMulBnb4", operands: "float32[B,4] uint8[…] float32[…]", attrs: append(packed, IntAttr("transB", 0)), want: "float32[B,8]"},
	})
}

// TestQuantiseRules checks the types on either side of quantisation.
func TestQuantiseRules(t *testing.T) {
	checkRules(t, []ruleCase{
		{op: "QuantizeLinear", operands: "float32[B,S] float32[]", want: "uint8[B,S]"},
		{op: "QuantizeLinear", operands: "float32[B,S] float32[] int8[]", want: "int8[B,S]"},
		{op: "QuantizeLinear", operands: "float32[B] float32[]", attrs: []Attr{IntAttr("output_dtype", int64(Int16))}, want: "int16[B]", opset: 21},
		{op: "QuantizeLinear", operands: "float32[B] float32[] [B]", want: "undefined[B]"},
		{op: "DequantizeLinear", operands: "int8[B,S] float32[] int8[]", want: "float32[B,S]"},
		{op: "DequantizeLinear", operands: "int8[B,S] float16[S]", want: "float16[B,S]"},
		{op: "DynamicQuantizeLinear", operands: "float32[B,S]", want: "uint8[B,S] float32[] uint8[]"},
	})
}

// TestEinsumRules checks how equations are followed.
func TestEinsumRules(t *testing.T) {
	by := func(equation string) []Attr { return []Attr{StringAttr("equation", equation)} }
	checkRules(t, []ruleCase{
		{op: "Einsum", operands: "float32[B,H,S,8] float32[B,H,T,8]", attrs: by("bhqd,bhkd->bhqk"), want: "float32[B,H,S,T]"},
		{op: "Einsum", operands: "float32[S,8] float32[8,T]", attrs: by(" i j , j k -> k i "), want: "float32[T,S]"},
		{op: "Einsum", operands: "float32[S,S]", attrs: by("ii->i"), want: "float32[S]"},
		{op: "Einsum", operands: "float32[S,T]", attrs: by("ij->"), want: "float32[]"},
		{op: "Einsum", operands: "float32[1,S] float32[B,S]", attrs: by("bs,bs->bs"), want: "float32[B,S]"},
		{op: "Einsum", operands: "float32[…] float32[8,T]", attrs: by("ij,jk->ijk"), want: "float32[?,8,T]"},
		{op: "Einsum", operands: "float32[S,T]", attrs: by("ij"), want: "float32[…]"},
		{op: "Einsum", operands: "float32[B,S,T]", attrs: by("...ij->...ji"), want: "float32[…]"},
		{op: "Einsum", operands: "float32[2,3] float32[4,5]", attrs: by("ij,jk->ik"), want: "sizes 3 and 4 of 'j' differ"},
		{op: "Einsum", operands: "float32[S,T]", attrs: by("ijk->i"), want: `term "ijk" of the equation has 3 axes, operand 0 has 2`},
		{op: "Einsum", operands: "float32[S]", attrs: by("i,j->ij"), want: `equation "i,j->ij" has 2 terms for 1 operands`},
		{op: "Einsum", operands: "float32[S] int64[S]", attrs: by("i,i->i"), want: "operand types float32 and int64 differ"},
	})
}
