package export

import (
	"strings"
	"testing"

	"softprompt/onnx"
	"softprompt/onnx/hint"
	"softprompt/onnx/ort/orttest"
	"softprompt/prompt"
)

// TestExportedQuantised: a model in integers rates answers as it stands, and
// is not trained, which is said before anything is built.
func TestExportedQuantised(t *testing.T) {
	exportedModels(t, map[string]bool{"int8": true, "uint8": true}, func(t *testing.T, spec Spec, g *golden) {
		m, err := Score(spec)
		if err != nil {
			t.Fatal(err)
		}
		in := lengths(spec.Config.DModel, 3, 5, 4)
		scores, err := orttest.Run(t, m, only(m, in))["log_probability"].Float32s()
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range scores {
			if !(s < 0 && s > -100) {
				t.Errorf("candidate %d has log-probability %v", i, s)
			}
		}
		_, err = Train(spec)
		if err == nil || !strings.Contains(err.Error(), "dynamic quantisation has no derivative") || !strings.Contains(err.Error(), spec.Graphs.EncoderFile) {
			t.Errorf("training gives %v", err)
		}
		if !strings.Contains(hint.Of(err), "recovered") {
			t.Errorf("the hint is %q", hint.Of(err))
		}
	})
}

// TestExportedRefusals: what exported graphs cannot do as they stand is said
// with what to do about it.
func TestExportedRefusals(t *testing.T) {
	spec := graphsOf(t, "t5-opset18")
	deep := *spec.Method
	deep.Name, deep.LayerInput = "deep", func(_ *prompt.Site, h string) string { return h }
	for name, c := range map[string]struct {
		build        func(Spec) (*onnx.Model, error)
		change       func(*Spec)
		want, advice string
	}{
		"dropout":  {Train, func(s *Spec) { s.Dropout = true }, "no dropout", "--dropout 0"},
		"layers":   {Score, func(s *Spec) { s.Method = &deep }, "method deep reaches inside", "prompt tuning"},
		"encode":   {Encode, func(*Spec) {}, "cache", "recovered"},
		"decode":   {Decode, func(*Spec) {}, "cache", "recovered"},
		"weights":  {Train, func(s *Spec) { s.Weights = checkpointOf(t, "t5").Weights }, "both weights and graphs", ""},
		"no model": {Train, func(s *Spec) { s.Graphs = nil }, "no weights", ""},
	} {
		s := spec
		c.change(&s)
		_, err := c.build(s)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
		if !strings.Contains(hint.Of(err), c.advice) {
			t.Errorf("%s: the hint is %q, want %q", name, hint.Of(err), c.advice)
		}
	}
}

// TestExportedNoDerivative: an operator that gradients cannot go through is
// named with the files that it is from.
func TestExportedNoDerivative(t *testing.T) {
	spec := graphsOf(t, "t5-opset18")
	for _, n := range spec.Graphs.Decoder.Graph.Nodes {
		if n.Op == "Relu" {
			c := *n
			n.Op, n.Domain = "Relish", "acme"
			spec.Graphs.Decoder.Opset["acme"] = 1
			defer func() { *n = c }()
			break
		}
	}
	_, err := Train(spec)
	for _, words := range []string{"encoder_model.onnx and decoder_model.onnx as they stand", "acme.Relish node decoder:", "no derivative"} {
		if err == nil || !strings.Contains(err.Error(), words) || strings.Contains(err.Error(), "\n") {
			t.Errorf("got %v, want %q in one line", err, words)
		}
	}
}
