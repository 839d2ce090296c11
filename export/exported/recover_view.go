package exported

import (
	"encoding/binary"
	"fmt"
	"math"

	"softprompt/models"
	"softprompt/onnx"
)

// view is a graph as the search reads it: backwards, from a value to the node
// that makes it.
type view struct {
	model  *onnx.Model
	makers map[string]maker
	consts map[string]*onnx.Tensor
	shapes *onnx.Inference
	inputs map[string]bool
	used   map[*onnx.Tensor]string // constants that were found to be weights, and which
}

// maker says which output of which node a value is.
type maker struct {
	*onnx.Node
	output int
}

// newView indexes a valid model. Nodes whose shapes cannot be inferred make
// values of unknown shape.
func newView(m *onnx.Model) *view {
	g := &view{
		model:  m,
		makers: map[string]maker{},
		consts: map[string]*onnx.Tensor{},
		shapes: onnx.NewInference(m),
		inputs: map[string]bool{},
		used:   map[*onnx.Tensor]string{},
	}
	for _, v := range m.Graph.Inputs {
		g.inputs[v.Name] = true
	}
	for _, t := range m.Graph.Initializers {
		g.consts[t.Name] = t
	}
	for _, n := range m.Graph.Nodes {
		_ = g.shapes.Node(n) // what it does not know stays unknown
		if t := constantOf(n); t != nil && len(n.Outputs) == 1 {
			g.consts[n.Outputs[0]] = t
			continue
		}
		for i, o := range n.Outputs {
			if o != "" {
				g.makers[o] = maker{n, i}
			}
		}
		g.unfuse(n)
	}
	return g
}

// unfuse reads ONNX Runtime's sum and norm in one as the two nodes that it
// stands for.
func (g *view) unfuse(n *onnx.Node) {
	if n.Op != "SkipSimplifiedLayerNormalization" || n.Domain != onnx.Microsoft || len(n.Inputs) < 3 || n.Input(3) != "" || n.Output(0) == "" {
		return
	}
	sum := n.Output(3)
	if sum == "" {
		sum = n.Output(0) + ":sum"
	}
	v, _ := g.shapes.Value(n.Input(0))
	v.Name = sum
	g.shapes.Set(v)
	g.makers[sum] = maker{&onnx.Node{Name: n.Name, Op: "Add", Inputs: n.Inputs[:2], Outputs: []string{sum}}, 0}
	g.makers[n.Output(0)] = maker{&onnx.Node{
		Name: n.Name, Op: "SimplifiedLayerNormalization", Inputs: []string{sum, n.Input(2)}, Outputs: n.Outputs[:1],
		Attrs: []onnx.Attr{onnx.FloatAttr("epsilon", n.Float("epsilon", 1e-12))},
	}, 0}
}

// constantOf returns what a Constant node holds, or nil.
func constantOf(n *onnx.Node) *onnx.Tensor {
	if n.Op != "Constant" {
		return nil
	}
	for _, a := range n.Attrs {
		switch a.Name {
		case "value":
			return a.T
		case "value_float":
			return onnx.Floats("", nil, []float32{a.F})
		case "value_floats":
			return onnx.Floats("", []int64{int64(len(a.Floats))}, a.Floats)
		case "value_int":
			return onnx.Longs("", nil, []int64{a.I})
		case "value_ints":
			return onnx.Longs("", []int64{int64(len(a.Ints))}, a.Ints)
		}
	}
	return nil
}

// maker returns the node that makes a value; one without an operator if there
// is none.
func (g *view) maker(value string) maker {
	if m, ok := g.makers[value]; ok {
		return m
	}
	return maker{Node: &onnx.Node{}}
}

// is tells whether a value is the first output of a node of this operator.
func (m maker) is(domain, op string) bool {
	return m.Op == op && m.output == 0 && (m.Domain == domain || domain == "" && m.Domain == "ai.onnx")
}

// standard tells whether the node is of the standard operators.
func (m maker) standard() bool { return m.Domain == "" || m.Domain == "ai.onnx" }

// plain goes back over what leaves numbers as they are: copies, conversions
// between types of float, dropout at inference, and the guards against
// overflow that float16 graphs have.
func (g *view) plain(value string) string {
	for {
		m := g.maker(value)
		next := ""
		switch {
		case m.is("", "Identity"), m.is("", "Dropout"):
			next = m.Input(0)
		case m.is("", "Cast") && onnx.DType(m.Int("to", 0)).IsFloat() && !g.isInteger(m.Input(0)):
			next = m.Input(0)
		case m.is("", "Clip"), m.is("", "Min"), m.is("", "Max"), m.is("", "Where"):
			next = g.guarded(m)
		}
		if next == "" {
			return value
		}
		value = next
	}
}

