package onnx

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestElemArithmetic checks what is known of a result from what is known of
// two elements: numbers may be negative, sizes never are, and what may be
// either is not known.
func TestElemArithmetic(t *testing.T) {
	const low, high = "-9223372036854775808", "9223372036854775807"
	for _, c := range []struct {
		op         func(a, b elem) elem
		a, b, want string
	}{
		{elem.plus, "2", "3", "5"},
		{elem.plus, "2", "-3", "-1"},
		{elem.plus, "P", "S", "P+S"},
		{elem.plus, "S+3", "-1", "S+2"},
		{elem.plus, "-1", "S+3", "S+2"},
		{elem.plus, "S", "-1", "?"}, // S may be 0
		{elem.plus, "?", "1", "?"},
		{elem.plus, "?", "0", "?"},
		{elem.plus, high, "1", "?"},
		{elem.plus, low, "-1", "?"},
		{elem.plus, low, high, "-1"},
		{elem.plus, "0", low, low},

		{elem.minus, "2", "3", "-1"},
		{elem.minus, "P+S", "P", "S"},
		{elem.minus, "P", "P+S", "?"},
		{elem.minus, "S", "-2", "S+2"},
		{elem.minus, "S", "S", "0"},
		{elem.minus, "-2", "S", "?"},
		{elem.minus, low, "1", "?"},
		{elem.minus, "0", low, "?"},
		{elem.minus, "S", low, "?"},
		{elem.minus, "-1", low, high},

		{elem.times, "-2", "3", "-6"},
		{elem.times, "S", "2", "2*S"},
		{elem.times, "S", "-1", "?"},
		{elem.times, "?", "0", "0"},
		{elem.times, "?", "1", "?"},
		{elem.times, high, "2", "?"},
		{elem.times, "-1", low, "?"},
		{elem.times, low, "-1", "?"},
		{elem.times, low, "1", low},

		{elem.over, "7", "2", "3"},
		{elem.over, "-7", "2", "-3"}, // truncated, not rounded down
		{elem.over, "7", "-1", "-7"},
		{elem.over, "7", "0", "?"},
		{elem.over, low, "-1", "?"},
		{elem.over, "4*S", "2", "2*S"},
		{elem.over, "3*S", "2", "?"},
		{elem.over, "B*S", "S", "B"},
		{elem.over, "S", "-1", "?"},

		{elem.equal, "2", "2", "1"},
		{elem.equal, "2", "3", "0"},
		{elem.equal, "S", "S", "1"},
		{elem.equal, "S", "P", "?"},
		{elem.equal, "S", "3", "?"},
		{elem.equal, "S", "0", "?"},  // but may be 0
		{elem.equal, "S", "-1", "0"}, // no size is negative
		{elem.equal, "-1", "S", "0"},
		{elem.equal, "?", "?", "?"},
		{elem.equal, "?", "-1", "?"},

		{elem.least, "2", "-3", "-3"},
		{elem.least, "S", "S", "S"},
		{elem.least, "S", "3", "?"},
		{elem.most, "2", "-3", "2"},
		{elem.most, "S", "S", "S"},
		{elem.most, "3", "S", "?"},
	} {
		if got := c.op(parseElem(c.a), parseElem(c.b)); got != parseElem(c.want) {
			t.Errorf("%s and %s: got %s, want %s", c.a, c.b, got.text(), c.want)
		}
	}
	if e := number(-1); e.dim() != Unknown || !e.is(-1) || (elem{}).is(0) {
		t.Error("a negative number is a size, or an unknown one a number")
	}
	if e := number(math.MaxInt64); e.dim() != Size(math.MaxInt64) {
		t.Errorf("the largest size is %v", e.dim())
	}
}

