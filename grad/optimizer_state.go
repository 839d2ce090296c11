package grad

import (
	"fmt"
	"slices"
)

// State is all that an [Optimizer] remembers, as plain tensors for a file.
type State struct {
	Rule    string        // Rule.Name of the optimiser it came from
	Steps   []int64       // [K] updates that each copy has had
	Tensors []StateTensor // in a fixed order
}

// StateTensor is one moment of one trainable. Its name is the trainable's and
// the moment's, as in "prompt.v"; its leading axes are the trainable's.
type StateTensor struct {
	Name  string
	Shape []int64
	Data  []float32
}

// State returns a copy of everything the optimiser remembers. Loaded into an
// optimiser made with the same rule and trainables, it goes on bit for bit.
func (o *Optimizer) State() State {
	s := State{Rule: o.rule.Name(), Steps: slices.Clone(o.steps)}
	o.each(func(name string, shape []int64, values []float32) {
		s.Tensors = append(s.Tensors, StateTensor{name, shape, slices.Clone(values)})
	})
	return s
}

// LoadState takes over a state that [Optimizer.State] returned, in any order
// of its tensors. A state that does not fit is an error that changes nothing.
func (o *Optimizer) LoadState(s State) error {
	if s.Rule != o.rule.Name() {
		return fmt.Errorf("loading optimiser state: it is of %q, this optimiser is %q", s.Rule, o.rule.Name())
	}
	if len(s.Steps) != o.k {
		return fmt.Errorf("loading optimiser state: it counts steps for %d copies, want %d", len(s.Steps), o.k)
	}
	for k, n := range s.Steps {
		if n < 0 {
			return fmt.Errorf("loading optimiser state: copy %d has had %d steps", k, n)
		}
	}
	given := make(map[string]StateTensor, len(s.Tensors))
	for _, t := range s.Tensors {
		if _, twice := given[t.Name]; twice {
			return fmt.Errorf("loading optimiser state: tensor %q is there twice", t.Name)
		}
		given[t.Name] = t
	}

	var err error
	o.each(func(name string, shape []int64, values []float32) {
		t, ok := given[name]
		switch {
		case err != nil:
		case !ok:
			err = fmt.Errorf("loading optimiser state: tensor %q is missing", name)
		case !slices.Equal(t.Shape, shape) || len(t.Data) != len(values):
			err = fmt.Errorf("loading optimiser state: tensor %q has shape %v and %d elements, want %v",
				name, t.Shape, len(t.Data), shape)
		}
		delete(given, name)
	})
	if err != nil {
		return err
	}
	for _, t := range s.Tensors {
		if _, left := given[t.Name]; left {
			return fmt.Errorf("loading optimiser state: tensor %q belongs to no trainable", t.Name)
		}
	}

	for _, t := range s.Tensors {
		given[t.Name] = t
	}
	o.each(func(name string, _ []int64, values []float32) { copy(values, given[name].Data) })
	copy(o.steps, s.Steps)
	return nil
}

// each visits the moments of all trainables in their fixed order.
func (o *Optimizer) each(visit func(name string, shape []int64, values []float32)) {
	for _, t := range o.params {
		lead := t.Shape[:len(t.Shape)-len(t.matrix)]
		for i, m := range t.moments {
			visit(t.Name+"."+m.Name, slices.Concat(lead, m.Shape), t.values[i])
		}
	}
}
