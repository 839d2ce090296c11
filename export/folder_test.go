package export

import (
	"bytes"
	"context"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"softprompt/models"
	"softprompt/onnx"
	"softprompt/onnx/ort/orttest"
	"softprompt/prompt"
)

// somePrompt returns a prompt of values that differ.
func somePrompt(length, width int) *prompt.Prompt {
	rows := make([]float32, length*width)
	for i := range rows {
		rows[i] = float32(math.Sin(float64(i)))
	}
	return prompt.New(rows, length, width)
}

// tiny returns the embedded model and a spec of it.
func tiny(t *testing.T) (*models.Model, Spec) {
	t.Helper()
	ctx := context.Background()
	m, err := models.Open(ctx, "tiny", models.Options{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	weights, err := m.Float32File(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return m, Spec{Config: m.Config, Weights: weights, Method: prompt.PromptTuning(m.Config.DModel)}
}

// scoreInputs is a batch of two rows with two candidates and one.
func scoreInputs() map[string]*onnx.Tensor {
	return map[string]*onnx.Tensor{
		"input_ids":      onnx.Longs("", []int64{2, 3}, []int64{17, 250, 1, 9, 1, 0}),
		"attention_mask": onnx.Longs("", []int64{2, 3}, []int64{1, 1, 1, 1, 1, 0}),
		"candidate_ids":  onnx.Longs("", []int64{2, 2, 2}, []int64{40, 1, 41, 1, 77, -100, -100, -100}),
	}
}

// TestBake holds a graph with a prompt built in against the same graph that is
// fed the prompt: the same numbers, and no inputs but the batch.
func TestBake(t *testing.T) {
	_, spec := tiny(t)
	p := somePrompt(5, spec.Config.DModel)
	fed := scoreInputs()
	fed["prompts"] = onnx.Floats("", []int64{1, 5, int64(spec.Config.DModel)}, p.Tensors[0].Data)
	fed["prompt_mask"] = onnx.Floats("", []int64{1, 5}, []float32{1, 1, 1, 1, 1})
	fed["prompt_index"] = onnx.Longs("", []int64{2}, []int64{0, 0})
	open, err := Score(spec)
	if err != nil {
		t.Fatal(err)
	}
	want, err := orttest.Run(t, open, fed)["log_probability"].Float32s()
	if err != nil {
		t.Fatal(err)
	}
	for _, standard := range []bool{false, true} {
		spec.Prompt, spec.Standard = p, standard
		baked, err := Score(spec)
		if err != nil {
			t.Fatal(err)
		}
		if len(baked.Graph.Inputs) != 3 {
			t.Errorf("inputs %v", baked.Graph.Inputs)
		}
		if err := onnx.Validate(baked); err != nil {
			t.Error(err)
		}
		close(t, "log_probability", orttest.Run(t, baked, scoreInputs())["log_probability"], want)
	}
}

// TestBakeRefuses covers prompts that do not belong into the graph.
func TestBakeRefuses(t *testing.T) {
	_, spec := tiny(t)
	for _, c := range []struct {
		name   string
		make   func(Spec) (*onnx.Model, error)
		change func(s *Spec)
		want   string
	}{
		{"width", Score, func(s *Spec) { s.Prompt = somePrompt(5, 3) }, "wants a tensor prompt [P,256]"},
		{"method", Encode, func(s *Spec) { s.Prompt.Method = "other" }, "a prompt of method other"},
		{"train", Train, func(s *Spec) {}, "cannot be trained"},
	} {
		s := spec
		s.Prompt = somePrompt(5, spec.Config.DModel)
		c.change(&s)
		if _, err := c.make(s); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
}

// TestWriteFolder writes all graphs, moves the folder, takes the model away
// and runs one.
func TestWriteFolder(t *testing.T) {
	ctx := context.Background()
	m, spec := tiny(t)
	spec.Prompt = somePrompt(5, spec.Config.DModel)
	var made []*onnx.Model
	for _, graph := range []func(Spec) (*onnx.Model, error){Score, Encode, Decode} {
		g, err := graph(spec)
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, g)
	}
	before := orttest.Run(t, made[0], scoreInputs())["log_probability"]
	want, err := before.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	first := filepath.Join(t.TempDir(), "a", "b")
	if err := WriteFolder(ctx, first, m, made...); err != nil {
		t.Fatal(err)
	}
	if made[0].Dir == first {
		t.Error("the given graphs were changed")
	}
	dir := filepath.Join(t.TempDir(), "moved")
	if err := os.Rename(first, dir); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(spec.Weights.Path); err != nil {
		t.Fatal(err)
	}
	var files []string
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		files = append(files, e.Name())
	}
	if got := strings.Join(files, " "); got != "config.json decode.onnx encode.onnx score.onnx tokenizer.json weights.safetensors" {
		t.Errorf("files %s", got)
	}
	loaded, err := onnx.Load(ctx, filepath.Join(dir, "score.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	defer loaded.Close()
	close(t, "log_probability", orttest.Run(t, loaded, scoreInputs())["log_probability"], want)
	shared := loaded.Graph.Initializers
	for _, w := range shared {
		if w.Name == "shared.weight" {
			head := binary.LittleEndian.AppendUint32(nil, math.Float32bits(first32(t, spec, m)))
			if !bytes.HasPrefix(w.Data, head) {
				t.Error("shared.weight is not the model's")
			}
		}
	}
}

// first32 is the first number of the model's embedding.
func first32(t *testing.T, spec Spec, m *models.Model) float32 {
	row, _, err := m.Embedding()
	if err != nil {
		t.Fatal(err)
	}
	return row(0)[0]
}

// TestWriteFolderStops leaves nothing when its context has ended.
func TestWriteFolderStops(t *testing.T) {
	m, spec := tiny(t)
	g, err := Encode(spec)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	dir := t.TempDir()
	if err := WriteFolder(ctx, dir, m, g); err == nil {
		t.Fatal("no error")
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("left %v, %v", entries, err)
	}
}
