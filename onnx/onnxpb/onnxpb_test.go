package onnxpb_test

import (
	"fmt"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"softprompt/onnx/onnxpb"
)

// A copy of onnx.proto under its usual names must find its place free.
func TestNamesAreOurOwn(t *testing.T) {
	if got, want := onnxpb.File_softprompt_onnx_onnx_proto.Path(), "softprompt/onnx/onnx.proto"; got != want {
		t.Errorf("file path %q, want %q", got, want)
	}
	for _, path := range []string{"onnx.proto", "onnx/onnx.proto", "onnx-ml.proto", "onnx/onnx-ml.proto"} {
		if _, err := protoregistry.GlobalFiles.FindFileByPath(path); err == nil {
			t.Errorf("the name %q is taken", path)
		}
	}
	if _, err := protoregistry.GlobalFiles.FindDescriptorByName("onnx.ModelProto"); err == nil {
		t.Error("the name onnx.ModelProto is taken")
	}
}

// The field numbers are the file format: these come from ONNX's specification,
// not from the generated code, and cover what newer opsets added.
func TestFieldNumbers(t *testing.T) {
	for _, c := range []struct {
		message proto.Message
		field   protoreflect.Name
		number  protowire.Number
	}{
		{&onnxpb.ModelProto{}, "graph", 7},
		{&onnxpb.ModelProto{}, "opset_import", 8},
		{&onnxpb.ModelProto{}, "metadata_props", 14},
		{&onnxpb.ModelProto{}, "functions", 25},
		{&onnxpb.GraphProto{}, "metadata_props", 16},
		{&onnxpb.NodeProto{}, "overload", 8},
		{&onnxpb.NodeProto{}, "metadata_props", 9},
		{&onnxpb.TensorProto{}, "raw_data", 9},
		{&onnxpb.TensorProto{}, "external_data", 13},
		{&onnxpb.TensorProto{}, "metadata_props", 16},
		{&onnxpb.ValueInfoProto{}, "metadata_props", 4},
		{&onnxpb.FunctionProto{}, "metadata_props", 14},
	} {
		descriptor := c.message.ProtoReflect().Descriptor()
		field := descriptor.Fields().ByName(c.field)
		if field == nil {
			t.Errorf("%s has no field %s", descriptor.Name(), c.field)
			continue
		}
		if field.Number() != c.number {
			t.Errorf("%s.%s has number %d, want %d", descriptor.Name(), c.field, field.Number(), c.number)
		}
	}
}

// A message written by hand, byte for byte, is read as what it says.
func TestReadsWireFormat(t *testing.T) {
	var opset []byte
	opset = protowire.AppendTag(opset, 2, protowire.VarintType)
	opset = protowire.AppendVarint(opset, 23)
	var wire []byte
	wire = protowire.AppendTag(wire, 1, protowire.VarintType) // ir_version
	wire = protowire.AppendVarint(wire, 10)
	wire = protowire.AppendTag(wire, 8, protowire.BytesType) // opset_import
	wire = protowire.AppendBytes(wire, opset)

	var model onnxpb.ModelProto
	if err := proto.Unmarshal(wire, &model); err != nil {
		t.Fatal(err)
	}
	if model.GetIrVersion() != 10 || len(model.OpsetImport) != 1 || model.OpsetImport[0].GetVersion() != 23 {
		t.Errorf("read %v", &model)
	}
}

func Example() {
	bytes, _ := proto.Marshal(&onnxpb.ModelProto{
		IrVersion: proto.Int64(int64(onnxpb.Version_IR_VERSION)),
		Graph: &onnxpb.GraphProto{
			Node: []*onnxpb.NodeProto{{OpType: proto.String("Relu"), Input: []string{"x"}, Output: []string{"y"}}},
		},
	})
	var model onnxpb.ModelProto
	if err := proto.Unmarshal(bytes, &model); err != nil {
		fmt.Println(err)
		return
	}
	node := model.Graph.Node[0]
	fmt.Println(node.GetOpType(), node.Input, node.Output)
	// Output: Relu [x] [y]
}
