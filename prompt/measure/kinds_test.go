package measure

import (
	"fmt"
	"testing"

	"softprompt/export"
	"softprompt/onnx"
)

// TestKindsOfAllGraphs: whatever the exporter writes has a kind of its own.
func TestKindsOfAllGraphs(t *testing.T) {
	spec := tinySpec(t)
	graphs := map[string]func(export.Spec) (*onnx.Model, error){
		"train": export.Train, "score": export.Score, "encode": export.Encode, "decode": export.Decode,
	}
	seen := map[Kind]bool{}
	for name, write := range graphs {
		for form, change := range map[string]func(s *export.Spec){
			"as it is":     func(*export.Spec) {},
			"int8":         func(s *export.Spec) { s.Precision = export.INT8 },
			"standard":     func(s *export.Spec) { s.Standard = true },
			"dropout":      func(s *export.Spec) { s.Dropout, s.ZLoss = true, 1e-4 },
			"choices":      func(s *export.Spec) { s.Rank = true },
			"long targets": func(s *export.Spec) { s.LongTargets = true },
		} {
			s := spec
			change(&s)
			m, err := write(s)
			if err != nil {
				t.Fatalf("%s, %s: %v", name, form, err)
			}
			types := map[string]onnx.DType{}
			f := onnx.NewInference(m)
			for _, n := range m.Graph.Nodes {
				if err := f.Node(n); err != nil {
					t.Fatal(err)
				}
				v, _ := f.Value(n.Input(0))
				types[n.Name] = v.Type
			}
			for _, n := range m.Graph.Nodes {
				k := KindOf(n.Op, fmt.Sprint(types[n.Name]))
				if k == Other {
					t.Errorf("%s, %s: %v has no kind", name, form, n)
				}
				seen[k] = true
			}
			if form != "int8" {
				continue
			}
			if !seen[Int8Products] || !seen[Quantising] {
				t.Errorf("%s in int8 has kinds %v", name, seen)
			}
		}
	}
	for _, k := range []Kind{Float32Products, Int8Products, Quantising, Elementwise, Norms, Copies} {
		if !seen[k] {
			t.Errorf("no operator is of kind %s", k)
		}
	}
}

// TestKindsAreDisjoint: an operator is in one kind.
func TestKindsAreDisjoint(t *testing.T) {
	of := map[string]Kind{}
	for op := range products {
		of[op] = Float32Products
	}
	for kind, ops := range operatorKinds {
		for op := range ops {
			if other, ok := of[op]; ok {
				t.Errorf("%s is of the kinds %s and %s", op, kind, other)
			}
			of[op] = kind
		}
	}
	listed := map[Kind]bool{}
	for _, k := range kinds {
		if listed[k] {
			t.Errorf("%s is listed twice", k)
		}
		listed[k] = true
	}
	for kind := range operatorKinds {
		if !listed[kind] {
			t.Errorf("%s is not listed", kind)
		}
	}
}

func TestKindOf(t *testing.T) {
	for _, c := range []struct {
		op, first string
		want      Kind
	}{
		{"MatMul", "float", Float32Products},
		{"FusedMatMul", "", Float32Products},
		{"Gemm", "bfloat16", HalfProducts},
		{"FusedMatMul", "float16", HalfProducts},
		{"MatMulIntegerToFloat", "uint8", Int8Products},
		{"MatMulInteger", "int8", Int8Products},
		{"DynamicQuantizeMatMul", "float", Int8Products},
		{"QuantizeLinear", "float", Quantising},
		{"FastGelu", "float", Elementwise},
		{"Softmax", "float", Norms},
		{"Cast", "int64", Copies},
		{"LSTM", "float", Other},
		{"", "", Other},
	} {
		if got := KindOf(c.op, c.first); got != c.want {
			t.Errorf("%s of %s is %s, want %s", c.op, c.first, got, c.want)
		}
	}
	if got := (Kernel{Op: "MatMul", Inputs: []Operand{{Type: "uint8"}}}).kind(); got != Int8Products {
		t.Errorf("the kernel is %s", got)
	}
	if got := (Kernel{Op: "MatMul"}).kind(); got != Float32Products {
		t.Errorf("a kernel without inputs is %s", got)
	}
}