// TestEvaluate checks what operators make of elements. Operands are as in
// checkRules; the result is the elements, or nothing if none is known.
func TestEvaluate(t *testing.T) {
	cast := func(d DType) []Attr { return []Attr{IntAttr("to", int64(d))} }
	value := func(t *Tensor) []Attr { return []Attr{TensorAttr("value", t)} }
	for _, c := range []struct {
		op, operands, want string
		attrs              []Attr
	}{
		{op: "Identity", operands: "<B,-1,8>", want: "B -1 8"},
		{op: "Identity", operands: "int64[3]", want: ""},
		{op: "Identity", operands: "float32[3]", want: ""},
		{op: "Reshape", operands: "<S> {-1}", want: "S"},
		{op: "Reshape", operands: "<S> {1,1}", want: ""}, // a matrix is not followed
		{op: "Squeeze", operands: "<S> {0}", want: "S"},
		{op: "Unsqueeze", operands: "=7 {0}", want: "7"},

		{op: "Cast", operands: "<S,2>", attrs: cast(Int32), want: "S 2"},
		{op: "Cast", operands: "{4294967296,5}", attrs: cast(Int32), want: "? 5"},
		{op: "Cast", operands: "{0,-3}", attrs: cast(Bool), want: "0 1"},
		{op: "Cast", operands: "<S,4>", attrs: cast(Bool), want: "? 1"},
		{op: "Cast", operands: "<S>", attrs: cast(Float32), want: ""},

		{op: "Shape", operands: "float32[B,?,8]", want: "B ? 8"},
		{op: "Shape", operands: "float32[…]", want: ""},
		{op: "Shape", operands: "float32[B,S,8]", attrs: []Attr{IntAttr("start", -2)}, want: "S 8"},
		{op: "Size", operands: "float32[B,S,8]", want: "8*B*S"},
		{op: "Size", operands: "float32[B,?]", want: ""},
		{op: "Size", operands: "float32[]", want: "1"},

		{op: "Gather", operands: "<B,S,8> =-1", want: "8"},
		{op: "Gather", operands: "<B,S,8> {1,0}", want: "S B"},
		{op: "Gather", operands: "<B,S,8> int64[2]", want: ""},
		{op: "Gather", operands: "int64[2,3] =0", want: ""},
		{op: "Slice", operands: "<B,S,8> {1} {9}", want: "S 8"},
		{op: "Slice", operands: "<B,S,8> {-1} {-9} {0} {-2}", want: "8 B"},
		{op: "Slice", operands: "<B,S,8> {0} <N>", want: ""},
		{op: "Slice", operands: "<B,S,8> {0} {3} {0} int64[1]", want: ""},
		{op: "Slice", operands: "int64[N] {0} {1}", want: ""},
		{op: "Concat", operands: "<B> {-1} <S,8>", want: "B -1 S 8"},
		{op: "Concat", operands: "<B> int64[2]", want: "B ? ?"},
		{op: "Concat", operands: "<B> int64[N]", want: ""},
		{op: "Expand", operands: "=3 {2}", want: "3 3"},
		{op: "Expand", operands: "<S> {3}", want: "S S S"},
		{op: "Expand", operands: "<B,S> {1}", want: "B S"},
		{op: "Expand", operands: "=3 {300}", want: ""}, // too long to follow
		{op: "ConstantOfShape", operands: "{3}", attrs: value(Longs("", []int64{1}, []int64{-1})), want: "-1 -1 -1"},
		{op: "ConstantOfShape", operands: "{3}", want: ""}, // floats
		{op: "ConstantOfShape", operands: "{2}", attrs: value(&Tensor{Type: Int32, Dims: []int64{1}, Data: []byte{254, 255, 255, 255}}), want: "-2 -2"},
		{op: "ConstantOfShape", operands: "{2}", attrs: value(&Tensor{Type: Bool, Dims: []int64{1}, Data: []byte{1}}), want: "1 1"},
		{op: "ConstantOfShape", operands: "{2}", attrs: value(&Tensor{Type: Int64, Dims: []int64{1}, External: &External{Location: "far"}}), want: ""},
		{op: "Range", operands: "=3 =-3 =-2", want: "3 1 -1"},
		{op: "Range", operands: "=0 <S> =1", want: ""},

		{op: "Add", operands: "<P,2> <S,3>", want: "P+S 5"},
		{op: "Add", operands: "<P,S> =2", want: "P+2 S+2"},
		{op: "Add", operands: "{1,2} int64[N]", want: ""},
		{op: "Sub", operands: "<P+S> <P>", want: "S"},
		{op: "Mul", operands: "<B,S> {2,-1}", want: "2*B ?"},
		{op: "Div", operands: "<4*B,6> =2", want: "2*B 3"},
		{op: "Min", operands: "{4} {2} {3}", want: "2"},
		{op: "Max", operands: "{4,1} {2,2} =3", want: "4 3"},
		{op: "Neg", operands: "{4,-1}", want: "-4 1"},
		{op: "Neg", operands: "<S>", want: ""},
		{op: "Equal", operands: "<S,-1> {-1,-1}", want: "0 1"},
		{op: "Less", operands: "{1,2} {2,2}", want: "1 0"},
		{op: "LessOrEqual", operands: "{2,3} =2", want: "1 0"},
		{op: "Greater", operands: "{1,3} =2", want: "0 1"},
		{op: "GreaterOrEqual", operands: "<2,S> =2", want: "1 ?"},
		{op: "ReduceProd", operands: "<B,S,8>", want: "8*B*S"},
		{op: "ReduceSum", operands: "<P,S>", want: "P+S"},
		{op: "ReduceMax", operands: "{2,9,4}", want: "9"},
		{op: "ReduceMin", operands: "{2,9,4} {0}", want: "2"},
		{op: "ReduceSum", operands: "<P,S> {}", attrs: []Attr{noop}, want: ""}, // nothing is reduced
		{op: "Abs", operands: "{2}", want: ""},                                 // no evaluator
	} {
		f := NewInference(NewModel("evaluate"))
		n := &Node{Op: c.op, Attrs: c.attrs, Outputs: []string{"out"}}
		for i, word := range strings.Fields(c.operands) {
			n.Inputs = append(n.Inputs, define(t, f, "in"+strconv.Itoa(i), word))
		}
		if err := f.Node(n); err != nil {
			t.Errorf("%s of %s: %v", c.op, c.operands, err)
			continue
		}
		var got []string
		numbers := []int64{}
		for _, e := range f.elems["out"] {
			got = append(got, e.text())
			numbers = append(numbers, e.num)
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s of %s: got %q, want %q", c.op, c.operands, s, c.want)
		}
		// All numbers, and of type int64, are a constant.
		v, _ := f.Value("out")
		known := !strings.ContainsFunc(c.want, func(r rune) bool { return r == '?' || 'A' <= r && r <= 'Z' })
		if got := f.Const("out"); (got != nil) != (known && c.want != "" && v.Type == Int64) {
			t.Errorf("%s of %s: constant %v", c.op, c.operands, got)
		} else if got != nil {
			if have, err := got.Int64s(); err != nil || !slices.Equal(have, numbers) || !got.Shape().Same(v.Shape) {
				t.Errorf("%s of %s: constant %v of shape %v, %v", c.op, c.operands, have, got.Dims, err)
			}
		}
	}
}

