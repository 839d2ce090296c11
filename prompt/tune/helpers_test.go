package tune

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"softprompt/export"
	"softprompt/models"
	"softprompt/onnx/ort"
	"softprompt/onnx/ort/orttest"
	"softprompt/prompt"
	"softprompt/tasks"
)

// cache is one folder for the whole test run: the tiny model is unpacked once.
var cache = sync.OnceValue(func() string {
	dir, err := os.MkdirTemp("", "softprompt-tune-test")
	if err != nil {
		panic(err)
	}
	return dir
})

func TestMain(m *testing.M) {
	code := m.Run()
	os.RemoveAll(cache())
	os.Exit(code)
}

// smallData writes a folder with the first rows of SST-2 as it travels with
// the project.
func smallData(t *testing.T, train, validation int) string {
	t.Helper()
	task, err := tasks.Lookup("sst2")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for file, part := range map[string]struct {
		split tasks.Split
		rows  int
	}{"train.tsv": {tasks.Train, train}, "dev.tsv": {tasks.Validation, validation}} {
		examples, err := task.Load(context.Background(), part.split, tasks.LoadOptions{Limit: part.rows})
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		b.WriteString("sentence\tlabel\n")
		for _, e := range examples {
			fmt.Fprintf(&b, "%s\t%d\n", strings.TrimPrefix(e.Input, "sentence: "), e.Label)
		}
		if err := os.WriteFile(filepath.Join(dir, file), []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// smallRun returns the settings of a run of seconds.
func smallRun(t *testing.T) Settings {
	t.Helper()
	task, err := tasks.Lookup("sst2")
	if err != nil {
		t.Fatal(err)
	}
	s := Defaults(task)
	s.Template, s.Verbalizer = "{sentence}", "negative=terrible;positive=great"
	s.Data = smallData(t, 48, 12)
	s.Length, s.Steps, s.Batch, s.MicroBatch, s.Workers, s.HeldOut = 4, 8, 8, 8, 1, 8
	s.EvalEvery, s.LogEvery, s.Window, s.MaxInput = 3, 2, 2, 24
	return s
}

// freezeTiny returns the embedded model under prompt tuning.
func freezeTiny(t *testing.T, opts FreezeOptions) *Frozen {
	t.Helper()
	ctx := context.Background()
	m, err := export.Open(ctx, "tiny", models.Options{CacheDir: cache()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	if opts.Device == (ort.Device{}) {
		opts.Device.Kind = "cpu"
	}
	f, err := Freeze(ctx, orttest.Runtime(t), m, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// randomPrompt returns a prompt of sampled words.
func randomPrompt(t *testing.T, f *Frozen, length int, seed uint64) *prompt.Prompt {
	t.Helper()
	row, rows, err := f.Model.Embedding()
	if err != nil {
		t.Fatal(err)
	}
	source := prompt.Source{Embeddings: prompt.Embeddings{Rows: rows, Row: row}}
	values, err := prompt.SampledVocabulary(source, 3, rows)(prompt.NewRand(seed), length, f.Model.Config.DModel)
	if err != nil {
		t.Fatal(err)
	}
	return prompt.New(values, length, f.Model.Config.DModel)
}

// bankOf lays prompts side by side.
func bankOf(t *testing.T, f *Frozen, prompts ...*prompt.Prompt) *Bank {
	t.Helper()
	b, err := NewBank(f.Method, prompts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// someRows encodes sentences of different lengths with their target words.
func someRows(t *testing.T, f *Frozen) []Row {
	t.Helper()
	var examples []tasks.Example
	for i, e := range []struct{ text, target string }{
		{"a gorgeous , witty , seductive movie .", "great"},
		{"dull", "terrible"},
		{"it 's slow -- very , very slow , and then it goes on for another hour and a half .", "terrible"},
		{"one of the best films of the year", "great"},
		{"unflinchingly bleak and desperate", "terrible"},
	} {
		examples = append(examples, tasks.Example{ID: fmt.Sprint(i), Index: i, Input: e.text, Target: e.target, Label: i % 2})
	}
	rows, err := encodeRows(t.Context(), f.Tokenizer, examples, 64, 8)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// stepRows returns the rows of a step.
func stepRows(t rapid.TB, s *sequence, step int) []Row {
	t.Helper()
	rows, err := s.at(step)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// wantError fails unless an error says what is wanted.
func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %q in it", err, want)
	}
}
