package main

import (
	"math"
	"strings"
	"testing"

	"softprompt/prompt/tune"
)

func rowOf(targets ...int) []tune.Row {
	var rows []tune.Row
	for _, n := range targets {
		rows = append(rows, tune.Row{Target: make([]int64, n)})
	}
	return rows
}

// TestTextRun: the rate is over all steps, the loss over all tokens, each
// batch counted once however often it was trained on.
func TestTextRun(t *testing.T) {
	r := &textRun{
		Seconds: []float64{1, 3}, Losses: []float64{4, 1, 4},
		batches: [][]tune.Row{rowOf(2, 1), rowOf(1)},
	}
	if got := r.rate(16); got != 8 {
		t.Errorf("32 rows in 4 s are %v a second", got)
	}
	if got, want := r.mean(), (3*4.0+1)/4; got != want {
		t.Errorf("mean loss %v, want %v", got, want)
	}
}

func TestSameLosses(t *testing.T) {
	two := [][]tune.Row{rowOf(1), rowOf(1)}
	run := func(name, padding string, losses ...float64) *textRun {
		r := &textRun{Name: name, Padding: padding, Losses: losses, batches: two}
		r.Loss = r.mean()
		return r
	}
	own := run("softprompt", "by length", 3, 5, 3)
	for _, c := range []struct {
		name, want string
		runs       []*textRun
	}{
		{"the same rows in another order", "", []*textRun{own, run("peft", "longest", 5, 3, 5), run("peft", "max_length", 5)}},
		{"other rows", "they do not train on the same", []*textRun{own, run("peft", "longest", 5, 3.1, 5)}},
		{"padding that is not masked", "step 1: the loss is 5.000000 padded to longest and 5.100000 to max_length", []*textRun{own, run("peft", "longest", 5, 3), run("peft", "max_length", 5.1)}},
		{"softprompt alone", "", []*textRun{own}},
		{"nobody", "", nil},
	} {
		err := sameLosses(c.runs)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// TestStepAtRateZero leaves the prompt where it is, so that a batch has the
// same loss whenever it comes.
func TestStepAtRateZero(t *testing.T) {
	tr, err := newTrainer(t.Context(), training{dir: testModel(t), threads: 1, optimizer: "adamw"})
	if err != nil {
		t.Fatal(err)
	}
	defer tr.close()
	var losses []float64
	for range 4 {
		s, err := tr.step(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		losses = append(losses, s.Loss)
	}
	if losses[0] == losses[1] || losses[0] != losses[2] || losses[1] != losses[3] || math.IsNaN(losses[0]) {
		t.Errorf("losses %v of two batches in turn", losses)
	}
}
