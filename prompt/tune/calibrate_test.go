package tune

import (
	"context"
	"math"
	"testing"

	"softprompt/onnx/ort/orttest"
	"softprompt/prompt"
	"softprompt/tasks"
)

// TestPrior: after calibration the content-free texts are, on average in
// probability, of no class rather than another; it is what the scores of
// these texts say, computed by hand.
func TestPrior(t *testing.T) {
	ctx := context.Background()
	f := freezeTiny(t, FreezeOptions{Method: "prompt-tuning"})
	j := rankTask(t, f)
	bank := bankOf(t, f, randomPrompt(t, f, 6, 1))
	prior, err := f.Prior(ctx, bank, j)
	if err != nil {
		t.Fatal(err)
	}
	var examples []tasks.Example
	for i, text := range contentFree {
		examples = append(examples, tasks.Example{Index: i, Input: text, Label: -1})
	}
	rows, err := encodeRows(ctx, f.Tokenizer, examples, j.MaxInput, j.MaxTarget)
	if err != nil {
		t.Fatal(err)
	}
	scores, err := f.Classes(ctx, bank, j, rows)
	if err != nil {
		t.Fatal(err)
	}
	for class := range prior {
		mean := 0.0
		for _, s := range scores {
			mean += softmax(s)[class] / float64(len(scores))
		}
		if got := math.Exp(-prior[class]); math.Abs(got-mean) > 1e-6 {
			t.Errorf("class %d: probability %v without content, want %v", class, got, mean)
		}
	}
	j.calibration = prior
	calibrated, err := f.Classes(ctx, bank, j, rows)
	if err != nil {
		t.Fatal(err)
	}
	for i := range scores {
		for class := range prior {
			if got, want := calibrated[i][class], scores[i][class]+prior[class]; got != want {
				t.Errorf("text %d, class %d: %v, want %v", i, class, got, want)
			}
		}
	}
}

// TestCalibrationKept: a prompt's file keeps its calibration, and predictions
// follow it.
func TestCalibrationKept(t *testing.T) {
	ctx, rt := context.Background(), orttest.Runtime(t)
	path := savedPrompts(t, freezeTiny(t, FreezeOptions{Method: "prompt-tuning"}), 5)[0]
	open := func() *Predictor {
		p, err := NewPredictor(ctx, rt, path, PredictOptions{Open: opened.Open})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Close)
		return p
	}
	texts := []string{"a fine film", "a dull film"}
	labels := func(p *Predictor) (out []string) {
		answers, err := p.Predict(ctx, texts)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range answers {
			out = append(out, a.Label)
		}
		return out
	}
	p := open()
	for class, label := range p.Task.Labels {
		p.Prompt.Meta.Calibration = make([]float64, 2)
		p.Prompt.Meta.Calibration[class] = 1000 // whatever the text says
		if err := prompt.Save(path, p.Prompt); err != nil {
			t.Fatal(err)
		}
		for i, got := range labels(open()) {
			if got != label {
				t.Errorf("calibrated to %s, %q is %s", label, texts[i], got)
			}
		}
	}
}
