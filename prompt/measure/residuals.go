package measure

import "softprompt/onnx"

// Site is a place where a block of the model hands the residual stream on.
type Site struct {
	Block    string // that made the value
	Value    string
	Gradient string // the value that holds its gradient, "" where there is none
}

// residualNorms has the operators that a T5 reads its residual stream with.
var residualNorms = set("SimplifiedLayerNormalization", "RMSNormalization")

// Residuals finds the residual stream of a train graph: the values that norms
// read. In a T5 these are the embeddings, and what each sub-layer ends with.
//
// A value's gradient is summed up backwards over its uses. The norm is the
// first of them, so the last node that came from it makes the whole sum.
func Residuals(m *onnx.Model) []Site {
	f := onnx.NewInference(m)
	made, last := map[string]*onnx.Node{}, map[string]*onnx.Node{}
	for _, n := range m.Graph.Nodes {
		if f.Node(n) != nil {
			return nil // no train graph of ours
		}
		for _, y := range n.Outputs {
			made[y] = n
		}
		if n.From != "" {
			last[n.From] = n
		}
	}
	var sites []Site
	for _, n := range m.Graph.Nodes {
		if n.From != "" || !residualNorms[n.Op] {
			continue
		}
		s := Site{Value: n.Input(0)}
		if made[s.Value] == nil {
			continue // an input, which no block has touched
		}
		s.Block = made[s.Value].Block
		if g := last[n.Name]; g != nil {
			x, _ := f.Value(s.Value)
			if dx, _ := f.Value(g.Output(0)); x.Shape.Same(dx.Shape) {
				s.Gradient = g.Output(0)
			}
		}
		sites = append(sites, s)
	}
	return sites
}
