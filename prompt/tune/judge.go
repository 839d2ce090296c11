package tune

import (
	"fmt"
	"slices"

	"softprompt/tasks"
)

// Judge is a task ready to be scored: its label words as tokens.
type Judge struct {
	Task       *tasks.Task
	MaxInput   int
	MaxTarget  int
	candidates [][]int64 // the words, EOS last
	classes    []int     // the class that each stands for
	// calibration is added to the scores of the classes; nil for nothing.
	calibration []float64
	// context is laid before every input: instruction and examples of a text
	// prompt. EOS is not in it.
	context *textContext
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

// choices returns what a row can be answered with, as tokens, and which of
// them are right: the task's label words, or the row's own list. There is
// nothing to choose among in a task of free text.
func (j *Judge) choices(r *Row) (candidates [][]int64, right []bool) {
	if len(j.candidates) > 0 {
		right = make([]bool, len(j.classes))
		for i, class := range j.classes {
			right[i] = class == r.Label
		}
		return j.candidates, right
	}
	right = make([]bool, len(r.Choices))
	for i := range r.Choices {
		right[i] = slices.Contains(r.Example.Answers, r.Example.Choices[i])
	}
	return r.Choices, right
}
