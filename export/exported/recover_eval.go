package exported

import (
	"fmt"
)

// Exporters and optimisers write a norm, an activation or a bucket number in
// many ways. What they compute is the same, so the search does not compare
// nodes: it computes a few numbers with them and compares those.

// evaluation computes elementwise arithmetic in float32, on vectors of one
// length or single numbers.
type evaluation struct {
	g *view
	// known has the values to start from; results join them.
	known map[string][]float64
	depth int
}

// deepest is how many nodes may follow each other; real ones are about 30.
const deepest = 200

// eval returns the numbers that a value has.
func (e *evaluation) eval(value string) ([]float64, error) {
	if v, ok := e.known[value]; ok {
		return v, nil
	}
	value = e.g.plain(value) // guards against overflow have nothing to do here
	if v, ok := e.known[value]; ok {
		return v, nil
	}
	if t := e.g.consts[value]; t != nil {
		if t.Len() != 1 {
			return nil, fmt.Errorf("constant %s %v is no single number", value, t.Dims)
		}
		return numbers(t)
	}
	m := e.g.maker(value)
	if m.Op == "" {
		return nil, fmt.Errorf("%s is no constant, and nothing makes it", value)
	}
	if e.depth++; e.depth > deepest {
		return nil, fmt.Errorf("more than %d nodes lead to %v", deepest, m.Node)
	}
	defer func() { e.depth-- }()
	f, ok := functions[nameOf(m)]
	if !ok || m.output != 0 {
		return nil, fmt.Errorf("%v computes what is not expected there", m.Node)
	}
	args := make([][]float64, len(m.Inputs))
	if n, ok := operands[nameOf(m)]; ok {
		args = args[:min(n, len(args))]
	}
	for i := range args {
		in := m.Input(i)
		if in == "" {
			continue
		}
		v, err := e.eval(in)
		if err != nil {
			return nil, err
		}
		args[i] = v
	}
	out, err := f(m.Node, args)
	if err != nil {
		return nil, fmt.Errorf("%v: %w", m.Node, err)
	}
	for i := range out {
		out[i] = float64(float32(out[i]))
	}
	e.known[value] = out
	return out, nil
}

func nameOf(m maker) string {
	if m.standard() {
		return m.Op
	}
	return m.Domain + "." + m.Op
}

// operands counts the operands that numbers come from, where others say sizes
// and axes. Where elements lie is nothing to arithmetic on each alone.
var operands = map[string]int{
	"Reshape": 1, "Squeeze": 1, "Unsqueeze": 1, "Transpose": 1, "Expand": 1, "Dropout": 1, "ReduceMean": 1, "ConstantOfShape": 0,
}
