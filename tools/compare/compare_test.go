package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"softprompt/models"
	"softprompt/prompt/tune"
	"softprompt/tools/paired"
)

// smallSettings are those of a comparison that takes a second, on rows of
// which every other one is positive.
func smallSettings(t *testing.T) tune.Settings {
	t.Helper()
	t.Setenv("SOFTPROMPT_CACHE", t.TempDir())
	s, err := settings(3, 4, 0.5)
	if err != nil {
		t.Fatal(err)
	}
	s.Data, s.Threads = t.TempDir(), 1
	s.Batch, s.MicroBatch, s.Workers, s.HeldOut, s.EvalEvery, s.Window, s.MaxInput = 4, 4, 1, 4, 2, 1, 16
	for name, rows := range map[string]int{"train.tsv": 16, "dev.tsv": 8} {
		var b strings.Builder
		b.WriteString("sentence\tlabel\n")
		for i := range rows {
			fmt.Fprintf(&b, "%s film number %d\t%d\n", []string{"a dull", "a gorgeous"}[i%2], i, i%2)
		}
		if err := os.WriteFile(filepath.Join(s.Data, name), []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// fakePython writes a program that stands in for the interpreter: it checks
// that the plans are there, notes how it was called, and has PEFT's answers
// ready.
func fakePython(t *testing.T, peft any) (program, called string) {
	t.Helper()
	dir := t.TempDir()
	data, err := json.Marshal(peft)
	if err != nil {
		t.Fatal(err)
	}
	program, called = filepath.Join(dir, "python"), filepath.Join(dir, "called")
	text := fmt.Sprintf(`#!/bin/sh
printf '%%s\n' "$@" > '%[1]s/called'
out=$5
shift 6
for plan; do test -s "$plan" || { echo "no plan $plan"; exit 3; }; done
echo "PEFT trains $# plans"
cp '%[1]s/answers' "$out"
`, dir)
	for name, content := range map[string][]byte{program: []byte(text), filepath.Join(dir, "answers"): data} {
		if err := os.WriteFile(name, content, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return program, called
}

// always answers every row of smallSettings' development set alike.
func always(class int) paired.Answers {
	return paired.Answers{Accuracy: 50, Predictions: slices.Repeat([]int{class}, 8), Gold: []int{0, 1, 0, 1, 0, 1, 0, 1}}
}

// peftFile is the form of what the script writes, its other fields included.
func peftFile(runs ...paired.Answers) map[string]any {
	var list []map[string]any
	for _, r := range runs {
		list = append(list, map[string]any{
			"dev_accuracy": r.Accuracy, "predictions": r.Predictions, "gold": r.Gold, "seconds": 1.5, "start_accuracy": 50,
		})
	}
	return map[string]any{"mean_dev_accuracy": 50, "runs": list}
}

// TestRun compares two real runs with answers that are known.
func TestRun(t *testing.T) {
	s := smallSettings(t)
	python, called := fakePython(t, peftFile(always(1), always(1)))
	dir := t.TempDir()
	o := options{python: python, dir: filepath.Join(dir, "runs"), out: filepath.Join(dir, "result.json"), seeds: 2}
	var stdout, stderr bytes.Buffer
	if err := run(t.Context(), o, s, &stdout, &stderr); err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}

	// PEFT was given the model and one plan for each seed.
	args, err := os.ReadFile(called)
	if err != nil {
		t.Fatal(err)
	}
	plans := []string{filepath.Join(o.dir, "plan-1.safetensors"), filepath.Join(o.dir, "plan-2.safetensors")}
	want := append([]string{script, "--model", model, "--out", filepath.Join(o.dir, "peft.json"), "--plan"}, plans...)
	if got := strings.Split(strings.TrimSpace(string(args)), "\n"); !slices.Equal(got, want) {
		t.Errorf("the script was called with %q, want %q", got, want)
	}
	for _, said := range []string{"softprompt seed 1: ", "softprompt seed 2: ", "PEFT trains 2 plans\n"} {
		if !strings.Contains(stderr.String(), said) {
			t.Errorf("progress %q lacks %q", &stderr, said)
		}
	}

	// The plans are those of the runs here: they start from the run's seed.
	var starts [2][]float32
	for i, plan := range plans {
		ck, err := models.OpenSafetensors(plan)
		if err != nil {
			t.Fatal(err)
		}
		if starts[i], err = ck.Float32("prompt"); err != nil {
			t.Fatal(err)
		}
		if ck.Metadata["lr"] != "0.5" || ck.Metadata["eval_every"] != "2" {
			t.Errorf("plan %s has %v", plan, ck.Metadata)
		}
		ck.Close()
		ran, err := tune.ReadSettings(filepath.Join(o.dir, fmt.Sprint("run-", i+1)))
		if err != nil || ran.Seed != uint64(i+1) || ran.Optimizer != "adamw" || ran.Dropout != 0 {
			t.Errorf("run %d has settings %+v, %v", i+1, ran, err)
		}
	}
	if slices.Equal(starts[0], starts[1]) {
		t.Error("both seeds start from one prompt")
	}

	data, err := os.ReadFile(o.out)
	if err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(r.PEFT, []float64{50, 50}) || len(r.Softprompt) != 2 || r.Runtime == "" || r.Date == "" {
		t.Errorf("result %+v", r)
	}
	if d := (r.Softprompt[0]+r.Softprompt[1])/2 - 50; d != r.Difference || r.Low > d || r.High < d {
		t.Errorf("difference %v in [%v, %v], by the accuracies it is %v", r.Difference, r.Low, r.High, d)
	}
	if got := r.Settings.(map[string]any)["seed"]; got != 1.0 {
		t.Errorf("the settings are those of seed %v", got)
	}
	if !strings.HasPrefix(stdout.String(), "SST-2 development set") || !strings.Contains(stdout.String(), "\n| 2 | ") {
		t.Errorf("printed %q", &stdout)
	}

	// A second comparison does not write over the first.
	if err := run(t.Context(), o, s, &stdout, &stderr); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("a folder that is there: %v", err)
	}
}

// TestTrainPEFTFails says which side failed, and how.
func TestTrainPEFTFails(t *testing.T) {
	plan := filepath.Join(t.TempDir(), "plan")
	if err := os.WriteFile(plan, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	good, _ := fakePython(t, peftFile(always(0)))
	broken, _ := fakePython(t, "no object")
	for _, c := range []struct {
		name, python, want string
		plans              []string
	}{
		{"no interpreter", filepath.Join(t.TempDir(), "python"), "running " + script, []string{plan}},
		{"a script that fails", good, "exit status 3", []string{plan + "-2"}},
		{"no JSON", broken, "peft.json: json: ", []string{plan}},
		{"fewer runs than plans", good, "it has 1 runs, want 2", []string{plan, plan}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var progress bytes.Buffer
			_, err := trainPEFT(t.Context(), c.python, c.plans, filepath.Join(t.TempDir(), "peft.json"), &progress)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if c.name == "a script that fails" && progress.String() != "no plan "+plan+"-2\n" {
				t.Errorf("the script's own words are lost: %q", &progress)
			}
		})
	}
}

func TestParsePEFT(t *testing.T) {
	runs, err := parsePEFT([]byte(`{"mean_dev_accuracy": 75, "runs": [{"plan": "p", "seed": 0, "start_accuracy": 50, "dev_accuracy": 75,
		"best_step": 2, "held_accuracy": [[0, 50.0]], "losses": [1.5], "seconds": 2.5, "predictions": [0, 1, 1, 1], "gold": [0, 1, 0, 1]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if len(runs) != 1 || runs[0].Accuracy != 75 || !slices.Equal(runs[0].Predictions, []int{0, 1, 1, 1}) || !slices.Equal(runs[0].Gold, []int{0, 1, 0, 1}) {
		t.Errorf("runs %+v", runs)
	}
	for text, want := range map[string]string{
		``:             "unexpected end",
		`[]`:           "cannot unmarshal array",
		`{}`:           "it has no runs",
		`{"runs": []}`: "it has no runs",
		`{"runs": [{"predictions": [1], "gold": [1]}, {"predictions": [1], "gold": [1, 0]}]}`: "run 2: 1 predictions for 2 examples",
		`{"runs": [{"dev_accuracy": 50}]}`:                 "run 1: 0 predictions",
		`{"runs": [{"predictions": [0.5], "gold": [1]}]}`:  "cannot unmarshal number 0.5",
		`{"runs": [{"predictions": ["1"], "gold": ["1"]}]`: "unexpected end",
	} {
		if _, err := parsePEFT([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", text, err, want)
		}
	}
}

// TestCompare puts numbers together whose means and interval are known.
func TestCompare(t *testing.T) {
	gold := []int{0, 1, 0, 1}
	right := paired.Answers{Accuracy: 100, Predictions: gold, Gold: gold}
	wrong := paired.Answers{Predictions: []int{1, 0, 1, 0}, Gold: gold}
	for _, c := range []struct {
		name                       string
		ours, theirs               []paired.Answers
		low, difference, high      float64
		softprompt, peft, interval string
	}{
		{"alike", []paired.Answers{right, wrong}, []paired.Answers{right, wrong}, 0, 0, 0, "50.00", "50.00", "difference +0.00 points, 95 % interval +0.00 to +0.00\n"},
		{"better", []paired.Answers{right, right}, []paired.Answers{wrong, wrong}, 100, 100, 100, "100.00", "0.00", "difference +100.00 points, 95 % interval +100.00 to +100.00\n"},
		{"worse", []paired.Answers{wrong}, []paired.Answers{right}, -100, -100, -100, "0.00", "100.00", "difference -100.00 points, 95 % interval -100.00 to -100.00\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var r report
			if err := r.compare(c.ours, c.theirs); err != nil {
				t.Fatal(err)
			}
			if r.Low != c.low || r.Difference != c.difference || r.High != c.high {
				t.Errorf("%v in [%v, %v]", r.Difference, r.Low, r.High)
			}
			var out bytes.Buffer
			r.print(&out)
			if want := fmt.Sprintf("| mean | %s | %s |\n%s", c.softprompt, c.peft, c.interval); !strings.HasSuffix(out.String(), want) {
				t.Errorf("printed %q, want at its end %q", &out, want)
			}
			if rows := strings.Count(out.String(), "\n| "); rows != len(c.ours)+2 {
				t.Errorf("%d rows for %d seeds:\n%s", rows, len(c.ours), &out)
			}
		})
	}
	other := paired.Answers{Accuracy: 100, Predictions: []int{1, 1, 1, 1}, Gold: []int{1, 1, 1, 1}}
	for _, c := range []struct {
		ours, theirs []paired.Answers
		want         string
	}{
		{nil, nil, "comparing 0 runs with 0"},
		{[]paired.Answers{right}, nil, "comparing 1 runs with 0"},
		{[]paired.Answers{right}, []paired.Answers{other}, "did not answer the same examples"},
	} {
		if err := (&report{}).compare(c.ours, c.theirs); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
}

// TestSettings are those that PEFT's side can follow.
func TestSettings(t *testing.T) {
	s, err := settings(200, 20, 0.25)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Check(); err != nil {
		t.Error(err)
	}
	if s.Steps != 200 || s.Length != 20 || s.LearningRate != 0.25 || s.Optimizer != "adamw" || s.Loss != "mean" ||
		s.Dropout != 0 || s.ZLoss != 0 || s.WeightDecay != 0 || s.ClipNorm != 0 || s.Schedule != "constant" || s.Init != "vocab" {
		t.Errorf("settings %+v", s)
	}
}

// TestResults holds the kept results against themselves: a mean is that of its
// seeds, and lies in its interval.
func TestResults(t *testing.T) {
	files, err := filepath.Glob("results/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("results %v, %v", files, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var r report
		d := json.NewDecoder(bytes.NewReader(data))
		d.DisallowUnknownFields()
		if err := d.Decode(&r); err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		var sums [2]float64
		for i := range r.Softprompt {
			sums[0] += r.Softprompt[i]
			sums[1] += r.PEFT[i]
		}
		for side, sum := range sums {
			if mean := sum / float64(len(r.Softprompt)); math.Abs(mean-r.Means[side]) > 1e-9 {
				t.Errorf("%s: side %d has mean %v, its seeds %v", file, side, r.Means[side], mean)
			}
		}
		if math.Abs(r.Means[0]-r.Means[1]-r.Difference) > 1e-9 || r.Low > r.Difference || r.High < r.Difference {
			t.Errorf("%s: difference %v in [%v, %v] of means %v", file, r.Difference, r.Low, r.High, r.Means)
		}
	}
}
