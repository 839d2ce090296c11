package main

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"softprompt/prompt"
	"softprompt/prompt/tune"
	"softprompt/tasks"
)

// TestShowScores prints an evaluation whose numbers are known, in each way of
// reading an answer.
func TestShowScores(t *testing.T) {
	task := &tasks.Task{Name: "topic", Labels: []string{"world", "sport"}, Metrics: []tasks.Metric{
		tasks.Accuracy,
		{Name: "half", Score: func([]tasks.Example, []tasks.Prediction) float64 { return 50 }},
	}}
	ranked, err := tasks.EvaluateClasses(task, []int{0, 0, 0, 1}, []int{0, 0, 1, 1})
	if err != nil {
		t.Fatal(err)
	}
	wrote, err := tasks.EvaluateClasses(task, []int{0, 0, 0, 1}, []int{-1, 0, -1, 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		decode string
		ev     tune.Evaluation
		want   string
	}{
		{"rank", tune.Evaluation{Ranked: true, Report: ranked, CutShare: 0.25}, `
              accuracy  half  illegal
by rank           75.0  50.0    0.0 %
always world      62.5

by rank: gold \ answer  world  sport  illegal
world                       2      1        0
sport                       0      1        0

inputs cut: 25.0 %
`},
		{"generate", tune.Evaluation{Report: wrote}, `
              accuracy  half  illegal
written           50.0  50.0   50.0 %
always world      62.5

written: gold \ answer  world  sport  illegal
world                       1      0        2
sport                       0      1        0

inputs cut: 0.0 %
`},
		{"both", tune.Evaluation{Ranked: true, Report: ranked, Generated: &wrote}, `
              accuracy  half  illegal
by rank           75.0  50.0    0.0 %
written           50.0  50.0   50.0 %
always world      62.5

by rank: gold \ answer  world  sport  illegal
world                       2      1        0
sport                       0      1        0

written: gold \ answer  world  sport  illegal
world                       1      0        2
sport                       0      1        0

inputs cut: 0.0 %
`},
	} {
		var out bytes.Buffer
		newTUI(nil, &out, io.Discard).showScores(task, &c.ev, c.decode)
		if got := "\n" + out.String(); got != c.want {
			t.Errorf("%s: printed%swant%s", c.decode, got, c.want)
		}
	}
}

// TestFacts leaves out what a prompt does not say.
func TestFacts(t *testing.T) {
	full := prompt.Meta{
		Length: 5, DModel: 8, BaseModel: "org/t5", Revision: "abc", Task: "sst2", Template: "{sentence}",
		Verbalizer: "negative=bad;positive=good", MaxInput: 128, MaxTarget: 8, Init: "vocab",
		ScoreName: "held-out accuracy", Score: 87.654, Step: 300, Seed: 2, Version: "v1",
		Fingerprint: "f", TokenizerHash: "h",
	}
	for _, c := range []struct {
		meta prompt.Meta
		want string
	}{
		{prompt.Meta{Length: 1, DModel: 2}, "size: 1 vectors of width 2"},
		{prompt.Meta{Length: 1, DModel: 2, BaseModel: "tiny", Seed: 9}, "size: 1 vectors of width 2|model: tiny"},
		{full, "size: 5 vectors of width 8|model: org/t5@abc|task: sst2|template: {sentence}|label words: negative=bad;positive=good|" +
			"lengths: input 128 tokens, target 8|start: vocab|score: 87.65 held-out accuracy, at step 300|seed: 2|made by: v1|fingerprint: f|tokenizer: h"},
	} {
		var got []string
		for _, f := range facts(c.meta) {
			got = append(got, f.Name+": "+f.Value)
		}
		if text := strings.Join(got, "|"); text != c.want {
			t.Errorf("got  %s\nwant %s", text, c.want)
		}
	}
}

// TestShowResult ends with calls that can be typed as they stand.
func TestShowResult(t *testing.T) {
	var out bytes.Buffer
	newTUI(nil, &out, io.Discard).showResult(&tune.Result{
		Settings: tune.Settings{Template: "sentence: {sentence}", Verbalizer: "negative=bad;positive=good", Task: "sst2"}, Steps: 1000, BestStep: 700, HeldOut: 91.25, Tuned: 25_600, Frozen: 11_278_080,
		Seconds: 83.4, Prompt: "my runs/a/prompt.safetensors",
		Validation: tune.Comparison{Split: tasks.Validation, Examples: 1872, Metric: "accuracy", Majority: 50.9, NoPrompt: 51.4, Initial: 60, Tuned: 90.14},
	}, "my runs/a")
	want := `sst2 validation, 1,872 rows   accuracy
  always the commonest label      50.9
  no prompt                       51.4
  prompt before tuning            60.0
  prompt after tuning             90.1

tuned      25,600 parameters, 11,278,080 frozen
best step  700 of 1000, 91.2 on training rows held out
time       1m23s
prompt     my runs/a/prompt.safetensors
curve      my runs/a/curve.png

next
  softprompt eval 'my runs/a'
  softprompt predict 'my runs/a' "a text of your own"
  softprompt inspect 'my runs/a'
`
	if out.String() != want {
		t.Errorf("printed\n%swant\n%s", &out, want)
	}
}

// TestUse: what to call next depends on the task.
func TestUse(t *testing.T) {
	for _, c := range []struct{ template, words, want string }{
		{"{text}", "a=a;b=b", `predict run "a text of your own"`},
		{"{text}", "", `generate run "a text of your own"`},
		{"p: {premise} h: {hypothesis} again {premise}", "a=a;b=b", `predict run '{"premise": "…", "hypothesis": "…"}'`},
		{"question: {question} context: {context}", "", `generate run '{"question": "…", "context": "…"}'`},
	} {
		if got := use(tune.Settings{Template: c.template, Verbalizer: c.words}, "run"); got != c.want {
			t.Errorf("%q, %q: %s, want %s", c.template, c.words, got, c.want)
		}
	}
}

// TestAdvise: a prompt that is no better than none comes with what to try.
func TestAdvise(t *testing.T) {
	run := func(loss string, majority, none, tuned float64) string {
		return advise(&tune.Result{
			Settings:   tune.Settings{Model: "tiny", Loss: loss, Verbalizer: "negative=bad;positive=good"},
			Validation: tune.Comparison{Majority: majority, NoPrompt: none, Tuned: tuned},
		})
	}
	if got := run("sum", 50, 60, 60.1); got != "" {
		t.Errorf("a better prompt: %q", got)
	}
	for _, c := range []struct {
		majority, none float64
	}{{50, 60}, {60, 50}} {
		got := run("sum", c.majority, c.none, 60)
		if !strings.Contains(got, "--loss labels") || !strings.Contains(got, "negative=bad;positive=good") || !strings.Contains(got, "tiny") {
			t.Errorf("majority %v, none %v: %q", c.majority, c.none, got)
		}
	}
	if got := advise(&tune.Result{Settings: tune.Settings{Model: "tiny"}}); strings.Contains(got, "--verbalizer") || strings.Contains(got, "--loss") || !strings.Contains(got, "--steps") {
		t.Errorf("a task without label words: %q", got)
	}
	if got := run("labels", 50, 60, 55); strings.Contains(got, "--loss labels") || !strings.Contains(got, "--steps") {
		t.Errorf("trained on labels already: %q", got)
	}
}

// TestBar draws what a terminal would show. Notes go through the bar while it
// is there, and to stderr again afterwards.
func TestBar(t *testing.T) {
	var out bytes.Buffer
	ui := newTUI(nil, io.Discard, &out)
	report, done := ui.bar(tune.ChooseHeldOut)
	done() // nothing was drawn yet
	if out.Len() > 0 {
		t.Errorf("a bar without a run drew %q", &out)
	}
	report(tune.Event{Step: 10, Steps: 20, Loss: 2.5, Score: 60, Best: 61.5, BestStep: 5, Rate: 100, Left: 3 * time.Second})
	if ui.stderr.w == &out {
		t.Error("while the bar is there, lines do not go through it")
	}
	report(tune.Event{Step: 20, Steps: 20, Score: 70, Best: 70, BestStep: 20, Evaluated: true})
	done()
	if ui.stderr.w != &out {
		t.Error("the bar is over, and lines still go through it")
	}
	ui.note("over")
	if got := out.String(); !strings.HasSuffix(got, "softprompt: over\n") {
		t.Errorf("stderr has %q", got)
	}
}

// TestVerbose shows what the library logs on the way.
func TestVerbose(t *testing.T) {
	var out bytes.Buffer
	ui := newTUI(nil, io.Discard, &out)
	ui.log.Info("opening", "model", "tiny")
	ui.set(cli{Verbose: true, JSON: true, Quiet: true})
	ui.log.Debug("opening", "model", "tiny")
	if got := out.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "level=DEBUG msg=opening model=tiny") {
		t.Errorf("stderr has %q", got)
	}
	if !ui.json || !ui.quiet {
		t.Errorf("flags were lost: %+v", ui)
	}
}

