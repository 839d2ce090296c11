// Package paired compares two ways of tuning a prompt, run by run and example
// by example: what each run's prompt answers on a split, and a bootstrap of
// the difference over seeds and examples. tools/compare and tools/precision
// are made of it.
package paired

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"softprompt/onnx/atomicfile"
	"softprompt/onnx/ort"
	"softprompt/prompt/tune"
	"softprompt/tasks"
)

// Answers are what one tuned prompt makes of the reported split.
type Answers struct {
	Accuracy    float64 `json:"dev_accuracy"`
	Predictions []int   `json:"predictions"`
	Gold        []int   `json:"gold"`
}

// Answer scores the prompt of a run, in float32 and by rank classification, on
// the reported split of a data folder ("" for what travels with the project).
func Answer(ctx context.Context, rt *ort.Runtime, dir, data string) (Answers, error) {
	p, err := tune.NewPredictor(ctx, rt, dir, tune.PredictOptions{Device: ort.Device{Kind: "cpu"}})
	if err != nil {
		return Answers{}, err
	}
	defer p.Close()
	from := tasks.LoadOptions{Data: data}
	ev, err := p.ScoreSplit(ctx, tasks.Validation, from, false)
	if err != nil {
		return Answers{}, err
	}
	examples, err := p.Task.Load(ctx, tasks.Validation, from)
	if err != nil {
		return Answers{}, err
	}
	a := Answers{Accuracy: ev.Score, Predictions: ev.ByClass()}
	for _, e := range examples {
		a.Gold = append(a.Gold, e.Label)
	}
	return a, nil
}

// Comparison is how two sides fare against each other.
type Comparison struct {
	// Means are those of both sides; their difference, the first less the
	// second, comes with its 95 % interval, in points.
	Means      [2]float64 `json:"means"`
	Low        float64    `json:"low"`
	Difference float64    `json:"difference"`
	High       float64    `json:"high"`
}

// Compare bootstraps the difference of two sides, which have a run for each
// seed and answered the same examples.
func Compare(a, b []Answers) (c Comparison, err error) {
	if len(a) == 0 || len(a) != len(b) {
		return c, fmt.Errorf("comparing %d runs with %d", len(a), len(b))
	}
	var hits [2][][]float64
	for i := range a {
		if !slices.Equal(a[i].Gold, b[i].Gold) {
			return c, errors.New("the two sides did not answer the same examples")
		}
		for side, x := range []Answers{a[i], b[i]} {
			c.Means[side] += x.Accuracy / float64(len(a))
			hits[side] = append(hits[side], tasks.Hits(x.Gold, x.Predictions))
		}
	}
	c.Low, c.Difference, c.High, err = tasks.PairedBootstrap(hits[0], hits[1], 1, 10_000)
	return c, err
}

// String is the line of the result.
func (c Comparison) String() string {
	return fmt.Sprintf("difference %+.2f points, 95 %% interval %+.2f to %+.2f", c.Difference, c.Low, c.High)
}

// Accuracies lists those of the runs.
func Accuracies(runs []Answers) []float64 {
	out := make([]float64, len(runs))
	for i, r := range runs {
		out[i] = r.Accuracy
	}
	return out
}

// Disagreement is the share of the examples, over all seeds, that the sides
// answer differently: what the width of the interval comes from.
func Disagreement(a, b []Answers) float64 {
	differ, all := 0, 0
	for i := range a {
		for j, class := range a[i].Predictions {
			if class != b[i].Predictions[j] {
				differ++
			}
			all++
		}
	}
	return float64(differ) / float64(all)
}

// Write keeps a result as JSON.
func Write(path string, result any) error {
	data, err := json.MarshalIndent(result, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return atomicfile.Write(path, append(data, '\n'))
}
