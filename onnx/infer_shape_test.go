package onnx

import "testing"

// TestReshapeRules checks what targets make of symbolic shapes.
func TestReshapeRules(t *testing.T) {
	allow := []Attr{IntAttr("allowzero", 1)}
	checkRules(t, []ruleCase{
		{op: "Reshape", operands: "float32[B,S,8] {0,0,2,4}", want: "float32[B,S,2,4]"},
		{op: "Reshape", operands: "float32[B,S,8] {0,-1}", want: "float32[B,8*S]"},
		{op: "Reshape", operands: "float32[B,S,8] {-1,8}", want: "float32[B*S,8]"},
		{op: "Reshape", operands: "float32[B,S,8] {-1}", want: "float32[8*B*S]"},
		{op: "Reshape", operands: "float32[B,S,8] {-1,16}", want: "float32[?,16]"},
		{op: "Reshape", operands: "float32[B*S,8] <B,-1,8>", want: "float32[B,S,8]"},
		{op: "Reshape", operands: "float32[B,S,2,4] <B,S,-1>", want: "float32[B,S,8]"},
		{op: "Reshape", operands: "float32[B,S,8] <S,B,8>", want: "float32[S,B,8]"},
		{op: "Reshape", operands: "float32[B,S,8] <B,?,8>", want: "float32[B,S,8]"},
		{op: "Reshape", operands: "float32[B,S,8] <?,?,8>", want: "float32[?,?,8]"},
		{op: "Reshape", operands: "float32[B,S,8] int64[1]", want: "float32[8*B*S]"},
		{op: "Reshape", operands: "float32[B,S,8] int64[3]", want: "float32[?,?,?]"},
		{op: "Reshape", operands: "float32[B,S,8] int64[N]", want: "float32[…]"},
		{op: "Reshape", operands: "float32[…] {0,-1,8}", want: "float32[?,?,8]"},
		{op: "Reshape", operands: "float32[0,4] {3,0}", attrs: allow, want: "float32[3,0]"},
		{op: "Reshape", operands: "float32[] {1,1}", want: "float32[1,1]"},
		{op: "Reshape", operands: "float32[1] {}", want: "float32[]"},
		{op: "Reshape", operands: "float32[B,S] {0,0,0}", want: "target size 0 at axis 2 copies an axis that the operand does not have"},
		{op: "Reshape", operands: "float32[B,S] {-1,-1}", want: "target has 2 sizes of −1, want at most one"},
		{op: "Reshape", operands: "float32[B,S] {-2}", want: "target size -2 at axis 0; want −1 or more"},
		{op: "Reshape", operands: "float32[6] {4,-1}", want: "6 elements do not divide by 4: cannot reshape [6] to [4,-1]"},
		{op: "Reshape", operands: "float32[8] {2,2}", want: "cannot reshape [8] to [2,2]: the numbers of elements differ"},
		{op: "Reshape", operands: "float32[B,8] {0,4}", want: "cannot reshape [B,8] to [B,4]: the numbers of elements differ"},
		{op: "Reshape", operands: "float32[B,S] float32[2]", want: "operand 1 is float32, want [int64]"},
		{op: "Reshape", operands: "float32[B,S] int64[1,2]", want: "operand 1 has rank 2, want 1"},
		{op: "Reshape", operands: "float32[B,S]", want: "operand 1 is missing; the operator takes at least 2"},

		{op: "Flatten", operands: "float32[B,S,8]", want: "float32[B,8*S]"},
		{op: "Flatten", operands: "float32[B,S,8]", attrs: []Attr{axisIs(3)}, want: "float32[8*B*S,1]"},
		{op: "Flatten", operands: "float32[B,S,8]", attrs: []Attr{axisIs(-1)}, want: "float32[B*S,8]"},
		{op: "Flatten", operands: "float32[…]", want: "float32[?,?]"},
		{op: "Flatten", operands: "float32[B,S]", attrs: []Attr{axisIs(-3)}, want: "axis -3 is out of range for rank 2"},
	})
}

// TestSqueezeRules checks axes as attribute and, since opset 13, as operand.
func TestSqueezeRules(t *testing.T) {
	axes := func(n ...int64) []Attr { return []Attr{axesAre(n...)} }
	checkRules(t, []ruleCase{
		{op: "Squeeze", operands: "float32[B,1,8]", attrs: axes(1), want: "float32[B,8]", opset: 11},
		{op: "Squeeze", operands: "float32[B,1,8] {1}", want: "float32[B,8]", opset: 13},
		{op: "Squeeze", operands: "float32[B,N,8] {-2}", want: "float32[B,8]", opset: 23},
		{op: "Squeeze", operands: "float32[1,3,1]", want: "float32[3]"},
		{op: "Squeeze", operands: "float32[B,1]", want: "float32[…]"},
		{op: "Squeeze", operands: "float32[]", want: "float32[]"},
		{op: "Squeeze", operands: "float32[B,1,1] int64[2]", want: "float32[?]"},
		{op: "Squeeze", operands: "float32[B,1,1] int64[N]", want: "float32[…]"},
		{op: "Squeeze", operands: "float32[B,1] int64[3]", want: "float32[…]"},
		{op: "Squeeze", operands: "float32[…] {0}", want: "float32[…]"},
		{op: "Squeeze", operands: "float32[B,2] {1}", want: "axis 1 has size 2, want 1"},
		{op: "Squeeze", operands: "float32[B,1] {2}", want: "axis 2 is out of range for rank 2"},
		{op: "Squeeze", operands: "float32[1,1] {0,-2}", want: "axis -2 is given twice"},

		{op: "Unsqueeze", operands: "float32[B,S]", attrs: axes(1), want: "float32[B,1,S]", opset: 11},
		{op: "Unsqueeze", operands: "float32[B,S] {0,-1}", want: "float32[1,B,S,1]", opset: 13},
		{op: "Unsqueeze", operands: "float32[] {0}", want: "float32[1]"},
		{op: "Unsqueeze", operands: "float32[B,S] {}", want: "float32[B,S]"},
		{op: "Unsqueeze", operands: "float32[B,S] int64[2]", want: "float32[?,?,?,?]"},
		{op: "Unsqueeze", operands: "float32[B,S] int64[N]", want: "float32[…]"},
		{op: "Unsqueeze", operands: "float32[B,S] int64[100]", want: "float32[…]"},
		{op: "Unsqueeze", operands: "float32[…] {0}", want: "float32[…]"},
		{op: "Unsqueeze", operands: "float32[B] {0,1,2}", attrs: axes(0), want: "float32[1,B]"}, // the attribute counts
		{op: "Unsqueeze", operands: "float32[B]", want: "axes are missing"},
		{op: "Unsqueeze", operands: "float32[B] {2}", want: "axis 2 is out of range for rank 2"},
		{op: "Unsqueeze", operands: "float32[B] {0,-3}", want: "axis -3 is given twice"},
		{op: "Unsqueeze", operands: "float32[B] float32[1]", want: "operand 1 is float32, want [int64 int32]"},
	})
}

