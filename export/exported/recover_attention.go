package exported

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"softprompt/onnx"
)

// attention reads the input of the weight o: softmax(q·kᵀ + bias) · v, with the
// heads of each laid apart and, at the end, together. It notes the weights of
// q, k, v and the table of positions, and returns the norm's output, which q
// is made of.
func (w *walk) attention(merged, layer, part string) (string, error) {
	sum, path := w.rearranged(merged)
	if sum.is(onnx.Microsoft, "Attention") && len(path) == 0 && part == "SelfAttention" {
		return w.fusedAttention(sum, layer)
	}
	rows, columns, alpha, ok := w.matmul(sum.Node)
	if !ok || alpha != 1 || columns.turned {
		return "", fmt.Errorf("%v where the product of probabilities and values was wanted", sum.Node)
	}
	start := axes{"b", "h", "l", "c"}
	if w.rank(sum.Output(0)) == 3 {
		start = axes{"bh", "l", "c"}
	}
	if end, err := w.rearrange(start, path); err != nil {
		return "", err
	} else if !end.is("b l hc", "bl hc") {
		return "", fmt.Errorf("the heads that %v makes are joined as %v", sum.Node, end)
	}
	softmax := w.maker(w.plain(rows.value))
	if !softmax.is("", "Softmax") {
		return "", fmt.Errorf("%s where the softmax of scores was wanted", w.describe(w.plain(rows.value)))
	}
	last := int64(-1)
	if w.model.Opset[""] < 13 {
		last = 1
	}
	if axis := softmax.Int("axis", last); axis != -1 && axis != w.rank(softmax.Input(0))-1 {
		return "", fmt.Errorf("%v is over axis %d", softmax.Node, axis)
	}
	scores := &scores{factor: 1, left: new(int)}
	*scores.left = mostTerms
	if err := w.terms(softmax.Input(0), 1, scores); err != nil {
		return "", err
	}
	if scores.q.value == "" {
		return "", fmt.Errorf("%v: its scores are no product of queries and keys", softmax.Node)
	}
	inputs := map[string]string{}
	for _, operand := range []struct {
		role string
		operand
		ends []string
	}{
		{"q", scores.q, []string{"b h l c", "bh l c"}},
		{"k", scores.k, []string{"b h c l", "bh c l"}},
		{"v", columns, []string{"b h l c", "bh l c"}},
	} {
		x, factor, err := w.heads(operand.operand, layer+"."+part+"."+operand.role+".weight", operand.ends)
		if err != nil {
			return "", fmt.Errorf("%s: %w", operand.role, err)
		}
		inputs[operand.role] = x
		if operand.role == "v" && factor != 1 {
			return "", fmt.Errorf("the values are scaled by %v", factor)
		}
		scores.factor *= factor
	}
	if math.Abs(scores.factor-1) > 2e-3 {
		return "", fmt.Errorf("%v: its scores are scaled by %.4g, which a T5 does not do", softmax.Node, scores.factor)
	}
	if err := w.sides(inputs, part); err != nil {
		return "", err
	}
	return inputs["q"], w.bias(scores.bias, layer, part)
}

// sides checks what keys and values are made of: what queries are, or the
// encoder's states.
func (w *walk) sides(inputs map[string]string, part string) error {
	if inputs["k"] != inputs["v"] {
		return fmt.Errorf("keys are made of %s, but values of %s", inputs["k"], inputs["v"])
	}
	cross := inputs["k"] != inputs["q"]
	switch {
	case part == "EncDecAttention" && (!cross || !w.inputs[inputs["k"]]):
		return fmt.Errorf("cross-attention reads %s, wanted the encoder's states", inputs["k"])
	case part == "SelfAttention" && cross:
		return fmt.Errorf("self-attention has keys of %s, but queries of %s", inputs["k"], inputs["q"])
	}
	return nil
}

// operand is one side of a product of computed values.
type operand struct {
	value  string
	turned bool // its last two axes are swapped by the product
}

// matmul reads a node as the product of two computed values.
func (w *walk) matmul(n *onnx.Node) (a, b operand, alpha float64, ok bool) {
	m := maker{Node: n}
	switch {
	case m.is("", "MatMul"):
		return operand{n.Input(0), false}, operand{n.Input(1), false}, 1, true
	case m.is("com.microsoft", "FusedMatMul") && n.Int("transBatchA", 0)+n.Int("transBatchB", 0) == 0:
		return operand{n.Input(0), n.Int("transA", 0) != 0}, operand{n.Input(1), n.Int("transB", 0) != 0}, float64(n.Float("alpha", 1)), true
	}
	return a, b, 0, false
}

// scores are what a softmax is taken of: factor · q·kᵀ + the sum of bias.
type scores struct {
	q, k   operand
	factor float64
	bias   []string
	left   *int // steps until the sum is too long
}

// mostTerms bounds how far a sum is taken apart, as one that adds values to
// themselves doubles with each node.
const mostTerms = 100

