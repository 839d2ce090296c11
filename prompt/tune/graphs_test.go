package tune

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"softprompt/export"
	"softprompt/models"
	"softprompt/onnx"
	"softprompt/onnx/hint"
	"softprompt/onnx/ort"
	"softprompt/onnx/ort/orttest"
)

// unlikeT5 writes an exported ByT5 whose encoder adds a vector to its states,
// so that its weights alone would not be the model.
func unlikeT5(t *testing.T) string {
	t.Helper()
	from := filepath.Join("..", "..", "export", "testdata", "exported", "byt5")
	dir := filepath.Join(t.TempDir(), "unlike")
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "encoder_model.onnx")
	m, err := onnx.Load(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	const states = "last_hidden_state"
	i := slices.IndexFunc(m.Graph.Nodes, func(n *onnx.Node) bool { return slices.Contains(n.Outputs, states) })
	m.Graph.Nodes[i].Outputs[0] = "before"
	m.Graph.Initializers = append(m.Graph.Initializers, onnx.Floats("added", []int64{1}, []float32{0.25}))
	m.Graph.Nodes = append(m.Graph.Nodes, &onnx.Node{Op: "Add", Name: "added", Inputs: []string{"before", "added"}, Outputs: []string{states}})
	if err := m.Save(path + ".new"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestTrainGraphsAsTheyStand: a model that is no T5 inside is tuned and used all
// the same, as far as its graphs go, and says where they end.
func TestTrainGraphsAsTheyStand(t *testing.T) {
	ctx, rt, dir := context.Background(), orttest.Runtime(t), unlikeT5(t)
	opening := models.Options{CacheDir: t.TempDir()}
	m, err := export.Open(ctx, dir, opening)
	if err != nil {
		t.Fatal(err)
	}
	if m.Graphs == nil {
		t.Fatalf("its weights were recovered: %q", m.Explain())
	}
	m.Close()

	s := smallRun(t)
	s.Model, s.MaxTarget, s.Dropout = dir, 12, 0.1
	out := filepath.Join(t.TempDir(), "run")
	_, err = Train(ctx, rt, s, Options{Out: out, Open: opening})
	if err == nil || !strings.Contains(err.Error(), "no dropout") || !strings.Contains(hint.Of(err), "--dropout 0") {
		t.Fatalf("with dropout: %v (%s)", err, hint.Of(err))
	}
	s.Dropout, s.Loss = 0, "labels"
	first, last := 0.0, 0.0 // of the same eight rows
	s.LogEvery, s.EvalEvery, s.Steps, s.TrainRows, s.LearningRate = 1, 8, 8, 8, 0.1
	_, err = Train(ctx, rt, s, Options{Out: out, Open: opening, Report: func(e Event) {
		if e.Evaluated {
			return
		}
		if first == 0 {
			first = e.Loss
		}
		last = e.Loss
	}})
	if err != nil {
		t.Fatal(err)
	}
	if !(last < first) {
		t.Errorf("the loss went from %v to %v", first, last)
	}
	p, err := NewPredictor(ctx, rt, out, PredictOptions{Device: ort.Device{Kind: "cpu"}, Open: opening})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if answers, err := p.Predict(ctx, []string{"a fine film"}); err != nil || len(answers) != 1 {
		t.Errorf("predicting: %v, %v", answers, err)
	}
	_, err = p.Write(ctx, []string{"a fine film"}, GenerateOptions{})
	if err == nil || !strings.Contains(err.Error(), "cache") || hint.Of(err) == "" {
		t.Errorf("generating: %v (%s)", err, hint.Of(err))
	}
}
