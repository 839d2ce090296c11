package export

import (
	"strings"
	"testing"

	"softprompt/onnx"
	"softprompt/onnx/ort/orttest"
)

// TestCrossForms: both forms of cross-attention give the same loss, gradient and
// scores, with and without dropout.
func TestCrossForms(t *testing.T) {
	for _, batch := range []string{"io", "dropout"} {
		g := openGolden(t, "v1_1-2x2", batch)
		if batch == "dropout" {
			g.spec.Dropout = true
		}
		folded, err := Train(g.spec)
		if err != nil {
			t.Fatal(err)
		}
		g.spec.LongTargets = true
		direct, err := Train(g.spec)
		if err != nil {
			t.Fatal(err)
		}
		if a, b := keysOf(folded), keysOf(direct); a != 0 || b != g.spec.Config.NumDecoderLayers {
			t.Errorf("%d and %d layers have keys of the encoder", a, b)
		}
		in := g.inputs(folded)
		g.weigh(in, "mean")
		got, want := orttest.Run(t, folded, in), orttest.Run(t, direct, in)
		for name, y := range want {
			v, err := y.Float32s()
			if err != nil {
				t.Fatal(err)
			}
			close(t, batch+" "+name, got[name], v)
		}
	}
}

// keysOf counts the decoder layers that make keys of all the encoder's states.
func keysOf(m *onnx.Model) (n int) {
	for _, node := range m.Graph.Nodes {
		if node.From == "" && node.Op == "FusedMatMul" && strings.HasSuffix(node.Input(1), "EncDecAttention.k.weight") {
			n++
		}
	}
	return n
}

// TestEmptyCandidate: a place for an answer that a row does not have is never
// chosen, and has no part in the loss of the others.
func TestEmptyCandidate(t *testing.T) {
	_, spec := tiny(t)
	spec.Method, spec.Rank = nil, true
	m, err := Train(spec)
	if err != nil {
		t.Fatal(err)
	}
	in := scoreInputs()
	in["right"] = onnx.Floats("", []int64{2, 2}, []float32{0, 1, 1, 0})
	in["row_weights"] = onnx.Floats("", []int64{2}, []float32{1, 1})
	out := orttest.Run(t, m, in)
	loss, err := out["example_loss"].Float32s()
	if err != nil {
		t.Fatal(err)
	}
	if loss[0] <= 0 || loss[1] != 0 {
		t.Errorf("losses %v: the second row has one answer, which is right", loss)
	}
}
