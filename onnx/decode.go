package onnx

import (
	"fmt"

	"softprompt/onnx/onnxpb"
)

// maxDepth bounds how deep graphs lie in each other's attributes.
const maxDepth = 32

// The keys of a node's metadata that hold Block and From.
const (
	blockKey = "softprompt.block"
	fromKey  = "softprompt.from"
)

// Unmarshal reads a model from the bytes of a file. Tensors alias data, which
// must not change as long as the model is in use. Tensors that lie in other
// files stay External, relative to dir; see [Tensor.Read]. The model is not
// validated.
func Unmarshal(data []byte, dir string) (*Model, error) {
	m, err := decodeModel(data)
	if err != nil {
		return nil, fmt.Errorf("reading ONNX model: %w", err)
	}
	m.Dir = dir
	return m, nil
}

func decodeModel(data []byte) (*Model, error) {
	graphs, rest, err := carve(data, modelGraph)
	if err != nil {
		return nil, err
	}
	p := &onnxpb.ModelProto{}
	if err := unmarshal(rest, p); err != nil {
		return nil, err
	}
	if len(graphs) == 0 {
		return nil, fmt.Errorf("no graph: the file is no ONNX model, or empty")
	}
	m := &Model{
		IRVersion: p.GetIrVersion(),
		Opset:     map[string]int64{},
		Producer:  p.GetProducerName(),
		Metadata:  map[string]string{},
		Graph:     &Graph{},
	}
	for _, o := range p.OpsetImport {
		m.Opset[domainOf(o.GetDomain())] = o.GetVersion()
	}
	for _, e := range p.MetadataProps {
		m.Metadata[e.GetKey()] = e.GetValue()
	}
	p.IrVersion, p.ProducerName, p.OpsetImport, p.MetadataProps = nil, nil, nil, nil
	if m.raw, err = leftover(p); err != nil {
		return nil, err
	}
	// A message in several pieces is the same as all of them in one.
	for _, g := range graphs {
		tensors, rest, err := carve(g, graphInitializer)
		if err != nil {
			return nil, fmt.Errorf("graph: %w", err)
		}
		p := &onnxpb.GraphProto{}
		if err := unmarshal(rest, p); err != nil {
			return nil, fmt.Errorf("graph: %w", err)
		}
		if err := m.Graph.decode(p, 0); err != nil {
			return nil, err
		}
		for i, t := range tensors {
			tensor, err := decodeRawTensor(t)
			if err != nil {
				return nil, fmt.Errorf("initializer %d: %w", i, err)
			}
			m.Graph.Initializers = append(m.Graph.Initializers, tensor)
		}
	}
	return m, nil
}

// domainOf returns a domain as models hold it: the standard one has two names.
func domainOf(name string) string {
	if name == "ai.onnx" {
		return ""
	}
	return name
}

func (g *Graph) decode(p *onnxpb.GraphProto, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("graph %s: graphs lie in each other more than %d deep", p.GetName(), maxDepth)
	}
	g.Name = p.GetName()
	for i, n := range p.Node {
		node, err := decodeNode(n, depth)
		if err != nil {
			return fmt.Errorf("node %d (%s %s): %w", i, n.GetOpType(), n.GetName(), err)
		}
		g.Nodes = append(g.Nodes, node)
	}
	for i, t := range p.Initializer {
		tensor, err := decodeTensor(t)
		if err != nil {
			return fmt.Errorf("initializer %d: %w", i, err)
		}
		g.Initializers = append(g.Initializers, tensor)
	}
	for _, list := range []struct {
		from []*onnxpb.ValueInfoProto
		to   *[]Value
	}{{p.Input, &g.Inputs}, {p.Output, &g.Outputs}, {p.ValueInfo, &g.Values}} {
		for _, v := range list.from {
			value, err := decodeValue(v)
			if err != nil {
				return fmt.Errorf("value %s: %w", v.GetName(), err)
			}
			*list.to = append(*list.to, value)
		}
	}
	p.Name, p.Node, p.Initializer, p.Input, p.Output, p.ValueInfo = nil, nil, nil, nil, nil, nil
	raw, err := leftover(p)
	g.raw = append(g.raw, raw...)
	return err
}

