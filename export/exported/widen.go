package exported

import (
	"encoding/binary"
	"slices"

	"softprompt/models"
	"softprompt/onnx"
)

// halves has the types that ONNX Runtime has no products for on a processor.
var halves = map[onnx.DType]func(uint16) float32{
	onnx.Float16:  models.Float16ToFloat32,
	onnx.BFloat16: models.BFloat16ToFloat32,
}

// widen makes float32 of float16 and bfloat16 everywhere: the runtime would
// otherwise convert around each operator, and gradients would overflow. The
// casts between them do nothing then, and go when the graph is folded.
func (p *part) widen() {
	w := widener{tensors: map[*onnx.Tensor]*onnx.Tensor{}}
	w.graph(p.model.Graph)
	if w.count > 0 {
		p.note("widened %d tensors of %s to float32", w.count, w.from)
	}
}

type widener struct {
	tensors map[*onnx.Tensor]*onnx.Tensor // made so far
	count   int
	from    onnx.DType
}

func (w *widener) graph(g *onnx.Graph) {
	g.Initializers = slices.Clone(g.Initializers)
	for i, t := range g.Initializers {
		g.Initializers[i] = w.tensor(t)
	}
	for i, v := range g.Inputs {
		if halves[v.Type] != nil {
			g.Inputs[i].Type = onnx.Float32
		}
	}
	g.Nodes = slices.Clone(g.Nodes)
	for i, n := range g.Nodes {
		g.Nodes[i] = w.node(n)
	}
}

// node widens the constants in a node's attributes, and the types that they
// name.
func (w *widener) node(n *onnx.Node) *onnx.Node {
	c := *n
	c.Attrs = slices.Clone(n.Attrs)
	for i, a := range c.Attrs {
		switch {
		case a.Kind == onnx.AttrTensor && a.T != nil:
			c.Attrs[i].T = w.tensor(a.T)
		case a.Kind == onnx.AttrInt && (a.Name == "to" || a.Name == "dtype") && halves[onnx.DType(a.I)] != nil:
			c.Attrs[i].I = int64(onnx.Float32)
		case a.Kind == onnx.AttrGraph && a.G != nil:
			g := *a.G
			w.graph(&g)
			c.Attrs[i].G = &g
		}
	}
	return &c
}

func (w *widener) tensor(t *onnx.Tensor) *onnx.Tensor {
	read := halves[t.Type]
	if read == nil {
		return t
	}
	if made := w.tensors[t]; made != nil {
		return made
	}
	values := make([]float32, len(t.Data)/2)
	for i := range values {
		values[i] = read(binary.LittleEndian.Uint16(t.Data[2*i:]))
	}
	w.from, w.count = t.Type, w.count+1
	made := onnx.Floats(t.Name, t.Dims, values)
	w.tensors[t] = made
	return made
}
