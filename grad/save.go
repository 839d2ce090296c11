package grad

import (
	"slices"

	"softprompt/onnx"
)

// saved has the optional outputs that formulas read, by operator.
var saved = map[string][]int{
	"SimplifiedLayerNormalization": {1},    // r = 1/rms(x)
	"LayerNormalization":           {1, 2}, // mean, 1/σ
	"SoftmaxCrossEntropyLoss":      {1},    // log-probabilities
	"Dropout":                      {1},    // mask
}

// save lets the nodes that take part in the gradient hand out what their
// formulas read again.
func save(m *onnx.Model, loss string, wrt []string) (*onnx.Model, error) {
	m = clone(m)
	a, err := analyse(newBuilder(m), loss, wrt)
	if err != nil {
		return nil, err
	}
	taken := onnx.NamesIn(m.Graph)
	for i, n := range m.Graph.Nodes {
		outputs, ok := saved[opName(n)]
		if !ok || !a.on[n] || n.Op == "Dropout" && n.Input(2) == "" {
			continue
		}
		c := *n
		c.Outputs = slices.Clone(n.Outputs)
		for _, o := range outputs {
			for len(c.Outputs) <= o {
				c.Outputs = append(c.Outputs, "")
			}
			if c.Outputs[o] == "" {
				c.Outputs[o] = taken.Fresh("saved/" + nameOf(n))
			}
		}
		m.Graph.Nodes[i] = &c
	}
	return m, nil
}
