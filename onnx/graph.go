package onnx

import "github.com/edsrzf/mmap-go"

// Model is a graph with what is needed to run it.
type Model struct {
	IRVersion int64
	// Opset has the version of each operator set that the graph uses, by
	// domain; the standard operators' domain is "".
	Opset    map[string]int64
	Producer string
	Metadata map[string]string
	Graph    *Graph
	// Dir is the folder that External locations are relative to, if it is known.
	// It is not part of the file.
	Dir string

	raw   []byte // fields of ModelProto that are not above, such as functions, as they were read
	files []mmap.MMap
	// root is the folder that links may not lead out of; "" for Dir.
	root   string
	beside []besideFile
}

// The domain and the versions that softprompt writes: opset 18 takes axes as
// inputs everywhere and has scatter reductions; IR version 10 is the first in
// which nodes carry metadata, where Block and From go.
const (
	Microsoft = "com.microsoft" // ONNX Runtime's own operators
	WriteIR   = 10
	WriteOp   = 18
)

// NewModel returns an empty model at opset 18, ready for a [Builder].
func NewModel(name string) *Model {
	return &Model{
		IRVersion: WriteIR,
		Opset:     map[string]int64{"": WriteOp},
		Producer:  "softprompt",
		Graph:     &Graph{Name: name},
	}
}

// Graph is a list of nodes in topological order with its inputs, outputs and
// constants.
type Graph struct {
	Name         string
	Nodes        []*Node
	Inputs       []Value
	Outputs      []Value
	Initializers []*Tensor
	// Values describes interior values, where the file or inference says so.
	Values []Value

	raw []byte // fields of GraphProto that are not above, as they were read
}

// Value describes a tensor that is computed or fed: name, type and shape.
type Value struct {
	Name  string
	Type  DType
	Shape Shape

	raw []byte // fields of ValueInfoProto that are not above; all types but tensors
}

// Node applies one operator.
type Node struct {
	Name   string // unique in graphs that softprompt makes; may be "" in others
	Op     string // operator type, such as "MatMul"
	Domain string // "" for standard operators, or "com.microsoft"
	// Inputs and Outputs name values; "" stands for an optional one that is
	// left out.
	Inputs, Outputs []string
	Attrs           []Attr
	// Block says which part of the model the node belongs to, such as
	// "encoder.3.attention". Profiles, recomputation and errors use it.
	Block string
	// From names the forward node that a gradient node was derived from.
	From string
	Doc  string

	raw []byte // fields of NodeProto that are not above, as they were read
}

// Attr returns the attribute of that name, or nil.
func (n *Node) Attr(name string) *Attr {
	for i := range n.Attrs {
		if n.Attrs[i].Name == name {
			return &n.Attrs[i]
		}
	}
	return nil
}

// Int returns an integer attribute, or def when the node does not have it.
func (n *Node) Int(name string, def int64) int64 {
	if a := n.Attr(name); a != nil && a.Kind == AttrInt {
		return a.I
	}
	return def
}

// Float returns a float attribute, or def when the node does not have it.
func (n *Node) Float(name string, def float32) float32 {
	if a := n.Attr(name); a != nil && a.Kind == AttrFloat {
		return a.F
	}
	return def
}

// Ints returns a list attribute, or nil when the node does not have it.
func (n *Node) Ints(name string) []int64 {
	if a := n.Attr(name); a != nil && a.Kind == AttrInts {
		return a.Ints
	}
	return nil
}

// Str returns a string attribute, or def when the node does not have it.
func (n *Node) Str(name, def string) string {
	if a := n.Attr(name); a != nil && a.Kind == AttrString {
		return string(a.S)
	}
	return def
}

// Input returns the i-th input's name, or "" if it is left out.
func (n *Node) Input(i int) string {
	if i < len(n.Inputs) {
		return n.Inputs[i]
	}
	return ""
}

// Output returns the i-th output's name, or "" if it is left out.
func (n *Node) Output(i int) string {
	if i < len(n.Outputs) {
		return n.Outputs[i]
	}
	return ""
}

// String names the node for an error message: operator and name.
func (n *Node) String() string {
	s := n.Op
	if n.Domain != "" {
		s = n.Domain + "." + n.Op
	}
	switch {
	case n.Name != "":
		s += " node " + n.Name
	case len(n.Outputs) > 0:
		s += " node that makes " + n.Outputs[0]
	}
	return s
}

// AttrKind says which field of an [Attr] holds its value. The numbers are
// those of AttributeProto.AttributeType in onnx.proto.
type AttrKind int32

// The kinds of attribute that this package reads; others are kept as they are.
const (
	AttrFloat   AttrKind = 1
	AttrInt     AttrKind = 2
	AttrString  AttrKind = 3
	AttrTensor  AttrKind = 4
	AttrGraph   AttrKind = 5
	AttrFloats  AttrKind = 6
	AttrInts    AttrKind = 7
	AttrStrings AttrKind = 8
)

// Attr is a named constant of a node.
type Attr struct {
	Name    string
	Kind    AttrKind
	F       float32
	I       int64
	S       []byte
	T       *Tensor
	G       *Graph
	Floats  []float32
	Ints    []int64
	Strings [][]byte

	raw []byte // an attribute of another kind, kept as it was read
}

// IntAttr returns an integer attribute.
func IntAttr(name string, v int64) Attr { return Attr{Name: name, Kind: AttrInt, I: v} }

// FloatAttr returns a float attribute.
func FloatAttr(name string, v float32) Attr { return Attr{Name: name, Kind: AttrFloat, F: v} }

// IntsAttr returns an integer list attribute.
func IntsAttr(name string, v ...int64) Attr { return Attr{Name: name, Kind: AttrInts, Ints: v} }

// StringAttr returns a string attribute.
func StringAttr(name, v string) Attr { return Attr{Name: name, Kind: AttrString, S: []byte(v)} }

// TensorAttr returns a tensor attribute.
func TensorAttr(name string, t *Tensor) Attr { return Attr{Name: name, Kind: AttrTensor, T: t} }
