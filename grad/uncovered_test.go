package grad

import (
	"strings"
	"testing"

	"softprompt/onnx"
)

// TestUncoveredForms: forms of known operators that have no derivative here
// are errors that say which, never wrong numbers.
func TestUncoveredForms(t *testing.T) {
	i, f, s := onnx.IntAttr, onnx.FloatAttr, onnx.StringAttr
	type attrs = []onnx.Attr
	for _, tc := range []struct {
		op     string
		inputs []string
		attrs  attrs
		outs   int
		want   string
	}{
		{"DepthToSpace", []string{"q"}, attrs{i("blocksize", 2), s("mode", "CRD")}, 1, `mode "CRD"`},
		{"ScatterElements", []string{"x", "at", "x"}, attrs{s("reduction", "mul")}, 1, `reduction "mul"`},
		{"ScatterND", []string{"x", "at", "pair"}, attrs{s("reduction", "max")}, 1, `reduction "max"`},
		{"com.microsoft.FusedMatMul", []string{"x", "x"}, attrs{i("transBatchA", 1)}, 1, "transBatchA"},
		{"OneHot", []string{"at", "two", "pair"}, nil, 1, "no derivative"},
		{"Attention", []string{"q", "k3", "k3"}, nil, 1, "4 heads of queries and 3 of keys"},
		{"Attention", []string{"q", "q", "q"}, attrs{f("softcap", 2), i("is_causal", 1)}, 1, "softcap with a mask"},
		{"Attention", []string{"q", "q", "q"}, attrs{i("qk_matmul_output_mode", 1), i("is_causal", 1)}, 4, "mode 1 with a mask"},
		{"Attention", []string{"q", "q", "q", "", "", "", "lengths"}, nil, 1, "nonpad_kv_seqlen"},
		{"com.microsoft.Attention", []string{"x3", "w3", "", "", "q"}, attrs{i("num_heads", 2)}, 1, "the past"},
		{"com.microsoft.Attention", []string{"x3", "w3"}, attrs{i("num_heads", 2), i("do_rotary", 1)}, 1, "rotary"},
		{"com.microsoft.MultiHeadAttention", []string{"x3"}, attrs{i("num_heads", 2)}, 1, "packed"},
		{"com.microsoft.MultiHeadAttention", []string{"x3", "x3", "x3", "", "", "", "q", "q"}, attrs{i("num_heads", 2)}, 1, "the past"},
		{"com.microsoft.MultiHeadAttention", []string{"x3", "x3", "x3", "", "lengths"}, attrs{i("num_heads", 2)}, 1, "mask of rank 1"},
		{"com.microsoft.SkipSimplifiedLayerNormalization", []string{"x", "x", "pair"}, nil, 2, "output 1"},
	} {
		b := onnx.NewBuilder(onnx.NewModel("uncovered"))
		b.Model.Opset[""], b.Model.Opset[onnx.Microsoft] = 23, 1
		fixed := func(name string, t onnx.DType, sizes ...int64) { b.Input(name, t, onnx.Fixed(sizes...)...) }
		fixed("x", onnx.Float32, 2, 2)
		fixed("x3", onnx.Float32, 1, 2, 4)
		fixed("q", onnx.Float32, 1, 4, 2, 3)
		fixed("k3", onnx.Float32, 1, 3, 2, 3)
		fixed("w3", onnx.Float32, 4, 12)
		fixed("pair", onnx.Float32, 2)
		fixed("at", onnx.Int64, 2, 2)
		fixed("lengths", onnx.Int32, 1)
		b.Weight(onnx.Longs("four", []int64{4}, []int64{0, 1, 0, 1}))
		b.Weight(onnx.Longs("two", nil, []int64{2}))
		y := b.OpN(tc.op, tc.outs, tc.inputs, tc.attrs...)
		loss := b.ReduceSum(y[0], false)
		if err := b.Err(); err != nil {
			t.Fatalf("%s: %v", tc.op, err)
		}
		_, err := Reverse(b.Model, loss, []string{"x", "x3", "q", "k3", "pair"})
		if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "on the way") {
			t.Errorf("%s %v: error %v, want one about %q and the way", tc.op, tc.attrs, err, tc.want)
		}
	}
}
