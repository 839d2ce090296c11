package tune

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"softprompt/grad"
	"softprompt/onnx/ort/orttest"
	"softprompt/prompt"
	"softprompt/tasks"
)

// tableRun writes rows of SST-2 from one on as a table, a task of its own, and
// returns the settings of a short multitask run of it.
func tableRun(t *testing.T, name string, from int) Settings {
	t.Helper()
	sst2, err := tasks.Lookup("sst2")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := sst2.Load(context.Background(), tasks.Train, tasks.LoadOptions{Limit: from + 48})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("text\tlabel\n")
	for _, e := range rows[from:] {
		fmt.Fprintf(&b, "%s\t%s\n", strings.TrimPrefix(e.Input, "sentence: "), []string{"bad", "good"}[e.Label])
	}
	path := filepath.Join(t.TempDir(), name+".tsv")
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	task, err := tasks.Open(path, "")
	if err != nil {
		t.Fatal(err)
	}
	s, err := DefaultsOf(task, prompt.MethodMultitask)
	if err != nil {
		t.Fatal(err)
	}
	s.Task, s.MaxInput, s.MaxTarget, s.Length, s.Rank = path, 24, 4, 4, 2
	s.Steps, s.Batch, s.MicroBatch, s.Workers, s.HeldOut, s.EvalEvery, s.LogEvery, s.Window = 6, 5, 5, 2, 8, 2, 1, 2
	return s
}

// TestMultitaskShares: tasks of one pass keep one matrix to the bit, from a
// common start, while their low-rank parts differ; a task that is over changes
// nothing of that, another seed shares nothing, and a run that was stopped ends
// in the same bytes.
func TestMultitaskShares(t *testing.T) {
	ctx, rt, dir := context.Background(), orttest.Runtime(t), t.TempDir()
	a, b := tableRun(t, "a", 0), tableRun(t, "b", 48)
	a.Steps = 4
	other := b
	other.Seed = 2
	runs := []Named{{"a", a}, {"b", b}, {"other", other}}
	whole, stopped := opened, opened
	whole.Out, stopped.Out = filepath.Join(dir, "whole"), filepath.Join(dir, "stopped")
	if _, err := TrainAll(ctx, rt, runs, whole); err != nil {
		t.Fatal(err)
	}
	until, stop := context.WithCancel(ctx)
	defer stop()
	stopped.Report = func(e Event) {
		if e.Run == "b" && e.Step == 3 {
			stop()
		}
	}
	if _, err := TrainAll(until, rt, runs, stopped); !errors.Is(err, ErrStopped) {
		t.Fatalf("stopped after step 3: %v", err)
	}
	half, err := loadStates(stopped.Out)
	if err != nil {
		t.Fatal(err)
	}
	stopped.Report = nil
	if _, err := ResumeAll(ctx, rt, stopped); err != nil {
		t.Fatal(err)
	}
	for _, r := range runs {
		for _, file := range []string{PromptFile, MetricsFile} {
			want, err := os.ReadFile(filepath.Join(whole.Out, r.Name, file))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(filepath.Join(stopped.Out, r.Name, file)); err != nil || !slices.Equal(got, want) {
				t.Errorf("%s of run %s differs after a stop: %v", file, r.Name, err)
			}
		}
	}
	ends, err := loadStates(whole.Out)
	if err != nil {
		t.Fatal(err)
	}
	values := func(st *state, name string) []float32 {
		p := prompt.Prompt{Tensors: st.current}
		return p.Tensor(name).Data
	}
	for at, states := range map[string][]*state{"stopped": half, "at the end": ends} {
		if !slices.Equal(values(states[0], "prompt"), values(states[1], "prompt")) {
			t.Errorf("%s, two tasks have different matrices", at)
		}
		if slices.Equal(values(states[0], "u"), values(states[1], "u")) || slices.Equal(values(states[0], "v"), values(states[1], "v")) {
			t.Errorf("%s, two tasks have one low-rank part", at)
		}
		if slices.Equal(values(states[1], "prompt"), values(states[2], "prompt")) {
			t.Errorf("%s, two seeds have one matrix", at)
		}
	}
	if slices.Equal(values(half[1], "prompt"), values(ends[1], "prompt")) {
		t.Error("the matrix does not move once the first task is over")
	}
	// What is kept of each is a prompt that needs nothing of the others.
	p, err := prompt.LoadFile(filepath.Join(whole.Out, "a"))
	if err != nil || p.Method != prompt.MethodPromptTuning || p.Meta.Extra["folded_from"] != prompt.MethodMultitask {
		t.Errorf("kept is %+v, %v", p, err)
	}
}

