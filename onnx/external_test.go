package onnx

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"softprompt/onnx/hint"
)

// folderWith makes a folder of files.
func folderWith(t *testing.T, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// far is a tensor in another file.
func far(name string, d DType, n int64, e External) *Tensor {
	return &Tensor{Name: name, Type: d, Dims: []int64{n}, External: &e}
}

// checkError wants an error that says what it should.
func checkError(t *testing.T, what string, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%s: error %v, want one with %q", what, err, want)
	}
}

// TestLocations checks which paths can be inside of a folder.
func TestLocations(t *testing.T) {
	for location, ok := range map[string]bool{
		"weights.bin": true, "sub/weights.bin": true, "./weights.bin": true, "a/../b": true, "..weights": true, ".": true,
		"": false, "..": false, "../w": false, "a/../../w": false, "/w": false, `a\w`: false, "w\x00": false,
	} {
		if err := checkLocation(location); (err == nil) != ok {
			t.Errorf("%q: %v, want allowed %v", location, err, ok)
		}
	}
}

// TestExternalSizes checks how many bytes a tensor takes: what its type and
// sizes say, and what the file says for types of no fixed size.
func TestExternalSizes(t *testing.T) {
	const fourBit = DType(22)
	for _, c := range []struct {
		tensor *Tensor
		want   int64
		fails  string
	}{
		{tensor: far("t", Float32, 3, External{Location: "w"}), want: 12},
		{tensor: far("t", Float32, 3, External{Location: "w", Length: 12}), want: 12},
		{tensor: far("t", Float32, 0, External{Location: "w"}), want: 0},
		{tensor: far("t", fourBit, 5, External{Location: "w", Length: 3}), want: 3},
		{tensor: far("t", fourBit, 0, External{Location: "w"}), want: 0},
		{tensor: far("t", fourBit, 5, External{Location: "w"}), fails: "tensor t of type dtype(22): its external data does not say its length"},
		{tensor: far("t", Float32, 3, External{Location: "w", Length: 11}), fails: "it has 11 bytes of external data, want 12"},
		{tensor: far("t", String, 1, External{Location: "w", Length: 1}), fails: "it holds 0 strings, want 1"},
		{tensor: far("t", Float32, -1, External{Location: "w"}), fails: "a size is negative"},
		{tensor: far("t", Float32, 1<<60, External{Location: "w", Offset: 1 << 62}), fails: "offset 4611686018427387904 and length 0"},
	} {
		n, err := c.tensor.externalBytes()
		if c.fails != "" {
			checkError(t, c.tensor.Type.String(), err, c.fails)
		} else if n != c.want || err != nil {
			t.Errorf("%v%v: %d bytes, %v, want %d", c.tensor.Type, c.tensor.Dims, n, err, c.want)
		}
	}
}

// TestOverlaps checks which tensors may share a file's bytes.
func TestOverlaps(t *testing.T) {
	type spans [][2]int64 // offset and elements of 1 byte
	for _, c := range []struct {
		name  string
		spans spans
		fails string
	}{
		{"side by side", spans{{0, 8}, {8, 8}}, ""},
		{"in any order", spans{{8, 8}, {0, 8}}, ""},
		{"tied", spans{{4, 8}, {4, 8}, {4, 8}}, ""},
		{"empty in the middle", spans{{0, 8}, {4, 0}}, ""},
		{"by one byte", spans{{0, 8}, {7, 8}}, "tensors t0 and t1 overlap in file w: bytes 0 to 8 and 7 to 15"},
		{"one in another", spans{{0, 8}, {2, 2}}, "tensors t0 and t1 overlap in file w: bytes 0 to 8 and 2 to 4"},
		{"same start", spans{{0, 8}, {0, 4}}, "tensors t1 and t0 overlap in file w: bytes 0 to 4 and 0 to 8"},
		{"third of three", spans{{20, 4}, {0, 8}, {6, 2}}, "tensors t1 and t2 overlap"},
	} {
		g := &Graph{}
		for i, s := range c.spans {
			g.Initializers = append(g.Initializers, far("t"+string(rune('0'+i)), Uint8, s[1], External{Location: "w", Offset: s[0]}))
		}
		err := checkOverlap(g)
		if c.fails == "" && err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if c.fails != "" {
			checkError(t, c.name, err, c.fails)
		}
	}
	// Other files, and tensors of attributes.
	g := &Graph{
		Initializers: []*Tensor{far("a", Uint8, 8, External{Location: "w"}), far("b", Uint8, 8, External{Location: "v", Offset: 4})},
		Nodes:        []*Node{{Op: "Constant", Attrs: []Attr{TensorAttr("value", far("c", Uint8, 8, External{Location: "v", Offset: 8}))}}},
	}
	checkError(t, "attribute", checkOverlap(g), "tensors b and c overlap in file v")
}