// TestEveryCommandHelps: each command and each of its flags says what it is
// for, and each command that does something has examples of itself.
func TestEveryCommandHelps(t *testing.T) {
	parser, err := kong.New(&cli{}, kong.Name("softprompt"), kong.PostBuild(showDefaults))
	if err != nil {
		t.Fatal(err)
	}
	commands := 0
	for _, leaf := range parser.Model.Leaves(true) {
		commands++
		name := "softprompt " + strings.TrimPrefix(leaf.Path(), "softprompt ")
		if leaf.Help == "" {
			t.Errorf("%s has no help", name)
		}
		for _, flag := range leaf.Flags {
			if flag.Help == "" || strings.Contains(flag.Help, "INITS") {
				t.Errorf("%s: flag --%s has the help %q", name, flag.Name, flag.Help)
			}
		}
		for _, arg := range leaf.Positional {
			if arg.Help == "" {
				t.Errorf("%s: argument %s has no help", name, arg.Name)
			}
		}
		if strings.HasSuffix(name, " list") || strings.HasSuffix(name, " version") {
			continue // nothing to say beyond their names
		}
		examples := 0
		for line := range strings.Lines(leaf.Detail) {
			example, ok := strings.CutPrefix(strings.TrimSpace(line), "softprompt ")
			if !ok || !strings.HasPrefix(line, "    ") {
				continue
			}
			if !strings.HasPrefix("softprompt "+example, name) {
				t.Errorf("%s: an example of another command: %s", name, example)
			}
			examples++
		}
		if examples == 0 {
			t.Errorf("%s has no examples: %q", name, leaf.Detail)
		}
	}
	if commands < 11 {
		t.Errorf("%d commands", commands)
	}
}

// TestPasses says how a batch goes through the model, of old runs too.
func TestPasses(t *testing.T) {
	for want, c := range map[string]struct {
		s       tune.Settings
		threads int
	}{
		"micro-batches of 4 rows, 2 workers of 1 thread, fp32":   {tune.Settings{Batch: 32, MicroBatch: 4, Workers: 2, Precision: "fp32"}, 2},
		"micro-batches of 1 row, 1 worker of 8 threads, int8":    {tune.Settings{Batch: 32, MicroBatch: 1, Workers: 1, Precision: "int8"}, 8},
		"micro-batches of 16 rows, 3 workers of 2 threads, bf16": {tune.Settings{Batch: 16, MicroBatch: 32, Workers: 3, Precision: "bf16"}, 7},
		"micro-batches of 32 rows, 1 worker of 1 thread, fp32":   {tune.Settings{Batch: 32, MicroBatch: 32}, 1},
		"micro-batches of 2 rows, 4 workers of 1 thread, fp16":   {tune.Settings{Batch: 8, MicroBatch: 2, Workers: 4, Precision: "fp16"}, 2},
	} {
		if got := passes(c.s, c.threads); got != want {
			t.Errorf("%+v: %q, want %q", c.s, got, want)
		}
	}
}
