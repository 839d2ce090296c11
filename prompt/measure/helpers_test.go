package measure

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"softprompt/export"
	"softprompt/models"
	"softprompt/prompt"
	"softprompt/prompt/tune"
	"softprompt/tasks"
)

// cache is one folder for the whole test run: the tiny model is unpacked once.
var cache = sync.OnceValue(func() string {
	dir, err := os.MkdirTemp("", "softprompt-measure-test")
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

func options() tune.Options { return tune.Options{Open: models.Options{CacheDir: cache()}} }

// madeUp returns settings for steps on rows that are made up.
func madeUp() tune.Settings {
	s := tune.Defaults(&tasks.Task{})
	s.Length, s.Batch, s.MicroBatch, s.Threads, s.Dropout = 3, 4, 2, 1, 0
	return s
}

// smallRun returns the settings of a run on a few rows of SST-2.
func smallRun(t *testing.T) tune.Settings {
	t.Helper()
	task, err := tasks.Lookup("sst2")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for file, part := range map[string]struct {
		split tasks.Split
		rows  int
	}{"train.tsv": {tasks.Train, 24}, "dev.tsv": {tasks.Validation, 12}} {
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
	s := tune.Defaults(task)
	s.Data, s.Verbalizer, s.Threads = dir, "negative=terrible;positive=great", 1
	s.Length, s.Steps, s.Batch, s.MicroBatch, s.HeldOut = 4, 2, 4, 4, 4
	s.EvalEvery, s.LogEvery, s.Window, s.MaxInput = 2, 2, 2, 24
	return s
}

// tinySpec describes the graphs of the embedded model, in all precisions.
func tinySpec(t *testing.T) export.Spec {
	t.Helper()
	ctx := context.Background()
	m, err := export.Open(ctx, "tiny", options().Open)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	spec, err := m.Spec(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if spec.Int8, err = m.Int8File(ctx); err != nil {
		t.Fatal(err)
	}
	if spec.Method, err = prompt.NewMethod("prompt-tuning", m.Config, prompt.Sizes{}); err != nil {
		t.Fatal(err)
	}
	return spec
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*max(1, math.Abs(a), math.Abs(b)) }

func fromData(s tune.Settings) tasks.LoadOptions { return tasks.LoadOptions{Data: s.Data} }
