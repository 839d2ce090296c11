package onnx

import (
	"fmt"
	"strconv"
	"strings"
)

// Builder appends nodes to a model's graph. Values are named by strings; each
// method returns the name of what its node makes. The builder infers types and
// shapes as it goes, so callers can ask [Builder.Shape] at any time, and an
// operator put to wrong operands fails where it is made.
//
// The first error sticks: later calls do nothing and return "", and Err
// reports it. So a graph is written as plain expressions, and checked once.
type Builder struct {
	Model *Model
	// Block is stamped on the nodes made next, such as "encoder.3.attention".
	Block string
	// From is stamped on the nodes made next: the forward node that they are
	// the gradient of.
	From string

	infer  *Inference
	taken  map[string]bool
	count  map[string]int
	consts map[string]string
	err    error
}

// NewBuilder returns a builder that appends to the model's graph, which may
// be empty or hold nodes already; those must be in topological order.
func NewBuilder(m *Model) *Builder {
	b := &Builder{
		Model:  m,
		infer:  NewInference(m),
		taken:  map[string]bool{"": true},
		count:  map[string]int{},
		consts: map[string]string{},
	}
	g := m.Graph
	for _, v := range g.Inputs {
		b.taken[v.Name] = true
	}
	for _, t := range g.Initializers {
		b.taken[t.Name] = true
	}
	for _, n := range g.Nodes {
		b.taken[n.Name] = true
		for _, o := range n.Outputs {
			b.taken[o] = true
		}
		if err := b.infer.Node(n); err != nil {
			b.Fail(err)
		}
	}
	return b
}

// Err returns the first error of any call, or nil.
func (b *Builder) Err() error { return b.err }

// Fail makes err the builder's error, unless it has one. Code that builds
// graphs calls it for what it finds wrong itself.
func (b *Builder) Fail(err error) {
	if b.err == nil && err != nil {
		b.err = err
	}
}

// Shape returns what is known of a value's shape.
func (b *Builder) Shape(name string) Shape {
	v, _ := b.infer.Value(name)
	return v.Shape
}

// Type returns a value's element type, Undefined when it is not known.
func (b *Builder) Type(name string) DType {
	v, _ := b.infer.Value(name)
	return v.Type
}

// Elems returns the elements of an int64 vector or scalar as far as they are
// known, symbolic ones included: the value of Shape(x), and what is computed
// from it. It is nil when nothing is known.
func (b *Builder) Elems(name string) []Dim { return b.infer.Elems(name) }

// Constant returns the tensor behind a name that is constant, or nil.
func (b *Builder) Constant(name string) *Tensor { return b.infer.Const(name) }

// Input adds a graph input and returns its name.
func (b *Builder) Input(name string, t DType, dims ...Dim) string {
	if b.err != nil {
		return ""
	}
	if b.taken[name] {
		b.Fail(fmt.Errorf("adding input %s: the name is taken", name))
		return ""
	}
	v := Value{Name: name, Type: t, Shape: append(Shape{}, dims...)}
	b.taken[name] = true
	b.Model.Graph.Inputs = append(b.Model.Graph.Inputs, v)
	b.infer.Set(v)
	return name
}

// Output makes value a graph output under the given name; an Identity stands
// between them when the names differ.
func (b *Builder) Output(name, value string) {
	if b.err != nil {
		return
	}
	if name != value {
		if b.taken[name] {
			b.Fail(fmt.Errorf("adding output %s: the name is taken", name))
			return
		}
		b.Alias(name, value)
	}
	v, ok := b.infer.Value(name)
	if !ok {
		b.Fail(fmt.Errorf("adding output %s: there is no value of that name", name))
		return
	}
	b.Model.Graph.Outputs = append(b.Model.Graph.Outputs, v)
}

// Alias gives value a second name, by an Identity. Passes over a finished
// graph use it to keep the names that others refer to.
func (b *Builder) Alias(name, value string) {
	b.Append(&Node{Name: b.fresh("Identity"), Op: "Identity", Inputs: []string{value}, Outputs: []string{name}})
}

// Reserve keeps the builder from making up these names, for nodes that will
// be appended under their own.
func (b *Builder) Reserve(names ...string) {
	for _, name := range names {
		b.taken[name] = true
	}
}

