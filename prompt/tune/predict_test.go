package tune

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"testing"

	"softprompt/export"
	"softprompt/models"
	"softprompt/onnx/hint"
	"softprompt/onnx/ort"
	"softprompt/onnx/ort/orttest"
	"softprompt/prompt"
	"softprompt/tasks"
)

// tunedRun makes a run of seconds and returns its folder and settings.
func tunedRun(t *testing.T) (string, Settings) {
	t.Helper()
	s := smallRun(t)
	s.Steps = 4
	dir := filepath.Join(t.TempDir(), "run")
	if _, err := Train(context.Background(), orttest.Runtime(t), s, Options{Out: dir, Open: models.Options{CacheDir: cache()}}); err != nil {
		t.Fatal(err)
	}
	return dir, s
}

func options() PredictOptions {
	return PredictOptions{Device: ort.Device{Kind: "cpu"}, Open: models.Options{CacheDir: cache()}}
}

// TestPredictor puts a run's prompt to use: it ranks, writes and scores, and
// the score is that of the run's own end.
func TestPredictor(t *testing.T) {
	ctx, rt := context.Background(), orttest.Runtime(t)
	dir, s := tunedRun(t)
	p, err := NewPredictor(ctx, rt, dir, options())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	texts := []string{"a gorgeous , witty , seductive movie .", "dull", ""}
	got, err := p.Predict(ctx, texts)
	if err != nil {
		t.Fatal(err)
	}
	for i, g := range got {
		sum := 0.0
		best := 0
		for c, v := range g.Probabilities {
			sum += v
			if v > g.Probabilities[best] {
				best = c
			}
		}
		if g.Text != texts[i] || math.Abs(sum-1) > 1e-9 || g.Label != g.Labels[best] {
			t.Errorf("%q: %+v", texts[i], g)
		}
	}
	// A text alone and among others is the same text.
	one, err := p.Predict(ctx, texts[1:2])
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(one[0].Probabilities[0]-got[1].Probabilities[0]) > 1e-5 {
		t.Errorf("%q alone: %v, among others %v", texts[1], one[0].Probabilities, got[1].Probabilities)
	}
	written, err := p.Write(ctx, texts[:2], GenerateOptions{})
	if err != nil || len(written) != 2 {
		t.Errorf("wrote %q, %v", written, err)
	}
	ev, err := p.ScoreSplit(ctx, tasks.Validation, tasks.LoadOptions{Data: s.Data}, true)
	if err != nil {
		t.Fatal(err)
	}
	if ev.Examples != 12 || len(ev.Predictions) != 12 || ev.Generated == nil || ev.Loss <= 0 {
		t.Errorf("evaluation %+v", ev)
	}
	// What generation says in the label's own words ranks first too.
	if ev.Generated.Illegal < 0 || ev.Generated.Examples != 12 {
		t.Errorf("generated %+v", ev.Generated)
	}
}

func TestPredictorRefuses(t *testing.T) {
	ctx, rt := context.Background(), orttest.Runtime(t)
	dir, _ := tunedRun(t)

	o := options()
	o.Model = "../../export/testdata/golden/v1_1-2x2"
	if _, err := NewPredictor(ctx, rt, dir, o); err == nil {
		t.Error("a prompt was used with another model")
	}
	if _, err := NewPredictor(ctx, rt, t.TempDir(), options()); err == nil || hint.Of(err) == "" {
		t.Errorf("an empty folder: %v", err)
	}
	o = options()
	o.Task = "no-such-task"
	if _, err := NewPredictor(ctx, rt, dir, o); err == nil {
		t.Error("an unknown task was taken")
	}
	o = options()
	o.Verbalizer = "negative=bad;positive=bad"
	if _, err := NewPredictor(ctx, rt, dir, o); err == nil {
		t.Error("one word for two classes was taken")
	}

	// A prompt that says it is for a model of other weights.
	p, err := prompt.LoadFile(dir)
	if err != nil {
		t.Fatal(err)
	}
	other, err := export.Open(ctx, "../../export/testdata/golden/v1_0-2x2", models.Options{CacheDir: cache()})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	fp, err := other.Fingerprint()
	if err != nil {
		t.Fatal(err)
	}
	p.Meta.Fingerprint = fp.String()
	file := filepath.Join(t.TempDir(), "other.safetensors")
	if err := prompt.Save(file, p); err != nil {
		t.Fatal(err)
	}
	if _, err := NewPredictor(ctx, rt, file, options()); !errors.Is(err, prompt.ErrOtherModel) {
		t.Errorf("another model's prompt: %v", err)
	}

	// A bare matrix says neither task nor model.
	npy := filepath.Join(t.TempDir(), "bare.npy")
	if err := prompt.WriteNPY(npy, []int64{2, 256}, make([]float32, 512)); err != nil {
		t.Fatal(err)
	}
	if _, err := NewPredictor(ctx, rt, npy, options()); err == nil || hint.Of(err) == "" {
		t.Errorf("a bare matrix: %v, hint %q", err, hint.Of(err))
	}
	o = options()
	o.Task, o.Model = "sst2", "tiny"
	bare, err := NewPredictor(ctx, rt, npy, o)
	if err != nil {
		t.Fatal(err)
	}
	bare.Close()
}

// TestReplay: the file holds the batches that the run takes, and only what it
// can say is written.
func TestReplay(t *testing.T) {
	ctx, rt := context.Background(), orttest.Runtime(t)
	s := smallRun(t)
	path := filepath.Join(t.TempDir(), "replay.safetensors")
	if err := WriteReplay(ctx, rt, s, path, Options{Open: models.Options{CacheDir: cache()}}); err == nil {
		t.Error("a replay of adafactor with dropout was written")
	}
	s.Optimizer, s.Dropout, s.ZLoss, s.Loss, s.WeightDecay = "adamw", 0, 0, "mean", 0.01
	if err := WriteReplay(ctx, rt, s, path, Options{Open: models.Options{CacheDir: cache()}}); err != nil {
		t.Fatal(err)
	}
	ck, err := models.OpenSafetensors(path)
	if err != nil {
		t.Fatal(err)
	}
	defer ck.Close()
	for name, want := range map[string][]int64{
		"prompt": {4, 256}, "input_ids": {8, 8, 24}, "labels": {8, 8, 2}, "held_label": {8}, "dev_label": {12}, "candidates": {2, 2},
	} {
		info, ok := ck.Lookup(name)
		if !ok || len(info.Shape) != len(want) {
			t.Errorf("%s: %v, want %v", name, info.Shape, want)
			continue
		}
		for i := range want {
			// The longest input of this data may be shorter than allowed.
			if info.Shape[i] != want[i] && !(name == "input_ids" && i == 2 && info.Shape[i] < want[i]) {
				t.Errorf("%s: %v, want %v", name, info.Shape, want)
			}
		}
	}
	if ck.Metadata["weight_decay"] != "0.01" || ck.Metadata["eval_every"] != "3" {
		t.Errorf("metadata %v", ck.Metadata)
	}
}
