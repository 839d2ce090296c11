package tune

import (
	"context"
	"math"
	"path/filepath"
	"testing"

	"softprompt/models"
	"softprompt/onnx/ort/orttest"
	"softprompt/tasks"
)

// rankTask is SST-2 with two words for a class.
func rankTask(t *testing.T, f *Frozen) *Judge {
	t.Helper()
	task, err := tasks.Lookup("sst2")
	if err != nil {
		t.Fatal(err)
	}
	words, err := tasks.ParseVerbalizer("negative=terrible,bad;positive=great", task.Labels)
	if err != nil {
		t.Fatal(err)
	}
	if task, err = task.With("{sentence}", words); err != nil {
		t.Fatal(err)
	}
	j, err := f.NewJudge(task, 32, 4)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// TestChoiceAgreesWithScores: the loss of choosing a label is that of the
// classes' scores, several words for one class included.
func TestChoiceAgreesWithScores(t *testing.T) {
	ctx := context.Background()
	f := freezeTiny(t, FreezeOptions{Method: "prompt-tuning", Rank: true, Dropout: false})
	j := rankTask(t, f)
	rows := someRows(t, f)
	bank := bankOf(t, f, randomPrompt(t, f, 6, 1))
	res, err := f.Step(ctx, bank, rows, StepOptions{Weights: []float32{1}, Judges: []*Judge{j}})
	if err != nil {
		t.Fatal(err)
	}
	scores, err := f.Classes(ctx, bank, j, rows)
	if err != nil {
		t.Fatal(err)
	}
	total, hits := 0.0, 0
	for i, r := range rows {
		want := -math.Log(softmax(scores[i])[r.Label])
		if got := float64(res.ExampleLoss[i]); math.Abs(got-want) > 1e-4 {
			t.Errorf("row %d: loss %.6f, by the scores %.6f", i, got, want)
		}
		total += want
		if tasks.Best(scores[i]) == r.Label {
			hits++
		}
	}
	if math.Abs(res.Loss-total) > 1e-3 || res.Tokens != len(rows) {
		t.Errorf("loss %.5f over %d, want %.5f over %d", res.Loss, res.Tokens, total, len(rows))
	}
	ev, err := f.Evaluate(ctx, bank, j, rows)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(ev.Loss-total/float64(len(rows))) > 1e-3 {
		t.Errorf("evaluation has loss %.5f, want %.5f", ev.Loss, total/float64(len(rows)))
	}
	if _, err := f.Step(ctx, bank, rows, StepOptions{Weights: []float32{1}}); err == nil {
		t.Error("a choice among no words was taken")
	}
	rows[0].Label = -1
	if _, err := f.Step(ctx, bank, rows, StepOptions{Weights: []float32{1}, Judges: []*Judge{j}}); err == nil {
		t.Error("a row without a label was taken")
	}
}

// TestTrainOnChoices runs a training on the choice of a label, with dropout.
func TestTrainOnChoices(t *testing.T) {
	s := smallRun(t)
	s.Loss, s.Dropout = "labels", 0.1
	res, err := Train(context.Background(), orttest.Runtime(t), s, Options{Out: filepath.Join(t.TempDir(), "run"), Open: models.Options{CacheDir: cache()}})
	if err != nil {
		t.Fatal(err)
	}
	if res.Steps != s.Steps {
		t.Errorf("result %+v", res)
	}
}
