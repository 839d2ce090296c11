package onnx

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"softprompt/onnx/onnxpb"
)

// field appends a length-delimited field to a message.
func field(message []byte, number protowire.Number, content []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(message, number, protowire.BytesType), content)
}

// TestBrokenMessages breaks each level of a file: the error says which.
func TestBrokenMessages(t *testing.T) {
	cut := []byte{0x0a, 5, 'x'}      // field 1 of 5 bytes, of which 1 is there
	text := []byte{0x0a, 2, 0xff, 5} // field 1, a varint or a message where it is read, of nonsense
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"model", cut, "reading ONNX model: "},
		{"version that is a text", field(field(nil, 1, text), modelGraph, nil), ""},
		{"graph", field(nil, modelGraph, cut), "reading ONNX model: graph: "},
		{"node", field(nil, modelGraph, field(nil, 1, cut)), "reading ONNX model: graph: "},
		{"initializer", field(nil, modelGraph, field(nil, graphInitializer, cut)), "reading ONNX model: initializer 0: "},
		{"second initializer", field(nil, modelGraph, field(field(nil, graphInitializer, []byte{0x10, 1, 0x25, 0, 0, 0, 0}), graphInitializer, cut)), "reading ONNX model: initializer 1: "},
	} {
		m, err := Unmarshal(c.data, "")
		switch {
		case c.want == "" && (err != nil || m.IRVersion != 0): // a field of another wire type is not that field
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)):
			t.Errorf("%s: error %v, want one that begins with %q", c.name, err, c.want)
		}
	}
}

// TestBadInnerParts checks the errors of values, and of what lies in the
// graphs of attributes.
func TestBadInnerParts(t *testing.T) {
	dims := make([]*onnxpb.TensorShapeProto_Dimension, maxRank+1)
	for i := range dims {
		dims[i] = &onnxpb.TensorShapeProto_Dimension{}
	}
	wide := &onnxpb.ValueInfoProto{Name: proto.String("v"), Type: &onnxpb.TypeProto{Value: &onnxpb.TypeProto_TensorType{
		TensorType: &onnxpb.TypeProto_Tensor{Shape: &onnxpb.TensorShapeProto{Dim: dims}},
	}}}
	inside := func(g *onnxpb.GraphProto) *onnxpb.GraphProto {
		return &onnxpb.GraphProto{Node: []*onnxpb.NodeProto{{
			OpType: proto.String("If"), Attribute: []*onnxpb.AttributeProto{{
				Name: proto.String("then_branch"), Type: onnxpb.AttributeProto_GRAPH.Enum(), G: g,
			}},
		}}}
	}
	bad := &onnxpb.GraphProto{Initializer: []*onnxpb.TensorProto{{Name: proto.String("t"), DataType: proto.Int32(1), Dims: []int64{2}}}}
	for _, c := range []struct {
		graph *onnxpb.GraphProto
		want  string
	}{
		{&onnxpb.GraphProto{Input: []*onnxpb.ValueInfoProto{wide}}, "value v: rank 65 is more than 64"},
		{&onnxpb.GraphProto{Output: []*onnxpb.ValueInfoProto{wide}}, "value v: rank 65 is more than 64"},
		{&onnxpb.GraphProto{ValueInfo: []*onnxpb.ValueInfoProto{wide}}, "value v: rank 65 is more than 64"},
		{inside(bad), "node 0 (If ): attribute then_branch: initializer 0: tensor t, float32[2]: it holds 0 bytes, want 8"},
		{inside(inside(bad)), "node 0 (If ): attribute then_branch: node 0 (If ): attribute then_branch: initializer 0"},
	} {
		_, err := decoded(t, &onnxpb.ModelProto{Graph: c.graph})
		checkError(t, "graph", err, c.want)
	}
}

