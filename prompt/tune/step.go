package tune

import (
	"context"
	"errors"
	"fmt"

	"softprompt/onnx"
	"softprompt/onnx/ort"
)

// StepResult is what one pass forward and backward found.
type StepResult struct {
	Loss        float64   // Σ label_weights · (−log p + z-loss)
	ExampleLoss []float32 // Σ −log p of each row
	Tokens      int       // target tokens
	Hits        int       // target tokens that had the highest logit
}

// StepOptions says how the tokens of a batch weigh and what is dropped.
type StepOptions struct {
	// Weight is the weight of every target token in the loss: 1 for the sum,
	// 1/tokens for the mean.
	Weight float32
	// Dropout draws the masks; it is needed when the graph has dropout.
	Dropout *Dropout
}

// Step computes the loss of the rows and its gradient in the bank's prompts,
// which it leaves in the bank. Nothing is updated.
func (f *Frozen) Step(ctx context.Context, bank *Bank, rows []Row, opts StepOptions) (StepResult, error) {
	var res StepResult
	if len(rows) == 0 {
		return res, errors.New("training step: no rows")
	}
	s, err := f.session(ctx, trainGraph)
	if err != nil {
		return res, err
	}
	in := newFeed()
	defer in.close()
	in.inputs(rows, bank, f.Model.Config.PadID)

	labels := make([][]int64, len(rows))
	for i, r := range rows {
		if len(r.Target) == 0 {
			return res, fmt.Errorf("training step: row %d of the batch has no target", i)
		}
		labels[i] = r.Target
		res.Tokens += len(r.Target)
	}
	longest := in.targets("labels", labels)
	weights := make([]float32, len(rows)*longest)
	for i := range weights {
		weights[i] = opts.Weight
	}
	in.floats("label_weights", weights, len(rows), longest)
	if f.spec.Dropout {
		opts.Dropout.feed(in, f.Model.Config, rows, bank.Length, longest)
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
	if err := s.Run(ctx, in.tensors, out); err != nil {
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
