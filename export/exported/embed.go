package exported

import (
	"slices"

	"softprompt/onnx"
)

// cutEmbedding takes the lookup of the embeddings out of the encoder: the input
// inputs_embeds stands in its place, and what asked for the sizes of the ids
// asks for its. So every length in the graph is that of what the encoder sees,
// with a prompt or without.
func (p *part) cutEmbedding() (Embedding, error) {
	const inputIDs, embeds = "input_ids", "inputs_embeds"
	g := p.model.Graph
	made := map[string]*onnx.Node{}
	for _, n := range g.Nodes {
		for _, y := range n.Outputs {
			made[y] = n
		}
	}
	ids := map[string]bool{inputIDs: true} // and what is the same in another form
	var lookups []*onnx.Node
	var nodes []*onnx.Node
	for _, n := range g.Nodes {
		switch {
		case !slices.ContainsFunc(n.Uses(), func(x string) bool { return ids[x] }):
			nodes = append(nodes, n)
		case n.Op == "Gather" && ids[n.Input(1)] && !ids[n.Input(0)]:
			lookups = append(lookups, n)
		case n.Op == "Shape":
			nodes = append(nodes, sizesOf(embeds, n))
		case sameIDs[n.Op] && ids[n.Input(0)] && len(n.Outputs) == 1:
			ids[n.Outputs[0]] = true
		default:
			return Embedding{}, p.fail(n, "it computes with input_ids themselves; want them only looked up and measured, so that embeddings can take their place")
		}
	}
	if len(lookups) != 1 {
		return Embedding{}, p.refuse("its input_ids are looked up in %d tables, want one", len(lookups))
	}
	n := lookups[0]
	e, err := p.table(n, made)
	if err != nil {
		return Embedding{}, err
	}
	g.Nodes = nodes
	out := n.Output(0)
	for next := p.onlyReader(out); next != nil; next = p.onlyReader(out) {
		switch {
		case next.Op == "DequantizeLinear" && next.Input(0) == out && e.Scale == nil:
			if e.Scale, e.ZeroPoint, err = p.quantisation(next); err != nil {
				return Embedding{}, err
			}
		case next.Op == "Cast" || next.Op == "Identity":
		default:
			next = nil
		}
		if next == nil {
			break
		}
		g.Nodes = slices.DeleteFunc(g.Nodes, func(n *onnx.Node) bool { return n == next })
		out = next.Output(0)
	}
	names := map[string]string{out: embeds}
	for i, n := range g.Nodes {
		g.Nodes[i] = n.Renamed(names)
	}
	if e.Scale == nil && e.Table.Type != onnx.Float32 {
		return Embedding{}, p.fail(n, "its table %s is %v, want float32, float16 or quantised bytes", e.Table.Name, e.Table.Type)
	}
	p.note("%v in %s %v became the input inputs_embeds", n, e.Table.Name, e.Table.Dims)
	return e, nil
}

// sameIDs has the operators that pass ids on.
var sameIDs = map[string]bool{"Identity": true, "Cast": true, "Reshape": true}

// sizesOf returns a Shape node that asks for the sizes of x [B,E,d] in place of
// ids [B,E].
func sizesOf(x string, n *onnx.Node) *onnx.Node {
	at := func(name string, def int64) int64 {
		i := n.Int(name, def)
		if i < 0 {
			i += 2
		}
		return min(max(i, 0), 2)
	}
	c := *n
	c.Inputs = []string{x}
	c.Attrs = []onnx.Attr{onnx.IntAttr("start", at("start", 0)), onnx.IntAttr("end", at("end", 2))}
	return &c
}

// table returns the constant that a lookup reads, as it is or behind its
// dequantisation.
func (p *part) table(n *onnx.Node, made map[string]*onnx.Node) (Embedding, error) {
	var e Embedding
	x := n.Input(0)
	for from := made[x]; from != nil && p.constant(x) == nil; from = made[x] {
		var err error
		switch {
		case from.Op == "DequantizeLinear" && e.Scale == nil:
			e.Scale, e.ZeroPoint, err = p.quantisation(from)
		case from.Op == "Cast" || from.Op == "Identity":
		default:
			err = p.fail(n, "its table is made by %v, want a constant", from)
		}
		if err != nil {
			return e, err
		}
		x = from.Input(0)
	}
	e.Table = p.constant(x)
	if axis := n.Int("axis", 0); e.Table == nil || len(e.Table.Dims) != 2 || axis != 0 && axis != -2 {
		return e, p.fail(n, "it looks input_ids up in %s, want a constant with a row for each token", x)
	}
	return e, nil
}

// quantisation returns the scale and the zero point of a DequantizeLinear,
// which must be one for the whole table.
func (p *part) quantisation(n *onnx.Node) (scale, zero *onnx.Tensor, err error) {
	scale = p.constant(n.Input(1))
	if zero = p.constant(n.Input(2)); scale == nil || scale.Len() != 1 || n.Input(2) != "" && (zero == nil || zero.Len() != 1) {
		return nil, nil, p.fail(n, "want one constant scale and zero point for all embeddings")
	}
	return scale, zero, nil
}

// constant returns the initializer of a name, or the value of a Constant node.
func (p *part) constant(name string) *onnx.Tensor {
	if name == "" {
		return nil
	}
	for _, t := range p.model.Graph.Initializers {
		if t.Name == name {
			return t
		}
	}
	for _, n := range p.model.Graph.Nodes {
		if n.Op == "Constant" && n.Domain == "" && n.Output(0) == name {
			return literal(n)
		}
	}
	return nil
}

// onlyReader returns the one node that reads a value, nil if there are several
// or none.
func (p *part) onlyReader(x string) *onnx.Node {
	var reader *onnx.Node
	for _, n := range p.model.Graph.Nodes {
		if !slices.Contains(n.Uses(), x) {
			continue
		}
		if reader != nil {
			return nil
		}
		reader = n
	}
	return reader
}
