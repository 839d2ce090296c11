package onnx

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"google.golang.org/protobuf/proto"

	"softprompt/onnx/onnxpb"
)

// MaxBytes is the size that protobuf readers, ONNX Runtime's among them,
// refuse files above: 2 GiB less one byte.
const MaxBytes = math.MaxInt32

// Marshal returns the model as the bytes of a file; equal models give equal
// bytes. Above [MaxBytes] that is an error: the weights then have to lie in a
// file of their own, as [Model.Save] arranges.
func (m *Model) Marshal() ([]byte, error) {
	parts, err := m.encode()
	if err != nil {
		return nil, fmt.Errorf("writing ONNX model: %w", err)
	}
	n := sizeOf(parts)
	if n > MaxBytes {
		return nil, fmt.Errorf("writing ONNX model: %d bytes are more than a model file can have, %d", n, MaxBytes)
	}
	var b bytes.Buffer
	b.Grow(int(n))
	if err := writeParts(&b, parts); err != nil {
		return nil, fmt.Errorf("writing ONNX model: %w", err)
	}
	return b.Bytes(), nil
}

// encode returns the file in parts, of which the largest alias tensors.
func (m *Model) encode() ([]part, error) {
	p := &onnxpb.ModelProto{}
	if err := withRaw(m.raw, p); err != nil {
		return nil, err
	}
	p.IrVersion = proto.Int64(m.IRVersion)
	if m.Producer != "" {
		p.ProducerName = proto.String(m.Producer)
	}
	for _, domain := range slices.Sorted(maps.Keys(m.Opset)) {
		p.OpsetImport = append(p.OpsetImport, &onnxpb.OperatorSetIdProto{
			Domain: proto.String(domain), Version: proto.Int64(m.Opset[domain]),
		})
	}
	for _, key := range slices.Sorted(maps.Keys(m.Metadata)) {
		p.MetadataProps = append(p.MetadataProps, entry(key, m.Metadata[key]))
	}
	if m.Graph == nil {
		return nil, fmt.Errorf("the model has no graph")
	}
	if m.Graph.hasMetadata() {
		p.IrVersion = proto.Int64(max(m.IRVersion, WriteIR))
	}
	model, err := marshal(p)
	if err != nil {
		return nil, err
	}

	g, err := m.Graph.encode()
	if err != nil {
		return nil, err
	}
	rest, err := marshal(g)
	if err != nil {
		return nil, err
	}
	graph := part{field: modelGraph, inner: []part{{bytes: rest}}}
	for _, t := range m.Graph.Initializers {
		head, err := marshal(t.encode(false))
		if err != nil {
			return nil, fmt.Errorf("tensor %s: %w", t.Name, err)
		}
		tensor := part{field: graphInitializer, inner: []part{{bytes: head}}}
		if t.isInline() {
			tensor.inner = append(tensor.inner, part{field: tensorRaw, inner: []part{{bytes: t.Data}}})
		}
		graph.inner = append(graph.inner, tensor)
	}
	return []part{{bytes: model}, graph}, nil
}

// hasMetadata tells whether any node says where it belongs.
func (g *Graph) hasMetadata() bool {
	return slices.ContainsFunc(g.Nodes, func(n *Node) bool {
		return n.Block != "" || n.From != "" || slices.ContainsFunc(n.Attrs, func(a Attr) bool {
			return a.G != nil && a.G.hasMetadata()
		})
	})
}

// encode leaves the initializers to the caller.
func (g *Graph) encode() (*onnxpb.GraphProto, error) {
	p := &onnxpb.GraphProto{Name: proto.String(g.Name)}
	if err := withRaw(g.raw, p); err != nil {
		return nil, err
	}
	for i, n := range g.Nodes {
		node, err := n.encode()
		if err != nil {
			return nil, fmt.Errorf("node %d (%v): %w", i, n, err)
		}
		p.Node = append(p.Node, node)
	}
	for _, list := range []struct {
		from []Value
		to   *[]*onnxpb.ValueInfoProto
	}{{g.Inputs, &p.Input}, {g.Outputs, &p.Output}, {g.Values, &p.ValueInfo}} {
		for _, v := range list.from {
			value, err := v.encode()
			if err != nil {
				return nil, fmt.Errorf("value %s: %w", v.Name, err)
			}
			*list.to = append(*list.to, value)
		}
	}
	return p, nil
}

