package grad

import (
	"fmt"
	"strings"

	"softprompt/onnx"
)

// share makes one of gradient nodes that are equal, or equal to a forward
// node: the same operator with the same attributes on the same inputs.
// Formulas run for each input alone and know nothing of each other, so they
// leave such pairs behind. It returns the new names of the values that are
// gone. The first forward nodes stay as they are.
func share(g *onnx.Graph, forward int) map[string]string {
	renamed := map[string]string{}
	first := map[string]*onnx.Node{}
	kept := g.Nodes[:forward:forward]
	for i, n := range g.Nodes {
		if i >= forward {
			for j, x := range n.Inputs {
				if r, ok := renamed[x]; ok {
					n.Inputs[j] = r
				}
			}
		}
		key, ok := identity(n)
		if ok {
			if twin := first[key]; twin == nil {
				first[key] = n
			} else if i >= forward {
				for j, y := range n.Outputs {
					renamed[y] = twin.Outputs[j]
				}
				continue
			}
		}
		if i >= forward {
			kept = append(kept, n)
		}
	}
	g.Nodes = kept
	return renamed
}

// identity writes out what a node computes. Nodes that draw random numbers do
// not occur in formulas, so none is taken for another; those with graphs
// inside are left alone.
func identity(n *onnx.Node) (key string, ok bool) {
	var s strings.Builder
	fmt.Fprintf(&s, "%s %s %q %d", n.Domain, n.Op, n.Inputs, len(n.Outputs))
	for _, a := range n.Attrs {
		if a.Kind == onnx.AttrGraph || a.Kind == 0 {
			return "", false
		}
		fmt.Fprintf(&s, " %s:%d:%v,%d,%q,%v,%v,%q", a.Name, a.Kind, a.F, a.I, a.S, a.Floats, a.Ints, a.Strings)
		if t := a.T; t != nil {
			if t.External != nil {
				return "", false
			}
			fmt.Fprintf(&s, ",%v%v%q%q", t.Type, t.Dims, t.Data, t.Strings)
		}
	}
	return s.String(), true
}
