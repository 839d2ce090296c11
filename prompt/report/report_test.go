package report

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"softprompt/onnx/hint"
	"softprompt/prompt/tune"
	"softprompt/tasks"
)

// ended is a run of SST-2 with some answers right.
func ended(t *testing.T, change func(*tune.Settings), right ...bool) *tune.Ended {
	t.Helper()
	task, err := tasks.Lookup("sst2")
	if err != nil {
		t.Fatal(err)
	}
	e := &tune.Ended{Settings: tune.Defaults(task)}
	change(&e.Settings)
	e.Dir = fmt.Sprintf("%s-%d-%d", e.Settings.Method, e.Settings.Length, e.Settings.Seed)
	n := 0
	for i, r := range right {
		p := tune.Predicted{ID: fmt.Sprint("validation:", i), Gold: "positive", Answer: "negative", Right: r}
		if r {
			p.Answer = p.Gold
			n++
		}
		e.Predictions = append(e.Predictions, p)
	}
	e.Validation = tune.Comparison{
		Split: tasks.Validation, Examples: len(right), Metric: "accuracy", Majority: 50, NoPrompt: 40, Tuned: 100 * float64(n) / float64(len(right)),
	}
	return e
}

// of sets method, length and seed.
func of(method string, length int, seed uint64) func(*tune.Settings) {
	return func(s *tune.Settings) { s.Method, s.Length, s.Seed = method, length, seed }
}

// TestGroups: seeds make a group, and what follows from another setting is no
// column.
func TestGroups(t *testing.T) {
	slow := func(s *tune.Settings) { of("dept", 60, 1)(s); s.LearningRate, s.Workers = 0.1, 7 }
	r := New([]*tune.Ended{
		ended(t, of("prompt-tuning", 100, 1), true, true, false, false),
		ended(t, of("prompt-tuning", 100, 2), true, true, true, true),
		ended(t, slow, true, false, false, false),
		ended(t, of("prompt-tuning", 20, 1), true, true, true, false),
	})
	if !slices.Equal(r.Keys, []string{"task", "method", "length"}) {
		t.Fatalf("keys %v", r.Keys)
	}
	var got []string
	for _, g := range r.Groups {
		got = append(got, fmt.Sprintf("%s %s %d %.1f±%.1f best %.0f", g.Values["method"], g.Values["length"], len(g.Runs), g.Mean, g.Deviation, g.Best))
	}
	want := []string{"dept 60 1 25.0±0.0 best 25", "prompt-tuning 20 1 75.0±0.0 best 75", "prompt-tuning 100 2 75.0±35.4 best 100"}
	if !slices.Equal(got, want) {
		t.Errorf("groups %q, want %q", got, want)
	}
	if g := r.Groups[0]; g.NoPrompt != 40 || g.Majority != 50 || g.Examples != 4 || g.Chosen {
		t.Errorf("%+v", g)
	}
}

