package grad

import (
	"strings"
	"testing"

	"softprompt/onnx"
)

// TestNodes holds the operators that a training step is made of to the nodes
// that their gradients need. Each stands for a pass over memory.
func TestNodes(t *testing.T) {
	n := func(name string, dims ...int64) onnx.Value {
		return onnx.Value{Name: name, Type: onnx.Float32, Shape: onnx.Fixed(dims...)}
	}
	batch := onnx.Value{Name: "x", Type: onnx.Float32, Shape: onnx.Shape{onnx.Sym("B"), onnx.Sym("S"), onnx.Size(8)}}
	for _, tc := range []struct {
		op    string
		in    []onnx.Value
		attrs []onnx.Attr
		wrt   string
		want  string
	}{
		{"Add", []onnx.Value{batch, batch}, nil, "x", "Add"},
		{"Add", []onnx.Value{batch, n("b", 8)}, nil, "x", "Identity"},
		{"Add", []onnx.Value{batch, n("b", 8)}, nil, "b", "ReduceSum"},
		{"Mul", []onnx.Value{batch, n("b", 8)}, nil, "x", "Mul"},
		{"Mul", []onnx.Value{batch, n("b", 8)}, nil, "b", "Mul ReduceSum"},
		{"Relu", []onnx.Value{batch}, nil, "x", "Sign Mul"},
		{"Softmax", []onnx.Value{batch}, nil, "x", "Mul ReduceSum Mul Sub"},
		{"LogSoftmax", []onnx.Value{batch}, nil, "x", "Exp ReduceSum Mul Sub"},
		{"com.microsoft.FastGelu", []onnx.Value{batch}, nil, "x", "Mul Mul Add Mul Mul Add Sub Mul Add Sigmoid Mul Mul"},
		{"MatMul", []onnx.Value{batch, n("w", 8, 4)}, nil, "x", "FusedMatMul"},
		{"MatMul", []onnx.Value{batch, n("w", 8, 4)}, nil, "w", "Reshape Reshape Gemm"},
		{"com.microsoft.FusedMatMul", []onnx.Value{batch, n("w", 4, 8)}, []onnx.Attr{onnx.IntAttr("transB", 1)}, "x", "MatMul"},
		{"com.microsoft.FusedMatMul", []onnx.Value{batch, n("w", 4, 8)}, []onnx.Attr{onnx.IntAttr("transB", 1)}, "w", "Reshape Reshape Gemm"},
		{"Gemm", []onnx.Value{n("x", 5, 8), n("w", 8, 4)}, nil, "w", "FusedMatMul"},
		{"SimplifiedLayerNormalization", []onnx.Value{batch, n("w", 8)}, nil, "x", "Mul Mul Mul Mul ReduceMean Mul Mul Mul Sub"},
		{"SimplifiedLayerNormalization", []onnx.Value{batch, n("w", 8)}, nil, "w", "Mul Mul ReduceSum"},
		{"Transpose", []onnx.Value{batch}, []onnx.Attr{onnx.IntsAttr("perm", 1, 0, 2)}, "x", "Transpose"},
		{"Concat", []onnx.Value{batch, n("p", 1, 1, 8)}, []onnx.Attr{onnx.IntAttr("axis", 1)}, "x", "Shape Slice"},
		{"Gather", []onnx.Value{n("table", 32, 8), {Name: "at", Type: onnx.Int64, Shape: batch.Shape[:2]}}, nil, "table", "Reshape OneHot Reshape FusedMatMul"},
	} {
		m := onnx.NewModel("nodes")
		m.Opset[onnx.Microsoft] = 1
		node := &onnx.Node{Name: "f", Op: tc.op, Attrs: tc.attrs, Outputs: []string{"y"}}
		if rest, ok := strings.CutPrefix(tc.op, onnx.Microsoft+"."); ok {
			node.Op, node.Domain = rest, onnx.Microsoft
		}
		fed := map[string]bool{}
		for _, v := range tc.in {
			node.Inputs = append(node.Inputs, v.Name)
			if !fed[v.Name] {
				m.Graph.Inputs = append(m.Graph.Inputs, v)
			}
			fed[v.Name] = true
		}
		m.Graph.Nodes = []*onnx.Node{node}
		r := must(Reverse(m, "y", []string{tc.wrt}, Seed("g")))(t)
		var ops []string
		for _, n := range r.Graph.Nodes[1:] {
			ops = append(ops, n.Op)
		}
		if got := strings.Join(ops, " "); got != tc.want {
			t.Errorf("%s, gradient in %s: %s, want %s", tc.op, tc.wrt, got, tc.want)
		}
	}
}

// TestShare: equal nodes become one, also of forward and gradient nodes; what
// differs in anything stays.
func TestShare(t *testing.T) {
	b := onnx.NewBuilder(onnx.NewModel("share"))
	x := b.Input("x", onnx.Float32, onnx.Size(4))
	y := b.Exp(x)
	forward := len(b.Model.Graph.Nodes)
	b.From = "f"
	again := b.Exp(x)
	sum := b.Add(again, again)
	other := b.Add(y, again)
	last := b.Mul(sum, other)
	soft, first := b.Softmax(x, 0), b.Softmax(x, -1)
	ones, zeros := b.Fill(b.Ints(2), 1, onnx.Float32), b.Fill(b.Ints(2), 0, onnx.Float32)
	if err := b.Err(); err != nil {
		t.Fatal(err)
	}
	g := b.Model.Graph
	renamed := share(g, forward)
	if renamed[again] != y || renamed[other] != sum {
		t.Errorf("renamed %v", renamed)
	}
	for _, v := range []string{last, soft, first, ones, zeros} {
		if _, gone := renamed[v]; gone {
			t.Errorf("%s is gone", v)
		}
	}
	if n := g.Nodes[len(g.Nodes)-5]; n.Inputs[0] != sum || n.Inputs[1] != sum {
		t.Errorf("%v reads %v", n, n.Inputs)
	}
	if len(g.Nodes) != 7 {
		t.Errorf("%d nodes are left", len(g.Nodes))
	}
}
