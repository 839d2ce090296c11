package onnx

import "testing"

// TestGatherRules checks reading at indices.
func TestGatherRules(t *testing.T) {
	on := func(n int64) []Attr { return []Attr{axisIs(n)} }
	batch := func(n int64) []Attr { return []Attr{IntAttr("batch_dims", n)} }
	checkRules(t, []ruleCase{
		{op: "Gather", operands: "float32[V,8] int64[B,S]", want: "float32[B,S,8]"},
		{op: "Gather", operands: "float32[B,S,8] int64[]", attrs: on(1), want: "float32[B,8]"},
		{op: "Gather", operands: "float32[B,S,8] int32[T]", attrs: on(-1), want: "float32[B,S,T]"},
		{op: "Gather", operands: "float32[V,8] int64[…]", want: "float32[…]"},
		{op: "Gather", operands: "float32[…] int64[B]", want: "float32[…]"},
		{op: "Gather", operands: "float32[4,8] {-4,3}", want: "float32[2,8]"},
		{op: "Gather", operands: "float32[4,8] {4}", want: "index 4 is out of range for axis 0 of size 4"},
		{op: "Gather", operands: "float32[4,8] {-5}", want: "index -5 is out of range for axis 0 of size 4"},
		{op: "Gather", operands: "float32[V,8] {900}", want: "float32[1,8]"},
		{op: "Gather", operands: "float32[V,8] int64[B]", attrs: on(2), want: "axis 2 is out of range for rank 2"},
		{op: "Gather", operands: "float32[] int64[B]", want: "axis 0 is out of range for rank 0"},
		{op: "Gather", operands: "float32[V,8] bool[B]", want: "operand 1 is bool, want [int64 int32]"},

		{op: "GatherElements", operands: "float32[B,S,V] int64[B,S,1]", attrs: on(2), want: "float32[B,S,1]"},
		{op: "GatherElements", operands: "float32[…] int64[B,S]", want: "float32[B,S]"},
		{op: "GatherElements", operands: "float32[B,S] int64[…]", want: "float32[…]"},
		{op: "GatherElements", operands: "float32[B,S] int64[B]", want: "ranks 2 and 1 differ"},
		{op: "GatherElements", operands: "float32[B,S] int64[B,S]", attrs: on(-3), want: "axis -3 is out of range for rank 2"},
		{op: "GatherElements", operands: "float32[B,S] float32[B,S]", want: "operand 1 is float32, want [int64 int32]"},

		{op: "GatherND", operands: "float32[B,S,8] int64[N,2]", want: "float32[N,8]"},
		{op: "GatherND", operands: "float32[B,S,8] int64[B,N,1]", attrs: batch(1), want: "float32[B,N,8]"},
		{op: "GatherND", operands: "float32[B,S] int64[N,K]", want: "float32[…]"},
		{op: "GatherND", operands: "float32[…] int64[N,2]", want: "float32[…]"},
		{op: "GatherND", operands: "float32[B,S] int64[N,3]", want: "index tuples have 3 elements for 2 axes"},
		{op: "GatherND", operands: "float32[B,S] int64[B,2]", attrs: batch(1), want: "index tuples have 2 elements for 1 axes"},
		{op: "GatherND", operands: "float32[B,S] int64[N,0]", want: "index tuples have 0 elements for 2 axes"},
		{op: "GatherND", operands: "float32[B,S] int64[B,1]", attrs: batch(2), want: "batch_dims 2 is out of range"},
		{op: "GatherND", operands: "float32[B,S] int64[B,1]", attrs: batch(-1 << 40), want: "batch_dims -1 is out of range"},
		{op: "GatherND", operands: "float32[B,S] int64[]", want: "operand and indices cannot be scalars"},
		{op: "GatherND", operands: "float32[B,S] int32[N,1]", want: "operand 1 is int32, want [int64]"},

		{op: "OneHot", operands: "int64[B,S] =5 float32[2]", want: "float32[B,S,5]"},
		{op: "OneHot", operands: "int64[B,S] <V> float16[2]", attrs: on(0), want: "float16[V,B,S]"},
		{op: "OneHot", operands: "int64[B,S] int64[] float32[2]", attrs: on(1), want: "float32[B,?,S]"},
		{op: "OneHot", operands: "int64[…] =5 float32[2]", want: "float32[…]"},
		{op: "OneHot", operands: "int64[B] =5 float32[2]", attrs: on(2), want: "axis 2 is out of range for rank 2"},
		{op: "NonZero", operands: "bool[B,S]", want: "int64[2,?]"},
		{op: "NonZero", operands: "bool[…]", want: "int64[?,?]"},
		{op: "Compress", operands: "float32[B,S] bool[N]", want: "float32[?]"},
		{op: "Compress", operands: "float32[B,S] bool[N]", attrs: []Attr{axisIs(-1)}, want: "float32[B,?]"},
		{op: "Compress", operands: "float32[…] bool[N]", attrs: []Attr{axisIs(-1)}, want: "float32[…]"},
		{op: "Compress", operands: "float32[B,S] bool[N]", attrs: []Attr{axisIs(2)}, want: "axis 2 is out of range for rank 2"},
		{op: "Compress", operands: "float32[B,S] int64[N]", want: "operand 1 is int64, want [bool]"},
		{op: "Compress", operands: "float32[B,S] bool[N,1]", want: "operand 1 has rank 2, want 1"},
		{op: "ReverseSequence", operands: "float32[S,B,8] int64[B]", want: "float32[S,B,8]"},
	})
}

