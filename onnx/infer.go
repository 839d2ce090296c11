package onnx

// Inference collects what is known of the values of a graph without running
// it: type, shape and, for the small int64 tensors that shapes are made of,
// the elements.
type Inference struct {
	opset  map[string]int64
	values map[string]Value
	consts map[string]*Tensor
	elems  map[string][]Dim
}

// NewInference starts from the model's inputs and constants. Feed it the
// nodes in order with [Inference.Node].
func NewInference(m *Model) *Inference {
	f := &Inference{opset: m.Opset, values: map[string]Value{}, consts: map[string]*Tensor{}, elems: map[string][]Dim{}}
	for _, v := range m.Graph.Inputs {
		f.Set(v)
	}
	for _, t := range m.Graph.Initializers {
		f.SetConst(t)
	}
	return f
}

// Value returns what is known of a value.
func (f *Inference) Value(name string) (Value, bool) {
	v, ok := f.values[name]
	return v, ok
}

// Const returns the tensor of a name that is constant, or nil.
func (f *Inference) Const(name string) *Tensor { return f.consts[name] }

// Elems returns the elements of an int64 scalar or vector as far as they are
// known, or nil.
func (f *Inference) Elems(name string) []Dim { return f.elems[name] }

// Set records a value, such as a graph input.
func (f *Inference) Set(v Value) { f.values[v.Name] = v }

// SetConst records a constant.
func (f *Inference) SetConst(t *Tensor) {
	f.consts[t.Name] = t
	f.Set(Value{Name: t.Name, Type: t.Type, Shape: t.Shape()})
}

// Node records what the node's outputs are.
func (f *Inference) Node(n *Node) error {
	for _, o := range n.Outputs {
		f.values[o] = Value{Name: o}
	}
	return nil
}
