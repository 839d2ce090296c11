package tune

import (
	"context"
	"fmt"
	"math"

	"softprompt/tasks"
)

// Evaluation is what a model with a prompt makes of a split.
type Evaluation struct {
	tasks.Report
	// Loss is the mean over the examples of −log p of the right answers: the
	// gold label's words, those of the row's choices that are right, or the
	// target. Where the model trains on a choice, p is their share among all
	// that can be chosen.
	Loss float64 `json:"loss"`
	// CutShare is the share of the inputs that were longer than allowed.
	CutShare float64 `json:"cut_share"`
	// Ranked tells whether answers were chosen by rank; a task of free text
	// has only what the model writes.
	Ranked bool `json:"ranked"`
	// Generated is the same split scored by what the model writes, the
	// paper's protocol; nil unless it was asked for beside a ranking.
	Generated *tasks.Report `json:"generated,omitempty"`
	// Predictions are the answers, in the order of the examples.
	Predictions []tasks.Prediction `json:"-"`
}

// ByClass returns the classes that were predicted.
func (ev *Evaluation) ByClass() []int {
	classes := make([]int, len(ev.Predictions))
	for i, p := range ev.Predictions {
		classes[i] = p.Class
	}
	return classes
}

// Classes returns the score of each class for each row: [row][class]. With
// the default verbalizer settings they are log-probabilities.
func (f *Frozen) Classes(ctx context.Context, bank *Bank, j *Judge, rows []Row) ([][]float64, error) {
	raw, err := f.Score(ctx, bank, rows, j.candidates)
	if err != nil {
		return nil, err
	}
	v := j.Task.Verbalizer
	for i, words := range raw {
		for w := range words {
			words[w] = v.WordScore(words[w], len(j.candidates[w]))
		}
		raw[i] = v.Scores(v.Group(words))
		for class, c := range j.calibration {
			raw[i][class] += c
		}
	}
	return raw, nil
}

// Evaluate scores rows that have labels or answers: by rank where the task has
// label words or the rows list choices, else by what the model writes.
func (f *Frozen) Evaluate(ctx context.Context, bank *Bank, j *Judge, rows []Row) (*Evaluation, error) {
	ev := &Evaluation{Ranked: true}
	var err error
	switch {
	case j.Task.HasWords():
		err = f.rankClasses(ctx, bank, j, rows, ev)
	case len(rows) > 0 && rows[0].Choices != nil:
		err = f.rankChoices(ctx, bank, j, rows, ev)
	default:
		ev.Ranked = false
		if err = f.targetLoss(ctx, bank, rows, ev); err == nil {
			ev.Predictions, err = f.write(ctx, bank, j, rows)
		}
	}
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		if r.Cut {
			ev.CutShare += 1 / float64(len(rows))
		}
	}
	ev.Report, err = tasks.Evaluate(j.Task, examples(rows), ev.Predictions)
	return ev, err
}

// rankClasses answers with the class whose words are likeliest.
func (f *Frozen) rankClasses(ctx context.Context, bank *Bank, j *Judge, rows []Row, ev *Evaluation) error {
	scores, err := f.Classes(ctx, bank, j, rows)
	if err != nil {
		return err
	}
	for i, r := range rows {
		class := tasks.Best(scores[i])
		ev.Predictions = append(ev.Predictions, tasks.Prediction{Class: class, Text: j.Task.Verbalizer.Target(class)})
		if r.Label >= 0 {
			ev.Loss += f.loss(scores[i], r.Label) / float64(len(rows))
		}
	}
	return nil
}

// loss is that of a row with the given scores of its classes.
func (f *Frozen) loss(scores []float64, label int) float64 {
	if f.spec.Rank {
		return -math.Log(softmax(scores)[label])
	}
	return -scores[label]
}

// rankChoices answers with the likeliest of each row's own choices.
func (f *Frozen) rankChoices(ctx context.Context, bank *Bank, j *Judge, rows []Row, ev *Evaluation) error {
	scores, err := f.ScoreEach(ctx, bank, rows, func(r *Row) [][]int64 { return r.Choices })
	if err != nil {
		return err
	}
	for i := range rows {
		p := tasks.Prediction{Class: -1}
		if best := tasks.Best(scores[i]); best >= 0 {
			p.Text = rows[i].Example.Choices[best]
		}
		ev.Predictions = append(ev.Predictions, p)
		_, right := j.choices(&rows[i])
		shares := softmax(scores[i])
		share := 0.0
		for c, ok := range right {
			switch {
			case ok && f.spec.Rank:
				share += shares[c]
			case ok:
				share += math.Exp(scores[i][c])
			}
		}
		ev.Loss -= math.Log(max(share, math.SmallestNonzeroFloat64)) / float64(len(rows))
	}
	return nil
}

// targetLoss sets the loss of a task of free text, of the rows that have a target.
func (f *Frozen) targetLoss(ctx context.Context, bank *Bank, rows []Row, ev *Evaluation) error {
	var answered []Row
	for _, r := range rows {
		if len(r.Target) > 0 {
			answered = append(answered, r)
		}
	}
	scores, err := f.ScoreEach(ctx, bank, answered, func(r *Row) [][]int64 { return [][]int64{r.Target} })
	for i := range scores {
		ev.Loss -= scores[i][0] / float64(len(scores))
	}
	return err
}

// write answers with what the model writes, greedily.
func (f *Frozen) write(ctx context.Context, bank *Bank, j *Judge, rows []Row) ([]tasks.Prediction, error) {
	texts, err := f.Generate(ctx, bank, rows, GenerateOptions{MaxTokens: j.MaxTarget})
	if err != nil {
		return nil, err
	}
	out := make([]tasks.Prediction, len(rows))
	for i, r := range rows {
		out[i] = j.Task.Postprocess(f.Tokenizer.Decode(texts[i].IDs), r.Example)
	}
	return out, nil
}

// EvaluateGenerated scores rows by the text that the model writes, greedily:
// an answer that is not a label word is wrong.
func (f *Frozen) EvaluateGenerated(ctx context.Context, bank *Bank, j *Judge, rows []Row) (*tasks.Report, error) {
	pred, err := f.write(ctx, bank, j, rows)
	if err != nil {
		return nil, err
	}
	report, err := tasks.Evaluate(j.Task, examples(rows), pred)
	if err != nil {
		return nil, fmt.Errorf("scoring what was written: %w", err)
	}
	return &report, nil
}

// examples returns what the rows were made from.
func examples(rows []Row) []tasks.Example {
	out := make([]tasks.Example, len(rows))
	for i, r := range rows {
		out[i] = r.Example
	}
	return out
}