func (v Value) encode() (*onnxpb.ValueInfoProto, error) {
	p := &onnxpb.ValueInfoProto{}
	if err := withRaw(v.raw, p); err != nil {
		return nil, err
	}
	p.Name = proto.String(v.Name)
	if p.Type != nil || v.Type == Undefined && v.Shape == nil {
		return p, nil
	}
	t := &onnxpb.TypeProto_Tensor{ElemType: proto.Int32(int32(v.Type))}
	if v.Shape != nil {
		t.Shape = &onnxpb.TensorShapeProto{}
		for _, d := range v.Shape {
			dim := &onnxpb.TensorShapeProto_Dimension{}
			switch {
			case d.Known():
				dim.Value = &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: d.Size}
			case d.Sym != "":
				dim.Value = &onnxpb.TensorShapeProto_Dimension_DimParam{DimParam: d.Sym}
			}
			t.Shape.Dim = append(t.Shape.Dim, dim)
		}
	}
	p.Type = &onnxpb.TypeProto{Value: &onnxpb.TypeProto_TensorType{TensorType: t}}
	return p, nil
}

func (n *Node) encode() (*onnxpb.NodeProto, error) {
	p := &onnxpb.NodeProto{}
	if err := withRaw(n.raw, p); err != nil {
		return nil, err
	}
	p.OpType, p.Input, p.Output = proto.String(n.Op), n.Inputs, n.Outputs
	p.Name, p.Domain, p.DocString = optional(n.Name), optional(n.Domain), optional(n.Doc)
	for _, a := range n.Attrs {
		attr, err := a.encode()
		if err != nil {
			return nil, fmt.Errorf("attribute %s: %w", a.Name, err)
		}
		p.Attribute = append(p.Attribute, attr)
	}
	if n.Block != "" {
		p.MetadataProps = append(p.MetadataProps, entry(blockKey, n.Block))
	}
	if n.From != "" {
		p.MetadataProps = append(p.MetadataProps, entry(fromKey, n.From))
	}
	return p, nil
}

func (a Attr) encode() (*onnxpb.AttributeProto, error) {
	p := &onnxpb.AttributeProto{}
	if a.raw != nil {
		return p, withRaw(a.raw, p)
	}
	p.Name = proto.String(a.Name)
	p.Type = onnxpb.AttributeProto_AttributeType(a.Kind).Enum()
	switch a.Kind {
	case AttrFloat:
		p.F = proto.Float32(a.F)
	case AttrInt:
		p.I = proto.Int64(a.I)
	case AttrString:
		p.S = append([]byte{}, a.S...)
	case AttrTensor:
		if a.T == nil {
			return nil, fmt.Errorf("holds no tensor")
		}
		p.T = a.T.encode(true)
	case AttrGraph:
		if a.G == nil {
			return nil, fmt.Errorf("holds no graph")
		}
		g, err := a.G.encode()
		if err != nil {
			return nil, err
		}
		for _, t := range a.G.Initializers {
			g.Initializer = append(g.Initializer, t.encode(true))
		}
		p.G = g
	case AttrFloats:
		p.Floats = a.Floats
	case AttrInts:
		p.Ints = a.Ints
	case AttrStrings:
		p.Strings = a.Strings
	default:
		return nil, fmt.Errorf("kind %d cannot be written", a.Kind)
	}
	return p, nil
}

// isInline tells whether the elements lie in Data.
func (t *Tensor) isInline() bool { return t.External == nil && t.Type != String }

// encode has the elements in Data only if asked.
func (t *Tensor) encode(withData bool) *onnxpb.TensorProto {
	p := &onnxpb.TensorProto{
		Name:     proto.String(t.Name),
		DataType: proto.Int32(int32(t.Type)),
		Dims:     t.Dims,
	}
	switch {
	case t.Type == String:
		p.StringData = t.Strings
	case withData && t.isInline():
		p.RawData = append([]byte{}, t.Data...)
	}
	if e := t.External; e != nil {
		p.DataLocation = onnxpb.TensorProto_EXTERNAL.Enum()
		p.ExternalData = []*onnxpb.StringStringEntryProto{
			entry("location", e.Location),
			entry("offset", strconv.FormatInt(e.Offset, 10)),
		}
		if e.Length != 0 {
			p.ExternalData = append(p.ExternalData, entry("length", strconv.FormatInt(e.Length, 10)))
		}
	}
	return p
}

func entry(key, value string) *onnxpb.StringStringEntryProto {
	return &onnxpb.StringStringEntryProto{Key: proto.String(key), Value: proto.String(value)}
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
