package exported

import (
	"fmt"
	"slices"

	"softprompt/models"
	"softprompt/onnx"
)

// bias reads what is added to the scores of a sub-layer: masks, and in
// self-attention the biases that a table gives to relative positions.
func (w *walk) bias(terms []string, layer, part string) error {
	var table *source
	for _, term := range terms {
		t, err := w.table(term)
		if err == nil {
			err = w.fixed(term)
		}
		if err != nil {
			return err
		}
		if t != nil && table != nil && t.tensor != table.tensor {
			return fmt.Errorf("the scores get biases from two tables, %s and %s", table.tensor.Name, t.tensor.Name)
		}
		if t != nil {
			table = t
		}
	}
	switch {
	case part == "EncDecAttention" && table != nil:
		return fmt.Errorf("cross-attention has a table of relative positions (%s), which no T5 has", table.tensor.Name)
	case part == "EncDecAttention":
		return nil
	case table == nil:
		return fmt.Errorf("the scores have no bias by relative position")
	}
	// The walk comes from the last layer, so the first has the last word.
	name := layer + ".SelfAttention.relative_attention_bias.weight"
	if !w.config.PerLayerBias {
		name = w.part + ".block.0.layer.0.SelfAttention.relative_attention_bias.weight"
		if known := w.weights[name]; known != nil && known.tensor != table.tensor {
			return fmt.Errorf("its table of positions is %s, but that of the layers above %s: a table in every layer, where config.json says T5", table.tensor.Name, known.tensor.Name)
		}
	}
	return w.found(name, table)
}

// fixed checks that a bias depends on lengths and masks alone, not on what the
// model computes of its input.
func (w *walk) fixed(bias string) error {
	if w.isFixed[bias] {
		return nil
	}
	m := w.maker(bias)
	if products[nameOf(m)] != nil || m.Op == "MatMulInteger" || m.Op == "Softmax" {
		return fmt.Errorf("the bias of the scores depends on hidden states, by %v", m.Node)
	}
	w.isFixed[bias] = true
	if m.Op == "Shape" || m.Op == "Size" {
		return nil
	}
	for _, in := range m.Inputs {
		if err := w.fixed(in); err != nil {
			return err
		}
	}
	return nil
}

// throughBias are the operators between a table and the scores, with the
// operands that may lead to it.
var throughBias = map[string][]int{
	"Add": {0, 1}, "Where": {1, 2}, "Max": {0, 1}, "Min": {0, 1}, "Clip": {0},
	"Cast": {0}, "Identity": {0}, "Unsqueeze": {0}, "Squeeze": {0}, "Reshape": {0}, "Transpose": {0}, "Slice": {0}, "Expand": {0},
}

// table returns the table of relative positions that a bias comes from, nil if
// it is masks alone.
func (w *walk) table(bias string) (*source, error) {
	if t, ok := w.tables[bias]; ok {
		return t, nil
	}
	var table *source
	seen := map[string]bool{}
	var search func(value string, steps maker) error
	search = func(value string, steps maker) error {
		if seen[value] {
			return nil
		}
		seen[value] = true
		m := w.maker(value)
		if m.is("", "DequantizeLinear") { // quantisers move it down, as far as elements only move
			return search(m.Input(0), m)
		}
		fused, err := w.fusedPositions(m)
		if err != nil || fused != nil {
			table = fused
			return err
		}
		if t := w.lookup(m, steps); t != nil {
			if table != nil && t.tensor != table.tensor {
				return fmt.Errorf("%v is a second table of positions", m.Node)
			}
			table = t
			return w.checkBuckets(m)
		}
		if perm := m.Ints("perm"); m.is("", "Transpose") && len(perm) >= 3 && !slices.Equal(perm, []int64{2, 0, 1}) && !slices.Equal(perm, []int64{0, 3, 1, 2}) {
			return fmt.Errorf("%v turns the bias of positions by %v", m.Node, perm)
		}
		for _, i := range throughBias[nameOf(m)] {
			if err := search(m.Input(i), steps); err != nil {
				return err
			}
		}
		return nil
	}
	if err := search(bias, maker{Node: &onnx.Node{}}); err != nil {
		return nil, err
	}
	w.tables[bias] = table
	return table, nil
}

