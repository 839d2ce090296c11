package exported_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"softprompt/export/exported"
	"softprompt/models"
	"softprompt/onnx"
	"softprompt/onnx/ort/orttest"
)

// fixtures is the folder of exported models; its README says who wrote them.
const fixtures = "../testdata/exported"

// fixture is an entry of its manifest.
type fixture struct {
	Name, Arch, Kind, Precision string
	Opset                       int
	Runs                        bool // as it was exported
	Exporter                    string
}

// native returns what a fixture's graphs answered before surgery. One that the
// runtime cannot run must answer as the plain export of the same model.
func (f fixture) native(t testing.TB) map[string]*onnx.Tensor {
	name := f.Name
	if !f.Runs {
		name = f.Arch + "-opset18"
	}
	return open(t, filepath.Join(fixtures, name, "native.safetensors"))
}

func manifest(t testing.TB) []fixture {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(fixtures, "manifest.json"))
	fatal(t, err)
	var all []fixture
	fatal(t, json.Unmarshal(data, &all))
	if len(all) == 0 {
		t.Fatal("the manifest is empty")
	}
	return all
}

// tolerance of a fixture's outputs, relative to the largest: the graphs
// compute the same, float16 ones with more digits than they were exported to
// compute with.
func (f fixture) tolerance() float64 {
	if f.Precision == "fp32" || f.Precision == "int8" || f.Precision == "uint8" {
		return 1e-5
	}
	return 5e-3
}

// load opens an exported model and does the surgery.
func load(t testing.TB, dir string) *exported.T5 {
	t.Helper()
	m, err := models.Open(t.Context(), dir, models.Options{CacheDir: t.TempDir()})
	fatal(t, err)
	t.Cleanup(func() { m.Close() })
	x, err := exported.Load(t.Context(), m)
	fatal(t, err)
	t.Cleanup(func() { fatal(t, x.Close()) })
	return x
}

// embed looks ids up in a model's table, by a graph of its own.
func embed(t testing.TB, x *exported.T5, ids *onnx.Tensor) *onnx.Tensor {
	t.Helper()
	b := onnx.NewBuilder(onnx.NewModel("embed"))
	b.Output("embeds", x.Embedding.Lookup(b, "table", b.Input("ids", onnx.Int64, onnx.Sym("B"), onnx.Sym("S"))))
	fatal(t, b.Err())
	return orttest.Run(t, b.Model, map[string]*onnx.Tensor{"ids": ids})["embeds"]
}

// TestNative: after surgery, the graphs answer as ONNX Runtime says that they
// did before.
func TestNative(t *testing.T) {
	for _, f := range manifest(t) {
		t.Run(f.Name, func(t *testing.T) {
			x := load(t, filepath.Join(fixtures, f.Name))
			native := f.native(t)
			states := orttest.Run(t, x.Encoder, feed(t, x.Encoder, map[string]*onnx.Tensor{
				"inputs_embeds":  embed(t, x, native["input_ids"]),
				"attention_mask": native["attention_mask"],
			}))["last_hidden_state"]
			near(t, "last_hidden_state", states, native["last_hidden_state"], f.tolerance())
			logits := orttest.Run(t, x.Decoder, feed(t, x.Decoder, map[string]*onnx.Tensor{
				"input_ids":              native["decoder_input_ids"],
				"encoder_hidden_states":  native["last_hidden_state"],
				"encoder_attention_mask": native["attention_mask"],
			}))["logits"]
			near(t, "logits", logits, native["logits"], f.tolerance())
		})
	}
}

// feed puts int64 masks into the type that a model takes.
func feed(t testing.TB, m *onnx.Model, in map[string]*onnx.Tensor) map[string]*onnx.Tensor {
	t.Helper()
	if len(m.Graph.Inputs) != len(in) {
		t.Fatalf("the graph has the inputs %v, want %d", m.Graph.Inputs, len(in))
	}
	for _, v := range m.Graph.Inputs {
		if x := in[v.Name]; x == nil || x.Type != v.Type {
			t.Fatalf("input %v: the batch has %v", v, x)
		}
	}
	return in
}

// open reads a file of numbers.
func open(t testing.TB, path string) map[string]*onnx.Tensor {
	t.Helper()
	c, err := models.OpenSafetensors(path)
	fatal(t, err)
	t.Cleanup(func() { c.Close() })
	types := map[models.DType]onnx.DType{models.F32: onnx.Float32, models.I64: onnx.Int64}
	all := map[string]*onnx.Tensor{}
	for _, name := range c.Names() {
		info, _ := c.Lookup(name)
		data, err := c.Bytes(name)
		fatal(t, err)
		all[name] = &onnx.Tensor{Name: name, Type: types[info.DType], Dims: info.Shape, Data: data}
	}
	return all
}

// near fails the test unless got is want, but for tolerance times the largest
// element.
func near(t testing.TB, what string, got, want *onnx.Tensor, tolerance float64) {
	t.Helper()
	if got == nil || want == nil {
		t.Fatalf("%s is missing", what)
	}
	x, err := got.Float32s()
	fatal(t, err)
	y, err := want.Float32s()
	fatal(t, err)
	if fmt.Sprint(got.Dims) != fmt.Sprint(want.Dims) {
		t.Fatalf("%s has shape %v, want %v", what, got.Dims, want.Dims)
	}
	diff, scale := 0.0, 0.0
	for i := range y {
		if d := math.Abs(float64(x[i]) - float64(y[i])); !(d <= diff) {
			diff = d
		}
		scale = max(scale, math.Abs(float64(y[i])))
	}
	if !(diff <= tolerance*scale) {
		t.Errorf("%s differs by %.2g where the largest value is %.3g: relative %.2g", what, diff, scale, diff/scale)
		return
	}
	t.Logf("%-18s relative %.1e", what, diff/scale)
}

func fatal(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestNotes: what was done is said in lines that name the file.
func TestNotes(t *testing.T) {
	for _, f := range manifest(t) {
		x := load(t, filepath.Join(fixtures, f.Name))
		for _, line := range x.Notes {
			if file, _, ok := strings.Cut(line, ": "); !ok || file != x.EncoderFile && file != x.DecoderFile || strings.Contains(line, "\n") {
				t.Errorf("%s: note %q names no file", f.Name, line)
			}
		}
		all := strings.Join(x.Notes, "\n")
		for words, wanted := range map[string]bool{
			fmt.Sprintf("opset %d, inputs input_ids", f.Opset):  true,
			"became the input inputs_embeds":                    true,
			"folded":                                            true,
			fmt.Sprintf("brought from opset %d to 18", f.Opset): f.Opset < 18,
			"reads no cache":                                    f.Kind == "merged",
			"to float32":                                        strings.HasPrefix(f.Precision, "fp16"),
			"weights that " + x.EncoderFile + " has too, and that are kept": true,
		} {
			if strings.Contains(all, words) != wanted {
				t.Errorf("%s: the notes say %q: %v, want %v\n%s", f.Name, words, !wanted, wanted, all)
			}
		}
	}
}
