package tasks

import (
	"errors"
	"fmt"
	"slices"
)

// Report is what [Evaluate] finds. Its JSON form is what eval --json prints.
type Report struct {
	Task     string             `json:"task"`
	Examples int                `json:"examples"`
	Labels   []string           `json:"labels"`
	Metrics  map[string]float64 `json:"metrics"` // by name, percentages
	Score    float64            `json:"score"`   // mean of the metrics: what best checkpoints go by

	Majority      float64 `json:"majority"`       // Score of always giving the commonest class
	MajorityLabel string  `json:"majority_label"` // that class, the first of equals

	Gold      []int   `json:"gold"`      // examples of each class
	Predicted []int   `json:"predicted"` // predictions of each class
	Confusion [][]int `json:"confusion"` // [gold][predicted], illegal outputs in the last column

	Illegal      int     `json:"illegal"`       // outputs that name no class
	IllegalShare float64 `json:"illegal_share"` // of all examples, 0 to 1

	Warning string `json:"warning,omitempty"` // set where the predictions are degenerate
}

// Evaluate scores predicted classes against gold ones. A prediction of -1
// stands for an illegal output. It fails where the two differ in length, are
// empty, or hold a class that the task does not have.
func Evaluate(t *Task, gold, pred []int) (Report, error) {
	r := Report{Task: t.Name, Examples: len(gold), Labels: t.Labels}
	if err := r.count(gold, pred); err != nil {
		return Report{}, fmt.Errorf("evaluating %s: %w", t.Name, err)
	}
	r.Metrics, r.Score = t.score(gold, pred)

	majority := slices.Index(r.Gold, slices.Max(r.Gold))
	r.MajorityLabel = t.Labels[majority]
	_, r.Majority = t.score(gold, slices.Repeat([]int{majority}, len(gold)))

	r.Warning = r.degenerate()
	return r, nil
}

// count fills everything that is a count.
func (r *Report) count(gold, pred []int) error {
	classes := len(r.Labels)
	switch {
	case classes == 0:
		return errors.New("the task has no classes")
	case len(gold) != len(pred):
		return fmt.Errorf("%d predictions for %d examples", len(pred), len(gold))
	case len(gold) == 0:
		return errors.New("no examples")
	}
	r.Gold, r.Predicted = make([]int, classes), make([]int, classes)
	r.Confusion = make([][]int, classes)
	for class := range r.Confusion {
		r.Confusion[class] = make([]int, classes+1)
	}
	for i, g := range gold {
		p := pred[i]
		if g < 0 || g >= classes {
			return fmt.Errorf("example %d has the class %d, want 0 to %d: this split has no labels to score against", i, g, classes-1)
		}
		if p < -1 || p >= classes {
			return fmt.Errorf("prediction %d is the class %d, want -1 to %d", i, p, classes-1)
		}
		r.Gold[g]++
		if p < 0 {
			p = classes
			r.Illegal++
		} else {
			r.Predicted[p]++
		}
		r.Confusion[g][p]++
	}
	r.IllegalShare = float64(r.Illegal) / float64(len(gold))
	return nil
}

// score applies the task's metrics and takes their mean, as the paper does
// for tasks with several.
func (t *Task) score(gold, pred []int) (map[string]float64, float64) {
	metrics := make(map[string]float64, len(t.Metrics))
	var sum float64
	for _, m := range t.Metrics {
		metrics[m.Name] = m.Score(gold, pred)
		sum += metrics[m.Name]
	}
	return metrics, sum / float64(max(len(t.Metrics), 1))
}

// degenerate says in words where the predictions carry no information. A
// score at the majority's is easily taken for a result.
func (r *Report) degenerate() string {
	legal := r.Examples - r.Illegal
	if legal == 0 {
		return "no output is a label word: the model has not learnt the form of the task"
	}
	if slices.Max(r.Gold) == r.Examples { // one class in the data: one label is right
		return ""
	}
	if class := slices.Index(r.Predicted, legal); class >= 0 {
		return fmt.Sprintf("every legal prediction is %q: the score says how common that label is, not how well the model tells labels apart", r.Labels[class])
	}
	return ""
}