// terms takes a sum apart. A product with a number counts for the scores if
// the product of queries and keys is in it, else as part of the bias.
func (w *walk) terms(value string, factor float64, into *scores) error {
	if *into.left--; *into.left < 0 {
		return fmt.Errorf("the scores are a sum of more than %d terms", mostTerms)
	}
	value = w.plain(value)
	m := w.maker(value)
	if a, b, alpha, ok := w.matmul(m.Node); ok && w.constant(b.value) == nil {
		if into.q.value != "" {
			return fmt.Errorf("%v: the scores have a second product", m.Node)
		}
		into.q, into.k, into.factor = a, b, factor*alpha
		return nil
	}
	if m.is("", "Add") && len(m.Inputs) == 2 && factor == 1 {
		if err := w.terms(m.Input(0), 1, into); err != nil {
			return err
		}
		return w.terms(m.Input(1), 1, into)
	}
	if rest, by := w.factor(m); rest != "" {
		inner := &scores{left: into.left}
		if err := w.terms(rest, factor*by, inner); err == nil && inner.q.value != "" && len(inner.bias) == 0 && into.q.value == "" {
			into.q, into.k, into.factor = inner.q, inner.k, inner.factor
			return nil
		}
	}
	if factor != 1 {
		return fmt.Errorf("%s in scaled scores", w.describe(value))
	}
	into.bias = append(into.bias, value)
	return nil
}

// heads reads an operand as a product with a weight whose output is split into
// heads, notes the weight and returns what it multiplies.
func (w *walk) heads(of operand, name string, ends []string) (x string, factor float64, err error) {
	m, path := w.rearranged(of.value)
	p, err := w.product(m.Output(0))
	if err != nil {
		return "", 0, err
	}
	if p == nil {
		return "", 0, fmt.Errorf("found %v where the product with %s was wanted", m.Node, name)
	}
	factor = p.alpha
	start := axes{"b", "l", "hc"}
	if w.rank(m.Output(0)) == 2 {
		start = axes{"bl", "hc"}
	}
	for _, n := range path {
		if _, by := w.factor(n); by != 0 {
			factor *= by
		}
	}
	end, err := w.rearrange(start, path)
	if err != nil {
		return "", 0, err
	}
	if of.turned && len(end) > 1 {
		i := len(end) - 1
		end[i], end[i-1] = end[i-1], end[i]
	}
	if !end.is(ends...) {
		return "", 0, fmt.Errorf("its heads are laid out as %v", end)
	}
	return p.x, factor, w.found(name, p.weight)
}

// rearranged goes back over what moves elements or scales them all, and
// returns the node before that and the way there, first node first.
func (w *walk) rearranged(value string) (maker, []maker) {
	var path []maker
	for {
		value = w.plain(value)
		m := w.maker(value)
		next := ""
		if m.is("", "Reshape") && !w.maker(w.plain(m.Input(0))).is("", "Gemm") || m.is("", "Transpose") {
			next = m.Input(0)
		} else if rest, _ := w.factor(m); rest != "" {
			next = rest
		}
		if next == "" {
			slices.Reverse(path)
			return m, path
		}
		path, value = append(path, m), next
	}
}

// axes are the axes of a value by what they count: rows b, positions l, heads
// h and the components c of a head; joined ones as hc.
type axes []string

func (a axes) String() string { return "[" + strings.Join(a, ",") + "]" }

func (a axes) is(layouts ...string) bool { return slices.Contains(layouts, strings.Join(a, " ")) }

// rearrange returns the axes after the nodes of a path.
func (w *walk) rearrange(a axes, path []maker) (axes, error) {
	for _, m := range path {
		if m.is("", "Transpose") {
			perm := m.Ints("perm")
			if len(perm) != len(a) {
				return nil, fmt.Errorf("%v turns %d axes, wanted %d", m.Node, len(perm), len(a))
			}
			out := make(axes, len(a))
			for i, p := range perm {
				if p < 0 || int(p) >= len(a) {
					return nil, fmt.Errorf("%v has the axis %d", m.Node, p)
				}
				out[i] = a[p]
			}
			a = out
		} else if m.is("", "Reshape") {
			v, _ := w.shapes.Value(m.Output(0))
			next := reshaped(a, len(v.Shape))
			if next == nil {
				return nil, fmt.Errorf("%v makes %v of %v", m.Node, v.Shape, a)
			}
			sizes := map[string]int{"h": w.config.NumHeads, "c": w.config.DKV, "hc": w.config.InnerDim()}
			for i, d := range v.Shape {
				if size, ok := sizes[next[i]]; ok && d.Known() && d.Size != int64(size) {
					return nil, fmt.Errorf("%v has shape %v, where axis %d was wanted to be %d", m.Node, v.Shape, i, size)
				}
			}
			a = next
		}
	}
	return a, nil
}

// reshapes are the ways to split and join axes without moving an element.
var reshapes = [][]string{
	{"bl hc", "b l hc", "b l h c"},
	{"bh l c", "b h l c"},
	{"bh c l", "b h c l"},
}

// reshaped returns the axes that a reshape to a rank makes; nil if it mixes
// them.
func reshaped(a axes, rank int) axes {
	if rank == len(a) {
		return slices.Clone(a)
	}
	for _, ways := range reshapes {
		if !a.is(ways...) {
			continue
		}
		for _, way := range ways {
			if out := strings.Fields(way); len(out) == rank {
				return out
			}
		}
	}
	return nil
}
