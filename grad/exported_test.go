package grad

import (
	"path/filepath"
	"strings"
	"testing"

	"softprompt/onnx"
)

// TestExportedT5: graphs that PyTorch exported, of old opsets and in
// primitive operators, have PyTorch's gradients. testdata/exported says where
// the files are from.
func TestExportedT5(t *testing.T) {
	for _, file := range []string{"gated-gelu-opset17.onnx", "relu-opset12.onnx"} {
		t.Run(file, func(t *testing.T) {
			m := must(onnx.Load(t.Context(), filepath.Join("testdata", "exported", file)))(t)
			defer m.Close()
			feeds, want := map[string]*onnx.Tensor{}, map[string]*onnx.Tensor{}
			for _, x := range m.Graph.Initializers {
				if name, ok := strings.CutPrefix(x.Name, "example."); ok {
					feeds[name] = x
				}
				if name, ok := strings.CutPrefix(x.Name, "want."); ok {
					want[name] = x
				}
			}
			m = withCrossEntropy(m)
			var wrt []string
			for name := range want {
				if x, ok := strings.CutPrefix(name, Prefix); ok {
					wrt = append(wrt, x)
				}
			}
			if len(wrt) < 5 {
				t.Fatalf("no more than %d gradients to compare with", len(wrt))
			}
			out := run(t, must(Reverse(m, "loss", wrt))(t), feeds)
			for name, x := range want {
				near(t, name, values(t, out[name]), values(t, x), 1e-6)
			}
		})
	}
}

// withCrossEntropy adds the mean loss over labels that are not −100, in the
// operators that the model's opset has.
func withCrossEntropy(m *onnx.Model) *onnx.Model {
	g := m.Graph
	g.Inputs = append(g.Inputs, onnx.Value{Name: "labels", Type: onnx.Int64, Shape: onnx.Shape{onnx.Sym("B"), onnx.Sym("T")}})
	g.Nodes = append(g.Nodes,
		&onnx.Node{Name: "classes", Op: "Transpose", Inputs: []string{"logits"}, Outputs: []string{"classes"}, Attrs: []onnx.Attr{onnx.IntsAttr("perm", 0, 2, 1)}},
		&onnx.Node{
			Name: "loss", Op: "SoftmaxCrossEntropyLoss", Inputs: []string{"classes", "labels"}, Outputs: []string{"loss"},
			Attrs: []onnx.Attr{onnx.IntAttr("ignore_index", -100)},
		})
	g.Outputs = append(g.Outputs, onnx.Value{Name: "loss", Type: onnx.Float32, Shape: onnx.Shape{}})
	return m
}
