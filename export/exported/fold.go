package exported

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"softprompt/onnx"
)

// folder rewrites a graph in one pass from its inputs on, with all that is
// known of the values before each node.
type folder struct {
	part  *part
	graph *onnx.Graph
	infer *onnx.Inference
	names map[string]string // values that are others: the other's name
	equal map[string]string // what nodes compute, by operator, operands and attributes: their output
	// negatives has values that are the negative of another.
	negatives map[string]string
	// reshaped has the operands of Reshapes by their results.
	reshaped map[string]string
	used     onnx.Names
	nodes    []*onnx.Node
}

// fold replaces what is known without running the graph by constants: above
// all the shapes that exporters compute at run time, Shape, Gather, Concat,
// which become Reshapes to [0, 0, h, d_kv]. Nodes that do nothing, or the same
// as one before, go; so does an If whose condition turns out constant.
func (p *part) fold() error {
	g := p.model.Graph
	f := &folder{
		part: p, graph: g, infer: onnx.NewInference(p.model),
		names: map[string]string{}, equal: map[string]string{}, negatives: map[string]string{}, reshaped: map[string]string{},
		used: onnx.NamesIn(g),
	}
	nodes := g.Nodes
	before := len(nodes)
	for _, n := range nodes {
		if err := f.node(n); err != nil {
			return err
		}
	}
	for _, v := range g.Outputs {
		f.output(v.Name)
	}
	g.Nodes = f.nodes
	p.prune()
	p.note("folded %d nodes to %d", before, len(g.Nodes))
	return nil
}

// output gives an output its name back, whatever value it has turned out to be:
// the node that makes that gets the name. A part has one output, so that no
// other name is lost.
func (f *folder) output(name string) {
	from, ok := f.names[name]
	if !ok {
		return
	}
	back := map[string]string{from: name}
	for _, n := range f.nodes {
		if !slices.Contains(n.Outputs, from) {
			continue
		}
		for i, n := range f.nodes {
			f.nodes[i] = n.Renamed(back)
		}
		return
	}
	f.append(&onnx.Node{Name: f.used.Fresh(name + "/Identity"), Op: "Identity", Inputs: []string{from}, Outputs: []string{name}})
}

// node takes in the next node of the old graph.
func (f *folder) node(n *onnx.Node) error {
	n = n.Renamed(f.names)
	if then, otherwise := branches(n); then != nil && otherwise != nil {
		return f.branch(n, then, otherwise)
	}
	if key, ok := keyOf(n); ok {
		if twin, ok := f.equal[key]; ok {
			f.names[n.Outputs[0]] = cmp.Or(f.names[twin], twin)
			return nil
		}
		f.equal[key] = n.Outputs[0]
	}
	if err := f.infer.Node(n); err != nil {
		return fmt.Errorf("%s: %w", f.part.file, err)
	}
	f.negate(n)
	if x, ok := f.idle(n); ok {
		f.names[n.Outputs[0]] = x
		return nil
	}
	if t := f.value(n); t != nil {
		f.graph.Initializers = append(f.graph.Initializers, t)
		f.infer.SetConst(t)
		return nil
	}
	if n.Op == "Reshape" {
		f.reshape(n)
	}
	f.append(n)
	return nil
}

func (f *folder) append(n *onnx.Node) { f.nodes = append(f.nodes, n) }

// branch replaces an If with a constant condition by the branch taken.
func (f *folder) branch(n *onnx.Node, then, otherwise *onnx.Graph) error {
	cond := f.infer.Elems(n.Input(0))
	if len(cond) != 1 || !cond[0].Known() {
		return f.part.fail(n, "its condition %s is known only at run time; want a graph without branches, or one that goes by the cache", n.Input(0))
	}
	keep, before := then, len(f.graph.Initializers)
	if cond[0].Size == 0 {
		keep = otherwise
	}
	if len(keep.Outputs) != len(n.Outputs) {
		return f.part.fail(n, "the branch has %d outputs, want %d", len(keep.Outputs), len(n.Outputs))
	}
	inner := inline(f.graph, f.used, keep, n.Outputs)
	for _, t := range f.graph.Initializers[before:] {
		f.infer.SetConst(t)
	}
	for _, n := range inner {
		if err := f.node(n); err != nil {
			return err
		}
	}
	return nil
}

// value returns the constant that a node makes, nil if it is not known.
func (f *folder) value(n *onnx.Node) *onnx.Tensor {
	if len(n.Outputs) != 1 {
		return nil
	}
	y := n.Outputs[0]
	if n.Op == "Constant" && n.Domain == "" {
		return literal(n)
	}
	if t := f.infer.Const(y); t != nil {
		return t
	}
	if t := f.integers(y); t != nil {
		return t
	}
	return f.scalar(n)
}

// integers returns a small constant of int32 or bool whose elements are known;
// those of int64 inference makes itself.
func (f *folder) integers(y string) *onnx.Tensor {
	v, _ := f.infer.Value(y)
	elems := f.infer.Elems(y)
	dims, ok := v.Shape.Sizes()
	if !ok || elems == nil || v.Type != onnx.Int32 && v.Type != onnx.Bool {
		return nil
	}
	data := []byte{}
	for _, e := range elems {
		switch {
		case !e.Known():
			return nil
		case v.Type == onnx.Bool:
			data = append(data, byte(e.Size))
		default:
			data = binary.LittleEndian.AppendUint32(data, uint32(e.Size))
		}
	}
	return &onnx.Tensor{Name: y, Type: v.Type, Dims: dims, Data: data}
}

// literal returns what a Constant node holds, nil for a sparse tensor.
func literal(n *onnx.Node) *onnx.Tensor {
	y := n.Outputs[0]
	for _, a := range n.Attrs {
		switch {
		case a.Name == "value" && a.Kind == onnx.AttrTensor && a.T != nil:
			t := *a.T
			t.Name = y
			return &t
		case a.Name == "value_int" && a.Kind == onnx.AttrInt:
			return onnx.Longs(y, nil, []int64{a.I})
		case a.Name == "value_ints" && a.Kind == onnx.AttrInts:
			return onnx.Longs(y, []int64{int64(len(a.Ints))}, a.Ints)
		case a.Name == "value_float" && a.Kind == onnx.AttrFloat:
			return onnx.Floats(y, nil, []float32{a.F})
		case a.Name == "value_floats" && a.Kind == onnx.AttrFloats:
			return onnx.Floats(y, []int64{int64(len(a.Floats))}, a.Floats)
		}
	}
	return nil
}
