package tune

import (
	"context"
	"slices"
	"strings"
	"testing"

	"softprompt/onnx/ort/orttest"
	"softprompt/tasks"
)

// TestInTurn: the examples of a text prompt take the classes in turn, are the
// same for a seed, and leave out rows without an answer.
func TestInTurn(t *testing.T) {
	var train []tasks.Example
	for i, label := range []int{0, 0, 0, 0, 1, 1, 2, -1} {
		ex := tasks.Example{Index: i, Label: label, Target: "word"}
		if label < 0 {
			ex.Target = ""
		}
		train = append(train, ex)
	}
	labels := func(n int, seed uint64) (out []int) {
		for _, ex := range inTurn(train, n, seed) {
			out = append(out, ex.Label)
		}
		return out
	}
	for n, want := range map[int][]int{0: nil, 2: {0, 1}, 5: {0, 1, 2, 0, 1}, 100: {0, 1, 2, 0, 1, 0, 0}} {
		if got := labels(n, 1); !slices.Equal(got, want) {
			t.Errorf("%d examples are of the classes %v, want %v", n, got, want)
		}
	}
	index := func(seed uint64) (out []int) {
		for _, ex := range inTurn(train, 3, seed) {
			out = append(out, ex.Index)
		}
		return out
	}
	if !slices.Equal(index(7), index(7)) {
		t.Error("one seed draws two sets of examples")
	}
	if slices.Equal(index(1), index(2)) && slices.Equal(index(2), index(3)) {
		t.Error("the seed draws nothing")
	}
}

// TestContextFits: examples are left out, last first, and then the
// instruction, where an input leaves no room.
func TestContextFits(t *testing.T) {
	c := &textContext{instruction: []int64{1, 2}, shots: [][]int64{{3, 4, 5}, {6}}}
	for left, want := range map[int][]int64{
		9: {1, 2, 3, 4, 5, 6}, 6: {1, 2, 3, 4, 5, 6}, 5: {1, 2, 3, 4, 5}, 4: {1, 2}, 2: {1, 2}, 1: nil,
	} {
		if got, _ := c.before(10, 10+left); !slices.Equal(got, want) {
			t.Errorf("with room for %d tokens: %v, want %v", left, got, want)
		}
	}
}

// TestTextPredictor: a text prompt is read before every input as if it were
// written there, and without one the model answers as it is.
func TestTextPredictor(t *testing.T) {
	ctx, rt := context.Background(), orttest.Runtime(t)
	data := tasks.LoadOptions{Data: smallData(t, 8, 20)}
	opts := PredictOptions{Model: "tiny", Task: "sst2", Template: "{sentence}", Verbalizer: "negative=terrible;positive=great", Open: opened.Open}
	open := func(text TextPrompt) *Predictor {
		p, err := NewTextPredictor(ctx, rt, text, data, opts)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Close)
		return p
	}
	bare := open(TextPrompt{})
	shot := open(TextPrompt{Instruction: "Review:", Shots: 2, Seed: 3})
	train, err := shot.Task.Load(ctx, tasks.Train, data)
	if err != nil {
		t.Fatal(err)
	}
	before := "Review:"
	for _, ex := range inTurn(train, 2, 3) {
		before += " " + ex.Input + " " + ex.Target
	}
	got, err := shot.Predict(ctx, []string{"a fine film"})
	if err != nil {
		t.Fatal(err)
	}
	want, err := bare.Predict(ctx, []string{before + " a fine film"})
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range got[0].Probabilities {
		if d := p - want[0].Probabilities[i]; d > 1e-5 || d < -1e-5 {
			t.Errorf("probabilities %v, of the whole text %v", got[0].Probabilities, want[0].Probabilities)
		}
	}
	ev, err := shot.ScoreSplit(ctx, tasks.Validation, data, true)
	if err != nil {
		t.Fatal(err)
	}
	if ev.Examples != 20 || ev.Generated == nil || ev.CutShare != 0 {
		t.Errorf("%d rows, written %v, cut %v", ev.Examples, ev.Generated, ev.CutShare)
	}
	opts.MaxInput = 24
	if ev, err = open(TextPrompt{Instruction: strings.Repeat("word ", 10), Shots: 8}).ScoreSplit(ctx, tasks.Validation, data, false); err != nil || ev.CutShare == 0 {
		t.Errorf("with no room for the examples: cut %v, %v", ev, err)
	}
}
