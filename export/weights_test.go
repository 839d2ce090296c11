package export

import (
	"path/filepath"
	"strings"
	"testing"

	"softprompt/grad"
	"softprompt/models"
	"softprompt/onnx"
	"softprompt/onnx/ort/orttest"
)

// TestWeightGradients differentiates the whole model in every weight.
func TestWeightGradients(t *testing.T) {
	for _, name := range []string{"v1_0-2x2", "v1_1-2x2"} {
		t.Run(name, func(t *testing.T) {
			g := openGolden(t, name, "io")
			want, err := models.OpenSafetensors(filepath.Join("testdata", "golden", name, "weight_grads.safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			defer want.Close()
			b, err := newGraph("weights", g.spec)
			if err != nil {
				t.Fatal(err)
			}
			states, mask := b.encoder()
			labels := b.Input("labels", onnx.Int64, onnx.Sym("B"), onnx.Sym("T"))
			loss := b.loss(b.teacherForced(states, mask, labels), labels)
			forward, err := b.finish()
			if err != nil {
				t.Fatal(err)
			}
			var wrt []string
			for _, w := range forward.Graph.Initializers {
				if _, ok := want.Lookup(fileName(w.Name)); ok {
					wrt = append(wrt, w.Name)
				}
			}
			if len(wrt) != len(want.Names()) {
				t.Fatalf("the graph has %d of the %d weights", len(wrt), len(want.Names()))
			}
			m, err := grad.Reverse(forward, loss, wrt)
			if err != nil {
				t.Fatal(err)
			}
			in := g.inputs(m)
			g.weigh(in, "mean")
			out := orttest.Run(t, m, in)
			for _, name := range wrt {
				expected, err := want.Float32(fileName(name))
				if err != nil {
					t.Fatal(err)
				}
				close(t, name, out["grad."+name], expected)
			}
		})
	}
}

// fileName is a weight's name in its file: cross-attention gives those of keys
// and values another, with their heads apart.
func fileName(weight string) string { return strings.TrimSuffix(weight, ".heads") }
