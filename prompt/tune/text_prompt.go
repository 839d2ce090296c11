package tune

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"softprompt/models"
	"softprompt/onnx/ort"
	"softprompt/prompt"
	"softprompt/tasks"
)

// TextPrompt is the baseline that needs no tuning: an instruction in words and
// examples with their answers, read before every input (Brown et al. 2020; the
// few-shot GPT-3 that Lester et al. 2021 compare with).
type TextPrompt struct {
	Instruction string `json:"instruction"`
	Shots       int    `json:"shots"` // examples in the context, classes in turn
	Seed        uint64 `json:"seed"`  // which ones
}

// textPromptInput is the number of input tokens that a text prompt may take by
// default: what T5 was trained with.
const textPromptInput = 512

// NewTextPredictor has a model answer a task after a text prompt, without
// anything tuned. The examples are training rows, which are read as from says.
func NewTextPredictor(ctx context.Context, rt *ort.Runtime, text TextPrompt, from tasks.LoadOptions, opts PredictOptions) (_ *Predictor, err error) {
	task, err := promptTask(prompt.Meta{}, opts)
	if err != nil {
		return nil, err
	}
	var train []tasks.Example
	if text.Shots > 0 {
		if train, err = task.Load(ctx, tasks.Train, from); err != nil {
			return nil, err
		}
	}
	f, err := opts.open(ctx, rt, opts.Model, "", prompt.Sizes{})
	if err != nil {
		return nil, err
	}
	p := &Predictor{Frozen: f, Task: task}
	defer func() {
		if err != nil {
			p.Close()
		}
	}()
	if p.bank, err = NewBank(nil); err != nil {
		return nil, err
	}
	if p.judge, err = f.NewJudge(task, cmp.Or(opts.MaxInput, textPromptInput), task.MaxTarget); err != nil {
		return nil, err
	}
	p.judge.context, err = newTextContext(f.Tokenizer, text, train)
	return p, err
}

// textContext is a text prompt as tokens.
type textContext struct {
	instruction []int64
	shots       [][]int64 // input and answer of each
}

// newTextContext draws the examples from training rows and encodes them.
func newTextContext(tok *models.Tokenizer, t TextPrompt, train []tasks.Example) (*textContext, error) {
	var c textContext
	var err error
	if c.instruction, err = tok.Encode(tasks.Clean(t.Instruction)); err != nil {
		return nil, fmt.Errorf("encoding the instruction: %w", err)
	}
	for _, ex := range inTurn(train, t.Shots, t.Seed) {
		ids, err := tok.Encode(ex.Input + " " + ex.Target)
		if err != nil {
			return nil, fmt.Errorf("encoding example %s of the text prompt: %w", ex.ID, err)
		}
		c.shots = append(c.shots, ids)
	}
	return &c, nil
}

// inTurn draws n rows that have an answer, at random by seed, of one class
// after the other.
func inTurn(train []tasks.Example, n int, seed uint64) []tasks.Example {
	byClass := map[int][]tasks.Example{}
	var classes []int
	for _, at := range tasks.Permutation(len(train), seed, 0) {
		ex := train[at]
		if ex.Target == "" {
			continue
		}
		if byClass[ex.Label] == nil {
			classes = append(classes, ex.Label)
		}
		byClass[ex.Label] = append(byClass[ex.Label], ex)
	}
	slices.Sort(classes)
	var out []tasks.Example
	for round := 0; len(out) < n; round++ {
		before := len(out)
		for _, class := range classes {
			if round < len(byClass[class]) && len(out) < n {
				out = append(out, byClass[class][round])
			}
		}
		if len(out) == before { // there are no more
			break
		}
	}
	return out
}

// before returns what stands before an input of n tokens, EOS included, so
// that both fit: the last examples are left out first, and then the
// instruction. It tells how many examples stayed.
func (c *textContext) before(n, maxInput int) (ids []int64, shots int) {
	left := maxInput - n - len(c.instruction)
	if left < 0 {
		return nil, 0
	}
	ids = slices.Clone(c.instruction)
	for _, s := range c.shots {
		if left -= len(s); left < 0 {
			break
		}
		ids = append(ids, s...)
		shots++
	}
	return ids, shots
}

// encodeFor turns examples into rows as a judge reads them.
func (f *Frozen) encodeFor(ctx context.Context, j *Judge, examples []tasks.Example) ([]Row, error) {
	rows, err := encodeRows(ctx, f.Tokenizer, examples, j.MaxInput, j.MaxTarget)
	if err != nil || j.context == nil {
		return rows, err
	}
	for i := range rows {
		before, shots := j.context.before(len(rows[i].IDs), j.MaxInput)
		rows[i].IDs = append(before, rows[i].IDs...)
		rows[i].Cut = rows[i].Cut || shots < len(j.context.shots)
	}
	return rows, nil
}
