package study

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"softprompt/models"
	"softprompt/onnx/ort/orttest"
	"softprompt/prompt/tune"
)

// small is a study of runs of two steps on a few sentences, which vote and are
// scored on a table of one's own.
func small(t *testing.T, more string) *File {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, rows := range map[string]int{"train.tsv": 12, "dev.tsv": 4} {
		text := "sentence\tlabel\n"
		for i := range rows {
			text += fmt.Sprintf("%s number %d\t%d\n", []string{"a dull film", "a great film"}[i%2], i, i%2)
		}
		write(name, text)
	}
	write("other.tsv", "text\tlabel\nfine\tpositive\nawful\tnegative\nbad\tnegative\n")
	f := parse(t, fmt.Sprintf(`
base:
  {task: sst2, data: %[1]q, template: "{sentence}", verbalizer: "negative=terrible;positive=great", length: 2, steps: 2,
   batch: 4, micro_batch: 4, workers: 1, held_out: 4, eval_every: 1, log_every: 1, window: 1, max_input: 16}
transfer: [{task: %[2]q, split: train}]
`, dir, filepath.Join(dir, "other.tsv"))+more)
	return f
}

const two = "seeds: 2\nensemble: true\nvary: [{length: [2, 3]}]\n"

// options of a study in a folder.
func options(t *testing.T, out string) Options {
	t.Helper()
	return Options{Out: out, Open: models.Options{CacheDir: filepath.Join(filepath.Dir(out), "cache")}}
}

// prompts are those of all runs below a folder, by variant and seed.
func prompts(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*", "*", tune.PromptFile))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name, err := filepath.Rel(dir, filepath.Dir(path))
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.ToSlash(name)] = string(data)
	}
	return out
}

// said is an outcome without its clock, as JSON.
func said(t *testing.T, outcomes []Outcome) string {
	t.Helper()
	for _, o := range outcomes {
		for _, r := range o.Runs {
			r.Seconds, r.Prompt = 0, filepath.Base(r.Prompt)
		}
	}
	data, err := json.Marshal(outcomes)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestRun makes a study: what is done is not made again, a start that was killed
// and a run that was stopped are gone on with, and an outcome that was lost is
// computed from the prompts that are there.
func TestRun(t *testing.T) {
	ctx, rt := context.Background(), orttest.Runtime(t)
	f, opts := small(t, two), options(t, filepath.Join(t.TempDir(), "out"))
	opts.Only = []string{"length=2"}
	outcomes, err := Run(ctx, rt, f, opts)
	if err != nil || len(outcomes) != 1 {
		t.Fatalf("%d outcomes, %v", len(outcomes), err)
	}
	checkOutcome(t, outcomes[0], f, opts.Out)
	first, want := prompts(t, opts.Out), said(t, outcomes)

	// What is done needs no runtime.
	var begun []string
	opts.Begin = func(v Variant, done bool) { begun = append(begun, fmt.Sprint(v.Name, " ", done)) }
	outcomes, err = Run(ctx, nil, f, opts)
	if err != nil || said(t, outcomes) != want || !slices.Equal(begun, []string{"length=2 true"}) {
		t.Errorf("again: %v, %v", begun, err)
	}

	// The second variant alone is quicker: it is scored on nothing else.
	opts.Only, begun, f.Transfer, f.Ensemble = nil, nil, nil, false
	stopSecond(t, f, opts)
	outcomes, err = Run(ctx, rt, f, opts)
	if err != nil || len(outcomes) != 2 || said(t, outcomes[:1]) != want {
		t.Fatalf("gone on with: %d outcomes, %v", len(outcomes), err)
	}
	if !slices.Equal(begun, []string{"length=2 true", "length=3 false", "length=2 true", "length=3 false"}) {
		t.Errorf("begun %v", begun)
	}
	checkOutcome(t, outcomes[1], f, opts.Out)
	whole, both := prompts(t, opts.Out), said(t, outcomes)
	if len(first) != 2 || len(whole) != 4 || whole["length=2/seed-1"] != first["length=2/seed-1"] {
		t.Errorf("%d prompts, then %d", len(first), len(whole))
	}

	// Lost, as if the study was killed while it wrote the outcome.
	path := filepath.Join(opts.Out, "length=3", OutcomeFile)
	half := filepath.Join(opts.Out, "length=3", "."+OutcomeFile+".tmp-7")
	if err := errors.Join(os.Remove(path), os.WriteFile(half, []byte(`{"na`), 0o600)); err != nil {
		t.Fatal(err)
	}
	outcomes, err = Run(ctx, rt, f, opts)
	if err != nil || said(t, outcomes) != both || !maps.Equal(prompts(t, opts.Out), whole) {
		t.Errorf("its outcome lost: %v, %v", outcomes, err)
	}
	if _, err := os.Stat(half); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("half an outcome is still there: %v", err)
	}
}