// TestLoadExternal checks what Load makes of tensors in files beside the
// model: in folders, at odd offsets, of one file together, and in attributes.
func TestLoadExternal(t *testing.T) {
	m := NewModel("external")
	m.Graph.Initializers = []*Tensor{
		far("a", Uint8, 3, External{Location: "w", Offset: 1}),
		far("b", Uint8, 2, External{Location: "./w", Offset: 5, Length: 2}),
		far("c", Uint8, 4, External{Location: "sub/v"}),
		far("none", Float32, 0, External{Location: "not there"}),
		far("odd", DType(22), 3, External{Location: "sub/v", Offset: 4, Length: 2}),
	}
	m.Graph.Nodes = []*Node{{Op: "Constant", Outputs: []string{"d"}, Attrs: []Attr{TensorAttr("value", far("d", Uint8, 1, External{Location: "w"}))}}}
	data, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	dir := folderWith(t, map[string][]byte{"m.onnx": data, "w": []byte("0123456"), "sub/v": []byte("abcdef")})
	got, err := Load(context.Background(), filepath.Join(dir, "m.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	want := map[string]string{"a": "123", "b": "56", "c": "abcd", "none": "", "odd": "ef", "d": "0"}
	for tensor := range got.Graph.tensors {
		if tensor.External != nil || string(tensor.Data) != want[tensor.Name] || cap(tensor.Data) > len(tensor.Data) {
			t.Errorf("%s is %q of capacity %d, want %q", tensor.Name, tensor.Data, cap(tensor.Data), want[tensor.Name])
		}
		delete(want, tensor.Name)
	}
	if len(want) > 0 {
		t.Errorf("not seen: %v", want)
	}
}

// TestReadErrors checks what is said of files that are not there, too short,
// or in a folder that is not there, and what is advised.
func TestReadErrors(t *testing.T) {
	dir := folderWith(t, map[string][]byte{"w": []byte("0123"), "sub/v": nil})
	for _, c := range []struct {
		tensor             *Tensor
		dir, fails, advice string
	}{
		{far("t", Uint8, 5, External{Location: "w"}), dir, "tensor t: 5 bytes at offset 0 of w, which has 4", "cut short"},
		{far("t", Uint8, 1, External{Location: "w", Offset: 5}), dir, "1 bytes at offset 5 of w, which has 4", "fetch it again"},
		{far("t", Uint8, 1, External{Location: "x"}), dir, "tensor t: opening external data", "lie in x, which belongs beside it"},
		{far("t", Uint8, 1, External{Location: "sub"}), dir, "external data sub is not a file", ""},
		{far("t", Uint8, 1, External{Location: "w/x"}), dir, "opening external data w/x", ""},
		{far("t", Uint8, 1, External{Location: "w"}), filepath.Join(dir, "nowhere"), "tensor t: open", ""},
		{far("t", Uint8, -1, External{Location: "w"}), dir, "a size is negative", ""},
	} {
		data, err := c.tensor.Read(c.dir)
		checkError(t, c.tensor.External.Location, err, c.fails)
		if data != nil || !strings.Contains(hint.Of(err), c.advice) {
			t.Errorf("%+v: data %q, advice %q, want %q", *c.tensor.External, data, hint.Of(err), c.advice)
		}
	}
	near := Floats("near", nil, []float32{1})
	if got, err := near.Read("no folder is asked for"); err != nil || !bytes.Equal(got, near.Data) {
		t.Errorf("a tensor at hand: %v, %v", got, err)
	}
	if got, err := far("empty", Float32, 0, External{Location: "x"}).Read(dir); err != nil || len(got) != 0 {
		t.Errorf("an empty tensor: %v, %v", got, err)
	}
}

// TestLinksInside checks that links are followed as long as they stay inside.
func TestLinksInside(t *testing.T) {
	dir := folderWith(t, map[string][]byte{"blobs/w": []byte("data")})
	if err := os.Symlink(filepath.Join("blobs", "w"), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if got, err := far("t", Uint8, 4, External{Location: "link"}).Read(dir); err != nil || string(got) != "data" {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestSaveBesideItself checks a model whose weights lie in the very file that
// saving would write: they are read before it is replaced.
func TestSaveBesideItself(t *testing.T) {
	weight := Floats("w", []int64{512}, noise(512))
	dir := folderWith(t, map[string][]byte{"m.onnx_data": weight.Data})
	m := NewModel("self")
	m.Dir = dir
	m.Graph.Initializers = []*Tensor{far("w", Float32, 512, External{Location: "m.onnx_data"})}
	path := filepath.Join(dir, "m.onnx")
	for range 2 { // the second time from what the first one wrote
		if err := m.SaveExternal(path); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Load(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	if !bytes.Equal(got.Graph.Initializers[0].Data, weight.Data) {
		t.Error("the weights are lost")
	}
}

// TestSameFolder checks that one folder is known under its names.
func TestSameFolder(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{dir, dir, true},
		{dir, link, true},
		{dir, filepath.Join(dir, "."), true},
		{dir, filepath.Dir(dir), false},
		{dir, filepath.Join(dir, "nowhere"), false},
		{"nowhere", "nowhere", true},
		{"nowhere", "elsewhere", false},
	} {
		if got := sameFolder(c.a, c.b); got != c.want {
			t.Errorf("%s and %s: %v, want %v", c.a, c.b, got, c.want)
		}
	}
}

// TestCloseTwice checks that a model can be closed again, and one that was
// made here at all.
func TestCloseTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.onnx")
	made := smallModel(t)
	if err := made.Save(path); err != nil {
		t.Fatal(err)
	}
	m, err := Load(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := made.Close(); err != nil {
		t.Error(err)
	}
}
