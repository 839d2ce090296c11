package exported

import (
	"fmt"
	"math"
	"slices"
)

// embedding reads the stream's start as the lookup of token ids in the shared
// table.
func (w *walk) embedding(x string) error {
	m := w.maker(w.plain(x))
	dequantise := m
	if m.is("", "DequantizeLinear") {
		m = w.maker(m.Input(0))
	}
	table := w.constant(m.Input(0))
	if !m.is("", "Gather") || m.Int("axis", 0) != 0 || table == nil || len(table.tensor.Dims) != 2 {
		return fmt.Errorf("%s where the lookup of token embeddings was wanted", w.describe(w.plain(x)))
	}
	if dequantise.Node != m.Node {
		if table = w.quantised(table, dequantise.Input(1), dequantise.Input(2), -1); table == nil || table.quantum.axis >= 0 {
			return fmt.Errorf("%v does not fit the table of embeddings", dequantise.Node)
		}
	}
	ids := m.Input(1)
	for !w.inputs[ids] {
		n := w.maker(ids)
		if !slices.Contains([]string{"Reshape", "Cast", "Identity", "Squeeze", "Unsqueeze"}, n.Op) {
			return fmt.Errorf("%v looks up %s, which is no input", m.Node, ids)
		}
		ids = n.Input(0)
	}
	table.node = m.Name
	return w.found(sharedWeight, table)
}

// head reads logits as the states' product with the head, scaled by
// d_model^−½ or not, and returns the states.
func (w *walk) head(logits string) (states string, scaled bool, err error) {
	factor := 1.0
	unscale := func(value string) string {
		for value = w.plain(value); ; value = w.plain(value) {
			m := w.maker(value)
			rest, by := w.factor(m)
			if rest == "" {
				return value
			}
			value, factor = rest, factor*by
		}
	}
	logits = unscale(logits)
	p, err := w.product(logits)
	if err == nil && p == nil {
		err = fmt.Errorf("%s where the head's product was wanted", w.describe(logits))
	}
	if err != nil {
		return "", false, err
	}
	states = unscale(p.x)
	factor *= p.alpha
	scale := 1 / math.Sqrt(float64(w.config.DModel))
	near := func(want float64) bool { return math.Abs(factor-want) < 2e-3*want }
	if !near(1) && !near(scale) {
		return "", false, fmt.Errorf("the head's input is scaled by %.4g, wanted 1 or d_model^-0.5", factor)
	}
	return states, !near(1), w.found(headWeight, p.weight)
}

// factor reads a node as a product with a number.
func (w *walk) factor(m maker) (rest string, by float64) {
	switch {
	case m.is("", "Mul") && len(m.Inputs) == 2:
		for i := range 2 {
			if n, ok := w.number(m.Input(i)); ok {
				return m.Input(1 - i), n
			}
		}
	case m.is("", "Div"):
		if n, ok := w.number(m.Input(1)); ok && n != 0 {
			return m.Input(0), 1 / n
		}
	}
	return "", 0
}
