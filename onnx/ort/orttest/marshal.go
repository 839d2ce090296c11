package orttest

import (
	"strconv"

	"google.golang.org/protobuf/proto"

	"softprompt/onnx"
	"softprompt/onnx/onnxpb"
)

func Marshal(m *onnx.Model) ([]byte, error) {
	g := &onnxpb.GraphProto{Name: &m.Graph.Name}
	for _, n := range m.Graph.Nodes {
		p := &onnxpb.NodeProto{Name: &n.Name, OpType: &n.Op, Domain: &n.Domain, Input: n.Inputs, Output: n.Outputs}
		for _, a := range n.Attrs {
			kind := onnxpb.AttributeProto_AttributeType(a.Kind)
			q := &onnxpb.AttributeProto{Name: proto.String(a.Name), Type: &kind}
			switch a.Kind {
			case onnx.AttrInt:
				q.I = proto.Int64(a.I)
			case onnx.AttrFloat:
				q.F = proto.Float32(a.F)
			case onnx.AttrString:
				q.S = a.S
			case onnx.AttrInts:
				q.Ints = a.Ints
			case onnx.AttrFloats:
				q.Floats = a.Floats
			case onnx.AttrTensor:
				q.T = tensor(a.T)
			}
			p.Attribute = append(p.Attribute, q)
		}
		g.Node = append(g.Node, p)
	}
	for _, t := range m.Graph.Initializers {
		g.Initializer = append(g.Initializer, tensor(t))
	}
	g.Input, g.Output = infos(m.Graph.Inputs), infos(m.Graph.Outputs)
	out := &onnxpb.ModelProto{IrVersion: &m.IRVersion, ProducerName: &m.Producer, Graph: g}
	for d, v := range m.Opset {
		out.OpsetImport = append(out.OpsetImport, &onnxpb.OperatorSetIdProto{Domain: proto.String(d), Version: proto.Int64(v)})
	}
	return proto.Marshal(out)
}

func tensor(t *onnx.Tensor) *onnxpb.TensorProto {
	p := &onnxpb.TensorProto{Name: proto.String(t.Name), DataType: proto.Int32(int32(t.Type)), Dims: t.Dims, RawData: t.Data}
	if e := t.External; e != nil {
		p.RawData = nil
		p.DataLocation = onnxpb.TensorProto_EXTERNAL.Enum()
		for _, kv := range [][2]string{{"location", e.Location}, {"offset", itoa(e.Offset)}, {"length", itoa(e.Length)}} {
			p.ExternalData = append(p.ExternalData, &onnxpb.StringStringEntryProto{Key: proto.String(kv[0]), Value: proto.String(kv[1])})
		}
	}
	return p
}

func infos(values []onnx.Value) (out []*onnxpb.ValueInfoProto) {
	for _, v := range values {
		tt := &onnxpb.TypeProto_Tensor{ElemType: proto.Int32(int32(v.Type))}
		if v.Shape.Ranked() {
			tt.Shape = &onnxpb.TensorShapeProto{}
			for _, d := range v.Shape {
				p := &onnxpb.TensorShapeProto_Dimension{}
				if d.Known() {
					p.Value = &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: d.Size}
				} else if d.Sym != "" {
					p.Value = &onnxpb.TensorShapeProto_Dimension_DimParam{DimParam: d.Sym}
				}
				tt.Shape.Dim = append(tt.Shape.Dim, p)
			}
		}
		out = append(out, &onnxpb.ValueInfoProto{Name: proto.String(v.Name), Type: &onnxpb.TypeProto{Value: &onnxpb.TypeProto_TensorType{TensorType: tt}}})
	}
	return out
}
func itoa(n int64) string { return strconv.FormatInt(n, 10) }