// TestInnerGraphs checks that a graph in an attribute is read like one that
// is not: nodes, constants of all fields, values.
func TestInnerGraphs(t *testing.T) {
	m, err := decoded(t, &onnxpb.ModelProto{Graph: &onnxpb.GraphProto{Node: []*onnxpb.NodeProto{{
		OpType: proto.String("Loop"), Attribute: []*onnxpb.AttributeProto{{
			Name: proto.String("body"), Type: onnxpb.AttributeProto_GRAPH.Enum(), G: &onnxpb.GraphProto{
				Name:        proto.String("inner"),
				Node:        []*onnxpb.NodeProto{{OpType: proto.String("Relu"), Input: []string{"x"}, Output: []string{"y"}}},
				Initializer: []*onnxpb.TensorProto{{Name: proto.String("t"), DataType: proto.Int32(6), Dims: []int64{1}, Int32Data: []int32{-2}}},
				Output:      []*onnxpb.ValueInfoProto{{Name: proto.String("y")}},
			},
		}},
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	g := m.Graph.Nodes[0].Attr("body").G
	if g.Name != "inner" || g.Nodes[0].String() != "Relu node that makes y" || g.Outputs[0].Name != "y" {
		t.Errorf("graph %+v", g)
	}
	if !slices.Equal(g.Initializers[0].Data, []byte{254, 255, 255, 255}) {
		t.Errorf("constant %v", g.Initializers[0].Data)
	}
}

// TestRawTensors checks the field that most weights lie in: beside others, when
// it is there twice, and when it is empty. The elements are not copied.
func TestRawTensors(t *testing.T) {
	head, err := proto.Marshal(&onnxpb.TensorProto{DataType: proto.Int32(2), Dims: []int64{3}, Int32Data: []int32{7, 7, 7}})
	if err != nil {
		t.Fatal(err)
	}
	message := field(field(head, tensorRaw, []byte("abc")), tensorRaw, []byte("xyz"))
	got, err := decodeRawTensor(message)
	if err != nil || string(got.Data) != "xyz" {
		t.Fatalf("got %q, %v, want the last one", got.Data, err)
	}
	message[len(message)-1] = '!'
	if string(got.Data) != "xy!" {
		t.Error("the elements were copied")
	}
	// Empty raw data is data: typed fields beside it do not count.
	if _, err := decodeRawTensor(field(head, tensorRaw, nil)); err == nil || !strings.Contains(err.Error(), "holds 0 bytes, want 3") {
		t.Errorf("empty raw data: %v", err)
	}
	if _, err := decodeRawTensor([]byte{0x0a}); err == nil {
		t.Error("a cut tensor was read")
	}
}

// TestWideTypes checks types whose elements take two numbers of a typed field,
// strings, and the low bits of numbers that are too large for theirs.
func TestWideTypes(t *testing.T) {
	for _, c := range []struct {
		p    *onnxpb.TensorProto
		want []byte
	}{
		{&onnxpb.TensorProto{DataType: proto.Int32(int32(Complex64)), FloatData: []float32{1, 2}}, []byte{0, 0, 0x80, 0x3f, 0, 0, 0, 0x40}},
		{&onnxpb.TensorProto{DataType: proto.Int32(int32(Complex128)), DoubleData: []float64{0, 1}}, []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f}},
		{&onnxpb.TensorProto{DataType: proto.Int32(int32(Int8)), Int32Data: []int32{0x181}}, []byte{0x81}},
		{&onnxpb.TensorProto{DataType: proto.Int32(int32(Uint16)), Int32Data: []int32{0x12345}}, []byte{0x45, 0x23}},
		{&onnxpb.TensorProto{DataType: proto.Int32(int32(Uint32)), Uint64Data: []uint64{1<<32 + 2}}, []byte{2, 0, 0, 0}},
	} {
		c.p.Dims = []int64{1}
		got, err := decodeTensor(c.p)
		if err != nil || !slices.Equal(got.Data, c.want) {
			t.Errorf("%v: got %v, %v, want %v", DType(c.p.GetDataType()), got, err, c.want)
		}
	}
	text := &onnxpb.TensorProto{DataType: proto.Int32(int32(String)), Dims: []int64{2}, StringData: [][]byte{[]byte("a"), []byte("bc")}}
	if got, err := decodeTensor(text); err != nil || len(got.Strings) != 2 || string(got.Strings[1]) != "bc" || got.Data != nil {
		t.Errorf("strings: %+v, %v", got, err)
	}
	text.Dims = []int64{3}
	if _, err := decodeTensor(text); err == nil || !strings.Contains(err.Error(), "it holds 2 strings, want 3") {
		t.Errorf("too few strings: %v", err)
	}
}

// TestExternalEntries checks the keys that say where elements lie; others,
// such as checksums, are passed over.
func TestExternalEntries(t *testing.T) {
	got, err := decodeExternal([]*onnxpb.StringStringEntryProto{
		entry("location", "w"), entry("offset", "64"), entry("length", "8"), entry("checksum", "no number"),
	})
	if err != nil || *got != (External{Location: "w", Offset: 64, Length: 8}) {
		t.Errorf("got %+v, %v", got, err)
	}
	for want, e := range map[string]*onnxpb.StringStringEntryProto{
		`offset of its external data: strconv.ParseInt: parsing "0x10": invalid syntax`:                    entry("offset", "0x10"),
		`length of its external data: strconv.ParseInt: parsing "9223372036854775808": value out of range`: entry("length", "9223372036854775808"),
	} {
		if _, err := decodeExternal([]*onnxpb.StringStringEntryProto{e}); err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

// TestNodeMetadata checks that the two keys of this package are taken out of a
// node's metadata, and the others stay in the file.
func TestNodeMetadata(t *testing.T) {
	props := []*onnxpb.StringStringEntryProto{entry("theirs", "1"), entry(fromKey, "f"), entry(blockKey, "b")}
	m, err := decoded(t, &onnxpb.ModelProto{Graph: &onnxpb.GraphProto{Node: []*onnxpb.NodeProto{{OpType: proto.String("Relu"), MetadataProps: props}}}})
	if err != nil {
		t.Fatal(err)
	}
	n := m.Graph.Nodes[0]
	if n.Block != "b" || n.From != "f" {
		t.Errorf("block %q, from %q", n.Block, n.From)
	}
	n.Block = "changed"
	var got []string
	for _, e := range written(t, m).Graph.Node[0].MetadataProps {
		got = append(got, e.GetKey()+"="+e.GetValue())
	}
	if want := []string{"theirs=1", "softprompt.block=changed", "softprompt.from=f"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
