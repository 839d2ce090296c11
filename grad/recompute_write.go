package grad

import (
	"slices"

	"softprompt/onnx"
)

// rewrite returns the model with the nodes of segments put in a second time,
// each segment's before its gradient, which reads them in place of the first.
func rewrite(m *onnx.Model, u *uses, segments []*segment) (*onnx.Model, error) {
	out := clone(m)
	out.Graph.Nodes = nil
	w := &writer{
		Builder: onnx.NewBuilder(out), uses: u, taken: onnx.NamesIn(m.Graph),
		names: map[*segment]map[string]string{},
	}
	at, of := map[int][]*segment{}, map[int]*segment{}
	for _, s := range segments {
		at[s.at] = append(at[s.at], s)
		for i := range s.backward {
			of[i] = s
		}
		w.names[s] = map[string]string{}
		for _, i := range s.again {
			for _, y := range u.nodes[i].Outputs {
				if y != "" {
					w.names[s][y] = w.taken.Fresh(y + "/again")
				}
			}
		}
	}
	for name := range w.taken {
		w.Reserve(name)
	}
	for i, n := range u.nodes {
		for _, s := range at[i] {
			w.again(s)
		}
		if s := of[i]; s != nil && i >= s.at {
			n = n.Renamed(w.names[s])
		}
		w.Append(n)
	}
	if err := w.Err(); err != nil {
		return nil, err
	}
	return out, nil
}

// writer puts a graph together again.
type writer struct {
	*onnx.Builder       // of the new graph
	uses          *uses // of the old one
	taken         onnx.Names
	// names says what the values of a segment are called the second time.
	names map[*segment]map[string]string
}

// again appends the nodes of a segment that run a second time. Each has an
// input that waits for the gradient: what another made the second time, or what
// enters the segment, delayed.
func (w *writer) again(s *segment) {
	names := w.names[s]
	w.From, w.Block = nameOf(w.uses.nodes[s.again[0]]), w.uses.nodes[s.again[0]].Block
	signs := w.signs(s.waitFor)
	for _, i := range s.again {
		n := w.uses.nodes[i]
		w.From, w.Block = nameOf(n), n.Block
		waits := slices.ContainsFunc(n.Uses(), func(x string) bool { return names[x] != "" })
		if x := w.enters(n); !waits && x != "" {
			names[x] = w.delayed(x, signs)
		}
		c := n.Renamed(names)
		c.From = nameOf(n)
		if c.Name = names[n.Name]; c.Name == "" {
			c.Name = w.taken.Fresh(nameOf(n) + "/again")
		}
		w.Append(c)
	}
	w.From, w.Block = "", ""
}

// enters returns the input of a node that can be delayed: the first that is
// not constant, of floats if there is one.
func (w *writer) enters(n *onnx.Node) string {
	inputs := slices.DeleteFunc(n.Uses(), func(x string) bool { return w.uses.constant[x] || w.Type(x) == onnx.Undefined })
	if i := slices.IndexFunc(inputs, func(x string) bool { return w.Type(x).IsFloat() }); i >= 0 {
		return inputs[i]
	}
	if len(inputs) > 0 {
		return inputs[0]
	}
	return ""
}

// delayed returns x as it is, but not before the signs are there. A Reshape
// costs nothing, as the runtime lets it share the memory of x.
func (w *writer) delayed(x string, signs []string) string {
	return w.Reshape(x, w.Concat(0, append([]string{shapeOf(w.Builder, x)}, signs...)...))
}

// signs returns an int64 vector without elements for each value, that is there
// once the value is. It comes from the value's sizes; where these are known,
// the runtime would make a constant of that, and it comes from the elements.
func (w *writer) signs(values []string) []string {
	var signs []string
	for _, v := range values {
		if _, known := w.Shape(v).Sizes(); known {
			signs = append(signs, w.Cast(w.SliceTo(w.ReshapeTo(v, -1), 0, 0, 0), onnx.Int64))
		} else {
			signs = append(signs, w.SliceTo(w.ShapeOf(v), 0, 0, 0))
		}
	}
	return signs
}
