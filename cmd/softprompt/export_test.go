package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"softprompt/models"
	"softprompt/onnx"
	"softprompt/onnx/ort"
	"softprompt/onnx/ort/orttest"
	"softprompt/prompt"
	"softprompt/prompt/tune"
	"softprompt/tasks"
)

// testExports writes the graphs of a run and runs them as another program
// would: with the files of the folder alone. They must answer as softprompt.
func testExports(t *testing.T, dir, data string) {
	out := filepath.Join(t.TempDir(), "onnx")
	var written []signature
	result(t, &written, "export", dir, "--out", out)
	if len(written) != 4 || written[0].File != filepath.Join(out, "train.onnx") || !slices.Contains(written[1].Outputs, "log_probability float32[B,C]") {
		t.Errorf("wrote %+v", written)
	}
	ctx := context.Background()
	p, err := tune.NewPredictor(ctx, orttest.Runtime(t), dir, tune.PredictOptions{Device: ort.Device{Kind: "cpu"}, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	examples, err := p.Task.Load(ctx, tasks.Validation, tasks.LoadOptions{Data: data, Limit: 3})
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, e := range examples {
		texts = append(texts, strings.TrimPrefix(e.Input, "sentence: "))
	}
	tok, err := p.Model.Tokenizer()
	if err != nil {
		t.Fatal(err)
	}
	predictions, err := p.Predict(ctx, texts)
	if err != nil {
		t.Fatal(err)
	}
	answers, err := p.Write(ctx, texts, tune.GenerateOptions{MaxTokens: 4})
	if err != nil {
		t.Fatal(err)
	}
	for i, text := range texts {
		ids, _, err := tok.EncodeEOS(text, 32)
		if err != nil {
			t.Fatal(err)
		}
		got := shareOfPositive(t, out, nil, p, ids)
		if want := predictions[i].Probabilities[1]; math.Abs(got-want) > 1e-4 {
			t.Errorf("%q is positive with %.6f by the exported graph, %.6f by predict", text, got, want)
		}
		if got := tok.Decode(greedy(t, out, p.Model.Config, ids, 4)); got != answers[i] {
			t.Errorf("%q: the exported graphs write %q, softprompt %q", text, got, answers[i])
		}
	}

	// A model's graph with the prompt given to it, in standard operators.
	plain := filepath.Join(t.TempDir(), "plain")
	succeed(t, "", "export", "tiny", "--graph", "score", "--ops", "standard", "--out", plain)
	rows, length, width, err := p.Prompt.Matrix()
	if err != nil {
		t.Fatal(err)
	}
	given := map[string]*onnx.Tensor{
		"prompts":          onnx.Floats("", []int64{1, int64(length), int64(width)}, rows),
		prompt.PromptMask:  onnx.Floats("", []int64{1, int64(length)}, slices.Repeat([]float32{1}, length)),
		prompt.PromptIndex: onnx.Longs("", []int64{1}, []int64{0}),
	}
	ids, _, err := tok.EncodeEOS(texts[0], 32)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := shareOfPositive(t, plain, given, p, ids), predictions[0].Probabilities[1]; math.Abs(got-want) > 1e-4 {
		t.Errorf("with the prompt as input %.6f, by predict %.6f", got, want)
	}
}

// shareOfPositive scores all label words with an exported graph.
func shareOfPositive(t *testing.T, dir string, given map[string]*onnx.Tensor, p *tune.Predictor, ids []int64) float64 {
	t.Helper()
	words := p.Task.Verbalizer.List()
	var candidates [][]int64
	longest := 0
	for _, w := range words {
		c, _, err := p.Tokenizer.EncodeEOS(w, 8)
		if err != nil {
			t.Fatal(err)
		}
		candidates, longest = append(candidates, c), max(longest, len(c))
	}
	var flat []int64
	for _, c := range candidates {
		flat = append(append(flat, c...), slices.Repeat([]int64{-100}, longest-len(c))...)
	}
	in := encoderInputs(ids)
	for name, v := range given {
		in[name] = v
	}
	in["candidate_ids"] = onnx.Longs("", []int64{1, int64(len(words)), int64(longest)}, flat)
	logp := floats(t, runFile(t, filepath.Join(dir, "score.onnx"), in)["log_probability"])
	share, sum := 0.0, 0.0
	for i, v := range logp {
		sum += math.Exp(float64(v))
		if slices.Contains(p.Task.Verbalizer.Words[1], words[i]) {
			share += math.Exp(float64(v))
		}
	}
	return share / sum
}

// greedy writes an answer with the exported encoder and decoder.
func greedy(t *testing.T, dir string, c models.Config, ids []int64, most int) []int64 {
	t.Helper()
	in := runFile(t, filepath.Join(dir, "encode.onnx"), encoderInputs(ids))
	for i := range c.NumDecoderLayers {
		for _, kind := range []string{"key", "value"} {
			in[fmt.Sprintf("past.%d.%s", i, kind)] = onnx.Floats("", []int64{1, int64(c.NumHeads), 0, int64(c.DKV)}, nil)
		}
	}
	in["past_mask"] = onnx.Floats("", []int64{1, 0}, nil)
	in["beam_index"] = onnx.Longs("", []int64{1}, []int64{0})
	last := int64(c.DecoderStartID)
	var out []int64
	for range most {
		in["input_ids"] = onnx.Longs("", []int64{1, 1}, []int64{last})
		step := runFile(t, filepath.Join(dir, "decode.onnx"), in)
		logits := floats(t, step["logits"])
		last = 0
		for id := range logits {
			if logits[id] > logits[last] {
				last = int64(id)
			}
		}
		if last == int64(c.EOSID) {
			break
		}
		out = append(out, last)
		for name, v := range step {
			if rest, ok := strings.CutPrefix(name, "present"); ok {
				in["past"+rest] = v
			}
		}
	}
	return out
}

func encoderInputs(ids []int64) map[string]*onnx.Tensor {
	n := int64(len(ids))
	return map[string]*onnx.Tensor{
		"input_ids":      onnx.Longs("", []int64{1, n}, ids),
		"attention_mask": onnx.Longs("", []int64{1, n}, slices.Repeat([]int64{1}, len(ids))),
	}
}

// runFile runs a model from its file, as any user of ONNX Runtime would.
func runFile(t *testing.T, path string, in map[string]*onnx.Tensor) map[string]*onnx.Tensor {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := orttest.Runtime(t).NewSession(t.Context(), data, ort.Config{Folder: filepath.Dir(path), Threads: 1})
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	defer s.Close()
	inputs, outputs := map[string]*ort.Tensor{}, map[string]*ort.Tensor{}
	for _, v := range s.Inputs() {
		if in[v.Name] == nil {
			t.Fatalf("%s wants %s", path, v.Name)
		}
		x, err := ort.FromONNX(in[v.Name])
		if err != nil {
			t.Fatal(err)
		}
		defer x.Close()
		inputs[v.Name] = x
	}
	for _, v := range s.Outputs() {
		outputs[v.Name] = nil
	}
	if err := s.Run(t.Context(), inputs, outputs); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	results := map[string]*onnx.Tensor{}
	for name, y := range outputs {
		results[name] = y.ONNX(name)
		y.Close()
	}
	return results
}

func floats(t *testing.T, x *onnx.Tensor) []float32 {
	t.Helper()
	v, err := x.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestSource tells models, runs and prompt files apart.
func TestSource(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "p.safetensors")
	p := prompt.New(make([]float32, 8), 2, 4)
	p.Meta.BaseModel = "tiny"
	run := filepath.Join(dir, "run")
	if err := os.Mkdir(run, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, filepath.Join(run, prompt.FileName)} {
		if err := prompt.Save(path, p); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		from, model, ref string
		prompt           bool
	}{
		{"tiny", "", "tiny", false},
		{filepath.Join(dir, "nowhere"), "", filepath.Join(dir, "nowhere"), false},
		{dir, "", dir, false}, // a folder without a prompt is a model's
		{file, "", "tiny", true},
		{run, "", "tiny", true},
		{run, "other", "other", true},
	} {
		cmd := exportCmd{From: c.from, Model: c.model}
		ref, found, err := cmd.source()
		if err != nil || ref != c.ref || (found != nil) != c.prompt {
			t.Errorf("%s: model %q, prompt %v, error %v", c.from, ref, found != nil, err)
		}
	}
	note := filepath.Join(dir, "note.txt")
	if err := os.WriteFile(note, []byte("no prompt"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := (&exportCmd{From: note}).source(); err == nil || !strings.Contains(err.Error(), "note.txt") {
		t.Errorf("error %v", err)
	}
}