// TestScatterRules checks writing at indices.
func TestScatterRules(t *testing.T) {
	checkRules(t, []ruleCase{
		{op: "ScatterND", operands: "float32[V,8] int64[N,1] float32[N,8]", want: "float32[V,8]"},
		{op: "ScatterND", operands: "float32[V,8] int64[B,S,2] float32[B,S]", want: "float32[V,8]"},
		{op: "ScatterND", operands: "float32[V,8] int64[N,K] float32[N,8]", want: "float32[V,8]"},
		{op: "ScatterND", operands: "float32[…] int64[N,1] float32[N,8]", want: "float32[…]"},
		{op: "ScatterND", operands: "[V,8] int64[N,1] float32[…]", want: "float32[V,8]"},
		{op: "ScatterND", operands: "float32[V,8] int64[N,1] float32[N,7]", want: "updates have shape [N,7], want [N,8]"},
		{op: "ScatterND", operands: "float32[V,8] int64[N,1] float32[N]", want: "updates have shape [N], want [N,8]"},
		{op: "ScatterND", operands: "float32[V,8] int64[N,3] float32[N]", want: "index tuples have 3 elements for 2 axes"},
		{op: "ScatterND", operands: "float32[V,8] float32[N,1] float32[N,8]", want: "operand 1 is float32, want [int64]"},
		{op: "ScatterND", operands: "float32[V,8] int64[N,1] float64[N,8]", want: "operand types float32 and float64 differ"},

		{op: "ScatterElements", operands: "float32[B,V] int64[B,1] float32[B,1]", attrs: []Attr{axisIs(1)}, want: "float32[B,V]"},
		{op: "ScatterElements", operands: "float32[…] int64[B,1] float32[B,1]", want: "float32[…]"},
		{op: "ScatterElements", operands: "float32[B,V] int64[B,2] float32[B,3]", want: "updates have shape [B,3], want the indices' [B,2]"},
		{op: "ScatterElements", operands: "float32[B,V] int64[B] float32[B]", want: "ranks 2 and 1 differ"},
		{op: "ScatterElements", operands: "float32[B,V] int64[B,1] int64[B,1]", want: "operand types float32 and int64 differ"},
		{op: "ScatterElements", operands: "float32[B,V] int64[B,1] float32[B,1]", attrs: []Attr{axisIs(2)}, want: "axis 2 is out of range for rank 2"},
		{op: "ScatterElements", operands: "float32[B,V] float32[B,1] float32[B,1]", want: "operand 1 is float32, want [int64 int32]"},
		{op: "Scatter", operands: "float32[B,V] int64[B,1] float32[B,1]", want: "float32[B,V]", opset: 9},
	})
}
