package exported_test

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"softprompt/export/exported"
	"softprompt/models"
	"softprompt/onnx"
)

// FuzzLoad does the surgery on graphs that are nearly those of a T5. Bytes of
// edits, four for each, change the mini model's graphs; a model that is read
// must be whole afterwards, and one that is not is refused in a line.
func FuzzLoad(f *testing.F) {
	f.Add([]byte{})
	for kind := range byte(len(edits)) {
		f.Add([]byte{kind, 3, 1, 7})
		f.Add([]byte{kind, 0, 200, 130, kind, 9, 2, 127, 3, 12, 0, 0})
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		enc, dec := miniEncoder(), miniDecoder(true)
		for len(data) >= 4 {
			m := enc
			if data[0]&0x80 != 0 {
				m = dec
			}
			edits[int(data[0]&0x7f)%len(edits)](m, int(data[1]), int(data[2]), int(data[3]))
			data = data[4:]
		}
		dir := t.TempDir()
		for i, m := range []*onnx.Model{enc, dec} {
			bytes, err := m.Marshal()
			if err != nil {
				return // it cannot be written
			}
			fatal(t, os.WriteFile(filepath.Join(dir, miniFiles[i]), bytes, 0o644))
		}
		checkLoad(t, dir)
	})
}

// FuzzLoadBytes does it on files that hold anything.
func FuzzLoadBytes(f *testing.F) {
	for _, m := range []*onnx.Model{miniEncoder(), miniDecoder(true), miniDecoder(false)} {
		data, err := m.Marshal()
		fatal(f, err)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		for _, name := range miniFiles {
			fatal(t, os.WriteFile(filepath.Join(dir, name), data, 0o644))
		}
		checkLoad(t, dir)
	})
}

// checkLoad reads a model of any content.
func checkLoad(t *testing.T, dir string) {
	x, err := exported.Load(t.Context(), &models.Model{Dir: dir, Config: miniConfig, Files: models.Files{Format: models.ONNX, Weights: miniFiles}})
	if err != nil {
		if strings.Contains(err.Error(), "\n") {
			t.Fatalf("the error has several lines: %v", err)
		}
		return
	}
	defer x.Close()
	for _, m := range []*onnx.Model{x.Encoder, x.Decoder} {
		fatal(t, onnx.Validate(m))
		fatal(t, onnx.InferShapes(m))
		if _, err := m.Marshal(); err != nil {
			t.Fatal(err)
		}
	}
	_ = x.Differentiable() // must only not panic
	b := onnx.NewBuilder(onnx.NewModel("lookup"))
	x.Embedding.Lookup(b, "table", b.Input("ids", onnx.Int64, onnx.Sym("B"), onnx.Sym("S")))
	fatal(t, b.Err())
}

// ops are the operators that an edit may put into a node.
var ops = []string{
	"Add", "Shape", "Gather", "If", "Reshape", "Expand", "Slice", "Cast", "Constant", "Neg", "Identity", "Concat", "Transpose",
	"DequantizeLinear", "Dropout", "Unsqueeze", "Squeeze", "Range", "ConstantOfShape", "Where", "Softmax", "Tile", "Size", "Loop",
	"CastLike", "Mul", "Sqrt", "Div", "Equal", "MatMul",
}

