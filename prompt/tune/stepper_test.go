package tune

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"softprompt/export"
	"softprompt/models"
	"softprompt/onnx"
	"softprompt/onnx/ort/orttest"
	"softprompt/prompt"
	"softprompt/tasks"
)

// madeUp returns settings for steps on rows that are made up.
func madeUp() Settings {
	s := Defaults(&tasks.Task{})
	s.Length, s.Batch, s.MicroBatch, s.Threads = 3, 5, 2, 1
	return s
}

var opened = Options{Open: models.Options{CacheDir: cache()}}

// TestStepperStepsLikeTrain: measurements are of what a run does, to the bit.
func TestStepperStepsLikeTrain(t *testing.T) {
	ctx, rt := context.Background(), orttest.Runtime(t)
	for _, precision := range []export.Precision{export.FP32, export.INT8} {
		s := smallRun(t)
		s.Steps, s.MicroBatch, s.Precision = 3, 3, precision
		opts := opened
		opts.Out = filepath.Join(t.TempDir(), "run")
		if _, err := Train(ctx, rt, s, opts); err != nil {
			t.Fatal(err)
		}
		states, err := loadStates(opts.Out)
		if err != nil {
			t.Fatal(err)
		}
		steps, err := NewStepper(ctx, rt, s, opened)
		if err != nil {
			t.Fatal(err)
		}
		defer steps.Close()
		if n := steps.Passes(); n != 3 {
			t.Errorf("8 rows by 3 take %d passes", n)
		}
		before := steps.t.bank.Prompt(0)
		for range s.Steps {
			if err := steps.Step(ctx); err != nil {
				t.Fatal(err)
			}
		}
		after := steps.t.bank.Prompt(0)
		if slices.Equal(before[0].Data, after[0].Data) {
			t.Errorf("%s: no step was made", precision)
		}
		if !slices.Equal(after[0].Data, states[0].current[0].Data) {
			t.Errorf("%s: the prompt differs from that of a run", precision)
		}
	}
}

// TestPrecisionOfARun: a run in int8 computes other gradients than one in
// float32, on the same start.
func TestPrecisionOfARun(t *testing.T) {
	ctx, rt := context.Background(), orttest.Runtime(t)
	var prompts [][]float32
	for _, precision := range []export.Precision{export.FP32, export.INT8, export.FP32} {
		s := madeUp()
		s.Precision = precision
		steps, err := NewStepperOf(ctx, rt, s, 7, 2, opened)
		if err != nil {
			t.Fatal(err)
		}
		defer steps.Close()
		if err := steps.Step(ctx); err != nil {
			t.Fatal(err)
		}
		prompts = append(prompts, steps.t.bank.Prompt(0)[0].Data)
	}
	if slices.Equal(prompts[0], prompts[1]) {
		t.Error("int8 changed nothing")
	}
	if !slices.Equal(prompts[0], prompts[2]) {
		t.Error("two steppers of the same settings differ")
	}
}

// TestMadeUpRows have the lengths asked for, and ids of the vocabulary.
func TestMadeUpRows(t *testing.T) {
	steps, err := NewStepperOf(t.Context(), orttest.Runtime(t), madeUp(), 7, 2, opened)
	if err != nil {
		t.Fatal(err)
	}
	defer steps.Close()
	c := steps.Model().Config
	rows, err := steps.t.sequence.at(0)
	if err != nil || len(rows) != 5 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for i, r := range rows {
		if len(r.IDs) != 7 || len(r.Target) != 2 || r.IDs[6] != int64(c.EOSID) || r.Target[1] != int64(c.EOSID) || r.Label != -1 {
			t.Errorf("row %d is %+v", i, r)
		}
		for _, id := range append(r.IDs, r.Target...) {
			if id < 0 || id >= int64(c.VocabSize) {
				t.Errorf("row %d has id %d of %d", i, id, c.VocabSize)
			}
		}
	}
	if slices.Equal(rows[0].IDs, rows[1].IDs) {
		t.Error("two rows are the same")
	}
	in, err := steps.Inputs()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]int64{
		"input_ids": {5, 7}, "attention_mask": {5, 7}, "labels": {5, 2}, "label_weights": {5, 2},
		"prompts": {1, 3, int64(c.DModel)}, "prompt_mask": {1, 3}, "prompt_index": {5},
		export.DropoutFeedForward: {int64(c.NumLayers + c.NumDecoderLayers), 5, 1, int64(c.DFF)},
	} {
		if in[name] == nil || !slices.Equal(in[name].Shape(), want) {
			t.Errorf("input %s is %v, want %v", name, in[name], want)
		}
	}
	graph, err := steps.Graph(t.Context(), export.FP32)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range graph.Graph.Inputs {
		if in[v.Name] == nil {
			t.Errorf("input %v is missing", v)
		}
	}
	if len(in) != len(graph.Graph.Inputs) {
		t.Errorf("%d inputs for %d", len(in), len(graph.Graph.Inputs))
	}
}