// TestEvaluateWhere checks the choice that exporters build Expand's target
// with, also where the condition is not known.
func TestEvaluateWhere(t *testing.T) {
	for _, c := range []struct{ equal, to, yes, no, want string }{
		{"<B,-1,8>", "=-1", "{1,1,1}", "<B,S,8>", "B 1 8"},
		{"<B,S>", "<B,P>", "{1,1}", "{2,2}", "1 ?"},
		{"<B,S>", "<B,P>", "=7", "{7,7}", "7 7"}, // either way
		{"{1,2}", "{1,3}", "<S>", "<P>", "S P"},
		{"int64[2]", "{1,3}", "<S>", "<P>", ""},
		{"{1,2}", "{1,3}", "int64[N]", "<P>", ""},
	} {
		f := NewInference(NewModel("where"))
		define(t, f, "a", c.equal)
		define(t, f, "b", c.to)
		define(t, f, "yes", c.yes)
		define(t, f, "no", c.no)
		for _, n := range []*Node{
			{Op: "Equal", Inputs: []string{"a", "b"}, Outputs: []string{"cond"}},
			{Op: "Where", Inputs: []string{"cond", "yes", "no"}, Outputs: []string{"out"}},
		} {
			if err := f.Node(n); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		for _, e := range f.elems["out"] {
			got = append(got, e.text())
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s where %s equals %s, else %s: got %q, want %q", c.yes, c.equal, c.to, c.no, s, c.want)
		}
	}
}

// TestElemsOf checks which constants are read: small ones of integers and
// bools, at hand, of rank 0 and 1.
func TestElemsOf(t *testing.T) {
	long := make([]int64, maxElems+1)
	for _, c := range []struct {
		name   string
		tensor *Tensor
		want   string
	}{
		{"int64", Longs("", []int64{2}, []int64{-5, 6}), "-5 6"},
		{"scalar", Longs("", nil, []int64{7}), "7"},
		{"int32", &Tensor{Type: Int32, Dims: []int64{2}, Data: []byte{255, 255, 255, 255, 0, 1, 0, 0}}, "-1 256"},
		{"bool", &Tensor{Type: Bool, Dims: []int64{3}, Data: []byte{0, 1, 2}}, "0 1 1"},
		{"as long as can be", Longs("", []int64{maxElems}, long[:maxElems]), strings.TrimSuffix(strings.Repeat("0 ", maxElems), " ")},
		{"too long", Longs("", []int64{maxElems + 1}, long), ""},
		{"matrix", Longs("", []int64{1, 1}, []int64{1}), ""},
		{"floats", Floats("", []int64{1}, []float32{1}), ""},
		{"strings", &Tensor{Type: String, Dims: []int64{1}, Strings: [][]byte{{}}}, ""},
		{"elsewhere", &Tensor{Type: Int64, Dims: []int64{1}, External: &External{Location: "far"}}, ""},
		{"cut short", &Tensor{Type: Int64, Dims: []int64{1}, Data: []byte{1, 2}}, ""},
		{"negative", &Tensor{Type: Int64, Dims: []int64{-1}}, ""},
	} {
		var got []string
		for _, e := range elemsOf(c.tensor) {
			got = append(got, e.text())
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s: got %q, want %q", c.name, s, c.want)
		}
	}
}
