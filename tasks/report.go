package tasks

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// Report is what [Evaluate] finds. Its JSON form is what eval --json prints.
type Report struct {
	Task     string             `json:"task"`
	Examples int                `json:"examples"`
	Labels   []string           `json:"labels,omitempty"` // none for a task of text
	Metrics  map[string]float64 `json:"metrics"`          // by name, percentages
	Score    float64            `json:"score"`            // mean of the metrics: what best checkpoints go by

	Majority      float64 `json:"majority"`       // Score of always giving the commonest answer
	MajorityLabel string  `json:"majority_label"` // that class or text, the first of equals

	Gold      []int   `json:"gold,omitempty"`      // examples of each class
	Predicted []int   `json:"predicted,omitempty"` // predictions of each class
	Confusion [][]int `json:"confusion,omitempty"` // [gold][predicted], illegal outputs in the last column

	Illegal      int     `json:"illegal"`       // outputs that name no class or choice, or are empty
	IllegalShare float64 `json:"illegal_share"` // of all examples, 0 to 1

	Warning string `json:"warning,omitempty"` // set where the predictions are degenerate
}

// Evaluate scores predictions against examples. It fails where the two differ
// in length, are empty, or where an example has nothing to be scored against.
func Evaluate(t *Task, gold []Example, pred []Prediction) (Report, error) {
	r := Report{Task: t.Name, Examples: len(gold), Labels: t.Labels}
	err := r.check(gold, pred)
	if err == nil && len(t.Labels) > 0 {
		err = r.countClasses(gold, pred)
	} else if err == nil {
		err = r.countTexts(gold, pred)
	}
	if err != nil {
		return Report{}, fmt.Errorf("evaluating %s: %w", t.Name, err)
	}
	r.IllegalShare = float64(r.Illegal) / float64(len(gold))
	r.Metrics, r.Score = t.score(gold, pred)

	common := t.commonest(gold, r.Gold)
	r.MajorityLabel = common.Text
	_, r.Majority = t.score(gold, slices.Repeat([]Prediction{common}, len(gold)))

	r.Warning = r.degenerate(pred)
	return r, nil
}

// EvaluateClasses is [Evaluate] for classes alone, -1 for an illegal output.
func EvaluateClasses(t *Task, gold, pred []int) (Report, error) {
	examples, predictions := make([]Example, len(gold)), make([]Prediction, len(pred))
	for i, class := range gold {
		examples[i].Label = class
	}
	for i, class := range pred {
		predictions[i].Class = class
	}
	return Evaluate(t, examples, predictions)
}

func (r *Report) check(gold []Example, pred []Prediction) error {
	switch {
	case len(gold) != len(pred):
		return fmt.Errorf("%d predictions for %d examples", len(pred), len(gold))
	case len(gold) == 0:
		return errors.New("no examples")
	}
	return nil
}

// countClasses fills everything that is a count of classes.
func (r *Report) countClasses(gold []Example, pred []Prediction) error {
	classes := len(r.Labels)
	r.Gold, r.Predicted = make([]int, classes), make([]int, classes)
	r.Confusion = make([][]int, classes)
	for class := range r.Confusion {
		r.Confusion[class] = make([]int, classes+1)
	}
	for i, ex := range gold {
		g, p := ex.Label, pred[i].Class
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
	return nil
}

// countTexts counts the texts that cannot be right: empty ones and, where the
// rows list choices, what is none of them.
func (r *Report) countTexts(gold []Example, pred []Prediction) error {
	for i, ex := range gold {
		if len(ex.Answers) == 0 {
			return fmt.Errorf("example %d has no answer: this split has none to score against", i)
		}
		if pred[i].Text == "" || len(ex.Choices) > 0 && !slices.Contains(ex.Choices, pred[i].Text) {
			r.Illegal++
		}
	}
	return nil
}

// score applies the task's metrics and takes their mean, as the paper does
// for tasks with several. One that is not defined, such as the correlation with
// a constant, counts as 0: it is no achievement, and JSON has no NaN.
func (t *Task) score(gold []Example, pred []Prediction) (map[string]float64, float64) {
	metrics := make(map[string]float64, len(t.Metrics))
	var sum float64
	for _, m := range t.Metrics {
		value := m.Score(gold, pred)
		if math.IsNaN(value) {
			value = 0
		}
		metrics[m.Name] = value
		sum += value
	}
	return metrics, sum / float64(max(len(t.Metrics), 1))
}

// commonest is the prediction of who does not look: the class, of which counts
// tells the examples, or the target that most of them have.
func (t *Task) commonest(gold []Example, counts []int) Prediction {
	if len(t.Labels) > 0 {
		class := slices.Index(counts, slices.Max(counts))
		return Prediction{Class: class, Text: t.Labels[class]}
	}
	common := Prediction{Class: -1}
	times := map[string]int{}
	for _, ex := range gold {
		times[ex.Target]++
	}
	for _, ex := range gold { // in their order, so that the first of equals wins
		if times[ex.Target] > times[common.Text] || common.Text == "" {
			common.Text = ex.Target
		}
	}
	return common
}

// degenerate says in words where the predictions carry no information. A
// score at the majority's is easily taken for a result.
func (r *Report) degenerate(pred []Prediction) string {
	legal := r.Examples - r.Illegal
	if len(r.Labels) == 0 {
		first := pred[0].Text
		if len(pred) > 1 && !slices.ContainsFunc(pred, func(p Prediction) bool { return p.Text != first }) {
			return fmt.Sprintf("every prediction is %.40q: the score says how common that answer is", first)
		}
		return ""
	}
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