// lookup returns the table that a node looks buckets up in, or nil; steps is
// the node that makes numbers of what a quantised one gives.
func (w *walk) lookup(m, steps maker) *source {
	s := w.constant(m.Input(0))
	if !m.is("", "Gather") || m.Int("axis", 0) != 0 || s == nil || len(s.tensor.Dims) != 2 {
		return nil
	}
	if steps.Op != "" {
		if s = w.quantised(s, steps.Input(1), steps.Input(2), -1); s == nil || s.quantum.axis >= 0 {
			return nil
		}
	}
	s.node = m.Name
	return s
}

// movedEdges is how many distances may fall in the bucket of the next distance:
// constants rounded to float16 move edges, of which 32 buckets have 14.
const movedEdges = 14

// checkBuckets computes the buckets of some distances as the graph does, and
// holds them against those of T5.
func (w *walk) checkBuckets(m maker) error {
	distance, err := w.distance(m.Input(1))
	if err != nil {
		return fmt.Errorf("%v: reading its buckets: %w", m.Node, err)
	}
	var at []float64
	for i := -600; i <= 600; i++ {
		at = append(at, float64(i))
	}
	for i := 601; i < 2*w.config.MaxDistance && i < 1<<20; i += 1 + i/64 {
		at = append(at, float64(i), float64(-i))
	}
	got, err := (&evaluation{g: w.view, known: map[string][]float64{distance: at}}).eval(m.Input(1))
	if err != nil {
		return fmt.Errorf("%v: reading its buckets: %w", m.Node, err)
	}
	if len(got) != len(at) {
		return fmt.Errorf("%v: its buckets do not depend on distances", m.Node)
	}
	moved := 0
	for i, d := range at {
		bucket := func(d float64) int {
			return models.RelativeBucket(int(d), w.config.NumBuckets, w.config.MaxDistance, w.part == "encoder")
		}
		want := bucket(d)
		if got[i] == float64(want) {
			continue
		}
		beside := got[i] == float64(bucket(d-1)) || got[i] == float64(bucket(d+1))
		if moved++; moved > movedEdges || !beside {
			return fmt.Errorf("%v: distance %v falls in bucket %v, wanted %d of %d up to distance %d by config.json",
				m.Node, d, got[i], want, w.config.NumBuckets, w.config.MaxDistance)
		}
	}
	if moved > 0 {
		w.notes = append(w.notes, fmt.Sprintf("%s: %d of %d distances fall in the bucket beside theirs, by rounding; the recovered model has them right", w.part, moved, len(at)))
	}
	return nil
}

// distance finds the relative positions that buckets are computed from: the
// one difference of two computed values.
func (w *walk) distance(buckets string) (string, error) {
	found := ""
	seen := map[string]bool{}
	var search func(value string) error
	search = func(value string) error {
		if seen[value] || w.consts[value] != nil {
			return nil
		}
		seen[value] = true
		m := w.maker(value)
		if m.is("", "Sub") {
			_, a := w.number(m.Input(0))
			_, b := w.number(m.Input(1))
			if !a && !b && w.isInteger(value) {
				if found != "" {
					return fmt.Errorf("%v is a second difference of positions", m.Node)
				}
				found = value
				return nil
			}
		}
		if functions[nameOf(m)] == nil {
			return fmt.Errorf("%s where arithmetic on distances was wanted", w.describe(value))
		}
		n := len(m.Inputs)
		if k, ok := operands[nameOf(m)]; ok {
			n = min(n, k)
		}
		for _, in := range m.Inputs[:n] {
			if err := search(in); err != nil {
				return err
			}
		}
		return nil
	}
	if err := search(buckets); err != nil {
		return "", err
	}
	if found == "" {
		return "", fmt.Errorf("no difference of positions leads to them")
	}
	return found, nil
}