// stopSecond stops a study in the first step of its second variant, whose folder
// a killed start has left without settings.
func stopSecond(t *testing.T, f *File, opts Options) {
	t.Helper()
	dir := filepath.Join(opts.Out, "length=3")
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, "."+tune.RunsFile+".tmp-1"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	opts.Report = func(v Variant, e tune.Event) {
		if v.Name == "length=3" && e.Step == 1 {
			stop()
		}
	}
	outcomes, err := Run(ctx, orttest.Runtime(t), f, opts)
	if !errors.Is(err, tune.ErrStopped) || !strings.HasPrefix(err.Error(), "study test, length=3: ") || len(outcomes) != 1 || outcomes[0].Name != "length=2" {
		t.Fatalf("stopped: %d outcomes, %v", len(outcomes), err)
	}
	if _, err := os.Stat(filepath.Join(dir, OutcomeFile)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a variant that was stopped has an outcome: %v", err)
	}
}

// checkOutcome computes what an outcome of two seeds says from its parts, and
// looks for its files.
func checkOutcome(t *testing.T, o Outcome, f *File, out string) {
	t.Helper()
	half := func(a, b float64) (mean, deviation float64) { return (a + b) / 2, math.Abs(a-b) / math.Sqrt2 }
	near := func(a, b float64) bool { return math.Abs(a-b) < 1e-9 }
	if len(o.Runs) != 2 || len(o.Transfer) != len(f.Transfer) || (o.Ensemble != nil) != f.Ensemble {
		t.Fatalf("%+v", o)
	}
	mean, deviation := half(o.Runs[0].Validation.Tuned, o.Runs[1].Validation.Tuned)
	if !near(o.Mean, mean) || !near(o.Deviation, deviation) {
		t.Errorf("%s: %v ± %v, want %v ± %v", o.Name, o.Mean, o.Deviation, mean, deviation)
	}
	if e := o.Ensemble; e != nil && (len(e.Members) != 2 || !near(e.Mean, mean)) {
		t.Errorf("%s: the ensemble of %d has the mean %v, want %v", o.Name, len(e.Members), e.Mean, mean)
	}
	for _, x := range o.Transfer {
		if len(x.Scores) != 2 {
			t.Fatalf("%s: transfer %+v", o.Name, x)
		}
		if mean, deviation = half(x.Scores[0], x.Scores[1]); !near(x.Mean, mean) || !near(x.Deviation, deviation) || x.Split != "train" {
			t.Errorf("%s: transfer %+v", o.Name, x)
		}
	}
	for i, r := range o.Runs {
		seed := fmt.Sprint("seed-", i+1)
		if r.Name != seed || r.Settings.Seed != uint64(i+1) || r.Prompt != filepath.Join(out, o.Name, seed, tune.PromptFile) {
			t.Errorf("%s: run %d is %s of seed %d in %s", o.Name, i, r.Name, r.Settings.Seed, r.Prompt)
		}
	}
	var kept Outcome
	data, err := os.ReadFile(filepath.Join(out, o.Name, OutcomeFile))
	if err == nil {
		err = json.Unmarshal(data, &kept)
	}
	if err != nil || kept.Name != o.Name || kept.Mean != o.Mean || !strings.HasSuffix(string(data), "}\n") {
		t.Errorf("%s: its file has %+v, %v", o.Name, kept, err)
	}
}

// TestRunRefuses: what is wrong with a study shows before any run, and a broken
// outcome is named and not made anew over what may be there.
func TestRunRefuses(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	begun := 0
	opts := Options{Out: out, Begin: func(Variant, bool) { begun++ }}
	for text, want := range map[string]string{
		"base: {task: sst2}\ntransfer: [{task: sst2, split: tset}]":                     `study test: transfer: task sst2 has no split "tset", want one of [train validation test]`,
		"base: {task: sst2}\ntransfer: [{task: sst3}]":                                  `study test: transfer: no task named "sst3"`,
		"base: {task: sst2}\nvary: [{length: [5]}, {steps: [3, 0]}]":                    "study test, length=5,steps=0: --steps is 0, want at least 1",
		"base: {task: sst2}\nvary: [{init: [\"text:a b\", \"text:a-b\"]}]":              "study test: two variants are called init=text-a-b",
		"base: {task: sst2}\nensemble: true\nseeds: 2\nvary: [{method: [model, dept]}]": "study test, method=model: 2 prompts cannot share a pass: method model has one model in it",
	} {
		if outcomes, err := Run(context.Background(), nil, parse(t, text), opts); err == nil || err.Error() != want || outcomes != nil {
			t.Errorf("%q: %v, %v\nwant %s", text, outcomes, err, want)
		}
	}
	if _, err := os.Stat(out); !errors.Is(err, fs.ErrNotExist) || begun != 0 {
		t.Errorf("%d variants begun, %v", begun, err)
	}
	path := filepath.Join(out, "length=5", OutcomeFile)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(`{"name": "len`), 0o644)); err != nil {
		t.Fatal(err)
	}
	_, err := Run(context.Background(), nil, parse(t, "base: {task: sst2}\nvary: [{length: [5]}]"), opts)
	if want := "study test, length=5: reading " + path + ": unexpected end of JSON input"; err == nil || err.Error() != want || begun != 0 {
		t.Errorf("%v, want %s; %d begun", err, want, begun)
	}
}
