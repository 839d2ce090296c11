package exported

import (
	"fmt"
	"slices"

	"softprompt/onnx"
	"softprompt/onnx/hint"
)

// check holds what is left against the role: every operator is known, every
// input is read and fed, and lengths are those of the inputs.
func (p *part) check() error {
	m := p.model
	if err := onnx.Validate(m); err != nil {
		return fmt.Errorf("%s, after surgery: %w", p.file, err)
	}
	for _, v := range p.takes {
		if !slices.ContainsFunc(m.Graph.Inputs, func(w onnx.Value) bool { return w.Name == v.Name }) {
			return p.refuse("%s does not depend on %s", p.gives.Name, v.Name)
		}
	}
	f := onnx.NewInference(m)
	for _, n := range m.Graph.Nodes {
		if err := p.checkNode(f, n); err != nil {
			return err
		}
	}
	out, _ := f.Value(p.gives.Name)
	if out.Type != p.gives.Type || len(out.Shape) != 3 || !out.Shape[:2].Same(p.gives.Shape[:2]) || !fits(out.Shape[2], p.gives.Shape[2]) {
		return p.refuse("%s comes out as %v%v, want %v%v", p.gives.Name, out.Type, out.Shape, p.gives.Type, p.gives.Shape)
	}
	return nil
}

// fits tells whether a size can be the one wanted.
func fits(d, want onnx.Dim) bool { return !d.Known() || d == want }

// checkNode follows one node.
func (p *part) checkNode(f *onnx.Inference, n *onnx.Node) error {
	if err := f.Node(n); err != nil {
		return fmt.Errorf("%s, after surgery: %w", p.file, err)
	}
	if len(n.Graphs()) > 0 {
		return p.fail(n, "it holds a graph; want a graph without branches and loops")
	}
	for i, y := range n.Outputs {
		if v, _ := f.Value(y); y != "" && i == 0 && v.Type == onnx.Undefined {
			return hint.Wrap(p.fail(n, "the operator is not known (opset %d of domain %q); want those of opset 11 to 23, or of com.microsoft", p.model.Opset[n.Domain], n.Domain),
				"export the model again with Optimum and without further optimisation")
		}
	}
	if n.Op == "Softmax" {
		x, _ := f.Value(n.Input(0))
		if len(x.Shape) > 0 && x.Shape[len(x.Shape)-1].Known() {
			return hint.Wrap(p.fail(n, "it attends to %v positions whatever the input's length; want lengths that follow the input's", x.Shape[len(x.Shape)-1]),
				"export it again with dynamic axes, as Optimum does")
		}
	}
	return nil
}
