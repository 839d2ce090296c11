package onnx

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"
)

// FuzzUnmarshal reads anything. What can be read is put through everything
// that a model goes through, and must be the same when it is written and read.
func FuzzUnmarshal(f *testing.F) {
	files, err := filepath.Glob(filepath.Join("testdata", "hostile", "*.onnx"))
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds in testdata/hostile: %v", err)
	}
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	b := testBuilder()
	for _, p := range patterns {
		p.make(b)
	}
	rich, err := b.Model.Marshal()
	if err != nil || b.Err() != nil {
		f.Fatal(err, b.Err())
	}
	f.Add(rich)
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Unmarshal(data, "")
		if err != nil {
			return
		}
		once, err := m.Marshal()
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		again, err := Unmarshal(once, "")
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		twice, err := again.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(once, twice) {
			t.Fatalf("written twice it differs:\n%x\n%x", once, twice)
		}
		if Validate(m) == nil && InferShapes(m) == nil {
			NewBuilder(m)
		}
	})
}

// TestRoundTrip writes and reads models of all kinds of parts.
func TestRoundTrip(t *testing.T) {
	text := rapid.StringMatching(`[a-zA-Z0-9_./:]{0,12}`)
	name := rapid.StringMatching(`[a-zA-Z0-9_./:]{1,12}`)
	dims := rapid.SliceOfN(rapid.Int64Range(0, 4), 0, 3)
	tensor := rapid.Custom(func(t *rapid.T) *Tensor {
		d := dims.Draw(t, "dims")
		n := (&Tensor{Dims: d}).Len()
		out := &Tensor{Name: name.Draw(t, "name"), Dims: d, Type: DType(rapid.IntRange(1, 16).Draw(t, "type"))}
		switch {
		case out.Type == String:
			for range n {
				out.Strings = append(out.Strings, []byte(text.Draw(t, "string")))
			}
		case rapid.IntRange(0, 3).Draw(t, "where") == 0:
			out.External = &External{Location: name.Draw(t, "file") + "x", Offset: rapid.Int64Range(0, 1<<40).Draw(t, "offset")}
			if checkLocation(out.External.Location) != nil {
				out.External.Location = "file"
			}
		default:
			out.Data = rapid.SliceOfN(rapid.Byte(), int(n)*out.Type.Size(), int(n)*out.Type.Size()).Draw(t, "data")
		}
		return out
	})
	value := rapid.Custom(func(t *rapid.T) Value {
		v := Value{Name: name.Draw(t, "name"), Type: DType(rapid.IntRange(1, 16).Draw(t, "type"))}
		if rapid.Bool().Draw(t, "ranked") {
			v.Shape = Shape{}
			for range rapid.IntRange(0, 3).Draw(t, "rank") {
				v.Shape = append(v.Shape, drawDim(t, "axis"))
			}
		}
		return v
	})
	var graph func(depth int) *rapid.Generator[*Graph]
	attr := func(depth int) *rapid.Generator[Attr] {
		return rapid.Custom(func(t *rapid.T) Attr {
			a := Attr{Name: name.Draw(t, "name"), Kind: AttrKind(rapid.IntRange(1, 8).Draw(t, "kind"))}
			if a.Kind == AttrGraph && depth == 0 {
				a.Kind = AttrInt
			}
			switch a.Kind {
			case AttrFloat:
				a.F = rapid.Float32().Draw(t, "float")
			case AttrInt:
				a.I = rapid.Int64().Draw(t, "int")
			case AttrString:
				a.S = []byte(text.Draw(t, "string"))
			case AttrTensor:
				a.T = tensor.Draw(t, "tensor")
			case AttrGraph:
				a.G = graph(depth-1).Draw(t, "graph")
			case AttrFloats:
				a.Floats = rapid.SliceOf(rapid.Float32()).Draw(t, "floats")
			case AttrInts:
				a.Ints = rapid.SliceOf(rapid.Int64()).Draw(t, "ints")
			case AttrStrings:
				for _, s := range rapid.SliceOf(text).Draw(t, "strings") {
					a.Strings = append(a.Strings, []byte(s))
				}
			}
			return a
		})
	}
	graph = func(depth int) *rapid.Generator[*Graph] {
		return rapid.Custom(func(t *rapid.T) *Graph {
			g := &Graph{Name: text.Draw(t, "graph")}
			for range rapid.IntRange(0, 3).Draw(t, "nodes") {
				g.Nodes = append(g.Nodes, &Node{
					Name: text.Draw(t, "node"), Op: name.Draw(t, "op"), Domain: text.Draw(t, "domain"),
					Inputs:  rapid.SliceOfN(text, 0, 3).Draw(t, "inputs"),
					Outputs: rapid.SliceOfN(text, 0, 3).Draw(t, "outputs"),
					Attrs:   rapid.SliceOfN(attr(depth), 0, 3).Draw(t, "attrs"),
					Block:   text.Draw(t, "block"), From: text.Draw(t, "from"), Doc: text.Draw(t, "doc"),
				})
			}
			g.Inputs = rapid.SliceOfN(value, 0, 2).Draw(t, "graph inputs")
			g.Outputs = rapid.SliceOfN(value, 0, 2).Draw(t, "graph outputs")
			g.Values = rapid.SliceOfN(value, 0, 2).Draw(t, "values")
			g.Initializers = rapid.SliceOfN(tensor, 0, 3).Draw(t, "initializers")
			return g
		})
	}
	rapid.Check(t, func(t *rapid.T) {
		m := NewModel("")
		m.Producer = text.Draw(t, "producer")
		m.Metadata = rapid.MapOf(name, text).Draw(t, "metadata")
		m.Opset[name.Draw(t, "domain")] = rapid.Int64Range(1, 23).Draw(t, "version")
		m.Graph = graph(2).Draw(t, "graph")
		data, err := m.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		got, err := Unmarshal(data, "")
		if err != nil {
			t.Fatal(err)
		}
		if d := diff(got, m); d != "" {
			t.Fatal(d)
		}
		again, err := got.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(data, again) {
			t.Fatal("written twice it differs")
		}
	})
}
