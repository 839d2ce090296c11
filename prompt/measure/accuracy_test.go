package measure

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"softprompt/export"
	"softprompt/onnx/ort/orttest"
	"softprompt/prompt/tune"
)

// TestAccuracy tunes two pairs and compares them.
func TestAccuracy(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	s := smallRun(t)
	s.Seed = 7
	var told []string
	got, err := Accuracy(t.Context(), orttest.Runtime(t), s, export.INT8, 2, options(), func(s tune.Settings) {
		told = append(told, fmt.Sprintf("%d %s", s.Seed, s.Precision))
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"7 fp32", "7 int8", "8 fp32", "8 int8"}; !slices.Equal(told, want) {
		t.Errorf("runs %v, want %v", told, want)
	}
	if got.Precision != export.INT8 || got.Examples != 12 || len(got.Seeds) != 2 {
		t.Errorf("%+v", got)
	}
	sum := 0.0
	for i, seed := range got.Seeds {
		if seed.Seed != uint64(7+i) || seed.Exact <= 0 || seed.Exact > 100 || seed.Reduced <= 0 || seed.Reduced > 100 {
			t.Errorf("seed %+v", seed)
		}
		sum += seed.Reduced - seed.Exact
	}
	if !near(got.Difference, sum/2) || got.Low > got.Difference || got.High < got.Difference {
		t.Errorf("difference %v in %v to %v, want %v", got.Difference, got.Low, got.High, sum/2)
	}
	left, err := filepath.Glob(filepath.Join(tmp, "softprompt-precision-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestTuneAndScore scores in float32 what was tuned in another precision: the
// hits are those of the prompt that the run kept.
func TestTuneAndScore(t *testing.T) {
	ctx, rt := t.Context(), orttest.Runtime(t)
	s, opts := smallRun(t), options()
	s.Precision = "int8"
	opts.Out = filepath.Join(t.TempDir(), "run")
	hits, err := tuneAndScore(ctx, rt, s, opts)
	if err != nil {
		t.Fatal(err)
	}
	p, err := tune.NewPredictor(ctx, rt, opts.Out, tune.PredictOptions{Threads: 1, Open: opts.Open})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	examples, err := p.Task.Load(ctx, "validation", fromData(s))
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, e := range examples {
		texts = append(texts, strings.TrimPrefix(e.Input, "sentence: "))
	}
	predicted, err := p.Predict(ctx, texts)
	if err != nil {
		t.Fatal(err)
	}
	if len(hits) != len(predicted) {
		t.Fatalf("%d hits of %d", len(hits), len(predicted))
	}
	for i, e := range examples {
		want := 0.0
		if predicted[i].Label == p.Task.Labels[e.Label] {
			want = 100
		}
		if hits[i] != want {
			t.Errorf("row %d counts %v, want %v", i, hits[i], want)
		}
	}
}

func TestAccuracyRefuses(t *testing.T) {
	rt := orttest.Runtime(t)
	for name, c := range map[string]struct {
		change  func(*tune.Settings)
		reduced export.Precision
		seeds   int
		want    string
	}{
		"no seeds":      {func(*tune.Settings) {}, export.INT8, 0, "0 seeds"},
		"float32":       {func(*tune.Settings) {}, export.FP32, 1, "fp32 is what"},
		"no precision":  {func(*tune.Settings) {}, "", 1, "fp32 is what"},
		"no such model": {func(s *tune.Settings) { s.Model = "nowhere" }, export.INT8, 1, "nowhere"},
		"unwritten":     {func(s *tune.Settings) {}, "fp4", 1, "fp4"},
	} {
		s := smallRun(t)
		s.Steps, s.EvalEvery = 1, 1
		c.change(&s)
		if _, err := Accuracy(t.Context(), rt, s, c.reduced, c.seeds, options(), nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got error %v, want one with %q", name, err, c.want)
		}
	}
}