// TestAgainst: a group is compared with its partner, seed by seed.
func TestAgainst(t *testing.T) {
	many := func(right int) []bool {
		out := make([]bool, 200)
		for i := range right {
			out[i] = true
		}
		return out
	}
	runs := []*tune.Ended{
		ended(t, of("prompt-tuning", 100, 1), many(100)...),
		ended(t, of("prompt-tuning", 100, 2), many(110)...),
		ended(t, of("prompt-tuning", 100, 3), many(0)...), // has no partner
		ended(t, of("dept", 100, 1), many(140)...),
		ended(t, of("dept", 100, 2), many(150)...),
	}
	r := New(runs)
	if err := r.Against(map[string]string{"method": "prompt-tuning"}); err != nil {
		t.Fatal(err)
	}
	a := r.Groups[0].Against
	if r.Groups[0].Values["method"] != "dept" || a == nil || r.Groups[1].Against != nil {
		t.Fatalf("%+v, %+v", r.Groups[0], r.Groups[1])
	}
	if math.Abs(a.Difference-20) > 1e-9 || a.Low < 10 || a.Low > 19 || a.High < 21 || a.High > 30 || a.Seeds != 2 {
		t.Errorf("%+v, want 20 points over 2 seeds", a)
	}
	lonely := New(append(slices.Clone(runs), ended(t, of("ia3", 50, 1), true), ended(t, of("dept", 30, 1), true)))
	if err := lonely.Against(map[string]string{"method": "prompt-tuning"}); err != nil || !slices.Equal(lonely.Alone, []string{"dept-30-1", "ia3-50-1"}) {
		t.Errorf("without a partner: %v, %v", lonely.Alone, err)
	}
	if err := r.Against(map[string]string{"rank": "3"}); err == nil || !strings.Contains(hint.Of(err), "they differ in task, method") {
		t.Errorf("another key: %v", err)
	}
	if err := r.Against(map[string]string{"method": "ia3"}); err == nil || !strings.Contains(err.Error(), "no runs have the baseline's settings") {
		t.Errorf("another value: %v", err)
	}
	runs[3].Predictions[7].ID = "validation:70"
	if err := New(runs).Against(map[string]string{"method": "prompt-tuning"}); err == nil || !strings.Contains(err.Error(), "did not answer the same rows") {
		t.Errorf("other rows: %v", err)
	}
}

// TestSuperGLUE: the score is over the tasks that were run, and names the
// others; one task makes none.
func TestSuperGLUE(t *testing.T) {
	task := func(name string, length int) func(*tune.Settings) {
		return func(s *tune.Settings) { s.Task, s.Length = name, length }
	}
	r := New([]*tune.Ended{
		ended(t, task("rte", 20), true, false),
		ended(t, task("boolq", 20), true, true),
		ended(t, task("sst2", 20), false, false),
		ended(t, task("rte", 100), true, true),
	})
	got := r.SuperGLUE()
	if len(got) != 1 || got[0].Score != 75 || got[0].Values["length"] != "20" || !slices.Equal(got[0].Missing, []string{"cb", "copa", "multirc", "record", "wic", "wsc"}) {
		t.Errorf("%+v", got)
	}
}

// TestLoad finds runs below folders, each once, and names those under way.
func TestLoad(t *testing.T) {
	root := t.TempDir()
	write := func(dir, name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"a/seed-1", "a/seed-2", "b"} {
		e := ended(t, of("prompt-tuning", 100, 1), true)
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := tune.WriteSettings(filepath.Join(root, dir, tune.ConfigFile), e.Settings); err != nil {
			t.Fatal(err)
		}
		last, err := json.Marshal(map[string]any{"step": 5, "validation": e.Validation})
		if err != nil {
			t.Fatal(err)
		}
		if dir != "b" {
			write(dir, tune.MetricsFile, "{\"step\":1,\"loss\":2}\n"+string(last)+"\n")
		}
	}
	runs, unfinished, err := Load(root, filepath.Join(root, "a"))
	if err != nil || len(runs) != 2 || len(unfinished) != 1 || filepath.Base(unfinished[0]) != "b" {
		t.Fatalf("%d runs, unfinished %v, %v", len(runs), unfinished, err)
	}
	if runs[0].BestStep != 5 || runs[0].Validation.Tuned != 100 || runs[1].Dir != filepath.Join(root, "a", "seed-2") {
		t.Errorf("%+v", runs[0])
	}
	if _, _, err := Load(filepath.Join(root, "none")); err == nil {
		t.Error("a folder that is not there was read")
	}
	if _, _, err := Load(filepath.Join(root, "b")); err == nil || !strings.Contains(err.Error(), "none in") {
		t.Errorf("no run at its end: %v", err)
	}
	write("a/seed-1", tune.MetricsFile, "{\n")
	if _, _, err := Load(root); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("a log that is no JSON: %v", err)
	}
}
