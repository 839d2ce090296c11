package onnx

import (
	"fmt"
	"maps"
	"strings"
)

// Inference collects what is known of the values of a graph without running
// it: type, shape and, for the small integer tensors that shapes are made of,
// the elements.
type Inference struct {
	opset  map[string]int64
	values map[string]Value
	consts map[string]*Tensor
	elems  map[string][]elem
	hints  map[string]Value // what the model says of its interior values
}

// NewInference starts from the model's inputs and constants. Feed it the
// nodes in order with [Inference.Node].
func NewInference(m *Model) *Inference {
	f := &Inference{
		opset:  m.Opset,
		values: map[string]Value{},
		consts: map[string]*Tensor{},
		elems:  map[string][]elem{},
		hints:  map[string]Value{},
	}
	for _, v := range m.Graph.Inputs {
		f.Set(v)
	}
	for _, t := range m.Graph.Initializers {
		f.SetConst(t)
	}
	for _, v := range m.Graph.Values {
		f.hints[v.Name] = v
	}
	return f
}

// InferShapes fills the graph's Values with the type and shape of every
// interior value, and what its outputs leave open. It fails at the first node
// whose operands cannot be, and at an output that is declared otherwise than
// it is computed. Nothing is known of what unknown operators make.
func InferShapes(m *Model) error {
	f := NewInference(m)
	g := m.Graph
	outer := map[string]bool{}
	for _, v := range g.Outputs {
		outer[v.Name] = true
	}
	var values []Value
	for _, n := range g.Nodes {
		if err := f.Node(n); err != nil {
			return err
		}
		for _, o := range n.Outputs {
			v := f.values[o]
			if o != "" && !outer[o] && (v.Type != Undefined || v.Shape != nil) {
				values = append(values, v)
			}
		}
	}
	for i, v := range g.Outputs {
		got, ok := f.Value(v.Name)
		if !ok {
			return fmt.Errorf("graph output %s: no node makes it", v.Name)
		}
		if !compatible(v, got) {
			return fmt.Errorf("graph output %s is declared %v, but computed as %v", v.Name, v, got)
		}
		g.Outputs[i] = merge(v, got)
	}
	g.Values = values
	return nil
}

// Value returns what is known of a value.
func (f *Inference) Value(name string) (Value, bool) {
	v, ok := f.values[name]
	return v, ok
}

// Const returns the tensor of a name that is constant, or nil. Integer vectors
// that could be computed from constants and known sizes count as constant.
func (f *Inference) Const(name string) *Tensor { return f.consts[name] }

// Set records a value, such as a graph input.
func (f *Inference) Set(v Value) { f.values[v.Name] = v }

// SetConst records a constant.
func (f *Inference) SetConst(t *Tensor) {
	f.consts[t.Name] = t
	f.Set(Value{Name: t.Name, Type: t.Type, Shape: t.Shape()})
	if e := elemsOf(t); e != nil {
		f.elems[t.Name] = e
	}
}

// Node records what the node's outputs are. The error names the node and its
// operands.
func (f *Inference) Node(n *Node) error {
	c := &call{f: f, Node: n, in: make([]Value, len(n.Inputs)), out: make([]Value, len(n.Outputs))}
	for i, name := range n.Inputs {
		c.in[i] = f.values[name]
	}
	if op, ok := operators[opName(n)]; ok {
		err := c.checkArity(op)
		if err == nil {
			err = op.infer(c)
		}
		if err != nil {
			return fmt.Errorf("%v of (%s): %w", n, describe(c.in), err)
		}
	}
	for i, o := range n.Outputs {
		if o == "" {
			continue
		}
		v := c.out[i]
		v.Name = o
		if h, ok := f.hints[o]; ok && compatible(v, h) {
			v = merge(v, h)
		}
		f.values[o] = v
	}
	c.evaluate()
	return nil
}

// opName is the key of the tables: the operator with its domain, if it is not
// the standard one.
func opName(n *Node) string {
	if n.Domain == "" || n.Domain == "ai.onnx" {
		return n.Op
	}
	return n.Domain + "." + n.Op
}

// operator says how to infer what an operator makes.
type operator struct {
	min, max int // operands that must be there, and that may; max −1 for any number
	infer    func(*call) error
}

// operators has the operators that inference knows. Each family stands in a
// file of its own.
var operators = join(mathOps, linearOps, reduceOps, normOps, attentionOps, shapeOps, joinOps, indexOps, makeOps)

func join(families ...map[string]operator) map[string]operator {
	all := map[string]operator{}
	for _, f := range families {
		maps.Copy(all, f)
	}
	return all
}

// compatible tells whether two descriptions can be of one value.
func compatible(v, w Value) bool {
	if v.Type != w.Type && v.Type != Undefined && w.Type != Undefined {
		return false
	}
	if v.Shape == nil || w.Shape == nil {
		return true
	}
	if len(v.Shape) != len(w.Shape) {
		return false
	}
	for i := range v.Shape {
		if _, ok := unify(v.Shape[i], w.Shape[i]); !ok {
			return false
		}
	}
	return true
}

// merge completes v with what a compatible w knows.
func merge(v, w Value) Value {
	if v.Type == Undefined {
		v.Type = w.Type
	}
	if v.Shape == nil {
		v.Shape = w.Shape
	} else if w.Shape != nil {
		s := append(Shape{}, v.Shape...)
		for i := range s {
			if s[i] == Unknown {
				s[i] = w.Shape[i]
			}
		}
		v.Shape = s
	}
	return v
}

// String returns the value as "x float32[B,4]".
func (v Value) String() string { return v.Name + " " + v.Type.String() + v.Shape.String() }

func describe(in []Value) string {
	parts := make([]string, len(in))
	for i, v := range in {
		if parts[i] = v.String(); v.Name == "" {
			parts[i] = "-"
		}
	}
	return strings.Join(parts, ", ")
}
