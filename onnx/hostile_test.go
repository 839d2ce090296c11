package onnx

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"softprompt/onnx/hint"
)

var update = flag.Bool("update", false, "write testdata/hostile anew")

// hostile has files that someone could hand us, and what must be said of them.
// The files lie in testdata/hostile.
var hostile = map[string]struct {
	want string
	file func(t *testing.T) []byte
}{
	"parent-folder":   {"not a path inside", at("../secret", 0, 0)},
	"hidden-parent":   {"not a path inside", at("a/../../secret", 0, 0)},
	"absolute":        {"not a path inside", at("/etc/passwd", 0, 0)},
	"backslash":       {"not a path inside", at(`..\secret`, 0, 0)},
	"no-location":     {"not a path inside", at("", 0, 0)},
	"link-out":        {"links that lead out of the model's folder are not followed", at("link-out.bin", 0, 0)},
	"link-folder":     {"links that lead out of the model's folder are not followed", at("link-folder/secret", 0, 0)},
	"folder":          {"is not a file", at("folder", 0, 0)},
	"pipe":            {"is not a file", at("pipe", 0, 0)},
	"missing":         {"belongs beside it", at("missing.bin", 0, 0)},
	"empty-weights":   {"is empty", at("empty.bin", 0, 0)},
	"negative-offset": {"offset -4", at("weights.bin", -4, 0)},
	"negative-length": {"length -16", at("weights.bin", 0, -16)},
	"offset-past-end": {"which has 64", at("weights.bin", 1000, 0)},
	"past-end":        {"16 bytes at offset 52 of weights.bin, which has 64", at("weights.bin", 52, 16)},
	"huge-offset":     {"offset 9223372036854775807", at("weights.bin", 1<<63-1, 16)},
	"wrong-length":    {"has 12 bytes of external data, want 16", at("weights.bin", 0, 12)},
	"overlap": {"overlap in file weights.bin", with(func(m *Model) {
		for i, name := range []string{"a", "b"} {
			m.Graph.Initializers = append(m.Graph.Initializers, &Tensor{
				Name: name, Type: Float32, Dims: []int64{4},
				External: &External{Location: "weights.bin", Offset: int64(8 * i), Length: 16},
			})
		}
	})},
	"huge-dims": {"too large", with(func(m *Model) {
		m.Graph.Initializers = append(m.Graph.Initializers, &Tensor{Name: "a", Type: Float32, Dims: []int64{1 << 32, 1 << 32}})
	})},
	"dims-that-wrap": {"too large", with(func(m *Model) { // 2⁶² float32 are 0 bytes modulo 2⁶⁴
		m.Graph.Initializers = append(m.Graph.Initializers, &Tensor{Name: "a", Type: Float32, Dims: []int64{1 << 62}})
	})},
	"negative-dims": {"a size is negative", with(func(m *Model) { m.Graph.Initializers[0].Dims[0] = -1 })},
	"wrong-data":    {"bytes, want", with(func(m *Model) { m.Graph.Initializers[0].Dims[0]++ })},
	"no-type":       {"has no type", with(func(m *Model) { m.Graph.Initializers[0].Type = 0 })},
	"many-axes": {"rank 65", with(func(m *Model) {
		m.Graph.Initializers = append(m.Graph.Initializers, Floats("a", append(make([]int64, 64), 1), nil))
	})},
	"duplicate-names": {"a name that is taken", with(func(m *Model) {
		m.Graph.Nodes[1].Outputs[0] = m.Graph.Nodes[0].Outputs[0]
	})},
	"cycle": {"topological order", with(func(m *Model) {
		m.Graph.Nodes[0].Inputs[0] = m.Graph.Nodes[2].Outputs[0]
	})},
	"no-output": {"no node makes it", with(func(m *Model) { m.Graph.Outputs[0].Name = "nowhere" })},
	"no-opset":  {"no operator set", with(func(m *Model) { clear(m.Opset) })},
	"deep": {"deep", with(func(m *Model) {
		g := &Graph{}
		for range 100 {
			g = &Graph{Nodes: []*Node{{Op: "If", Attrs: []Attr{{Name: "then_branch", Kind: AttrGraph, G: g}}}}}
		}
		m.Graph.Nodes = append(m.Graph.Nodes, g.Nodes...)
	})},
	"truncated": {"fetch it again", func(t *testing.T) []byte {
		b := with(func(*Model) {})(t)
		return b[:len(b)/2]
	}},
	"length-past-end": {"fetch it again", func(*testing.T) []byte {
		b := protowire.AppendTag(nil, modelGraph, protowire.BytesType)
		return protowire.AppendVarint(b, 1<<40)
	}},
	"not-onnx":    {"fetch it again", func(*testing.T) []byte { return []byte("PK\x03\x04 this is no model") }},
	"git-lfs":     {"git lfs pull", func(*testing.T) []byte { return []byte("version https://git-lfs.github.com/spec/v1\noid sha256:0\n") }},
	"no-graph":    {"no graph", func(*testing.T) []byte { return []byte{8, 10} }},
	"empty":       {"is empty", func(*testing.T) []byte { return nil }},
	"groups":      {"fetch it again", func(*testing.T) []byte { return bytes.Repeat([]byte{0x0b}, 1<<16) }},
	"bad-varints": {"fetch it again", func(*testing.T) []byte { return bytes.Repeat([]byte{0xff}, 64) }},
}

