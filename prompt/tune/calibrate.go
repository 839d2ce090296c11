package tune

import (
	"context"
	"fmt"
	"math"

	"softprompt/onnx/hint"
	"softprompt/tasks"
)

// contentFree are texts that say nothing about any class (Zhao et al. 2021,
// Calibrate Before Use, section 5).
var contentFree = []string{"N/A", "[MASK]", ""}

// Prior returns, for each class, what is to be added to its score so that texts
// without content are of all classes alike: −log of the mean probability that
// the model with the bank's first prompt gives it there (Zhao et al. 2021,
// W = diag(p_cf)⁻¹). The task must have label words.
func (f *Frozen) Prior(ctx context.Context, bank *Bank, j *Judge) ([]float64, error) {
	if !j.Task.HasWords() {
		return nil, hint.Wrap(fmt.Errorf("calibrating task %s: no words stand for its classes", j.Task.Name), "calibration is of rank classification")
	}
	var texts []tasks.Example
	for i, text := range contentFree {
		fields := map[string]string{}
		for _, name := range j.Task.Fields {
			fields[name] = text
		}
		input, err := j.Task.Cast(fields)
		if err != nil {
			return nil, fmt.Errorf("calibrating: %w", err)
		}
		texts = append(texts, tasks.Example{ID: fmt.Sprint("content-free ", i+1), Index: i, Input: input, Label: -1})
	}
	rows, err := f.encodeFor(ctx, j, texts)
	if err != nil {
		return nil, fmt.Errorf("calibrating: %w", err)
	}
	plain := *j
	plain.calibration = nil
	scores, err := f.Classes(ctx, bank, &plain, rows)
	if err != nil {
		return nil, fmt.Errorf("calibrating: %w", err)
	}
	prior := make([]float64, len(j.Task.Labels))
	for _, s := range scores {
		for class, p := range softmax(s) {
			prior[class] += p / float64(len(scores))
		}
	}
	for class, p := range prior {
		prior[class] = -math.Log(max(p, math.SmallestNonzeroFloat64))
	}
	return prior, nil
}
