package tune

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"softprompt/onnx/hint"
	"softprompt/onnx/ort/orttest"
	"softprompt/prompt"
)

// several are runs that differ in all that those of one pass may differ in.
func several(t *testing.T) []Named {
	t.Helper()
	first := smallRun(t)
	first.Steps, first.EvalEvery, first.Dropout, first.MicroBatch, first.Workers = 6, 3, 0.1, 3, 2
	second, third := first, first
	second.Seed, second.Batch, second.LearningRate, second.Optimizer = 2, 5, 0.01, "adamw"
	third.Seed, third.Loss, third.Steps, third.ClipNorm, third.MaxInput = 3, "mean", 4, 0.5, 12
	return []Named{{"first", first}, {"second", second}, {"third", third}}
}

// TestTrainAllEqualsAlone holds runs that share their passes against the same
// runs alone: prompts within 1e-5 of the largest value, and the same scores.
func TestTrainAllEqualsAlone(t *testing.T) {
	ctx, rt := context.Background(), orttest.Runtime(t)
	dir := t.TempDir()
	runs := several(t)
	opts := opened
	opts.Out = filepath.Join(dir, "together")
	var seen []string
	opts.Report = func(e Event) {
		if !slices.Contains(seen, e.Run) {
			seen = append(seen, e.Run)
		}
	}
	got, err := TrainAll(ctx, rt, runs, opts)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 3 || !slices.Equal(seen, []string{"first", "second", "third"}) {
		t.Fatalf("%d results, events of %q", len(got), seen)
	}
	for i, r := range runs {
		alone := opened
		alone.Out = filepath.Join(dir, r.Name)
		want, err := Train(ctx, rt, r.Settings, alone)
		if err != nil {
			t.Fatal(err)
		}
		if got[i].Name != r.Name || got[i].Steps != want.Steps || got[i].BestStep != want.BestStep || got[i].Validation != want.Validation {
			t.Errorf("%s: %+v, alone %+v", r.Name, got[i], want)
		}
		states, err := loadStates(opts.Out)
		if err != nil {
			t.Fatal(err)
		}
		lone, err := loadStates(alone.Out)
		if err != nil {
			t.Fatal(err)
		}
		if diff, ok := near(states[i].current[0].Data, lone[0].current[0].Data, 1e-5); !ok {
			t.Errorf("%s: the prompt differs from that of the run alone by %.1e of the largest", r.Name, diff)
		} else {
			t.Logf("%-6s %d steps: relative %.1e", r.Name, want.Steps, diff)
		}
		saved, err := prompt.LoadFile(filepath.Join(opts.Out, r.Name))
		if err != nil || saved.Meta.Seed != r.Settings.Seed {
			t.Errorf("%s: %v, %+v", r.Name, err, saved)
		}
		if s, err := ReadSettings(filepath.Join(opts.Out, r.Name)); err != nil || s != got[i].Settings {
			t.Errorf("%s: settings %+v, %v", r.Name, s, err)
		}
	}
}