// with is a sound model with a change.
func with(change func(m *Model)) func(*testing.T) []byte {
	return func(t *testing.T) []byte {
		b := NewBuilder(NewModel("hostile"))
		x := b.Input("x", Float32, Sym("B"), Size(4))
		b.Output("y", b.Relu(b.Relu(b.MatMul(x, b.Weight(Floats("w", []int64{4, 4}, noise(16)))))))
		if b.Err() != nil {
			t.Fatal(b.Err())
		}
		change(b.Model)
		data, err := b.Model.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
}

// at is a model whose weight, of 16 bytes, lies in another file.
func at(location string, offset, length int64) func(*testing.T) []byte {
	return with(func(m *Model) {
		m.Graph.Initializers = append(m.Graph.Initializers, &Tensor{
			Name: "a", Type: Float32, Dims: []int64{4},
			External: &External{Location: location, Offset: offset, Length: length},
		})
	})
}

func TestHostile(t *testing.T) {
	folder := filepath.Join("testdata", "hostile")
	if *update {
		for name, c := range hostile {
			if err := os.WriteFile(filepath.Join(folder, name+".onnx"), c.file(t), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	// What the files point to: beside the model, and where they must not reach.
	outside := t.TempDir()
	dir := filepath.Join(outside, "model")
	for _, err := range []error{
		os.MkdirAll(filepath.Join(dir, "folder"), 0o755),
		os.WriteFile(filepath.Join(outside, "secret"), make([]byte, 64), 0o644),
		os.WriteFile(filepath.Join(dir, "weights.bin"), make([]byte, 64), 0o644),
		os.WriteFile(filepath.Join(dir, "empty.bin"), nil, 0o644),
		os.Symlink(filepath.Join("..", "secret"), filepath.Join(dir, "link-out.bin")),
		os.Symlink(outside, filepath.Join(dir, "link-folder")),
		syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o644),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	files, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, f := range files {
		name, ok := strings.CutSuffix(f.Name(), ".onnx")
		if !ok {
			continue
		}
		seen++
		t.Run(name, func(t *testing.T) {
			c, ok := hostile[name]
			if !ok {
				t.Fatal("the table does not say what is wrong with it")
			}
			data, err := os.ReadFile(filepath.Join(folder, f.Name()))
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "m.onnx")
			if err := os.WriteFile(path, data, 0o644); err != nil {
				t.Fatal(err)
			}
			m, err := Load(context.Background(), path)
			if err == nil {
				m.Close()
				t.Fatal("it was loaded")
			}
			if all := err.Error() + " " + hint.Of(err); !strings.Contains(all, c.want) || !strings.Contains(all, path) {
				t.Errorf("error %q, want one with the path and %q", all, c.want)
			}
		})
	}
	if seen != len(hostile) {
		t.Errorf("%d files for %d cases: run with -update", seen, len(hostile))
	}
}

// TestReadIsGuarded checks that Read is as careful as Load.
func TestReadIsGuarded(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "weights.bin"), []byte("0123456789abcdef"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		e    External
		want string
	}{
		{External{Location: "weights.bin", Offset: 4}, ""},
		{External{Location: "./weights.bin", Offset: 8, Length: 8}, ""},
		{External{Location: "weights.bin", Offset: 9}, "which has 16"},
		{External{Location: "../weights.bin"}, "not a path inside"},
		{External{Location: "other.bin"}, "opening external data"},
	} {
		tensor := &Tensor{Name: "t", Type: Int64, Dims: []int64{1}, External: &c.e}
		got, err := tensor.Read(dir)
		switch {
		case c.want == "" && (err != nil || string(got) != "0123456789abcdef"[c.e.Offset:c.e.Offset+8]):
			t.Errorf("%+v: %q, %v", c.e, got, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%+v: error %v, want one with %q", c.e, err, c.want)
		}
	}
}

// TestLoadStops checks that a context ends the reading, and a missing file is
// reported with its path.
func TestLoadStops(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.onnx")
	if _, err := Load(context.Background(), path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("missing file: %v", err)
	}
	if err := smallModel(t).SaveExternal(path); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Load(ctx, path); err == nil || !strings.Contains(err.Error(), "canceled") {
		t.Errorf("cancelled: %v", err)
	}
}
