package onnx

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"softprompt/onnx/onnxpb"
)

// decoded marshals a message of the library and reads it as a model.
func decoded(t *testing.T, p *onnxpb.ModelProto) (*Model, error) {
	t.Helper()
	data, err := proto.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return Unmarshal(data, "")
}

// TestOldFiles checks that attributes without a kind, as before IR version 2,
// are told by the field that is set.
func TestOldFiles(t *testing.T) {
	name := proto.String("a")
	for _, c := range []struct {
		p    *onnxpb.AttributeProto
		want AttrKind
	}{
		{&onnxpb.AttributeProto{Name: name, F: proto.Float32(0)}, AttrFloat},
		{&onnxpb.AttributeProto{Name: name, I: proto.Int64(0)}, AttrInt},
		{&onnxpb.AttributeProto{Name: name, S: []byte{}}, AttrString},
		{&onnxpb.AttributeProto{Name: name, T: &onnxpb.TensorProto{DataType: proto.Int32(1), FloatData: []float32{1}}}, AttrTensor},
		{&onnxpb.AttributeProto{Name: name, G: &onnxpb.GraphProto{}}, AttrGraph},
		{&onnxpb.AttributeProto{Name: name, Floats: []float32{1}}, AttrFloats},
		{&onnxpb.AttributeProto{Name: name, Ints: []int64{1}}, AttrInts},
		{&onnxpb.AttributeProto{Name: name, Strings: [][]byte{{}}}, AttrStrings},
		{&onnxpb.AttributeProto{Name: name}, 0},
	} {
		m, err := decoded(t, &onnxpb.ModelProto{Graph: &onnxpb.GraphProto{Node: []*onnxpb.NodeProto{{
			OpType: proto.String("Op"), Attribute: []*onnxpb.AttributeProto{c.p},
		}}}})
		if err != nil {
			t.Errorf("kind %d: %v", c.want, err)
			continue
		}
		if got := m.Graph.Nodes[0].Attrs[0].Kind; got != c.want {
			t.Errorf("kind %d, want %d", got, c.want)
		}
	}
}

// TestOddFiles checks what is legal and rare: the standard domain's long name,
// a graph in two pieces, sizes of −1, and elements of types without a size.
func TestOddFiles(t *testing.T) {
	p := &onnxpb.ModelProto{
		IrVersion:   proto.Int64(8),
		OpsetImport: []*onnxpb.OperatorSetIdProto{{Domain: proto.String("ai.onnx"), Version: proto.Int64(17)}},
		Graph: &onnxpb.GraphProto{
			Node: []*onnxpb.NodeProto{{OpType: proto.String("Relu"), Domain: proto.String("ai.onnx"), Input: []string{"x"}, Output: []string{"y"}}},
			Input: []*onnxpb.ValueInfoProto{{Name: proto.String("x"), Type: &onnxpb.TypeProto{Value: &onnxpb.TypeProto_TensorType{TensorType: &onnxpb.TypeProto_Tensor{
				ElemType: proto.Int32(1), Shape: &onnxpb.TensorShapeProto{Dim: []*onnxpb.TensorShapeProto_Dimension{
					{Value: &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: -1}},
					{},
					{Value: &onnxpb.TensorShapeProto_Dimension_DimParam{DimParam: "S"}},
					{Value: &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: 0}},
				}},
			}}}}},
			Initializer: []*onnxpb.TensorProto{{Name: proto.String("q"), DataType: proto.Int32(22), Dims: []int64{4}, Int32Data: []int32{0x21, 0x43}}},
		},
	}
	first, err := proto.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	second, err := proto.Marshal(&onnxpb.ModelProto{Graph: &onnxpb.GraphProto{Output: []*onnxpb.ValueInfoProto{{Name: proto.String("y")}}}})
	if err != nil {
		t.Fatal(err)
	}
	m, err := Unmarshal(append(first, second...), "")
	if err != nil {
		t.Fatal(err)
	}
	if err := Validate(m); err != nil {
		t.Error(err)
	}
	if err := InferShapes(m); err != nil {
		t.Error(err)
	}
	if got := m.Graph.Outputs[0].String(); got != "y float32[?,?,S,0]" {
		t.Errorf("output %s", got)
	}
	if m.Opset[""] != 17 || m.Graph.Nodes[0].Domain != "" {
		t.Errorf("opset %v, domain %q", m.Opset, m.Graph.Nodes[0].Domain)
	}
	if got := m.Graph.Initializers[0].Data; !slices.Equal(got, []byte{0x21, 0x43}) {
		t.Errorf("4-bit elements %x", got)
	}
}

