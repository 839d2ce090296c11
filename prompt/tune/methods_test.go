package tune

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"softprompt/onnx/ort/orttest"
	"softprompt/prompt"
	"softprompt/tasks"
)

// methodRun returns the settings of a short run of a method, as it is
// published but for its sizes.
func methodRun(t *testing.T, info prompt.MethodInfo) Settings {
	t.Helper()
	task, err := tasks.Lookup("sst2")
	if err != nil {
		t.Fatal(err)
	}
	s, err := DefaultsOf(task, info.Name)
	if err != nil {
		t.Fatal(err)
	}
	small := smallRun(t)
	s.Data, s.Template, s.Verbalizer, s.MaxInput = small.Data, small.Template, small.Verbalizer, small.MaxInput
	s.Length, s.Steps, s.EvalEvery, s.LogEvery, s.HeldOut, s.Window = 4, 4, 2, 1, 8, 2
	s.Batch, s.MicroBatch, s.Workers = 6, 3, 2
	for _, size := range info.Uses {
		switch size {
		case "rank":
			s.Rank = 3
		case "hidden":
			s.Hidden = 8
		}
	}
	return s
}

// TestMethods tunes a prompt of every method of the table: it moves, is saved,
// scores the same when it is loaded, and a run that was stopped ends in the
// same bytes.
func TestMethods(t *testing.T) {
	for _, info := range prompt.Methods() {
		if testing.Short() && info.Name != prompt.MethodPromptTuning && info.Name != prompt.MethodModel {
			continue // export's tests have their kernels
		}
		t.Run(info.Name, func(t *testing.T) { testMethod(t, methodRun(t, info)) })
	}
	info, err := prompt.LookupMethod(prompt.MethodPromptTuning)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("placed", func(t *testing.T) {
		s := methodRun(t, info)
		s.Placement, s.Visibility = "suffix", "causal"
		testMethod(t, s)
	})
}

// testMethod does so with the settings of one run.
func testMethod(t *testing.T, s Settings) {
	ctx, rt := context.Background(), orttest.Runtime(t)
	opts := opened
	opts.Out = filepath.Join(t.TempDir(), "whole")
	res, err := Train(ctx, rt, s, opts)
	if err != nil {
		t.Fatal(err)
	}
	if res.Tuned == 0 || res.Steps != s.Steps {
		t.Errorf("%d parameters, %d steps", res.Tuned, res.Steps)
	}
	if (s.Method == prompt.MethodModel) != (res.Frozen == 0) {
		t.Errorf("%d parameters stay frozen", res.Frozen)
	}
	p, err := NewPredictor(ctx, rt, opts.Out, PredictOptions{Open: opened.Open})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if got, want := p.Method.Sizes, p.Prompt.Sizes(); got.Placement != want.Placement || got.Visibility != want.Visibility ||
		(want.Placement == "suffix") != (s.Placement == "suffix") || (want.Visibility == "causal") != (s.Visibility == "causal") {
		t.Errorf("it is laid as %+v, the file says %+v", got, want)
	}
	ev, err := p.ScoreSplit(ctx, tasks.Validation, tasks.LoadOptions{Data: s.Data}, false)
	if err != nil {
		t.Fatal(err)
	}
	if ev.Score != res.Validation.Tuned {
		t.Errorf("loaded, it scores %v, when tuned %v", ev.Score, res.Validation.Tuned)
	}

	again := opened
	again.Out = filepath.Join(t.TempDir(), "stopped")
	stopped, stop := context.WithCancel(ctx)
	defer stop()
	again.Report = func(e Event) {
		if e.Step == 3 {
			stop()
		}
	}
	if _, err := Train(stopped, rt, s, again); !errors.Is(err, ErrStopped) {
		t.Fatalf("stopped after step 3: %v", err)
	}
	again.Report = nil
	if _, err := Resume(ctx, rt, again); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{PromptFile, "metrics.jsonl"} {
		want, err := os.ReadFile(filepath.Join(opts.Out, name))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(again.Out, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs after a stop", name)
		}
	}
}

// TestModelTuningAlone: what model tuning cannot do is refused by name.
func TestModelTuningAlone(t *testing.T) {
	ctx, rt := context.Background(), orttest.Runtime(t)
	info, err := prompt.LookupMethod(prompt.MethodModel)
	if err != nil {
		t.Fatal(err)
	}
	s := methodRun(t, info)
	opts := opened
	opts.Out = filepath.Join(t.TempDir(), "two")
	_, err = TrainAll(ctx, rt, []Named{{"a", s}, {"b", s}}, opts)
	wantError(t, err, "2 prompts cannot share a pass: method model has one model in it")
	s.Precision = "int8"
	opts.Out = filepath.Join(t.TempDir(), "int8")
	_, err = Train(ctx, rt, s, opts)
	wantError(t, err, "--precision is int8, which is for weights that do not change")
}
