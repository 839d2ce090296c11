package onnx

import (
	"math"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"softprompt/onnx/onnxpb"
)

// written marshals a model and reads it with the library alone.
func written(t *testing.T, m *Model) *onnxpb.ModelProto {
	t.Helper()
	data, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	p := &onnxpb.ModelProto{}
	if err := proto.Unmarshal(data, p); err != nil {
		t.Fatal(err)
	}
	return p
}

// oneNode is a model of one node.
func oneNode(n *Node) *Model {
	m := NewModel("one")
	m.Graph.Nodes = []*Node{n}
	return m
}

// TestAttributesOnDisk checks the field and the kind of every attribute.
func TestAttributesOnDisk(t *testing.T) {
	tensor := Longs("t", []int64{1}, []int64{5})
	for _, c := range []struct {
		attr Attr
		want *onnxpb.AttributeProto
	}{
		{FloatAttr("a", 0), &onnxpb.AttributeProto{F: proto.Float32(0), Type: onnxpb.AttributeProto_FLOAT.Enum()}},
		{IntAttr("a", -1), &onnxpb.AttributeProto{I: proto.Int64(-1), Type: onnxpb.AttributeProto_INT.Enum()}},
		{StringAttr("a", ""), &onnxpb.AttributeProto{S: []byte{}, Type: onnxpb.AttributeProto_STRING.Enum()}},
		{TensorAttr("a", tensor), &onnxpb.AttributeProto{
			T: &onnxpb.TensorProto{
				Name: proto.String("t"), DataType: proto.Int32(7), Dims: []int64{1}, RawData: []byte{5, 0, 0, 0, 0, 0, 0, 0},
			},
			Type: onnxpb.AttributeProto_TENSOR.Enum(),
		}},
		{Attr{Name: "a", Kind: AttrGraph, G: &Graph{Name: "g", Initializers: []*Tensor{tensor}}}, &onnxpb.AttributeProto{
			G: &onnxpb.GraphProto{Name: proto.String("g"), Initializer: []*onnxpb.TensorProto{{
				Name: proto.String("t"), DataType: proto.Int32(7), Dims: []int64{1}, RawData: []byte{5, 0, 0, 0, 0, 0, 0, 0},
			}}},
			Type: onnxpb.AttributeProto_GRAPH.Enum(),
		}},
		{Attr{Name: "a", Kind: AttrFloats, Floats: []float32{1, 2}}, &onnxpb.AttributeProto{Floats: []float32{1, 2}, Type: onnxpb.AttributeProto_FLOATS.Enum()}},
		{IntsAttr("a", 1, -2), &onnxpb.AttributeProto{Ints: []int64{1, -2}, Type: onnxpb.AttributeProto_INTS.Enum()}},
		{Attr{Name: "a", Kind: AttrStrings, Strings: [][]byte{[]byte("x"), {}}}, &onnxpb.AttributeProto{Strings: [][]byte{[]byte("x"), {}}, Type: onnxpb.AttributeProto_STRINGS.Enum()}},
	} {
		c.want.Name = proto.String("a")
		got := written(t, oneNode(&Node{Op: "Op", Attrs: []Attr{c.attr}})).Graph.Node[0].Attribute[0]
		if !proto.Equal(got, c.want) {
			t.Errorf("got %v, want %v", got, c.want)
		}
	}
	for want, attr := range map[string]Attr{
		"node 0 (Op): attribute a: holds no tensor":          {Name: "a", Kind: AttrTensor},
		"node 0 (Op): attribute a: holds no graph":           {Name: "a", Kind: AttrGraph},
		"node 0 (Op): attribute a: kind 0 cannot be written": {Name: "a"},
	} {
		if _, err := oneNode(&Node{Op: "Op", Attrs: []Attr{attr}}).Marshal(); err == nil || err.Error() != "writing ONNX model: "+want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

// TestValuesOnDisk checks that what is not known of a value is left out.
func TestValuesOnDisk(t *testing.T) {
	dim := func(d *onnxpb.TensorShapeProto_Dimension) *onnxpb.TensorShapeProto {
		return &onnxpb.TensorShapeProto{Dim: []*onnxpb.TensorShapeProto_Dimension{d}}
	}
	tensor := func(t DType, s *onnxpb.TensorShapeProto) *onnxpb.TypeProto {
		return &onnxpb.TypeProto{Value: &onnxpb.TypeProto_TensorType{
			TensorType: &onnxpb.TypeProto_Tensor{ElemType: proto.Int32(int32(t)), Shape: s},
		}}
	}
	for _, c := range []struct {
		value Value
		want  *onnxpb.TypeProto
	}{
		{Value{}, nil},
		{Value{Type: Float32}, tensor(Float32, nil)},
		{Value{Shape: Shape{}}, tensor(Undefined, &onnxpb.TensorShapeProto{})},
		{Value{Type: Int64, Shape: Shape{Unknown}}, tensor(Int64, dim(&onnxpb.TensorShapeProto_Dimension{}))},
		{Value{Type: Int64, Shape: Fixed(0)}, tensor(Int64, dim(&onnxpb.TensorShapeProto_Dimension{
			Value: &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: 0},
		}))},
		{Value{Type: Int64, Shape: Shape{Sym("P+S")}}, tensor(Int64, dim(&onnxpb.TensorShapeProto_Dimension{
			Value: &onnxpb.TensorShapeProto_Dimension_DimParam{DimParam: "P+S"},
		}))},
	} {
		m := NewModel("values")
		c.value.Name = "v"
		m.Graph.Inputs = []Value{c.value}
		got := written(t, m).Graph.Input[0]
		if want := (&onnxpb.ValueInfoProto{Name: proto.String("v"), Type: c.want}); !proto.Equal(got, want) {
			t.Errorf("%v: got %v, want %v", c.value, got, want)
		}
	}
}

// TestTensorsOnDisk checks where a tensor's elements go.
func TestTensorsOnDisk(t *testing.T) {
	for _, c := range []struct {
		tensor *Tensor
		want   *onnxpb.TensorProto
	}{
		{
			&Tensor{Type: Uint8, Dims: []int64{2}, Data: []byte{7, 8}},
			&onnxpb.TensorProto{DataType: proto.Int32(2), Dims: []int64{2}, RawData: []byte{7, 8}},
		},
		{
			&Tensor{Type: Float32, Dims: []int64{0}},
			&onnxpb.TensorProto{DataType: proto.Int32(1), Dims: []int64{0}, RawData: []byte{}},
		},
		{
			&Tensor{Type: String, Dims: []int64{2}, Strings: [][]byte{[]byte("a"), {}}},
			&onnxpb.TensorProto{DataType: proto.Int32(8), Dims: []int64{2}, StringData: [][]byte{[]byte("a"), {}}},
		},
		{
			&Tensor{Type: Float32, Dims: []int64{2}, External: &External{Location: "w", Offset: 64, Length: 8}},
			&onnxpb.TensorProto{
				DataType: proto.Int32(1), Dims: []int64{2}, DataLocation: onnxpb.TensorProto_EXTERNAL.Enum(),
				ExternalData: []*onnxpb.StringStringEntryProto{entry("location", "w"), entry("offset", "64"), entry("length", "8")},
			},
		},
		{
			&Tensor{Type: Float32, Dims: []int64{2}, External: &External{Location: "w"}},
			&onnxpb.TensorProto{
				DataType: proto.Int32(1), Dims: []int64{2}, DataLocation: onnxpb.TensorProto_EXTERNAL.Enum(),
				ExternalData: []*onnxpb.StringStringEntryProto{entry("location", "w"), entry("offset", "0")},
			},
		},
	} {
		m := NewModel("tensors")
		c.tensor.Name, c.want.Name = "t", proto.String("t")
		m.Graph.Initializers = []*Tensor{c.tensor}
		if got := written(t, m).Graph.Initializer[0]; !proto.Equal(got, c.want) {
			t.Errorf("got %v, want %v", got, c.want)
		}
	}
}

// TestHeadOnDisk checks what stands before the graph: sorted, so that equal
// models are equal files, and of an IR version that has what the nodes use.
func TestHeadOnDisk(t *testing.T) {
	m := &Model{IRVersion: 8, Opset: map[string]int64{"z": 1, "": 17, Microsoft: 1}, Metadata: map[string]string{"b": "2", "a": "1"}, Graph: &Graph{}}
	p := written(t, m)
	var domains, keys []string
	for _, o := range p.OpsetImport {
		domains = append(domains, o.GetDomain())
	}
	for _, e := range p.MetadataProps {
		keys = append(keys, e.GetKey()+"="+e.GetValue())
	}
	if got := strings.Join(domains, ","); got != ",com.microsoft,z" {
		t.Errorf("domains %q", got)
	}
	if got := strings.Join(keys, ","); got != "a=1,b=2" {
		t.Errorf("metadata %q", got)
	}
	if p.GetIrVersion() != 8 || p.ProducerName != nil {
		t.Errorf("IR version %d, producer %v", p.GetIrVersion(), p.ProducerName)
	}
	// Nodes carry metadata since IR version 10.
	inner := &Graph{Nodes: []*Node{{Op: "Relu", Block: "encoder.0"}}}
	for what, n := range map[string]*Node{
		"block": {Op: "Relu", Block: "encoder.0"},
		"from":  {Op: "Relu", From: "forward"},
		"inner": {Op: "If", Attrs: []Attr{{Name: "then_branch", Kind: AttrGraph, G: inner}}},
	} {
		m.Graph.Nodes = []*Node{n}
		if got := written(t, m).GetIrVersion(); got != WriteIR {
			t.Errorf("%s: IR version %d, want %d", what, got, WriteIR)
		}
	}
	m.IRVersion = 11
	if got := written(t, m).GetIrVersion(); got != 11 {
		t.Errorf("IR version %d, want the model's own 11", got)
	}
	m.Graph = nil
	if _, err := m.Marshal(); err == nil || err.Error() != "writing ONNX model: the model has no graph" {
		t.Errorf("error %v", err)
	}
}

// TestOptionalStrings checks that a node's names are written only where they
// are, and its metadata in the order of block and source.
func TestOptionalStrings(t *testing.T) {
	bare := written(t, oneNode(&Node{Op: "Relu", Inputs: []string{"", "x"}})).Graph.Node[0]
	want := &onnxpb.NodeProto{OpType: proto.String("Relu"), Input: []string{"", "x"}}
	if !proto.Equal(bare, want) {
		t.Errorf("got %v, want %v", bare, want)
	}
	full := written(t, oneNode(&Node{
		Name: "n", Op: "Gelu", Domain: Microsoft, Outputs: []string{"y"}, Doc: "why", Block: "b", From: "f",
	})).Graph.Node[0]
	want = &onnxpb.NodeProto{
		Name: proto.String("n"), OpType: proto.String("Gelu"), Domain: proto.String(Microsoft), Output: []string{"y"}, DocString: proto.String("why"),
		MetadataProps: []*onnxpb.StringStringEntryProto{entry("softprompt.block", "b"), entry("softprompt.from", "f")},
	}
	if !proto.Equal(full, want) {
		t.Errorf("got %v, want %v", full, want)
	}
}

// TestSpecialFloats checks that bit patterns survive the file.
func TestSpecialFloats(t *testing.T) {
	floats := []float32{float32(math.Inf(-1)), math.Float32frombits(0x7fc00001), math.Float32frombits(0x80000000), math.SmallestNonzeroFloat32}
	m := NewModel("special")
	m.Graph.Initializers = []*Tensor{Floats("t", []int64{4}, floats)}
	data, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	back, err := Unmarshal(data, "")
	if err != nil {
		t.Fatal(err)
	}
	got, err := back.Graph.Initializers[0].Float32s()
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range got {
		if math.Float32bits(v) != math.Float32bits(floats[i]) {
			t.Errorf("element %d is %x, want %x", i, math.Float32bits(v), math.Float32bits(floats[i]))
		}
	}
}