// TestBadParts checks that errors say where in the file the fault is.
func TestBadParts(t *testing.T) {
	tensor := func(change func(p *onnxpb.TensorProto)) *onnxpb.ModelProto {
		p := &onnxpb.TensorProto{Name: proto.String("t"), DataType: proto.Int32(1), Dims: []int64{1}, RawData: make([]byte, 4)}
		change(p)
		return &onnxpb.ModelProto{Graph: &onnxpb.GraphProto{Initializer: []*onnxpb.TensorProto{p}}}
	}
	node := func(a *onnxpb.AttributeProto) *onnxpb.ModelProto {
		return &onnxpb.ModelProto{Graph: &onnxpb.GraphProto{Node: []*onnxpb.NodeProto{{
			OpType: proto.String("Op"), Name: proto.String("n"), Attribute: []*onnxpb.AttributeProto{a},
		}}}}
	}
	for _, c := range []struct {
		p    *onnxpb.ModelProto
		want string
	}{
		{tensor(func(p *onnxpb.TensorProto) { p.Segment = &onnxpb.TensorProto_Segment{} }), "initializer 0: tensor t: it is a segment"},
		{tensor(func(p *onnxpb.TensorProto) { p.RawData = nil; p.FloatData = []float32{1, 2} }), "holds 8 bytes, want 4"},
		{tensor(func(p *onnxpb.TensorProto) { p.RawData, p.DataLocation = nil, onnxpb.TensorProto_EXTERNAL.Enum() }), "not a path inside"},
		{tensor(func(p *onnxpb.TensorProto) {
			p.DataLocation = onnxpb.TensorProto_EXTERNAL.Enum()
			p.ExternalData = []*onnxpb.StringStringEntryProto{entry("location", "f")}
		}), "lie both here and in file f"},
		{tensor(func(p *onnxpb.TensorProto) {
			p.RawData, p.DataLocation = nil, onnxpb.TensorProto_EXTERNAL.Enum()
			p.ExternalData = []*onnxpb.StringStringEntryProto{entry("location", "f"), entry("offset", "many")}
		}), "offset of its external data"},
		{node(&onnxpb.AttributeProto{Name: proto.String("a"), Type: onnxpb.AttributeProto_TENSOR.Enum()}), "node 0 (Op n): attribute a: holds no tensor"},
		{node(&onnxpb.AttributeProto{Name: proto.String("a"), Type: onnxpb.AttributeProto_GRAPH.Enum()}), "node 0 (Op n): attribute a: holds no graph"},
	} {
		if _, err := decoded(t, c.p); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
	}
}

// TestConstantForms reads every attribute that a Constant node may have.
func TestConstantForms(t *testing.T) {
	for _, c := range []struct {
		attr Attr
		want string
	}{
		{TensorAttr("value", Longs("", []int64{2}, []int64{3, 4})), "y int64[2]"},
		{FloatAttr("value_float", 1), "y float32[]"},
		{Attr{Name: "value_floats", Kind: AttrFloats, Floats: []float32{1, 2}}, "y float32[2]"},
		{IntAttr("value_int", 1), "y int64[]"},
		{IntsAttr("value_ints", 1, 2, 3), "y int64[3]"},
		{StringAttr("value_string", "s"), "y string[]"},
		{Attr{Name: "value_strings", Kind: AttrStrings, Strings: [][]byte{{}}}, "y string[1]"},
		{Attr{Name: "sparse_value"}, "y undefined[…]"},
	} {
		f := NewInference(NewModel("constant"))
		if err := f.Node(&Node{Op: "Constant", Outputs: []string{"y"}, Attrs: []Attr{c.attr}}); err != nil {
			t.Errorf("%s: %v", c.attr.Name, err)
		}
		if v, _ := f.Value("y"); v.String() != c.want {
			t.Errorf("%s: %v, want %s", c.attr.Name, v, c.want)
		}
		if got := f.Const("y"); (got == nil) != (c.attr.Name == "sparse_value") {
			t.Errorf("%s: constant %v", c.attr.Name, got)
		}
	}
}

// TestSaveFails checks that a save that cannot be leaves what was there.
func TestSaveFails(t *testing.T) {
	dir := t.TempDir()
	m := smallModel(t)
	path := filepath.Join(dir, "m.onnx")
	if err := m.Save(path); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	odd := *m.Graph.Nodes[0]
	odd.Attrs = []Attr{{Name: "a", Kind: 99}}
	for what, broken := range map[string]*Model{
		"node 0":               {Graph: &Graph{Nodes: []*Node{&odd}}},
		"no graph":             {},
		"opening external":     {Dir: "elsewhere", Graph: &Graph{Initializers: []*Tensor{{Name: "t", Type: Float32, External: &External{Location: "f"}}}}},
		"cannot be moved":      {Dir: "elsewhere", Graph: &Graph{Nodes: []*Node{{Op: "Op", Attrs: []Attr{TensorAttr("a", &Tensor{Type: Float32, External: &External{Location: "f"}})}}}}},
		"kind 99 cannot be wr": {Graph: &Graph{Nodes: []*Node{{Op: "If", Attrs: []Attr{{Name: "g", Kind: AttrGraph, G: &Graph{Nodes: []*Node{&odd}}}}}}}},
	} {
		if what == "opening external" {
			broken.Dir = t.TempDir()
		}
		err := broken.Save(path)
		if err == nil || !strings.Contains(err.Error(), what) || !strings.Contains(err.Error(), path) {
			t.Errorf("error %v, want one with %q and the path", err, what)
		}
	}
	if err := m.Save(filepath.Join(dir, "no", "such", "folder", "m.onnx")); err == nil {
		t.Error("saved in a folder that is not there")
	}
	after, err := os.ReadFile(path)
	if err != nil || !slices.Equal(before, after) {
		t.Errorf("the file changed: %v", err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 {
		t.Errorf("files left behind: %v, %v", files, err)
	}
	if _, err := Load(context.Background(), dir); err == nil || !strings.Contains(err.Error(), "is not a file") {
		t.Errorf("a folder was loaded: %v", err)
	}
}
