package exported

import (
	"fmt"
	"slices"

	"softprompt/grad"
	"softprompt/onnx"
	"softprompt/onnx/hint"
)

// quantised has the operators that compute in integers.
var quantised = map[string]bool{
	"DynamicQuantizeLinear": true, "QuantizeLinear": true, "MatMulInteger": true, "ConvInteger": true,
	"com.microsoft.DynamicQuantizeMatMul": true, "com.microsoft.MatMulIntegerToFloat": true,
	"com.microsoft.MatMulNBits": true, "com.microsoft.MatMulBnb4": true,
}

// Differentiable tells whether gradients can go through the graphs as far as
// their operators are concerned: a model that computes in integers moves in
// steps, and has none.
func (t *T5) Differentiable() error {
	for _, part := range []struct {
		file, from string
		model      *onnx.Model
	}{{t.EncoderFile, "inputs_embeds", t.Encoder}, {t.DecoderFile, "encoder_hidden_states", t.Decoder}} {
		reached := map[string]bool{part.from: true}
		for _, n := range part.model.Graph.Nodes {
			if n.Op == "Shape" || !slices.ContainsFunc(n.Inputs, func(x string) bool { return reached[x] }) {
				continue
			}
			if op := opName(n); quantised[op] && !slices.Contains(grad.Operators(), op) {
				return hint.Wrap(fmt.Errorf("%s: %v: dynamic quantisation has no derivative; want operators that have one", part.file, n),
					"quantised models are trained through their weights: let them be recovered, or take the float32 or float16 files")
			}
			for _, y := range n.Outputs {
				reached[y] = true
			}
		}
	}
	return nil
}

// opName returns the operator after its domain, if it is not a standard one.
func opName(n *onnx.Node) string {
	if n.Domain == "" || n.Domain == "ai.onnx" {
		return n.Op
	}
	return n.Domain + "." + n.Op
}
