package tune

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"softprompt/onnx"
	"softprompt/onnx/ort"
)

// StepResult is what one pass forward and backward found.
type StepResult struct {
	Loss        float64   // what the gradient is of, as export.Train has it
	ExampleLoss []float32 // Σ −log p of each row
	Tokens      int       // target tokens, or rows when the graph trains on the choice of a label
	Hits        int       // those of them that had the highest score
	ExampleHits []int     // the same of each row
}

// StepOptions says how the tokens of a batch weigh and what is dropped. What
// may differ from one prompt of the bank to the next is listed in their order;
// a list of one is for all.
type StepOptions struct {
	// Weights are those of every target token in the loss, or of every row
	// when a label is chosen: 1 for the sum, 1/tokens for the mean.
	Weights []float32
	// Judges have the candidates when the graph trains on a choice.
	Judges []*Judge
	// Dropout draws the masks; it is needed when the graph has dropout.
	Dropout *Dropout
}

// Step computes the loss of the rows and its gradient in the bank's prompts,
// which it leaves in the bank, in one pass. Nothing is updated.
func (f *Frozen) Step(ctx context.Context, bank *Bank, rows []Row, opts StepOptions) (StepResult, error) {
	var res StepResult
	if len(rows) == 0 {
		return res, errNoRows
	}
	s, err := f.session(ctx, trainGraph, f.passes.Workers)
	if err != nil {
		return res, err
	}
	in := newFeed()
	defer in.close()
	in.inputs(rows, bank, f.Model.Config.PadID)

	feedTargets := in.answers
	if f.spec.Rank {
		feedTargets = in.choices
	}
	longest, err := feedTargets(rows, opts)
	if err != nil {
		return res, fmt.Errorf("training step: %w", err)
	}
	for _, r := range rows {
		res.Tokens += f.tokens(r)
	}
	if f.spec.Dropout {
		opts.Dropout.feed(in, f.Model.Config, rows, bank, longest)
	}
	if in.err != nil {
		return res, in.err
	}

	loss, err := ort.NewTensor(onnx.Float32, 1)
	if err != nil {
		return res, err
	}
	defer loss.Close()
	out := map[string]*ort.Tensor{"loss": loss, "example_loss": nil, "token_hits": nil}
	for name, g := range bank.grads {
		out[name] = g
	}
	if err := s.Run(ctx, in.takenBy(s), out); err != nil {
		return res, fmt.Errorf("training step: %w", err)
	}
	defer out["example_loss"].Close()
	defer out["token_hits"].Close()
	res.Loss = float64(loss.Float32s()[0])
	res.ExampleLoss = append(res.ExampleLoss, out["example_loss"].Float32s()...)
	for _, h := range out["token_hits"].Float32s() {
		res.Hits += int(h)
		res.ExampleHits = append(res.ExampleHits, int(h))
	}
	return res, nil
}

// tokens counts what a row adds to the loss: its target's tokens, or 1 where
// the graph trains on a choice.
func (f *Frozen) tokens(r Row) int {
	if f.spec.Rank {
		return 1
	}
	return len(r.Target)
}

// of returns what a list says of a prompt.
func of[T any](list []T, k int) (v T, err error) {
	switch {
	case len(list) == 1:
		return list[0], nil
	case k < 0 || k >= len(list):
		return v, fmt.Errorf("nothing is said of prompt %d", k)
	}
	return list[k], nil
}

// answers feeds the targets of the rows, token by token, and returns T.
func (in *feed) answers(rows []Row, opts StepOptions) (int, error) {
	labels := make([][]int64, len(rows))
	for i, r := range rows {
		if len(r.Target) == 0 {
			return 0, fmt.Errorf("row %d of the batch has no target", i)
		}
		labels[i] = r.Target
	}
	ids, longest := padded(labels)
	in.ints("labels", ids, len(rows), longest)
	var weights []float32
	for i, r := range rows {
		w, err := of(opts.Weights, r.Prompt)
		if err != nil {
			return 0, fmt.Errorf("the weight of row %d: %w", i, err)
		}
		weights = append(weights, slices.Repeat([]float32{w}, longest)...)
	}
	in.floats("label_weights", weights, len(rows), longest)
	return longest, nil
}

// choices feeds what each row can be answered with, marks the right
// ones, and returns T.
func (in *feed) choices(rows []Row, opts StepOptions) (int, error) {
	sets, marks := make([][][]int64, len(rows)), make([][]bool, len(rows))
	weights := make([]float32, len(rows))
	most := 0
	for i := range rows {
		j, err := of(opts.Judges, rows[i].Prompt)
		if err == nil && j == nil {
			err = errors.New("there is nothing to choose among")
		}
		if err == nil {
			weights[i], err = of(opts.Weights, rows[i].Prompt)
		}
		if err != nil {
			return 0, fmt.Errorf("row %d of the batch: %w", i, err)
		}
		sets[i], marks[i] = j.choices(&rows[i])
		if !slices.Contains(marks[i], true) {
			return 0, fmt.Errorf("row %d of the batch has no right answer to choose", i)
		}
		most = max(most, len(sets[i]))
	}
	right := make([]float32, len(rows)*most)
	for i := range marks {
		for c, ok := range marks[i] {
			if ok {
				right[i*most+c] = 1
			}
		}
	}
	in.floats("right", right, len(rows), most)
	in.floats("row_weights", weights, len(rows))
	return in.candidates(sets, most), nil
}

// candidates feeds candidate answers of each row, as [B,C,T] with C the most
// that a row has, and returns T.
func (in *feed) candidates(sets [][][]int64, most int) int {
	all := make([][]int64, 0, len(sets)*most)
	for _, set := range sets {
		all = append(all, set...)
		all = append(all, make([][]int64, most-len(set))...)
	}
	ids, longest := padded(all)
	in.ints("candidate_ids", ids, len(sets), most, longest)
	return longest
}
