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
}

// StepOptions says how the tokens of a batch weigh and what is dropped.
type StepOptions struct {
	// Weight is that of every target token in the loss, or of every row when
	// a label is chosen: 1 for the sum, 1/tokens for the mean.
	Weight float32
	// Judge has the candidates when the graph trains on the choice of a label.
	Judge *Judge
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
		res.Tokens += len(r.Target)
	}
	if f.spec.Rank {
		res.Tokens = len(rows)
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
	}
	return res, nil
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
	in.floats("label_weights", slices.Repeat([]float32{opts.Weight}, len(rows)*longest), len(rows), longest)
	return longest, nil
}

// choices feeds the label words as candidates for each row, marks the right
// ones, and returns T.
func (in *feed) choices(rows []Row, opts StepOptions) (int, error) {
	j := opts.Judge
	if j == nil {
		return 0, errors.New("there are no label words to choose among")
	}
	right := make([]float32, 0, len(rows)*len(j.candidates))
	for i, r := range rows {
		if r.Label < 0 {
			return 0, fmt.Errorf("row %d of the batch has no label", i)
		}
		for _, class := range j.classes {
			mark := float32(0)
			if class == r.Label {
				mark = 1
			}
			right = append(right, mark)
		}
	}
	in.floats("right", right, len(rows), len(j.candidates))
	in.floats("row_weights", slices.Repeat([]float32{opts.Weight}, len(rows)), len(rows))
	return in.candidates(len(rows), j.candidates), nil
}

// candidates feeds the same candidate answers [C] for each of n rows, as
// [n,C,T], and returns T.
func (in *feed) candidates(n int, candidates [][]int64) int {
	ids, longest := padded(slices.Repeat(candidates, n))
	in.ints("candidate_ids", ids, n, len(candidates), longest)
	return longest
}
