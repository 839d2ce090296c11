package prompt

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"softprompt/onnx"
	"softprompt/onnx/hint"
)

// TestInitForms: every form that help lists is one that is read, and says what
// it does.
func TestInitForms(t *testing.T) {
	arguments := map[string]string{
		"vocab[:N]": "vocab:50", "vocab-words[:N]": "vocab-words:50", "uniform:[LOW,]HIGH": "uniform:-1,1",
		"text:TEXT": "text:is it good", "file:PATH": "file:p.npy",
	}
	seen := map[string]bool{}
	for _, f := range InitForms() {
		if f.Help == "" || seen[f.Form] {
			t.Errorf("form %q has the help %q, or is there twice", f.Form, f.Help)
		}
		seen[f.Form] = true
		text := f.Form
		if a, ok := arguments[f.Form]; ok {
			text = a
		}
		spec, err := ParseInit(text)
		if err != nil || spec.String() != text {
			t.Errorf("form %q as %q: %q, %v", f.Form, text, spec, err)
		}
		// A word that is nearly the form is none.
		if _, err := ParseInit(text[:3]); err == nil || !strings.Contains(hint.Of(err), f.Form) {
			t.Errorf("%q: error %v, hint %q", text[:3], err, hint.Of(err))
		}
	}
	for form := range arguments {
		if !seen[form] {
			t.Errorf("the form %q is gone", form)
		}
	}
}

// TestPromptTuning is a method whose prompt lies before the input, of the
// model's width and any length.
func TestPromptTuning(t *testing.T) {
	m := PromptTuning(6)
	if m.Name != "prompt-tuning" || len(m.Trainables) != 1 || m.Trainables[0].Input != "prompts" {
		t.Fatalf("method %+v", m)
	}
	shape := m.Trainables[0].Shape
	if len(shape) != 2 || shape[0].Known() || shape[1].Size != 6 {
		t.Errorf("its prompt has shape %v", shape)
	}
	b := onnx.NewBuilder(onnx.NewModel("g"))
	emb := b.Input("emb", onnx.Float32, onnx.Sym("B"), onnx.Sym("S"), onnx.Size(6))
	mask := b.Input("mask", onnx.Float32, onnx.Sym("B"), onnx.Sym("S"))
	b.Input("prompts", onnx.Float32, onnx.Size(2), onnx.Size(5), onnx.Size(6))
	b.Input(PromptMask, onnx.Float32, onnx.Size(2), onnx.Size(5))
	b.Input(PromptIndex, onnx.Int64, onnx.Sym("B"))
	out, outMask := m.Embeddings(&Site{B: b}, emb, mask)
	if err := b.Err(); err != nil {
		t.Fatal(err)
	}
	if s := b.Shape(out); len(s) != 3 || s[2].Size != 6 {
		t.Errorf("embeddings of shape %v", s)
	}
	if s := b.Shape(outMask); len(s) != 2 || s[1] != b.Shape(out)[1] {
		t.Errorf("a mask of shape %v for embeddings %v", s, b.Shape(out))
	}
}

// TestLoadFileSays what a path is that is no prompt.
func TestLoadFileSays(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	vector, err := MarshalNPY([]int64{3}, make([]float32, 3))
	if err != nil {
		t.Fatal(err)
	}
	write("peft/adapter_config.json", []byte(`{"peft_type": "LORA"}`))
	if err := os.Mkdir(filepath.Join(dir, "empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ path, want, hint string }{
		{filepath.Join(dir, "nowhere"), "no such file", "name a run folder, a .safetensors or a .npy file"},
		{filepath.Join(dir, "empty"), "no " + FileName, "that has saved a prompt"},
		{filepath.Join(dir, "peft"), `peft_type is "LORA"`, "read are PROMPT_TUNING"},
		{write("note.npy", []byte("no array")), "note.npy", ""},
		{write("vector.npy", vector), "an array of shape [3], want a matrix", ""},
		{write("vector.bin", vector), "an array of shape [3], want a matrix", ""}, // by its first bytes
		{os.DevNull, "not a regular file", ""},
	} {
		p, err := LoadFile(c.path)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(hint.Of(err), c.hint) {
			t.Errorf("%s: %+v, error %v, hint %q; want %q and %q", c.path, p, err, hint.Of(err), c.want, c.hint)
		}
	}
	nan := filepath.Join(dir, "nan.npy")
	if err := WriteNPY(nan, []int64{1, 2}, []float32{1, float32(math.NaN())}); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadFile(nan); err == nil || !strings.Contains(err.Error(), nan) {
		t.Errorf("a prompt that is not a number: %v", err)
	}
	good := filepath.Join(dir, "matrix.npy")
	if err := WriteNPY(good, []int64{2, 3}, []float32{1, 2, 3, 4, 5, 6}); err != nil {
		t.Fatal(err)
	}
	p, err := LoadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	values, length, width, err := p.Matrix()
	if err != nil || length != 2 || width != 3 || !slices.Equal(values, []float32{1, 2, 3, 4, 5, 6}) {
		t.Errorf("%v [%d,%d], %v", values, length, width, err)
	}
}
