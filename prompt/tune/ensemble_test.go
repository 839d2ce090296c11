package tune

import (
	"context"
	"path/filepath"
	"testing"

	"softprompt/onnx/ort/orttest"
	"softprompt/prompt"
	"softprompt/tasks"
)

// TestVote has votes whose outcome is counted by hand.
func TestVote(t *testing.T) {
	class := func(c int, word string) tasks.Prediction { return tasks.Prediction{Class: c, Text: word} }
	text := func(s string) tasks.Prediction { return tasks.Prediction{Class: -1, Text: s} }
	for name, c := range map[string]struct {
		cast []tasks.Prediction
		want tasks.Prediction
	}{
		"most":                {[]tasks.Prediction{class(0, "bad"), class(1, "good"), class(1, "good")}, class(1, "good")},
		"a tie to the first":  {[]tasks.Prediction{class(2, "c"), class(0, "a"), class(0, "a"), class(2, "c"), class(1, "b")}, class(2, "c")},
		"words of one class":  {[]tasks.Prediction{class(0, "bad"), class(1, "good"), class(1, "great")}, class(1, "good")},
		"a class before none": {[]tasks.Prediction{text("what?"), text("what?"), class(1, "good")}, class(1, "good")},
		"texts":               {[]tasks.Prediction{text("Paris"), text("Rome"), text("Rome")}, text("Rome")},
		"silence":             {[]tasks.Prediction{text(""), text(""), text("Rome")}, text("Rome")},
		"all silent":          {[]tasks.Prediction{text(""), text("")}, text("")},
	} {
		if got := vote(c.cast); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

// savedPrompts writes random prompts of the given lengths for the tiny model.
func savedPrompts(t *testing.T, f *Frozen, lengths ...int) []string {
	t.Helper()
	fp, err := f.Model.Fingerprint()
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for i, n := range lengths {
		p := randomPrompt(t, f, n, uint64(i+1))
		p.Meta.Fingerprint, p.Meta.TokenizerHash = fp.String(), f.Tokenizer.Hash()
		p.Meta.Task, p.Meta.Template, p.Meta.Verbalizer = "sst2", "{sentence}", "negative=terrible;positive=great"
		p.Meta.Labels = []string{"negative", "positive"}
		p.Meta.BaseModel, p.Meta.MaxInput, p.Meta.MaxTarget = "tiny", 32, 4
		path := filepath.Join(t.TempDir(), prompt.FileName)
		if err := prompt.Save(path, p); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

// TestEnsemble: an ensemble's members score as they do alone, whatever their
// lengths, and its vote is that of their answers.
func TestEnsemble(t *testing.T) {
	ctx, rt := context.Background(), orttest.Runtime(t)
	paths := savedPrompts(t, freezeTiny(t, FreezeOptions{Method: "prompt-tuning"}), 3, 9, 6)
	from := tasks.LoadOptions{Data: smallData(t, 4, 60)}
	opts := PredictOptions{Open: opened.Open}
	e, err := NewEnsemble(ctx, rt, paths, opts)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	got, err := e.ScoreSplit(ctx, tasks.Validation, from)
	if err != nil {
		t.Fatal(err)
	}
	var answers [][]tasks.Prediction
	var mean, best float64
	for i, path := range paths {
		p, err := NewPredictor(ctx, rt, path, opts)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		ev, err := p.ScoreSplit(ctx, tasks.Validation, from, false)
		if err != nil {
			t.Fatal(err)
		}
		if got.Members[i].Score != ev.Score {
			t.Errorf("prompt %d scores %v in the ensemble, %v alone", i, got.Members[i].Score, ev.Score)
		}
		answers = append(answers, ev.Predictions)
		mean += ev.Score / 3
		best = max(best, ev.Score)
	}
	rows, err := e.Task.Load(ctx, tasks.Validation, from)
	if err != nil {
		t.Fatal(err)
	}
	votes := make([]tasks.Prediction, len(rows))
	split := false
	for i := range rows {
		ones := 0
		for _, a := range answers {
			ones += a[i].Class
		}
		split = split || ones == 1 || ones == 2
		if votes[i].Class = 0; ones >= 2 {
			votes[i].Class = 1
		}
	}
	if !split {
		t.Fatal("the prompts agree everywhere: the test shows nothing")
	}
	want, err := tasks.Evaluate(e.Task, rows, votes)
	if err != nil {
		t.Fatal(err)
	}
	if got.Vote.Score != want.Score || got.Best != best || got.Mean-mean > 1e-9 || mean-got.Mean > 1e-9 {
		t.Errorf("vote %v, mean %v, best %v; by hand %v, %v, %v", got.Vote.Score, got.Mean, got.Best, want.Score, mean, best)
	}
}

// TestEnsembleRefuses: what cannot share a pass is named.
func TestEnsembleRefuses(t *testing.T) {
	ctx, rt := context.Background(), orttest.Runtime(t)
	paths := savedPrompts(t, freezeTiny(t, FreezeOptions{Method: "prompt-tuning"}), 3)
	_, err := NewEnsemble(ctx, rt, nil, PredictOptions{})
	wantError(t, err, "an ensemble needs prompts")
	ia3 := freezeTiny(t, FreezeOptions{Method: prompt.MethodIA3})
	tensors, err := ia3.Method.Start(1, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	other := &prompt.Prompt{Method: prompt.MethodIA3, Tensors: tensors, Meta: prompt.Meta{DModel: ia3.Model.Config.DModel, Task: "sst2"}}
	path := filepath.Join(t.TempDir(), prompt.FileName)
	if err := prompt.Save(path, other); err != nil {
		t.Fatal(err)
	}
	_, err = NewEnsemble(ctx, rt, append(paths, path), PredictOptions{Open: opened.Open})
	wantError(t, err, "is of method ia3")

	if other, err = prompt.LoadFile(paths[0]); err != nil {
		t.Fatal(err)
	}
	other.Meta.Placement = "suffix"
	if err := prompt.Save(path, other); err != nil {
		t.Fatal(err)
	}
	_, err = NewEnsemble(ctx, rt, []string{paths[0], path}, PredictOptions{Open: opened.Open})
	wantError(t, err, "differ in where they are laid")
}