// TestInputsOfChoices: a run that learns to choose a label feeds its words.
func TestInputsOfChoices(t *testing.T) {
	s := smallRun(t)
	s.Loss, s.Dropout = "labels", 0
	steps, err := NewStepper(t.Context(), orttest.Runtime(t), s, opened)
	if err != nil {
		t.Fatal(err)
	}
	defer steps.Close()
	in, err := steps.Inputs()
	if err != nil {
		t.Fatal(err)
	}
	if got := in["right"]; got == nil || !slices.Equal(got.Shape(), []int64{8, 2}) {
		t.Errorf("right is %v", got)
	}
	if in["labels"] != nil || in[export.DropoutHidden] != nil {
		t.Error("there are inputs of another graph")
	}
}

// TestGraphOfAPrecision is the run's own graph, or that of the other precision.
func TestGraphOfAPrecision(t *testing.T) {
	steps, err := NewStepperOf(t.Context(), orttest.Runtime(t), madeUp(), 4, 2, opened)
	if err != nil {
		t.Fatal(err)
	}
	defer steps.Close()
	for p, integers := range map[export.Precision]bool{"": false, export.FP32: false, export.INT8: true} {
		g, err := steps.Graph(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		has := slices.ContainsFunc(g.Graph.Nodes, func(n *onnx.Node) bool { return n.Op == "QuantizeLinear" })
		if has != integers {
			t.Errorf("precision %q: integers %v", p, has)
		}
	}
	if _, err := steps.Graph(t.Context(), "fp4"); err == nil || !strings.Contains(err.Error(), "fp4") {
		t.Errorf("precision fp4: %v", err)
	}
}

func TestStepperRefuses(t *testing.T) {
	rt := orttest.Runtime(t)
	for name, c := range map[string]struct {
		change         func(s *Settings)
		input, targets int
		want           string
	}{
		"no input":        {func(*Settings) {}, 0, 2, "0 input and 2 target tokens"},
		"no targets":      {func(*Settings) {}, 3, 0, "3 input and 0 target"},
		"labels":          {func(s *Settings) { s.Loss = "labels" }, 3, 2, "no labels to choose among"},
		"no rows":         {func(s *Settings) { s.Batch = 0 }, 3, 2, "--batch is 0"},
		"no precision":    {func(s *Settings) { s.Precision = "fp4" }, 3, 2, `no precision "fp4"`},
		"no model":        {func(s *Settings) { s.Model = "nowhere" }, 3, 2, "nowhere"},
		"no device":       {func(s *Settings) { s.Device = "abacus" }, 3, 2, "abacus"},
		"an unknown rule": {func(s *Settings) { s.Optimizer = "sgd" }, 3, 2, `"sgd"`},
		"no half kernels": {func(s *Settings) { s.Precision = "bf16" }, 3, 2, "no kernel for FusedMatMul"},
	} {
		s := madeUp()
		c.change(&s)
		steps, err := NewStepperOf(t.Context(), rt, s, c.input, c.targets, opened)
		if err == nil { // the graph is written at the first step
			err = steps.Step(t.Context())
			steps.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got error %v, want one with %q", name, err, c.want)
		}
	}
	s := smallRun(t)
	s.HeldOut = 10_000
	if _, err := NewStepper(t.Context(), rt, s, opened); err == nil || !strings.Contains(err.Error(), "--held-out") {
		t.Errorf("too few rows: %v", err)
	}
}

// TestStepperOfAll: several prompts of made-up rows share their steps, each with
// its own batch; what cannot share them is refused.
func TestStepperOfAll(t *testing.T) {
	ctx, rt := t.Context(), orttest.Runtime(t)
	one := madeUp()
	two := one
	two.Seed++
	two.Batch = one.Batch + 1
	steps, err := NewStepperOfAll(ctx, rt, []Settings{one, two}, 7, 2, opened)
	if err != nil {
		t.Fatal(err)
	}
	defer steps.Close()
	before := [][]float32{steps.g.bank.Prompt(0)[0].Data, steps.g.bank.Prompt(1)[0].Data}
	if err := steps.Step(ctx); err != nil {
		t.Fatal(err)
	}
	for k, was := range before {
		if now := steps.g.bank.Prompt(k)[0].Data; slices.Equal(was, now) {
			t.Errorf("prompt %d did not move", k)
		}
	}
	two.Method = prompt.MethodIA3
	_, err = NewStepperOfAll(ctx, rt, []Settings{one, two}, 7, 2, opened)
	wantError(t, err, "runs 1 and 2 cannot share a pass")
}
