package onnx

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/proto"

	"softprompt/onnx/onnxpb"
)

// same compares models as values: where the bytes lie does not matter.
func same(t *testing.T, got, want *Model) {
	t.Helper()
	if d := diff(got, want); d != "" {
		t.Errorf("models differ (-want +got):\n%s", d)
	}
}

func diff(got, want *Model) string {
	return cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(Model{}, "Dir"),
		cmpopts.IgnoreUnexported(Model{}, Graph{}, Value{}, Node{}, Attr{}))
}

func noise(n int) []float32 {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	out := make([]float32, n)
	for i := range out {
		out[i] = r.Float32() - 0.5
	}
	return out
}

// smallModel has a weight that is large enough to be moved out, constants
// that are not, all kinds of attribute and a graph in a graph.
func smallModel(t *testing.T) *Model {
	t.Helper()
	b := NewBuilder(NewModel("small"))
	b.Model.Metadata = map[string]string{"a": "1", "b": "2"}
	x := b.Input("x", Float32, Sym("B"), Unknown, Size(16))
	w := b.Weight(Floats("w", []int64{16, 32}, noise(512)))
	v := b.Weight(Floats("v", []int64{32, 16}, noise(512)))
	b.Block = "encoder.0.mlp"
	y := b.MatMul(b.Relu(b.MatMul(x, w)), v)
	b.Block, b.From = "", "fwd"
	z := b.Add(y, b.Float(2, y))
	b.Output("z", z)
	if b.Err() != nil {
		t.Fatal(b.Err())
	}
	b.Model.Graph.Nodes[0].Doc = "the first"
	return b.Model
}

func TestSaveAndLoad(t *testing.T) {
	want := smallModel(t)
	if err := InferShapes(want); err != nil {
		t.Fatal(err)
	}
	for name, save := range map[string]func(string) error{
		"one file":          want.Save,
		"two files":         want.SaveExternal,
		"too large for one": func(path string) error { return want.save(path, 2000) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "m.onnx")
			if err := save(path); err != nil {
				t.Fatal(err)
			}
			got, err := Load(context.Background(), path)
			if err != nil {
				t.Fatal(err)
			}
			defer got.Close()
			same(t, got, want)
			if got.Dir != dir {
				t.Errorf("Dir is %q, want %q", got.Dir, dir)
			}
			if n := got.Graph.Nodes[0]; n.Block != "encoder.0.mlp" || got.Graph.Nodes[3].From != "fwd" {
				t.Errorf("block %q, from %q", n.Block, got.Graph.Nodes[3].From)
			}
			// A model may be written over the file that it is mapped from.
			if err := got.Save(path); err != nil {
				t.Fatal(err)
			}
			again, err := Load(context.Background(), path)
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			same(t, again, want)
		})
	}
}

// TestExternalLayout checks what lies where: small constants stay, weights
// move to aligned places, and equal models give equal files.
func TestExternalLayout(t *testing.T) {
	m := smallModel(t)
	m.Graph.Initializers = append(m.Graph.Initializers, Longs("odd", []int64{129}, make([]int64, 129)), Floats("last", []int64{300}, noise(300)))
	read := func(dir string) (model, data []byte) {
		if err := m.SaveExternal(filepath.Join(dir, "m.onnx")); err != nil {
			t.Fatal(err)
		}
		model, err := os.ReadFile(filepath.Join(dir, "m.onnx"))
		if err != nil {
			t.Fatal(err)
		}
		data, err = os.ReadFile(filepath.Join(dir, "m.onnx_data"))
		if err != nil {
			t.Fatal(err)
		}
		return model, data
	}
	model, data := read(t.TempDir())
	model2, data2 := read(t.TempDir())
	if !bytes.Equal(model, model2) || !bytes.Equal(data, data2) {
		t.Error("the same model gives different files")
	}
	got, err := Unmarshal(model, "")
	if err != nil {
		t.Fatal(err)
	}
	for i, tensor := range got.Graph.Initializers {
		e, want := tensor.External, m.Graph.Initializers[i].Data
		switch {
		case e == nil && len(want) >= minExternal:
			t.Errorf("%s stayed", tensor.Name)
		case e != nil && len(want) < minExternal:
			t.Errorf("%s moved", tensor.Name)
		case e != nil:
			if e.Location != "m.onnx_data" || e.Offset%alignment != 0 || !bytes.Equal(data[e.Offset:e.Offset+e.Length], want) {
				t.Errorf("%s lies at %+v", tensor.Name, e)
			}
		}
	}
}

