package paired_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"softprompt/onnx/ort/orttest"
	"softprompt/prompt/tune"
	"softprompt/tasks"
	"softprompt/tools/paired"
)

var gold = []int{0, 1, 0, 1}

// answered makes answers with their accuracy.
func answered(predictions ...int) paired.Answers {
	a := paired.Answers{Predictions: predictions, Gold: gold}
	for i, p := range predictions {
		if p == gold[i] {
			a.Accuracy += 25
		}
	}
	return a
}

func TestCompare(t *testing.T) {
	right, wrong, half := answered(0, 1, 0, 1), answered(1, 0, 1, 0), answered(0, 1, 1, 0)
	for _, c := range []struct {
		name       string
		a, b       []paired.Answers
		means      [2]float64
		difference float64
		exact      bool // the interval is a point
		differ     float64
	}{
		{"alike", []paired.Answers{right, wrong}, []paired.Answers{right, wrong}, [2]float64{50, 50}, 0, true, 0},
		{"better", []paired.Answers{right}, []paired.Answers{wrong}, [2]float64{100, 0}, 100, true, 1},
		{"worse", []paired.Answers{wrong}, []paired.Answers{right}, [2]float64{0, 100}, -100, true, 1},
		{"half", []paired.Answers{right, right}, []paired.Answers{half, right}, [2]float64{100, 75}, 25, false, 0.25},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := paired.Compare(c.a, c.b)
			if err != nil {
				t.Fatal(err)
			}
			if got.Means != c.means || got.Difference != c.difference {
				t.Errorf("means %v, difference %v", got.Means, got.Difference)
			}
			if exact := got.Low == got.Difference && got.High == got.Difference; exact != c.exact || got.Low > got.Difference || got.High < got.Difference {
				t.Errorf("interval %v to %v around %v", got.Low, got.High, got.Difference)
			}
			if d := paired.Disagreement(c.a, c.b); d != c.differ {
				t.Errorf("disagreement %v, want %v", d, c.differ)
			}
		})
	}
	c := paired.Comparison{Low: -0.444, Difference: 0.125, High: 1}
	if got := c.String(); got != "difference +0.12 points, 95 % interval -0.44 to +1.00" {
		t.Errorf("printed %q", got)
	}
	if got := paired.Accuracies([]paired.Answers{right, half}); !slices.Equal(got, []float64{100, 50}) {
		t.Errorf("accuracies %v", got)
	}
}

func TestCompareRefuses(t *testing.T) {
	a := answered(0, 1, 0, 1)
	other := paired.Answers{Predictions: gold, Gold: []int{1, 1, 1, 1}}
	short := paired.Answers{Predictions: []int{0}, Gold: gold}
	for want, sides := range map[string][2][]paired.Answers{
		"comparing 0 runs with 0":            {nil, nil},
		"comparing 1 runs with 2":            {{a}, {a, a}},
		"did not answer the same examples":   {{a}, {other}},
		"seed 0 has 4 and 1 examples, want ": {{a}, {short}},
	} {
		if _, err := paired.Compare(sides[0], sides[1]); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func TestWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results", "day.json")
	type result struct {
		Name string `json:"name"`
		paired.Comparison
	}
	want := result{"x", paired.Comparison{Means: [2]float64{1, 2}, Low: -3, Difference: -1, High: 1}}
	for range 2 { // over what is there, too
		if err := paired.Write(path, want); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got result
	if err := json.Unmarshal(data, &got); err != nil || got != want {
		t.Errorf("read %+v of %s, %v", got, data, err)
	}
	if err := paired.Write(path, math.NaN()); err == nil {
		t.Error("wrote what is no number")
	}
	if again, err := os.ReadFile(path); err != nil || string(again) != string(data) {
		t.Errorf("a failed write left %s, %v", again, err)
	}
	if err := paired.Write(filepath.Join(path, "x.json"), want); err == nil {
		t.Error("wrote below a file")
	}
}

// Answer scores a real run on another folder than it was tuned with.
func TestAnswer(t *testing.T) {
	t.Setenv("SOFTPROMPT_CACHE", t.TempDir())
	rt := orttest.Runtime(t)
	task, err := tasks.Lookup("sst2")
	if err != nil {
		t.Fatal(err)
	}
	s := tune.Defaults(task)
	s.Data, s.Threads, s.Length, s.MaxInput, s.Steps, s.Batch, s.HeldOut = folder(t, 12, 4), 1, 2, 16, 1, 4, 4
	dir := filepath.Join(t.TempDir(), "run")
	if _, err := tune.Train(t.Context(), rt, s, tune.Options{Out: dir}); err != nil {
		t.Fatal(err)
	}
	a, err := paired.Answer(t.Context(), rt, dir, folder(t, 0, 10))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(a.Gold, []int{0, 1, 0, 1, 0, 1, 0, 1, 0, 1}) || len(a.Predictions) != 10 {
		t.Errorf("answers %+v", a)
	}
	hits := 0.0
	for _, h := range tasks.Hits(a.Gold, a.Predictions) {
		hits += h / 10
	}
	if math.Abs(a.Accuracy-hits) > 1e-9 {
		t.Errorf("accuracy %v, by the answers %v", a.Accuracy, hits)
	}
	for name, wrong := range map[string][2]string{
		"no run":  {t.TempDir(), ""},
		"no data": {dir, t.TempDir()},
	} {
		if _, err := paired.Answer(t.Context(), rt, wrong[0], wrong[1]); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// folder writes rows in SST-2's form, every other one positive.
func folder(t *testing.T, train, dev int) string {
	t.Helper()
	dir := t.TempDir()
	for name, rows := range map[string]int{"train.tsv": train, "dev.tsv": dev} {
		text := "sentence\tlabel\n"
		for i := range rows {
			text += fmt.Sprintf("%s film number %d\t%d\n", []string{"a dull", "a gorgeous"}[i%2], i, i%2)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