// edits change a graph; the numbers are taken modulo what there is.
var edits = []func(m *onnx.Model, a, b, c int){
	func(m *onnx.Model, a, b, c int) { // what a node reads
		if n := pick(m.Graph.Nodes, a); n != nil && len(n.Inputs) > 0 {
			n.Inputs[b%len(n.Inputs)] = value(m, c)
		}
	},
	func(m *onnx.Model, a, b, _ int) { // what it computes
		if n := pick(m.Graph.Nodes, a); n != nil {
			n.Op = ops[b%len(ops)]
		}
	},
	func(m *onnx.Model, a, b, _ int) { // where it stands
		if g := m.Graph; len(g.Nodes) > 0 {
			i, j := a%len(g.Nodes), b%len(g.Nodes)
			g.Nodes[i], g.Nodes[j] = g.Nodes[j], g.Nodes[i]
		}
	},
	func(m *onnx.Model, a, _, _ int) { // whether it is there
		if g := m.Graph; len(g.Nodes) > 0 {
			i := a % len(g.Nodes)
			g.Nodes = append(g.Nodes[:i:i], g.Nodes[i+1:]...)
		}
	},
	func(m *onnx.Model, a, b, c int) { // its attributes
		if n := pick(m.Graph.Nodes, a); n != nil {
			names := []string{"to", "axis", "axes", "start", "end", "perm", "value", "keepdims", "allowzero"}
			attr := onnx.IntAttr(names[b%len(names)], int64(c-128))
			if c%3 == 0 {
				attr = onnx.IntsAttr(attr.Name, int64(c%5), int64(c%2))
			}
			n.Attrs = append(n.Attrs, attr)
		}
	},
	func(m *onnx.Model, a, b, c int) { // the elements of a small constant
		if w := pick(m.Graph.Initializers, a); w != nil && w.Type == onnx.Int64 && len(w.Data) > 0 {
			data := append([]byte{}, w.Data...)
			binary.LittleEndian.PutUint64(data[b%(len(data)/8)*8:], uint64(int64(c-128)))
			w.Data = data
		}
	},
	func(m *onnx.Model, a, b, c int) { // an input's shape and type
		if in := m.Graph.Inputs; len(in) > 0 {
			v := &in[a%len(in)]
			if v.Type = onnx.DType(b % 17); len(v.Shape) > 0 {
				v.Shape[c%len(v.Shape)] = onnx.Dim{Size: int64(c%7 - 1)}
			}
		}
	},
	func(m *onnx.Model, a, _, _ int) { m.Opset[""] = int64(a % 30) },
	func(m *onnx.Model, a, b, _ int) { // two values of one name, or a node with more or fewer outputs
		if n := pick(m.Graph.Nodes, a); n != nil {
			switch b % 4 {
			case 0:
				n.Outputs = append(n.Outputs, n.Op+".more")
			case 1:
				n.Outputs = nil
			case 2:
				n.Outputs = append([]string{""}, n.Outputs...)
			default:
				n.Inputs = nil
			}
		}
	},
	func(m *onnx.Model, a, b, c int) { // an If that reads a value
		y := "made" + string(rune('a'+a%26))
		m.Graph.Nodes = append([]*onnx.Node{ifNode(value(m, b), value(m, c), y)}, m.Graph.Nodes...)
		if n := pick(m.Graph.Nodes, a); n != nil && len(n.Inputs) > 0 {
			n.Inputs[0] = y
		}
	},
	func(m *onnx.Model, a, b, _ int) { // another type of constant
		if w := pick(m.Graph.Initializers, a); w != nil {
			types := []onnx.DType{onnx.Float16, onnx.BFloat16, onnx.Int32, onnx.Uint8, onnx.Bool, onnx.Float64}
			w.Type = types[b%len(types)]
			w.Data = make([]byte, w.Len()*int64(w.Type.Size()))
		}
	},
	func(m *onnx.Model, a, b, _ int) { // an output more, or another
		m.Graph.Outputs = append(m.Graph.Outputs, onnx.Value{Name: value(m, a)})
		if b%2 == 0 {
			m.Graph.Outputs = m.Graph.Outputs[1:]
		}
	},
}

// pick returns an element by a number, nil if there is none.
func pick[T any](list []*T, i int) *T {
	if len(list) == 0 {
		return nil
	}
	return list[i%len(list)]
}

// value returns the name of a value of a graph by a number.
func value(m *onnx.Model, i int) string {
	var names []string
	for _, v := range m.Graph.Inputs {
		names = append(names, v.Name)
	}
	for _, w := range m.Graph.Initializers {
		names = append(names, w.Name)
	}
	for _, n := range m.Graph.Nodes {
		names = append(names, n.Outputs...)
	}
	return append(names, "")[i%(len(names)+1)]
}