// TestExternalStays checks that references into a file in place are written as
// they are beside it, and followed when the model goes elsewhere.
func TestExternalStays(t *testing.T) {
	home, away := t.TempDir(), t.TempDir()
	weight := Floats("w", []int64{2, 2}, []float32{1, 2, 3, 4})
	if err := os.WriteFile(filepath.Join(home, "weights.bin"), append([]byte("head"), weight.Data...), 0o644); err != nil {
		t.Fatal(err)
	}
	b := NewBuilder(NewModel("place"))
	b.Weight(&Tensor{Name: "w", Type: Float32, Dims: []int64{2, 2}, External: &External{Location: "weights.bin", Offset: 4}})
	b.Output("y", b.MatMul(b.Input("x", Float32, Size(1), Size(2)), "w"))
	if b.Err() != nil {
		t.Fatal(b.Err())
	}
	m := b.Model
	m.Dir = home
	for dir, moved := range map[string]bool{home: false, away: true} {
		path := filepath.Join(dir, "m.onnx")
		if err := m.Save(path); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := Unmarshal(data, dir)
		if err != nil {
			t.Fatal(err)
		}
		w := raw.Graph.Initializers[0]
		if (w.External == nil) != moved {
			t.Errorf("external %v, want moved %v", w.External, moved)
		}
		if got, err := w.Read(dir); err != nil || !bytes.Equal(got, weight.Data) {
			t.Errorf("read %v, %v", got, err)
		}
	}
	if m.Graph.Initializers[0].External == nil {
		t.Error("saving changed the model")
	}
}

// TestExternalCopy checks that the new model refers to the file and the old
// one is as it was.
func TestExternalCopy(t *testing.T) {
	m, dir := smallModel(t), t.TempDir()
	out, err := m.external(dir, "weights")
	if err != nil {
		t.Fatal(err)
	}
	for i, tensor := range out.Graph.Initializers {
		old := m.Graph.Initializers[i]
		if old.External != nil {
			t.Errorf("%s of the old model moved", old.Name)
		}
		got, err := tensor.Read(out.Dir)
		if err != nil || !bytes.Equal(got, old.Data) {
			t.Errorf("%s reads %d bytes, %v", tensor.Name, len(got), err)
		}
	}
	if _, err := m.external(dir, "../weights"); err == nil {
		t.Error("a file outside of the folder was written")
	}
}

// TestTypedFields checks that elements are read from every field that
// onnx.proto allows for a type.
func TestTypedFields(t *testing.T) {
	for _, c := range []struct {
		p    *onnxpb.TensorProto
		want []byte
	}{
		{&onnxpb.TensorProto{DataType: proto.Int32(int32(Float32)), FloatData: []float32{1, -2}}, []byte{0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0}},
		{&onnxpb.TensorProto{DataType: proto.Int32(int32(Float64)), DoubleData: []float64{1, 2}}, []byte{0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0, 0, 0, 0, 0, 0, 0, 0x40}},
		{&onnxpb.TensorProto{DataType: proto.Int32(int32(Int64)), Int64Data: []int64{-1, 2}}, []byte{255, 255, 255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 0, 0, 0}},
		{&onnxpb.TensorProto{DataType: proto.Int32(int32(Uint64)), Uint64Data: []uint64{1, 2}}, []byte{1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0}},
		{&onnxpb.TensorProto{DataType: proto.Int32(int32(Uint32)), Uint64Data: []uint64{1, 2}}, []byte{1, 0, 0, 0, 2, 0, 0, 0}},
		{&onnxpb.TensorProto{DataType: proto.Int32(int32(Int32)), Int32Data: []int32{-2, 2}}, []byte{254, 255, 255, 255, 2, 0, 0, 0}},
		{&onnxpb.TensorProto{DataType: proto.Int32(int32(Int16)), Int32Data: []int32{-2, 2}}, []byte{254, 255, 2, 0}},
		{&onnxpb.TensorProto{DataType: proto.Int32(int32(Uint16)), Int32Data: []int32{65535, 2}}, []byte{255, 255, 2, 0}},
		{&onnxpb.TensorProto{DataType: proto.Int32(int32(Float16)), Int32Data: []int32{0x3c00, 0xc000}}, []byte{0, 0x3c, 0, 0xc0}},
		{&onnxpb.TensorProto{DataType: proto.Int32(int32(BFloat16)), Int32Data: []int32{0x3f80, 0xc000}}, []byte{0x80, 0x3f, 0, 0xc0}},
		{&onnxpb.TensorProto{DataType: proto.Int32(int32(Bool)), Int32Data: []int32{1, 0}}, []byte{1, 0}},
		{&onnxpb.TensorProto{DataType: proto.Int32(int32(Int8)), Int32Data: []int32{-1, 3}}, []byte{255, 3}},
		{&onnxpb.TensorProto{DataType: proto.Int32(int32(Uint8)), Int32Data: []int32{200, 3}}, []byte{200, 3}},
	} {
		c.p.Name, c.p.Dims = proto.String("t"), []int64{2}
		b, err := proto.Marshal(c.p)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeRawTensor(b)
		if err != nil {
			t.Errorf("%v: %v", DType(c.p.GetDataType()), err)
			continue
		}
		if !bytes.Equal(got.Data, c.want) {
			t.Errorf("%v: got %v, want %v", got.Type, got.Data, c.want)
		}
	}
}

