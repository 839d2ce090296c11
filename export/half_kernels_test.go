package export

import (
	"testing"

	"softprompt/onnx"
	"softprompt/onnx/ort/orttest"
)

// What the CUDA provider of ONNX Runtime 1.31 has kernels for in half types,
// from docs/OperatorKernels.md of its source, of the operators met here. The
// list of those with float16 alone shows what bfloat16 must keep clear of: a
// node without a kernel goes to the processor, which has none either.
var (
	cudaBoth = set("MatMul", "Gemm", "com.microsoft.FusedMatMul", "Add", "Sub", "Mul", "Div", "Pow", "Sqrt", "Exp", "Erf",
		"Tanh", "Relu", "Sigmoid", "Neg", "Abs", "Sign", "Softmax", "ReduceSum", "Min", "Max", "Where", "Gather",
		"GatherElements", "ScatterND", "ScatterElements", "Slice", "Split", "Concat", "Expand", "Reshape", "Transpose",
		"Squeeze", "Unsqueeze", "Identity", "Cast", "Dropout", "Gelu", "com.microsoft.FastGelu", "com.microsoft.QuickGelu",
		"LayerNormalization", "SimplifiedLayerNormalization")
	cudaFloat16 = set("ReduceMean", "ReduceMax", "ReduceMin", "ReduceL2", "Log", "LogSoftmax", "Reciprocal", "Greater",
		"Less", "Equal", "Clip", "Pad", "OneHot", "Einsum", "TopK", "ArgMax")
)

func set(names ...string) map[string]bool {
	m := map[string]bool{}
	for _, n := range names {
		m[n] = true
	}
	return m
}

// graphWriters has all graphs.
var graphWriters = map[string]func(Spec) (*onnx.Model, error){"train": Train, "score": Score, "encode": Encode, "decode": Decode}

// typedNode is a node with the types around it.
type typedNode struct {
	*onnx.Node
	op    string
	types []onnx.DType // of inputs and outputs
	made  onnx.DType   // of the first output
}

// typed infers the types of a valid graph.
func typed(t *testing.T, m *onnx.Model) []typedNode {
	t.Helper()
	if err := onnx.Validate(m); err != nil {
		t.Fatal(err)
	}
	f := onnx.NewInference(m)
	var out []typedNode
	for _, n := range m.Graph.Nodes {
		if err := f.Node(n); err != nil {
			t.Fatal(err)
		}
		op := n.Op
		if n.Domain != "" {
			op = n.Domain + "." + op
		}
		made, _ := f.Value(n.Output(0))
		typed := typedNode{Node: n, op: op, made: made.Type}
		for _, list := range [][]string{n.Inputs, n.Outputs} {
			for _, x := range list {
				v, _ := f.Value(x)
				typed.types = append(typed.types, v.Type)
				if x != "" && v.Type == onnx.Undefined {
					t.Fatalf("%v: no type is known of %s", n, x)
				}
			}
		}
		out = append(out, typed)
	}
	return out
}

// TestCUDAKernels looks each operator on halves up in the tables.
func TestCUDAKernels(t *testing.T) {
	seen := map[string]bool{}
	every(t, func(t *testing.T, g *golden, _ string) {
		for name, write := range graphWriters {
			for _, p := range []Precision{FP16, BF16} {
				for _, standard := range []bool{false, true} {
					for _, rank := range []bool{false, true} {
						spec := g.spec
						spec.Precision, spec.Standard, spec.Rank = p, standard, rank
						m, err := write(spec)
						if err != nil {
							t.Fatal(err)
						}
						for _, n := range typed(t, m) {
							for _, dt := range n.types {
								if dt != onnx.Float16 && dt != onnx.BFloat16 {
									continue
								}
								seen[n.op] = true
								if !cudaBoth[n.op] && (dt == onnx.BFloat16 || !cudaFloat16[n.op]) {
									t.Errorf("%s in %s: CUDA has no kernel for %v", name, p, n)
								}
							}
						}
					}
				}
			}
		}
	})
	for _, op := range []string{"MatMul", "com.microsoft.FusedMatMul", "Transpose", "Reshape", "Cast"} {
		if !seen[op] {
			t.Errorf("no %s on halves: the test shows nothing", op)
		}
	}
}

// TestHalfOfGraphsAsTheyStand: exported graphs in bfloat16 keep to the same
// tables, and, as float16 for the processor, to the loss.
func TestHalfOfGraphsAsTheyStand(t *testing.T) {
	exportedModels(t, map[string]bool{"fp32": true}, func(t *testing.T, spec Spec, g *golden) {
		spec.Precision = BF16
		m, err := Train(spec)
		if err != nil {
			t.Fatal(err)
		}
		products := 0
		for _, n := range typed(t, m) {
			for _, dt := range n.types {
				if dt == onnx.BFloat16 && !cudaBoth[n.op] {
					t.Errorf("CUDA has no kernel for %v", n)
				}
			}
			if isProductOp[n.op] && n.made == onnx.BFloat16 {
				products++
			}
		}
		if products == 0 {
			t.Error("no product in bfloat16")
		}
		spec.Precision = FP32
		if m, err = Train(spec); err == nil {
			m, err = toHalf(m, FP16)
		}
		if err != nil {
			t.Fatal(err)
		}
		near(t, "loss", orttest.Run(t, m, g.inputs(m))["loss"], g.want("loss"), 2e-3)
	})
}
