package onnx

import "testing"

// TestMultiHeadRules checks ONNX Runtime's attention: keys and values with
// their heads joined, split, or packed behind the query.
func TestMultiHeadRules(t *testing.T) {
	heads := []Attr{IntAttr("num_heads", 2)}
	const op = "ms.MultiHeadAttention"
	checkRules(t, []ruleCase{
		{op: op, operands: "float32[B,S,8] float32[B,T,8] float32[B,T,6]", attrs: heads, want: "float32[B,S,6] float32[?,?,?,?]"},
		{op: op, operands: "float32[B,S,8] float32[B,2,T,4] float32[B,2,T,3]", attrs: heads, want: "float32[B,S,6]"},
		{op: op, operands: "float32[B,S,2,3,D]", attrs: heads, want: "float32[B,S,2*D]"},
		{op: op, operands: "float32[B,S,8]", attrs: heads, want: "float32[B,S,?]"},
		{op: op, operands: "float32[…] float32[B,T,8] float32[B,T,8]", attrs: heads, want: "float32[?,?,?]"},
		{op: op, operands: "float32[B,S,8]", want: "attribute num_heads is 0"},
		{op: op, operands: "float32[B,8]", attrs: heads, want: "operand 0 has rank 2, want 3 to 5"},
		{op: op, operands: "float32[2,S,8] float32[3,T,8] float32[3,T,8]", attrs: heads, want: "batch sizes 2 and 3 differ"},
		{op: op, operands: "float32[B,S,8] float16[B,T,8]", attrs: heads, want: "operand types float32 and float16 differ"},
	})
}

// TestPackedAttentionRules checks the operator that also projects.
func TestPackedAttentionRules(t *testing.T) {
	const op = "ms.Attention"
	sizes := func(n ...int64) []Attr { return []Attr{IntsAttr("qkv_hidden_sizes", n...)} }
	checkRules(t, []ruleCase{
		{op: op, operands: "float32[B,S,8] float32[8,24] float32[24]", want: "float32[B,S,8] float32[?,?,?,?,?]"},
		{op: op, operands: "float32[B,S,8] float32[8,20] float32[20]", attrs: sizes(8, 8, 4), want: "float32[B,S,4]"},
		{op: op, operands: "float32[B,S,8] float32[8,20] float32[20]", want: "float32[B,S,?]"},
		{op: op, operands: "float32[B,S,8] float32[8,24] float32[24]", attrs: sizes(8, 8), want: "float32[B,S,8]"},
		{op: op, operands: "float32[…] float32[8,24] float32[24]", want: "float32[?,?,?]"},
		{op: op, operands: "float32[B,S] float32[8,24]", want: "operand 0 has rank 2, want 3"},
		{op: op, operands: "float32[B,S,8] float32[24]", want: "operand 1 has rank 1, want 2"},
		{op: op, operands: "float32[B,S,8] float32[7,24]", want: "inner sizes 8 and 7 differ"},
		{op: op, operands: "float32[B,S,8] int8[8,24]", want: "operand types float32 and int8 differ"},
	})
}

// TestAttentionRules checks the standard's operator of opset 23: both ranks,
// grouped heads, and keys and values of the past.
func TestAttentionRules(t *testing.T) {
	grouped := []Attr{IntAttr("q_num_heads", 4), IntAttr("kv_num_heads", 2)}
	const op = "Attention"
	checkRules(t, []ruleCase{
		{op: op, opset: 23, operands: "float32[B,4,S,8] float32[B,2,T,8] float32[B,2,T,6]", want: "float32[B,4,S,6] float32[B,2,T,8] float32[B,2,T,6] float32[B,4,S,T]"},
		{op: op, opset: 23, operands: "float32[B,S,32] float32[B,T,16] float32[B,T,12]", attrs: grouped, want: "float32[B,S,24] float32[B,2,T,8] float32[B,2,T,6] float32[B,4,S,T]"},
		{
			op: op, opset: 23, operands: "float32[B,4,S,8] float32[B,2,T,8] float32[B,2,T,8] - float32[B,2,P,8] float32[B,2,P,8]",
			want: "float32[B,4,S,8] float32[B,2,P+T,8] float32[B,2,P+T,8] float32[B,4,S,P+T]",
		},
		{
			op: op, opset: 23, operands: "float32[B,S,32] float32[B,T,16] float32[B,T,16] - float32[…] float32[…]", attrs: grouped,
			want: "float32[B,S,32] float32[B,2,?,8] float32[B,2,?,8] float32[B,4,S,?]",
		},
		{op: op, opset: 23, operands: "float32[B,4,S,8] float32[…] float32[…]", want: "float32[…] float32[…]"},
		{op: op, opset: 23, operands: "float32[B,4,S,8] float32[B,T,16] float32[B,T,16]", want: "operand 1 has rank 3, the query 4"},
		{op: op, opset: 23, operands: "float32[B,S,32] float32[B,T,16] float32[B,T,16]", want: "operands of rank 3 need the attributes q_num_heads and kv_num_heads"},
		{op: op, opset: 23, operands: "float32[S,8] float32[T,8] float32[T,8]", want: "operand 0 has rank 2, want 3 to 4"},
		{op: op, opset: 23, operands: "float32[B,4,S,8] float16[B,4,T,8] float32[B,4,T,8]", want: "operand types float32 and float16 differ"},
	})
}

// TestRelativeBiasRules checks the operator that no CPU runs: a table of
// buckets and heads, and the lengths of query and key.
func TestRelativeBiasRules(t *testing.T) {
	const op = "ms.RelativePositionBias"
	checkRules(t, []ruleCase{
		{op: op, operands: "float32[32,H] =5 =6", want: "float32[1,H,5,6]"},
		{op: op, operands: "float32[32,H] <S> <P+S>", want: "float32[1,H,S,P+S]"},
		{op: op, operands: "float32[…] int64[] int64[N]", want: "float32[1,?,?,?]"},
	})
}

// TestRotaryRules checks both domains' operator, which keeps the shape.
func TestRotaryRules(t *testing.T) {
	checkRules(t, []ruleCase{
		{op: "RotaryEmbedding", opset: 23, operands: "float32[B,h,S,8] float32[P,4] float32[P,4] int64[B,S]", want: "float32[B,h,S,8]"},
		{op: "RotaryEmbedding", opset: 23, operands: "float32[B,S,8] float32[B,S,4] float32[B,S,4]", want: "float32[B,S,8]"},
		{op: "ms.RotaryEmbedding", operands: "float32[B,S,8] int64[B,S] float32[P,4] float32[P,4]", want: "float32[B,S,8]"},
		{op: "ms.RotaryEmbedding", operands: "float32[B,S,8] int64[B,S]", want: "operand 2 is missing; the operator takes at least 4"},
	})
}