// TestKeepsWhatItDoesNotKnow checks that fields without a place in Model come
// out as they went in.
func TestKeepsWhatItDoesNotKnow(t *testing.T) {
	p := &onnxpb.ModelProto{}
	base, err := smallModel(t).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if err := proto.Unmarshal(base, p); err != nil {
		t.Fatal(err)
	}
	p.ProducerVersion, p.DocString, p.ModelVersion = proto.String("7"), proto.String("about"), proto.Int64(3)
	p.Functions = []*onnxpb.FunctionProto{{Name: proto.String("f"), Domain: proto.String("local")}}
	p.Graph.DocString = proto.String("graph")
	p.Graph.Input[0].DocString = proto.String("input")
	p.Graph.QuantizationAnnotation = []*onnxpb.TensorAnnotation{{TensorName: proto.String("w")}}
	seq := &onnxpb.ValueInfoProto{Name: proto.String("seq"), Type: &onnxpb.TypeProto{Value: &onnxpb.TypeProto_SequenceType{
		SequenceType: &onnxpb.TypeProto_Sequence{ElemType: &onnxpb.TypeProto{}},
	}}}
	p.Graph.Input = append(p.Graph.Input, seq)
	n := p.Graph.Node[0]
	n.Overload = proto.String("o")
	n.MetadataProps = append([]*onnxpb.StringStringEntryProto{entry("k", "v")}, n.MetadataProps...)
	n.Attribute = []*onnxpb.AttributeProto{
		{Name: proto.String("ts"), Type: onnxpb.AttributeProto_TENSORS.Enum(), Tensors: []*onnxpb.TensorProto{{Name: proto.String("q")}}},
		{Name: proto.String("tp"), Type: onnxpb.AttributeProto_TYPE_PROTO.Enum(), Tp: seq.Type},
	}
	in, err := proto.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Unmarshal(in, "")
	if err != nil {
		t.Fatal(err)
	}
	out, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	got := &onnxpb.ModelProto{}
	if err := proto.Unmarshal(out, got); err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(got, p) {
		t.Errorf("got %v\nwant %v", got, p)
	}
}

// TestHuge saves and reads weights of more than 2 GiB. Most of them is a hole
// in a sparse file.
func TestHuge(t *testing.T) {
	dir := t.TempDir()
	const rows, columns = 70_000, 8192 // 2.1 GiB
	const tail = 64
	f, err := os.Create(filepath.Join(dir, "huge.bin"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(rows*columns*4 + tail*4); err != nil {
		t.Fatal(err)
	}
	last := Floats("", []int64{tail}, noise(tail))
	if _, err := f.WriteAt(last.Data, rows*columns*4); err != nil {
		t.Fatal(err)
	}
	b := NewBuilder(NewModel("huge"))
	w := b.Weight(&Tensor{Name: "w", Type: Float32, Dims: []int64{rows, columns}, External: &External{Location: "huge.bin"}})
	v := b.Weight(&Tensor{Name: "v", Type: Float32, Dims: []int64{tail}, External: &External{Location: "huge.bin", Offset: rows * columns * 4, Length: tail * 4}})
	b.Output("y", b.Add(b.Gather(b.Gather(w, b.Input("row", Int64), 0), b.Int(0), 0), v))
	if b.Err() != nil {
		t.Fatal(b.Err())
	}
	path := filepath.Join(dir, "huge.onnx")
	if err := b.Model.Save(path); err != nil {
		t.Fatal(err)
	}
	m, err := Load(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if got := len(m.Graph.Initializers[0].Data); got != rows*columns*4 {
		t.Errorf("weight has %d bytes", got)
	}
	if !bytes.Equal(m.Graph.Initializers[1].Data, last.Data) {
		t.Error("the last weight, past 2 GiB, differs")
	}
	// All of it is at hand now, more than one file can hold.
	if _, err := m.Marshal(); err == nil || !strings.Contains(err.Error(), "more than a model file can have") {
		t.Errorf("marshalling 2.1 GiB: %v", err)
	}
}