// TestMultitaskTwins: two tasks of the same rows move their matrix by twice the
// gradient of one, which AdamW takes for the same: both end as one alone. The
// gradient of one of them only would do so as well; that it is the sum is
// TestBankShares's to tell.
func TestMultitaskTwins(t *testing.T) {
	ctx, rt, dir := context.Background(), orttest.Runtime(t), t.TempDir()
	one, two := tableRun(t, "one", 0), tableRun(t, "two", 0)
	for _, s := range []*Settings{&one, &two} {
		s.Optimizer, s.LearningRate, s.Dropout, s.WeightDecay = "adamw", 0.01, 0, 0
	}
	alone, both := opened, opened
	alone.Out, both.Out = filepath.Join(dir, "alone"), filepath.Join(dir, "both")
	if _, err := Train(ctx, rt, one, alone); err != nil {
		t.Fatal(err)
	}
	if _, err := TrainAll(ctx, rt, []Named{{"one", one}, {"two", two}}, both); err != nil {
		t.Fatal(err)
	}
	want, err := loadStates(alone.Out)
	if err != nil {
		t.Fatal(err)
	}
	got, err := loadStates(both.Out)
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range want[0].current {
		for k := range got {
			if diff, ok := near(got[k].current[i].Data, w.Data, 1e-3); !ok {
				t.Errorf("%s of task %d differs from that of the task alone by %.1e of the largest", w.Name, k, diff)
			}
		}
	}
}

// TestBankShares: gradients add up and values follow in what is shared, for the
// prompts of a family alone.
func TestBankShares(t *testing.T) {
	f := freezeTiny(t, FreezeOptions{Method: prompt.MethodMultitask, Sizes: prompt.Sizes{Length: 2}})
	d := f.Model.Config.DModel
	var prompts []*prompt.Prompt
	for k := range 3 {
		tensors, err := f.Method.Start(uint64(k), prompt.Uniform(0, 1), nil)
		if err != nil {
			t.Fatal(err)
		}
		prompts = append(prompts, &prompt.Prompt{Tensors: tensors})
	}
	b := bankOf(t, f, prompts...)
	for k := range 3 {
		for _, name := range []string{"prompts", "multitask.u"} {
			for i, g := 0, b.part(grad.Prefix+name, k); i < len(g); i++ {
				g[i] = float32((k + 1) * (i + 1))
			}
		}
	}
	middle := slices.Clone(b.part("prompts", 1))
	b.addShared([]int{0, 2})
	b.follow([]int{0, 2}, 2)
	for k, times := range []float32{4, 2, 4} { // 1+3, 2, 1+3
		if g := b.part(grad.Prefix+"prompts", k); g[0] != times || g[2*d-1] != times*float32(2*d) {
			t.Errorf("prompt %d: the matrix's gradient is %v … %v, want %v times the place", k, g[0], g[2*d-1], times)
		}
		if g := b.part(grad.Prefix+"multitask.u", k); g[0] != float32(k+1) {
			t.Errorf("prompt %d: the gradient of u is %v, want %d", k, g[0], k+1)
		}
	}
	if !slices.Equal(b.part("prompts", 0), prompts[2].Tensors[0].Data) || !slices.Equal(b.part("prompts", 1), middle) {
		t.Error("values do not follow in the family, or do beside it")
	}
}

// TestFamilies: runs share if their tasks differ and what moves them does not.
func TestFamilies(t *testing.T) {
	run := func(task string, change func(*Settings)) *setup {
		s := Settings{Task: task, Seed: 1, LearningRate: 0.3, Optimizer: "adafactor"}
		if change != nil {
			change(&s)
		}
		return &setup{settings: s}
	}
	seed := func(s *Settings) { s.Seed = 2 }
	got := families([]*setup{
		run("a", nil), run("a", seed), run("b", nil), run("b", seed),
		run("c", func(s *Settings) { s.LearningRate = 0.1 }), run("b", nil), run("c", func(s *Settings) { s.Batch = 7 }),
	})
	if want := "[[0 2 6] [1 3] [4] [5]]"; fmt.Sprint(got) != want {
		t.Errorf("families %v, want %s", got, want)
	}
}
