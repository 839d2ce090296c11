package grad

import (
	"fmt"
	"slices"
	"strings"

	"softprompt/onnx"
)

// share makes one node of gradient nodes that are equal, or equal to a forward
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
		key, ok := fingerprint(n)
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

// fingerprint writes out what a node computes; ok is false for nodes that
// formulas do not make, such as those that hold a graph or a large constant.
func fingerprint(n *onnx.Node) (key string, ok bool) {
	if slices.Contains(n.Outputs, "") {
		return "", false
	}
	var s strings.Builder
	fmt.Fprintf(&s, "%s %s %q %d", n.Domain, n.Op, n.Inputs, len(n.Outputs))
	for _, a := range n.Attrs {
		if a.Kind == onnx.AttrGraph || a.Kind == 0 {
			return "", false
		}
		fmt.Fprintf(&s, " %s:%d:%v,%d,%q,%v,%v,%q", a.Name, a.Kind, a.F, a.I, a.S, a.Floats, a.Ints, a.Strings)
		if t := a.T; t != nil {
			if t.External != nil || len(t.Data) > 64 {
				return "", false
			}
			fmt.Fprintf(&s, ",%v%v%q%q", t.Type, t.Dims, t.Data, t.Strings)
		}
	}
	return s.String(), true
}
