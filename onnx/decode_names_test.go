package onnx

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"softprompt/onnx/onnxpb"
)

// TestNamesOfOneLine: a name that would break a line of an error, or command the
// terminal that it is printed on, is refused wherever it stands, and quoted.
func TestNamesOfOneLine(t *testing.T) {
	sound := func() *onnxpb.ModelProto {
		return &onnxpb.ModelProto{
			IrVersion: proto.Int64(8), DocString: proto.String("two\nlines"),
			MetadataProps: []*onnxpb.StringStringEntryProto{{Key: proto.String("trace"), Value: proto.String("a\n\tb")}},
			OpsetImport:   []*onnxpb.OperatorSetIdProto{{Domain: proto.String(""), Version: proto.Int64(18)}},
			Graph: &onnxpb.GraphProto{
				Name: proto.String("g"),
				Node: []*onnxpb.NodeProto{{
					OpType: proto.String("Identity"), Name: proto.String("n"), DocString: proto.String("a\nb"),
					Input: []string{"x"}, Output: []string{"é"},
					Attribute: []*onnxpb.AttributeProto{{Name: proto.String("a"), Type: onnxpb.AttributeProto_STRING.Enum(), S: []byte("a\nb")}},
				}},
				Initializer: []*onnxpb.TensorProto{{Name: proto.String("w"), DataType: proto.Int32(1), Dims: []int64{1}, FloatData: []float32{1}}},
				Input:       []*onnxpb.ValueInfoProto{{Name: proto.String("x")}},
			},
		}
	}
	read := func(p *onnxpb.ModelProto) error {
		data, err := proto.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Unmarshal(data, "")
		return err
	}
	if err := read(sound()); err != nil {
		t.Fatal(err)
	}
	for field, spoil := range map[string]func(*onnxpb.ModelProto, string){
		"domain":        func(p *onnxpb.ModelProto, s string) { p.OpsetImport[0].Domain = &s },
		"producer name": func(p *onnxpb.ModelProto, s string) { p.ProducerName = &s },
		"op type":       func(p *onnxpb.ModelProto, s string) { p.Graph.Node[0].OpType = &s },
		"input":         func(p *onnxpb.ModelProto, s string) { p.Graph.Node[0].Input[0] = s },
		"output":        func(p *onnxpb.ModelProto, s string) { p.Graph.Node[0].Output[0] = s },
		"name":          func(p *onnxpb.ModelProto, s string) { p.Graph.Node[0].Attribute[0].Name = &s },
		"name ":         func(p *onnxpb.ModelProto, s string) { p.Graph.Initializer[0].Name = &s },
		"name  ":        func(p *onnxpb.ModelProto, s string) { p.Graph.Input[0].Name = &s },
	} {
		for _, s := range []string{"a\nb", "\x1b[2J", "a\u0085b"} {
			p := sound()
			spoil(p, s)
			err := read(p)
			if err == nil || !strings.Contains(err.Error(), strings.TrimSpace(field)+" \"") || strings.ContainsAny(err.Error(), "\n\x1b\u0085") {
				t.Errorf("%s %q: %v", field, s, err)
			}
		}
	}
}
