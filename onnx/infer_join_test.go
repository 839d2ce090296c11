package onnx

import (
	"strings"
	"testing"
)

// TestConcatAndSplitRules checks sums of sizes, and their inverse.
func TestConcatAndSplitRules(t *testing.T) {
	on := func(n int64, more ...Attr) []Attr { return append([]Attr{axisIs(n)}, more...) }
	parts := func(n ...int64) Attr { return IntsAttr("split", n...) }
	checkRules(t, []ruleCase{
		{op: "Concat", operands: "float32[B,P,8] float32[B,S,8]", attrs: on(1), want: "float32[B,P+S,8]"},
		{op: "Concat", operands: "float32[B,S] float32[B,S] float32[B,3]", attrs: on(-1), want: "float32[B,2*S+3]"},
		{op: "Concat", operands: "float32[?,P] float32[B,S]", attrs: on(1), want: "float32[B,P+S]"},
		{op: "Concat", operands: "float32[N,P] float32[4,S]", attrs: on(1), want: "float32[4,P+S]"},
		{op: "Concat", operands: "float32[B,?] float32[B,S]", attrs: on(1), want: "float32[B,?]"},
		{op: "Concat", operands: "float32[…] float32[B,S]", attrs: on(1), want: "float32[…]"},
		{op: "Concat", operands: "[B] int64[S]", attrs: on(0), want: "int64[B+S]"},
		{op: "Concat", operands: "float32[B,S]", attrs: on(2), want: "axis 2 is out of range for rank 2"},
		{op: "Concat", operands: "float32[B,S] float32[S]", attrs: on(0), want: "ranks 2 and 1 differ"},
		{op: "Concat", operands: "float32[B,2] float32[B,3]", attrs: on(0), want: "sizes 2 and 3 of axis 1 differ, which is not the one to concatenate"},
		{op: "Concat", operands: "float32[B] int64[B]", attrs: on(0), want: "operand types float32 and int64 differ"},

		{op: "Split", operands: "float32[B,6] {1,2,3}", attrs: on(1), want: "float32[B,1] float32[B,2] float32[B,3]"},
		{op: "Split", operands: "float32[B,P+S] <P,S>", attrs: on(1), want: "float32[B,P] float32[B,S]"},
		{op: "Split", operands: "float32[B,6]", attrs: on(1, parts(1, 5)), want: "float32[B,1] float32[B,5]", opset: 11},
		{op: "Split", operands: "float32[B,6]", attrs: on(1, parts()), want: "float32[B,3] float32[B,3]", opset: 11},
		{op: "Split", operands: "float32[B,6] int64[2]", attrs: on(1), want: "float32[B,?] float32[B,?]", opset: 13},
		{op: "Split", operands: "float32[B,6] int64[N]", attrs: on(1), want: "float32[B,?] float32[B,?]"},
		{op: "Split", operands: "float32[B,7]", attrs: on(1), want: "float32[B,3] float32[B,3] float32[B,1]"},
		{op: "Split", operands: "float32[2]", want: "float32[1] float32[1] float32[0]"},
		{op: "Split", operands: "float32[6*B,S]", want: "float32[3*B,S] float32[3*B,S]"},
		{op: "Split", operands: "float32[B,S]", want: "float32[?,S] float32[?,S]"},
		{op: "Split", operands: "float32[…] {1,2}", want: "float32[…] float32[…]"},
		{op: "Split", operands: "float32[B,S]", attrs: on(2), want: "axis 2 is out of range for rank 2"},
	})
	for want, c := range map[string]struct {
		outputs int
		sizes   []int64
	}{
		"it has no outputs":                     {0, nil},
		"3 sizes for 2 outputs":                 {2, []int64{1, 2, 3}},
		"sizes add up to 5, but the axis has 6": {2, []int64{2, 3}},
		"sizes add up to 7, but the axis has 6": {1, []int64{7}},
		"1 sizes for 3 outputs":                 {3, []int64{6}},
	} {
		f := NewInference(NewModel("split"))
		f.Set(Value{Name: "x", Type: Float32, Shape: Fixed(6)})
		n := &Node{Op: "Split", Inputs: []string{"x"}, Outputs: make([]string, c.outputs)}
		if c.sizes != nil {
			f.SetConst(Longs("sizes", []int64{int64(len(c.sizes))}, c.sizes))
			n.Inputs = append(n.Inputs, "sizes")
		}
		if err := f.Node(n); err == nil || !strings.HasSuffix(err.Error(), "): "+want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

// TestSliceRules checks bounds that are numbers, sizes or not known, as
// operands and, before opset 10, as attributes.
func TestSliceRules(t *testing.T) {
	old := func(starts, ends, axes []int64) []Attr {
		attrs := []Attr{IntsAttr("starts", starts...), IntsAttr("ends", ends...)}
		if axes != nil {
			attrs = append(attrs, IntsAttr("axes", axes...))
		}
		return attrs
	}
	type n = []int64
	checkRules(t, []ruleCase{
		{op: "Slice", operands: "float32[6,8] {1} {4}", want: "float32[3,8]"},
		{op: "Slice", operands: "float32[6,8] {1,0} {-1,9}", want: "float32[4,8]"},
		{op: "Slice", operands: "float32[6,8] {5} {0} {0} {-2}", want: "float32[3,8]"},
		{op: "Slice", operands: "float32[B,S,8] {0} {9223372036854775807} {1}", want: "float32[B,S,8]"},
		{op: "Slice", operands: "float32[B,S,8] {-1} {-9223372036854775807} {1} {-1}", want: "float32[B,S,8]"},
		{op: "Slice", operands: "float32[B,S,8] {0} {2147483647} {1} {2}", want: "float32[B,?,8]"},
		{op: "Slice", operands: "float32[B,P+S] <P> {9223372036854775807} {1}", want: "float32[B,S]"},
		{op: "Slice", operands: "float32[B,P+S] {0} <P> {1}", want: "float32[B,P]"},
		{op: "Slice", operands: "float32[B,P+S] <P> <P+S> {1}", want: "float32[B,S]"},
		{op: "Slice", operands: "float32[B,P+S] <P> {0} {1}", want: "float32[B,0]"},
		{op: "Slice", operands: "float32[B,S+3] {1} {-1} {1}", want: "float32[B,S+1]"},
		{op: "Slice", operands: "float32[B,S+3] {-2} {9223372036854775807} {1}", want: "float32[B,2]"},
		{op: "Slice", operands: "float32[B,S] <P+S> {9223372036854775807} {1}", want: "float32[B,0]"},
		{op: "Slice", operands: "float32[B,S] <P> {9223372036854775807} {1}", want: "float32[B,?]"},
		{op: "Slice", operands: "float32[B,S] int64[1] int64[1] {1}", want: "float32[B,?]"},
		{op: "Slice", operands: "float32[B,S] {0} {1} int64[1]", want: "float32[?,?]"},
		{op: "Slice", operands: "float32[B,S] {0} {1} {0} int64[1]", want: "float32[?,S]"},
		{op: "Slice", operands: "float32[B,S] int64[N] int64[N]", want: "float32[?,?]"},
		{op: "Slice", operands: "float32[B,S] {0} {1,2}", want: "float32[?,?]"},
		{op: "Slice", operands: "float32[…] {0} {1}", want: "float32[…]"},
		{op: "Slice", operands: "float32[6,8]", attrs: old(n{1, 2}, n{3, 5}, nil), want: "float32[2,3]", opset: 9},
		{op: "Slice", operands: "float32[B,8]", attrs: old(n{2}, n{-1}, n{1}), want: "float32[B,5]", opset: 9},
		{op: "Slice", operands: "float32[6,8]", attrs: old(n{0, 0}, n{1, 1}, n{0}), want: "float32[?,?]", opset: 9}, // an axis is missing
		{op: "Slice", operands: "float32[6,8]", attrs: old(n{0}, n{1}, n{-3}), want: "axis -3 is out of range for rank 2", opset: 9},
		{op: "Slice", operands: "float32[6,8] {0} {1} {2}", want: "axis 2 is out of range for rank 2"},
		{op: "Slice", operands: "float32[6,8] {0} {1} {1} {0}", want: "step of axis 1 is 0"},
		{op: "Slice", operands: "float32[6,8] float32[1] {1}", want: "operand 1 is float32, want [int64 int32]"},
		{
			op: "Slice", operands: "float32[6,8] {0} {1} {1} int64[1]", attrs: []Attr{IntsAttr("steps", 0)},
			want: "step of axis 1 is 0",
		},
	})
}

// TestPadRules checks counts that are numbers and sizes, for all axes or for
// some, as operand and, before opset 11, as attribute.
func TestPadRules(t *testing.T) {
	old := func(n ...int64) []Attr { return []Attr{IntsAttr("pads", n...)} }
	checkRules(t, []ruleCase{
		{op: "Pad", operands: "float32[B,6] {0,1,0,2}", want: "float32[B,9]"},
		{op: "Pad", operands: "float32[B,S] <0,P,0,0>", want: "float32[B,P+S]"},
		{op: "Pad", operands: "float32[B,S+3] {0,-1,0,-2}", want: "float32[B,S]"},
		{op: "Pad", operands: "float32[B,S] {0,-1,0,0}", want: "float32[B,?]"},
		{op: "Pad", operands: "float32[B,6,8] {1,2} - {1}", want: "float32[B,9,8]", opset: 18},
		{op: "Pad", operands: "float32[B,6,8] {1,2} - int64[1]", want: "float32[?,?,?]"},
		{op: "Pad", operands: "float32[B,6] int64[4]", want: "float32[?,?]"},
		{op: "Pad", operands: "float32[B,6] int64[N]", want: "float32[?,?]"},
		{op: "Pad", operands: "float32[…] {1,1}", want: "float32[…]"},
		{op: "Pad", operands: "float32[B,6]", attrs: old(0, 1, 0, 1), want: "float32[B,8]", opset: 10},
		{op: "Pad", operands: "float32[B,6]", attrs: old(0, 1), want: "2 pads for 2 axes, want 4", opset: 10},
		{op: "Pad", operands: "float32[B,6] {1,1} - {2}", want: "axis 2 is out of range for rank 2"},
		{op: "Pad", operands: "float32[2] {-1,-2}", want: "pads -1 and -2 of axis 0 cut away more than its 2 elements"},
		{op: "Pad", operands: "float32[2] float32[2]", want: "operand 1 is float32, want [int64]"},
	})
}
