package tune

import (
	"context"
	"fmt"
	"math"
	"slices"

	"softprompt/tasks"
)

// Evaluation is what a model with a prompt makes of a split.
type Evaluation struct {
	tasks.Report
	// Loss is the mean over the examples of −log p of the gold label's words;
	// where the model trains on the choice of a label, p is the share of those
	// words among all label words.
	Loss float64 `json:"loss"`
	// CutShare is the share of the inputs that were longer than allowed.
	CutShare float64 `json:"cut_share"`
	// Generated is the same split scored by what the model writes, the
	// paper's protocol; nil unless it was asked for.
	Generated *tasks.Report `json:"generated,omitempty"`
	// Predictions are the classes by rank, in the order of the examples.
	Predictions []int `json:"-"`
}

// Judge is a task ready to be scored: its label words as tokens.
type Judge struct {
	Task       *tasks.Task
	MaxInput   int
	MaxTarget  int
	candidates [][]int64 // the words, EOS last
	classes    []int     // the class that each stands for
}

// NewJudge encodes the task's label words for a model.
func (f *Frozen) NewJudge(task *tasks.Task, maxInput, maxTarget int) (*Judge, error) {
	j := &Judge{Task: task, MaxInput: maxInput, MaxTarget: maxTarget}
	for class, words := range task.Verbalizer.Words {
		j.classes = append(j.classes, slices.Repeat([]int{class}, len(words))...)
	}
	for _, w := range task.Verbalizer.List() {
		ids, cut, err := f.Tokenizer.EncodeEOS(w, maxTarget)
		if err != nil {
			return nil, fmt.Errorf("encoding label word %q: %w", w, err)
		}
		if cut {
			return nil, fmt.Errorf("label word %q has more than %d tokens", w, maxTarget)
		}
		j.candidates = append(j.candidates, ids)
	}
	return j, nil
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
	}
	return raw, nil
}

// Evaluate scores rows that have labels by rank classification.
func (f *Frozen) Evaluate(ctx context.Context, bank *Bank, j *Judge, rows []Row) (*Evaluation, error) {
	scores, err := f.Classes(ctx, bank, j, rows)
	if err != nil {
		return nil, err
	}
	ev := &Evaluation{}
	gold := make([]int, len(rows))
	for i, r := range rows {
		gold[i] = r.Label
		ev.Predictions = append(ev.Predictions, tasks.Best(scores[i]))
		if r.Label >= 0 {
			ev.Loss += f.loss(scores[i], r.Label) / float64(len(rows))
		}
		if r.Cut {
			ev.CutShare += 1 / float64(len(rows))
		}
	}
	ev.Report, err = tasks.Evaluate(j.Task, gold, ev.Predictions)
	return ev, err
}

// loss is that of a row with the given scores of its classes.
func (f *Frozen) loss(scores []float64, label int) float64 {
	if f.spec.Rank {
		return -math.Log(softmax(scores)[label])
	}
	return -scores[label]
}

// EvaluateGenerated scores rows by the text that the model writes, greedily:
// an answer that is not a label word is wrong.
func (f *Frozen) EvaluateGenerated(ctx context.Context, bank *Bank, j *Judge, rows []Row) (*tasks.Report, error) {
	gold, pred := make([]int, len(rows)), make([]int, len(rows))
	texts, err := f.Generate(ctx, bank, rows, GenerateOptions{MaxTokens: j.MaxTarget})
	if err != nil {
		return nil, err
	}
	for i, r := range rows {
		gold[i], pred[i] = r.Label, j.Task.Postprocess(f.Tokenizer.Decode(texts[i].IDs))
	}
	report, err := tasks.Evaluate(j.Task, gold, pred)
	return &report, err
}