// TestResumeAll stops runs that share their passes in the middle and goes on to
// the same prompts and logs, byte for byte.
func TestResumeAll(t *testing.T) {
	rt, runs := orttest.Runtime(t), several(t)
	dir := t.TempDir()
	for i := range runs {
		runs[i].Settings.LogEvery = 1
	}
	whole, stopped := opened, opened
	whole.Out, stopped.Out = filepath.Join(dir, "whole"), filepath.Join(dir, "stopped")
	if _, err := TrainAll(context.Background(), rt, runs, whole); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stopped.Report = func(e Event) {
		if e.Run == "second" && e.Step >= 4 {
			cancel()
		}
	}
	if _, err := TrainAll(ctx, rt, runs, stopped); !errors.Is(err, ErrStopped) {
		t.Fatalf("error %v", err)
	}
	if _, err := TrainAll(context.Background(), rt, runs, stopped); err == nil || !strings.Contains(hint.Of(err), "--resume") {
		t.Errorf("error %v, hint %q", err, hint.Of(err))
	}
	stopped.Report = nil
	if got, err := ResumeAll(context.Background(), rt, stopped); err != nil || len(got) != 3 {
		t.Fatal(got, err)
	}
	for _, r := range runs {
		for _, file := range []string{PromptFile, MetricsFile} {
			want, err := os.ReadFile(filepath.Join(whole.Out, r.Name, file))
			if err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(filepath.Join(stopped.Out, r.Name, file))
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%s of run %s differs from that of one that never stopped: %v", file, r.Name, err)
			}
		}
	}
	folders, err := RunFolders(stopped.Out)
	if err != nil || len(folders) != 3 || folders[2] != filepath.Join(stopped.Out, "third") {
		t.Errorf("%q, %v", folders, err)
	}
	if folders, err := RunFolders(folders[0]); err != nil || len(folders) != 1 {
		t.Errorf("%q, %v", folders, err)
	}
}

// TestRestartAll begins runs again that were killed before they saved more than
// their settings.
func TestRestartAll(t *testing.T) {
	ctx, rt := context.Background(), orttest.Runtime(t)
	runs := several(t)[:2]
	for i := range runs {
		runs[i].Settings.Steps = 1
	}
	dir := t.TempDir()
	if err := writeRuns(dir, runs); err != nil {
		t.Fatal(err)
	}
	opts := opened
	opts.Out = dir
	got, err := ResumeAll(ctx, rt, opts)
	if err != nil || len(got) != 2 || got[1].Name != "second" || got[1].Steps != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	if err := os.Remove(filepath.Join(dir, stateFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := ResumeAll(ctx, rt, opts); err == nil || !strings.Contains(err.Error(), "it has a prompt, but no state") {
		t.Errorf("error %v", err)
	}
}

// TestTogetherRefuses names what keeps runs apart.
func TestTogetherRefuses(t *testing.T) {
	for flag, change := range map[string]func(*Settings){
		"model":       func(s *Settings) { s.Model = "other" },
		"length":      func(s *Settings) { s.Length++ },
		"loss labels": func(s *Settings) { s.Loss = "labels" },
		"dropout":     func(s *Settings) { s.Dropout = 0.25 },
		"precision":   func(s *Settings) { s.Precision = "int8" },
		"micro-batch": func(s *Settings) { s.MicroBatch = 7 },
	} {
		a := smallRun(t)
		b := a
		change(&b)
		if _, err := together([]Settings{a, a, b}); err == nil || !strings.Contains(err.Error(), "runs 1 and 3 cannot share a pass: they differ in --"+flag) {
			t.Errorf("%s: error %v", flag, err)
		}
	}
	a := smallRun(t)
	b := a
	b.Batch, b.MaxInput, b.Seed = 100, 77, 9
	s, err := together([]Settings{a, b})
	if err != nil || s.Batch != a.Batch+100 || s.MaxInput != max(a.MaxInput, 77) {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestRunNames(t *testing.T) {
	for _, names := range [][]string{{"rte"}, {"rte-1", "rte-2"}, {"a.b_c"}} {
		if err := checkNames(names); err != nil {
			t.Errorf("%q: %v", names, err)
		}
	}
	for _, names := range [][]string{nil, {""}, {".."}, {"a/b"}, {`a\b`}, {"state"}, {"a", "b", "a"}, {"-x"}, {strings.Repeat("x", 101)}} {
		if err := checkNames(names); err == nil {
			t.Errorf("%q were taken", names)
		}
	}
}

// TestReadRunsRefuses reports a file that names no runs.
func TestReadRunsRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"- name: a\n  steps: 3\n": "field steps not found",
		"[":                       RunsFile,
		"- name: ../up\n  settings: {model: tiny}\n": RunsFile,
		"[]\n": "there are no runs",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, RunsFile), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := readRuns(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v", text, err)
		}
	}
}
