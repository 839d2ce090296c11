package onnx_test

import (
	"strings"
	"testing"

	"softprompt/onnx"
	"softprompt/onnx/ort"
	"softprompt/onnx/ort/orttest"
)

// refused are nodes that cannot run, with part of what must be said of them.
var refused = []struct {
	nodeCase
	want string
}{
	{nodeCase{op: "Add", in: in(f(2, 3), f(4))}, "do not broadcast"},
	{nodeCase{op: "Add", in: in(f(2, 3), at(2, 3))}, "types float32 and int64 differ"},
	{nodeCase{op: "Add", in: in(f(2, 3))}, "operand 1 is missing"},
	{nodeCase{op: "Add", in: in(f(2), f(2), f(2))}, "takes at most 2"},
	{nodeCase{op: "Max", in: in(f(2, 3), d(2, 3))}, "types"},
	{nodeCase{op: "And", in: in(bools(2), f(2))}, "operand 1 is float32"},
	{nodeCase{op: "Not", in: in(f(2))}, "operand 0 is float32"},
	{nodeCase{op: "Less", in: in(f(2), at(2))}, "types"},
	{nodeCase{op: "Where", in: in(f(2), f(2), f(2))}, "operand 0 is float32"},
	{nodeCase{op: "Where", in: in(bools(2), f(2), d(2))}, "types"},
	{nodeCase{op: "Where", in: in(bools(2), f(3), f(1))}, "do not broadcast"},
	{nodeCase{op: "Cast", in: in(f(2))}, "attribute to is missing"},
	{nodeCase{op: "Clip", in: in(f(2), w(2))}, "want a scalar"},
	{nodeCase{op: "com.microsoft.FastGelu", in: in(f(2, 3), f(2))}, "bias of size 2"},
	{nodeCase{op: "com.microsoft.BiasGelu", in: in(f(2, 3), f(2))}, "do not broadcast"},

	{nodeCase{op: "MatMul", in: in(f(2, 3), f(4, 3))}, "inner sizes 3 and 4"},
	{nodeCase{op: "MatMul", in: in(f(5, 2, 3), f(6, 3, 4))}, "do not broadcast"},
	{nodeCase{op: "MatMul", in: in(f(), f(3, 4))}, "scalar"},
	{nodeCase{op: "com.microsoft.FusedMatMul", in: in(f(2, 3), f(3, 4)), attrs: attrs(onnx.IntAttr("transB", 1))}, "inner sizes 3 and 4"},
	{nodeCase{op: "Gemm", in: in(f(2, 3), f(4, 5))}, "inner sizes 3 and 4"},
	{nodeCase{op: "Gemm", in: in(f(2, 3), f(3, 4), f(5))}, "does not broadcast to the product's"},
	{nodeCase{op: "Gemm", in: in(f(2, 3), f(3, 4), f(7, 2, 4))}, "does not broadcast to the product's"},
	{nodeCase{op: "MatMulInteger", in: in(bytes8(2, 3), bytes8(4, 5))}, "inner sizes"},
	{nodeCase{op: "Einsum", in: in(f(2, 3), f(4, 5)), attrs: attrs(onnx.StringAttr("equation", "ij,jk->ik"))}, "sizes 3 and 4"},
	{nodeCase{op: "Einsum", in: in(f(2, 3)), attrs: attrs(onnx.StringAttr("equation", "ij,jk->ik"))}, "2 terms for 1 operands"},
	{nodeCase{op: "Einsum", in: in(f(2, 3, 4)), attrs: attrs(onnx.StringAttr("equation", "ij->ij"))}, "has 2 axes"},

	{nodeCase{op: "ReduceSum", in: in(f(2, 3), c(2))}, "axis 2 is out of range"},
	{nodeCase{op: "ReduceMax", in: in(f(2, 3), f(1))}, "operand 1 is float32"},
	{nodeCase{op: "ArgMax", in: in(f(2, 3)), attrs: attrs(axis(-3))}, "axis -3 is out of range"},
	{nodeCase{op: "Softmax", in: in(f(2, 3)), attrs: attrs(axis(2))}, "axis 2 is out of range"},
	{nodeCase{op: "CumSum", in: in(f(2, 3), k(2))}, "axis 2 is out of range"},
	{nodeCase{op: "TopK", in: in(f(2, 5), c(6)), outs: 2}, "k is 6, but axis 1 has 5"},
	{nodeCase{op: "TopK", in: in(f(2, 5), c(-1)), outs: 2}, "k is -1"},

	{nodeCase{op: "LayerNormalization", in: in(f(2, 3), w(4))}, "does not fit the normalised axes"},
	{nodeCase{op: "SimplifiedLayerNormalization", in: in(f(2, 3), w(2)), attrs: attrs(axis(-1))}, "does not fit the normalised axes"},
	{nodeCase{op: "com.microsoft.SkipSimplifiedLayerNormalization", in: in(f(2, 3, 4), f(2, 3, 4), w(3))}, "does not fit the last axis"},
	{nodeCase{op: "com.microsoft.SkipSimplifiedLayerNormalization", in: in(f(2, 3, 4), f(2, 5, 4), w(4))}, "the operand to add"},
	{nodeCase{op: "SoftmaxCrossEntropyLoss", in: in(f(3, 5), at(4))}, "labels have shape [4]"},
	{nodeCase{op: "SoftmaxCrossEntropyLoss", in: in(f(3, 5), f(3))}, "operand 1 is float32"},

	{nodeCase{op: "com.microsoft.MultiHeadAttention", in: in(f(3, 5, 8), f(3, 6, 8), f(3, 6, 8))}, "num_heads"},
	{nodeCase{op: "com.microsoft.MultiHeadAttention", in: in(f(3, 5, 8), f(2, 6, 8), f(2, 6, 8)), attrs: attrs(heads)}, "batch sizes 3 and 2"},
	{nodeCase{op: "com.microsoft.Attention", in: in(f(3, 5, 8), w(7, 24), w(24)), attrs: attrs(heads)}, "inner sizes 8 and 7"},
	{nodeCase{op: "Attention", in: in(f(3, 5, 8), f(3, 6, 8), f(3, 6, 8)), opset: 23}, "q_num_heads"},
	{nodeCase{op: "Attention", in: in(f(5, 8), f(6, 8), f(6, 8)), opset: 23}, "rank 2, want 3 to 4"},

	{nodeCase{op: "Reshape", in: in(f(2, 3), c(4, -1))}, "do not divide"},
	{nodeCase{op: "Reshape", in: in(f(2, 3), c(-1, -1))}, "at most one"},
	{nodeCase{op: "Reshape", in: in(f(2, 3), c(2, 3, 0))}, "does not have"},
	{nodeCase{op: "Reshape", in: in(f(2, 3), c(2, 4))}, "do not divide"},
	{nodeCase{op: "Reshape", in: in(f(2, 4), c(2, 2))}, "numbers of elements differ"},
	{nodeCase{op: "Reshape", in: in(f(2, 3), c(-2, -3))}, "want −1 or more"},
	{nodeCase{op: "Flatten", in: in(f(2, 3)), attrs: attrs(axis(3))}, "axis 3 is out of range"},
	{nodeCase{op: "Squeeze", in: in(f(2, 1), c(0))}, "has size 2, want 1"},
	{nodeCase{op: "Unsqueeze", in: in(f(2), c(3))}, "axis 3 is out of range"},
	{nodeCase{op: "Unsqueeze", in: in(f(2), c(0, 0))}, "given twice"},
	{nodeCase{op: "Unsqueeze", in: in(f(2)), opset: 11}, "axes are missing"},
	{nodeCase{op: "Transpose", in: in(f(2, 3)), attrs: attrs(onnx.IntsAttr("perm", 0))}, "no permutation"},
	{nodeCase{op: "Transpose", in: in(f(2, 3)), attrs: attrs(onnx.IntsAttr("perm", 0, 0))}, "no permutation"},
	{nodeCase{op: "Expand", in: in(f(2, 3), c(2, 4))}, "cannot expand"},
	{nodeCase{op: "Tile", in: in(f(2, 3), c(2))}, "1 repeats for 2 axes"},
	{nodeCase{op: "Trilu", in: in(f(3))}, "rank 1, want at least 2"},

	{nodeCase{op: "Concat", in: in(f(2, 3), f(2, 4)), attrs: attrs(axis(0))}, "sizes 3 and 4 of axis 1"},
	{nodeCase{op: "Concat", in: in(f(2, 3), f(2)), attrs: attrs(axis(0))}, "ranks 2 and 1"},
	{nodeCase{op: "Concat", in: in(f(2, 3), d(2, 3)), attrs: attrs(axis(0))}, "types"},
	{nodeCase{op: "Split", in: in(f(2, 6), c(1, 2)), attrs: attrs(axis(1)), outs: 2}, "add up to 3, but the axis has 6"},
	{nodeCase{op: "Split", in: in(f(2, 6), c(1, 2, 3)), attrs: attrs(axis(1)), outs: 2}, "3 sizes for 2 outputs"},
	{nodeCase{op: "Slice", in: in(f(5, 4), c(0), c(2), c(2))}, "axis 2 is out of range"},
	{nodeCase{op: "Slice", in: in(f(5, 4), c(0), c(2), c(0), c(0))}, "step of axis 0 is 0"},
	{nodeCase{op: "Pad", in: in(f(2, 3), c(1, 2, 3))}, "3 pads for 2 axes, want 4"},
	{nodeCase{op: "Pad", in: in(f(2, 3), c(-3, 0, 0, 0))}, "cut away more"},

	{nodeCase{op: "Gather", in: in(f(2, 3), c(2))}, "index 2 is out of range"},
	{nodeCase{op: "Gather", in: in(f(2, 3), f(1))}, "operand 1 is float32"},
	{nodeCase{op: "GatherElements", in: in(f(2, 3), at(2))}, "ranks 2 and 1"},
	{nodeCase{op: "GatherND", in: in(f(2, 3), at(2, 3))}, "index tuples have 3 elements for 2 axes"},
	{nodeCase{op: "ScatterND", in: in(f(5, 3), at(2, 1), f(2, 4))}, "updates have shape [2,4], want [2,3]"},
	{nodeCase{op: "ScatterElements", in: in(f(5, 3), at(2, 3), f(2, 2))}, "updates have shape [2,2]"},
	{nodeCase{op: "ScatterElements", in: in(f(5, 3), at(2, 3), d(2, 3))}, "types"},
	{nodeCase{op: "OneHot", in: in(at(2, 3), k(5), w(2)), attrs: attrs(axis(3))}, "axis 3 is out of range"},

	{nodeCase{op: "Constant"}, "no attribute holds the value"},
	{nodeCase{op: "ConstantOfShape", in: in(c(2, -3))}, "size -3 of axis 1 is negative"},
	{nodeCase{op: "Range", in: in(k(0), k(4), k(0))}, "step is 0"},
	{nodeCase{op: "Range", in: in(k(0), w(), k(1))}, "types"},
}

// TestRefusals checks that inference refuses these nodes and says why, and
// that it is right: ONNX Runtime refuses them too, when it reads them or when
// it runs them.
func TestRefusals(t *testing.T) {
	rt := orttest.Runtime(t)
	for _, c := range refused {
		t.Run(c.String(), func(t *testing.T) {
			m, feeds := c.model(func(_ int, dims []int64) onnx.Shape { return onnx.Fixed(dims...) })
			err := onnx.InferShapes(m)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "node node of (") {
				t.Errorf("error %v, want one with the node and %q", err, c.want)
			}
			data, err := m.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			s, err := rt.NewSession(t.Context(), data, ort.Config{Optimize: ort.LevelNone})
			if err != nil {
				return
			}
			defer s.Close()
			in := map[string]*ort.Tensor{}
			for name, x := range feeds {
				if in[name], err = ort.FromONNX(x); err != nil {
					t.Fatal(err)
				}
			}
			out := map[string]*ort.Tensor{}
			for _, v := range s.Outputs() {
				out[v.Name] = nil
			}
			if err := s.Run(t.Context(), in, out); err == nil {
				t.Errorf("the runtime runs it, and makes %v", out)
			}
		})
	}
}