// isInteger tells whether a value is known to be no float.
func (g *view) isInteger(value string) bool {
	v, _ := g.shapes.Value(value)
	return v.Type != onnx.Undefined && !v.Type.IsFloat()
}

// farOff is a bound that only what has overflowed float16 can reach.
const farOff = 6e4

// guarded returns what a guard against overflow lets through, or "".
// Transformers clamps hidden states of float16 to ±64504 when one of them is
// infinite, and replaces the NaN of rows without any visible key by 0.
func (g *view) guarded(m maker) string {
	if m.Op == "Where" {
		test := g.maker(m.Input(0))
		zero, ok := g.number(m.Input(1))
		if test.is("", "IsNaN") && ok && zero == 0 && g.plain(test.Input(0)) == g.plain(m.Input(2)) {
			return m.Input(2)
		}
		return ""
	}
	value := ""
	for i := range m.Inputs {
		if in := m.Input(i); in == "" || g.isBound(in, 4) {
			continue
		} else if value != "" {
			return ""
		} else {
			value = in
		}
	}
	for _, bound := range []string{"min", "max"} { // attributes before opset 11
		if m.Attr(bound) != nil && math.Abs(float64(m.Float(bound, 0))) < farOff {
			return ""
		}
	}
	return value
}

// isBound tells whether a value is a number far off, or a choice of such.
func (g *view) isBound(value string, depth int) bool {
	m := g.maker(value)
	switch {
	case depth == 0:
		return false
	case m.is("", "Where"):
		return g.isBound(m.Input(1), depth-1) && g.isBound(m.Input(2), depth-1)
	case m.is("", "Neg"), m.is("", "Cast"), m.is("", "Identity"):
		return g.isBound(m.Input(0), depth-1)
	}
	n, ok := g.number(value)
	return ok && math.Abs(n) >= farOff
}

// number returns the number that a constant of one element holds, also behind
// copies and conversions.
func (g *view) number(value string) (float64, bool) {
	t := g.consts[value]
	for t == nil {
		m := g.maker(value)
		if !m.is("", "Identity") && !m.is("", "Cast") {
			return 0, false
		}
		value = m.Input(0)
		t = g.consts[value]
	}
	if t.Len() != 1 {
		return 0, false
	}
	v, err := numbers(t)
	if err != nil {
		return 0, false
	}
	return v[0], true
}

// numbers returns the elements of a small tensor.
func numbers(t *onnx.Tensor) ([]float64, error) {
	read, size := readers[t.Type], t.Type.Size()
	n := t.Len()
	if read == nil || n < 0 || int64(len(t.Data)) != n*int64(size) {
		return nil, fmt.Errorf("constant %s holds %v, %d bytes for %d elements", t.Name, t.Type, len(t.Data), n)
	}
	out := make([]float64, n)
	for i := range out {
		out[i] = read(t.Data[i*size:])
	}
	return out, nil
}

// readers read one element of each type, little-endian. Numbers of 64 bits
// lose what float64 cannot hold; no weight has them.
var readers = map[onnx.DType]func(b []byte) float64{
	onnx.Float32:  func(b []byte) float64 { return float64(math.Float32frombits(binary.LittleEndian.Uint32(b))) },
	onnx.Float64:  func(b []byte) float64 { return math.Float64frombits(binary.LittleEndian.Uint64(b)) },
	onnx.Float16:  func(b []byte) float64 { return float64(models.Float16ToFloat32(binary.LittleEndian.Uint16(b))) },
	onnx.BFloat16: func(b []byte) float64 { return float64(models.BFloat16ToFloat32(binary.LittleEndian.Uint16(b))) },
	onnx.Int8:     func(b []byte) float64 { return float64(int8(b[0])) },
	onnx.Uint8:    func(b []byte) float64 { return float64(b[0]) },
	onnx.Bool:     func(b []byte) float64 { return float64(b[0]) },
	onnx.Int32:    func(b []byte) float64 { return float64(int32(binary.LittleEndian.Uint32(b))) },
	onnx.Int64:    func(b []byte) float64 { return float64(int64(binary.LittleEndian.Uint64(b))) },
}