// Weight adds a constant under its own name and returns the name.
func (b *Builder) Weight(t *Tensor) string {
	if b.err != nil {
		return ""
	}
	if b.taken[t.Name] {
		b.Fail(fmt.Errorf("adding weight %s: the name is taken", t.Name))
		return ""
	}
	b.taken[t.Name] = true
	b.Model.Graph.Initializers = append(b.Model.Graph.Initializers, t)
	b.infer.SetConst(t)
	return t.Name
}

// Const adds a small constant, or finds the one that is equal, and returns
// its name. The tensor's own name is not used.
func (b *Builder) Const(t *Tensor) string {
	if b.err != nil {
		return ""
	}
	key := fmt.Sprint(t.Type, t.Dims, string(t.Data))
	if name, ok := b.consts[key]; ok {
		return name
	}
	c := *t
	c.Name = b.unique("const")
	b.consts[key] = b.Weight(&c)
	return c.Name
}

// Ints returns a constant int64 vector: axes, sizes, a shape.
func (b *Builder) Ints(v ...int64) string {
	return b.Const(Longs("", []int64{int64(len(v))}, v))
}

// Int returns a constant int64 scalar.
func (b *Builder) Int(v int64) string { return b.Const(Longs("", nil, []int64{v})) }

// Float returns a constant scalar of the type of the value named like. For
// half types it is a float32 constant behind a Cast.
func (b *Builder) Float(v float64, like string) string { return b.FloatOf(v, b.Type(like)) }

// FloatOf is Float for a given type.
func (b *Builder) FloatOf(v float64, t DType) string {
	if t == Float16 || t == BFloat16 {
		return b.Cast(b.FloatOf(v, Float32), t)
	}
	c, err := Scalar("", t, v)
	if err != nil {
		b.Fail(err)
		return ""
	}
	return b.Const(c)
}

// Op appends a node with one output and returns its name. Methods such as
// [Builder.MatMul] are written with it; use it for operators that have none.
// A contrib operator carries its domain: "com.microsoft.FusedMatMul".
func (b *Builder) Op(op string, inputs []string, attrs ...Attr) string {
	return b.OpN(op, 1, inputs, attrs...)[0]
}

// OpN appends a node with n outputs and returns their names; after an error
// they are "". Trailing inputs that are "" are dropped.
func (b *Builder) OpN(op string, n int, inputs []string, attrs ...Attr) []string {
	outputs := make([]string, n)
	if b.err != nil {
		return outputs
	}
	domain := ""
	if rest, ok := strings.CutPrefix(op, Microsoft+"."); ok {
		domain, op = Microsoft, rest
	}
	for len(inputs) > 0 && inputs[len(inputs)-1] == "" {
		inputs = inputs[:len(inputs)-1]
	}
	name := b.fresh(op)
	for i := range outputs {
		outputs[i] = name
		if i > 0 {
			outputs[i] = b.unique(name + ":" + strconv.Itoa(i))
		}
	}
	b.Append(&Node{Name: name, Op: op, Domain: domain, Inputs: inputs, Outputs: outputs, Attrs: attrs})
	if b.err != nil {
		return make([]string, n)
	}
	return outputs
}

// Append appends a finished node, whose names must be new. It fills Block and
// From where they are empty.
func (b *Builder) Append(n *Node) {
	if b.err != nil {
		return
	}
	if n.Block == "" {
		n.Block = b.Block
	}
	if n.From == "" {
		n.From = b.From
	}
	if n.Domain != "" && b.Model.Opset[n.Domain] == 0 {
		b.Model.Opset[n.Domain] = 1
	}
	for _, in := range n.Inputs {
		if _, known := b.infer.Value(in); in != "" && !known {
			b.Fail(fmt.Errorf("adding %v: there is no value %q", n, in))
			return
		}
	}
	if err := b.infer.Node(n); err != nil {
		b.Fail(err)
		return
	}
	b.taken[n.Name] = true
	for _, o := range n.Outputs {
		b.taken[o] = true
	}
	b.Model.Graph.Nodes = append(b.Model.Graph.Nodes, n)
}

// fresh returns a new node name: block and operator, numbered from the second.
func (b *Builder) fresh(op string) string {
	prefix := ""
	if b.From != "" {
		prefix = "grad/"
	}
	if b.Block != "" {
		prefix += b.Block + "/"
	}
	return b.unique(prefix + op)
}

// unique returns base, or base with the first number that makes it new.
func (b *Builder) unique(base string) string {
	for {
		name := base
		if n := b.count[base]; n > 0 {
			name += "." + strconv.Itoa(n)
		}
		b.count[base]++
		if !b.taken[name] {
			return name
		}
	}
}
