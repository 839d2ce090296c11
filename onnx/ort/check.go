package ort

import (
	"errors"
	"fmt"
	"sort"
	"strings"

	"softprompt/onnx"
)

// check compares the tensors of a run with what the session declares, before
// the runtime sees them: it would report the operator that failed, not the
// input that was wrong.
func (s *Session) check(in, out map[string]*Tensor) error {
	if err := known("input", in, s.inputAt, s.inputs); err != nil {
		return err
	}
	if err := known("output", out, s.outputAt, s.outputs); err != nil {
		return err
	}
	if len(out) == 0 {
		return fmt.Errorf("no output is asked for: the model has %s", list(s.outputs))
	}
	sizes := symbols{}
	for _, v := range s.inputs {
		t := in[v.Name]
		if t == nil {
			return fmt.Errorf("input %s is missing: the model takes %v %v", v.Name, v.Type, v.Shape)
		}
		if err := sizes.fit("input", v, t); err != nil {
			return err
		}
	}
	written := map[*byte]string{}
	for _, v := range s.outputs {
		t := out[v.Name]
		if t == nil {
			continue
		}
		if err := (symbols{}).fit("output", v, t); err != nil {
			return err
		}
		if len(t.data) == 0 {
			continue
		}
		if other, ok := written[&t.data[0]]; ok {
			return fmt.Errorf("outputs %s and %s share one tensor", other, v.Name)
		}
		written[&t.data[0]] = v.Name
	}
	for name, t := range in {
		if len(t.data) == 0 {
			continue
		}
		if other, ok := written[&t.data[0]]; ok {
			return fmt.Errorf("input %s and output %s share one tensor", name, other)
		}
	}
	return nil
}

// known refuses names that the session does not have.
func known(what string, given map[string]*Tensor, at map[string]int, values []onnx.Value) error {
	var unknown []string
	for name := range given {
		if _, ok := at[name]; !ok {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	sort.Strings(unknown)
	return fmt.Errorf("the model has no %s %s: it has %s", what, strings.Join(unknown, ", "), list(values))
}

func list(values []onnx.Value) string {
	names := make([]string, len(values))
	for i, v := range values {
		names[i] = v.Name
	}
	return strings.Join(names, ", ")
}

// symbols holds the size that each symbolic dim took, and where.
type symbols map[string]bound

type bound struct {
	size  int64
	input string
}

// fit checks a tensor's type, rank and sizes against a declared value. A
// symbol must have the same size wherever it occurs.
func (s symbols) fit(what string, v onnx.Value, t *Tensor) error {
	if t.data == nil {
		return fmt.Errorf("%s %s: %w", what, v.Name, errors.New("the tensor is closed"))
	}
	if v.Type != t.dtype {
		return fmt.Errorf("%s %s is %v, the model wants %v %v", what, v.Name, t, v.Type, v.Shape)
	}
	if !v.Shape.Ranked() {
		return nil
	}
	if len(v.Shape) != len(t.shape) {
		return fmt.Errorf("%s %s has shape %v, the model wants %v", what, v.Name, onnx.Fixed(t.shape...), v.Shape)
	}
	for i, d := range v.Shape {
		n := t.shape[i]
		if d.Known() && d.Size != n {
			return fmt.Errorf("%s %s has shape %v, the model wants %v", what, v.Name, onnx.Fixed(t.shape...), v.Shape)
		}
		if d.Known() || d.Sym == "" {
			continue
		}
		if b, ok := s[d.Sym]; ok && b.size != n {
			return fmt.Errorf("%s %s has shape %v, the model wants %v, where %s is %d as in %s", what, v.Name, onnx.Fixed(t.shape...), v.Shape, d.Sym, b.size, b.input)
		} else if !ok {
			s[d.Sym] = bound{n, v.Name}
		}
	}
	return nil
}