func decodeValue(p *onnxpb.ValueInfoProto) (Value, error) {
	v := Value{Name: p.GetName()}
	if t := p.GetType().GetTensorType(); t != nil {
		v.Type = DType(t.GetElemType())
		if t.Shape != nil {
			if len(t.Shape.Dim) > maxRank {
				return v, fmt.Errorf("rank %d is more than %d", len(t.Shape.Dim), maxRank)
			}
			v.Shape = Shape{}
			for _, d := range t.Shape.Dim {
				dim := Sym(d.GetDimParam())
				if _, ok := d.Value.(*onnxpb.TensorShapeProto_Dimension_DimValue); ok {
					// Some exporters write −1 for a size they do not know.
					dim = Size(max(d.GetDimValue(), -1))
				}
				v.Shape = append(v.Shape, dim)
			}
		}
		p.Type = nil
	}
	p.Name = nil
	var err error
	v.raw, err = leftover(p)
	return v, err
}

func decodeNode(p *onnxpb.NodeProto, depth int) (*Node, error) {
	n := &Node{
		Name:    p.GetName(),
		Op:      p.GetOpType(),
		Domain:  domainOf(p.GetDomain()),
		Inputs:  p.Input,
		Outputs: p.Output,
		Doc:     p.GetDocString(),
	}
	for _, a := range p.Attribute {
		attr, err := decodeAttr(a, depth)
		if err != nil {
			return nil, fmt.Errorf("attribute %s: %w", a.GetName(), err)
		}
		n.Attrs = append(n.Attrs, attr)
	}
	var others []*onnxpb.StringStringEntryProto
	for _, e := range p.MetadataProps {
		switch e.GetKey() {
		case blockKey:
			n.Block = e.GetValue()
		case fromKey:
			n.From = e.GetValue()
		default:
			others = append(others, e)
		}
	}
	p.Name, p.OpType, p.Domain, p.Input, p.Output, p.DocString, p.Attribute = nil, nil, nil, nil, nil, nil, nil
	p.MetadataProps = others
	var err error
	n.raw, err = leftover(p)
	return n, err
}

func decodeAttr(p *onnxpb.AttributeProto, depth int) (Attr, error) {
	a := Attr{Name: p.GetName(), Kind: attrKind(p)}
	var err error
	switch a.Kind {
	case AttrFloat:
		a.F = p.GetF()
	case AttrInt:
		a.I = p.GetI()
	case AttrString:
		a.S = p.GetS()
	case AttrTensor:
		if p.T == nil {
			return a, fmt.Errorf("holds no tensor")
		}
		a.T, err = decodeTensor(p.T)
	case AttrGraph:
		if p.G == nil {
			return a, fmt.Errorf("holds no graph")
		}
		a.G = &Graph{}
		err = a.G.decode(p.G, depth+1)
	case AttrFloats:
		a.Floats = p.Floats
	case AttrInts:
		a.Ints = p.Ints
	case AttrStrings:
		a.Strings = p.Strings
	default:
		a.raw, err = marshal(p)
	}
	return a, err
}

// attrKind also knows the files from before IR version 2, which do not say.
func attrKind(p *onnxpb.AttributeProto) AttrKind {
	switch {
	case p.GetType() != onnxpb.AttributeProto_UNDEFINED:
		return AttrKind(p.GetType())
	case p.F != nil:
		return AttrFloat
	case p.I != nil:
		return AttrInt
	case p.S != nil:
		return AttrString
	case p.T != nil:
		return AttrTensor
	case p.G != nil:
		return AttrGraph
	case len(p.Floats) > 0:
		return AttrFloats
	case len(p.Ints) > 0:
		return AttrInts
	case len(p.Strings) > 0:
		return AttrStrings
	}
	return 0
}
