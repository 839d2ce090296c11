package exported_test

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"softprompt/grad"
	"softprompt/onnx"
	"softprompt/onnx/ort/orttest"
)

// TestONNXAD: gradients of the imported graphs, after surgery and by
// grad.Reverse, are those that onnx-ad gets of the files. It shares no line
// with this program: its surgery is another and its rules are written in
// Python. Graphs that compute in integers have no derivative as they stand;
// package export's test of the same name compares what is made of them.
func TestONNXAD(t *testing.T) {
	compared, refused, largest := 0, 0, 0.0
	for _, f := range manifest(t) {
		t.Run(f.Name, func(t *testing.T) {
			x := load(t, filepath.Join(fixtures, f.Name))
			if strings.HasSuffix(f.Precision, "int8") {
				if err := x.Differentiable(); err == nil {
					t.Error("integers are said to have a derivative")
				}
				refused += 2
				return
			}
			fatal(t, x.Differentiable())
			io := open(t, filepath.Join(fixtures, f.Name, "onnx_ad.safetensors"))
			for _, g := range []differentiated{
				{"encoder", x.Encoder, "inputs_embeds", "last_hidden_state", map[string]*onnx.Tensor{
					"inputs_embeds": io["inputs_embeds"], "attention_mask": io["attention_mask"],
				}},
				{"decoder", x.Decoder, "encoder_hidden_states", "logits", map[string]*onnx.Tensor{
					"input_ids": io["decoder_input_ids"], "encoder_hidden_states": io["encoder_hidden_states"],
					"encoder_attention_mask": io["attention_mask"],
				}},
			} {
				largest = max(largest, g.compare(t, io))
				compared++
			}
		})
	}
	t.Logf("%d graphs have onnx-ad's gradients, the largest relative difference is %.1e; %d compute in integers", compared, largest, refused)
	if compared < 94 {
		t.Errorf("only %d graphs were compared", compared)
	}
}

// differentiated is a graph, the input that it is differentiated in, and a
// batch.
type differentiated struct {
	part     string
	model    *onnx.Model
	wrt, out string
	in       map[string]*onnx.Tensor
}

// compare holds the output and the gradient of sum(weight · output) against
// onnx-ad's, and returns the larger relative difference.
func (g differentiated) compare(t *testing.T, io map[string]*onnx.Tensor) float64 {
	t.Helper()
	m, err := grad.Reverse(g.model, g.out, []string{g.wrt}, grad.Seed("weight"))
	fatal(t, err)
	g.in["weight"] = io[g.part+"_weight"]
	got := orttest.Run(t, m, feed(t, m, g.in))
	value := apart(t, got[g.out], io[g.part+"_output"])
	gradient := apart(t, got[grad.Prefix+g.wrt], io[g.part+"_grad"])
	const tolerance = 1e-5
	if worst := max(value, gradient); !(worst <= tolerance) {
		t.Errorf("%s: relative difference %.1e, want %.0e at most", g.part, worst, tolerance)
	}
	return max(value, gradient)
}

// apart returns the largest difference relative to the largest element wanted.
func apart(t *testing.T, got, want *onnx.Tensor) float64 {
	t.Helper()
	if fmt.Sprint(got.Dims) != fmt.Sprint(want.Dims) {
		t.Fatalf("shape %v, want %v", got.Dims, want.Dims)
	}
	x, err := got.Float32s()
	fatal(t, err)
	y, err := want.Float32s()
	fatal(t, err)
	diff, scale := 0.0, 0.0
	for i := range y {
		diff = max(diff, math.Abs(float64(x[i])-float64(y[i]))) // NaN stays
		scale = max(scale, math.Abs(float64(y[i])))
	}
	return diff / scale
}