// TestLayoutRules checks what permutes, stretches and repeats axes.
func TestLayoutRules(t *testing.T) {
	perm := func(n ...int64) []Attr { return []Attr{IntsAttr("perm", n...)} }
	span := func(from, to int64) []Attr { return []Attr{IntAttr("start", from), IntAttr("end", to)} }
	checkRules(t, []ruleCase{
		{op: "Transpose", operands: "float32[B,S,2,4]", attrs: perm(0, 2, 1, 3), want: "float32[B,2,S,4]"},
		{op: "Transpose", operands: "float32[B,S,8]", want: "float32[8,S,B]"},
		{op: "Transpose", operands: "float32[…]", attrs: perm(1, 0), want: "float32[?,?]"},
		{op: "Transpose", operands: "float32[…]", want: "float32[…]"},
		{op: "Transpose", operands: "float32[B,S]", attrs: perm(0, 0), want: "perm [0 0] is no permutation of 2 axes"},
		{op: "Transpose", operands: "float32[B,S]", attrs: perm(0), want: "perm [0] is no permutation of 2 axes"},
		{op: "Transpose", operands: "float32[B,S]", attrs: perm(-1, 0), want: "perm [-1 0] is no permutation of 2 axes"},

		{op: "Expand", operands: "float32[B,1] <B,S>", want: "float32[B,S]"},
		{op: "Expand", operands: "float32[8] <B,S,1>", want: "float32[B,S,8]"},
		{op: "Expand", operands: "float32[…] {2,3}", want: "float32[…]"},
		{op: "Expand", operands: "float32[B] int64[N]", want: "float32[…]"},
		{op: "Expand", operands: "float32[B] int64[2]", want: "float32[?,?]"},
		{op: "Expand", operands: "float32[4] {5}", want: "cannot expand [4] to [5]"},
		{op: "Expand", operands: "float32[4] float32[1]", want: "operand 1 is float32, want [int64]"},
		{op: "Tile", operands: "float32[B,S] {1,2}", want: "float32[B,2*S]"},
		{op: "Tile", operands: "float32[B,S] <K,1>", want: "float32[B*K,S]"},
		{op: "Tile", operands: "float32[B,S] {1,0}", want: "float32[B,0]"},
		{op: "Tile", operands: "float32[B,S] int64[N]", want: "float32[?,?]"},
		{op: "Tile", operands: "float32[…] {1,2}", want: "float32[…]"},
		{op: "Tile", operands: "float32[B,S] {2}", want: "1 repeats for 2 axes"},
		{op: "Tile", operands: "float32[B,S] int32[2]", want: "operand 1 is int32, want [int64]"},
		{op: "Trilu", operands: "float32[S,T] =1", want: "float32[S,T]"},
		{op: "DepthToSpace", operands: "float32[B,8,H,3]", attrs: []Attr{IntAttr("blocksize", 2)}, want: "float32[B,2,2*H,6]"},
		{op: "SpaceToDepth", operands: "float32[B,2,4,6]", attrs: []Attr{IntAttr("blocksize", 2)}, want: "float32[B,8,2,3]"},
		{op: "SpaceToDepth", operands: "float32[…]", attrs: []Attr{IntAttr("blocksize", 2)}, want: "float32[?,?,?,?]"},
		{op: "DepthToSpace", operands: "float32[B,8,H,3]", want: "attribute blocksize is 0"},
		{op: "DepthToSpace", operands: "float32[B,8,H]", attrs: []Attr{IntAttr("blocksize", 2)}, want: "operand 0 has rank 3, want 4"},
		{op: "Trilu", operands: "float32[S]", want: "operand 0 has rank 1, want at least 2"},

		{op: "Shape", operands: "float32[B,S,8]", want: "int64[3]"},
		{op: "Shape", operands: "float32[B,S,8]", attrs: span(1, -1), want: "int64[1]"},
		{op: "Shape", operands: "float32[B,S,8]", attrs: span(-9, 9), want: "int64[3]"},
		{op: "Shape", operands: "float32[B,S,8]", attrs: span(2, 1), want: "int64[0]"},
		{op: "Shape", operands: "float32[…]", want: "int64[?]"},
		{op: "Size", operands: "float32[B,S,8]", want: "int64[]"},
	})
}
