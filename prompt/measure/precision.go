package measure

import (
	"context"
	"fmt"

	"softprompt/export"
	"softprompt/onnx/ort"
	"softprompt/prompt/tune"
)

// Precision compares a training step with reduced products to one in float32,
// on the first batch of a run of these settings, without dropout.
func Precision(ctx context.Context, rt *ort.Runtime, s tune.Settings, reduced export.Precision, opts tune.Options) (*Comparison, error) {
	s.Dropout, s.Precision = 0, export.FP32
	s.MicroBatch = s.Batch
	steps, err := tune.NewStepper(ctx, rt, s, opts)
	if err != nil {
		return nil, err
	}
	defer steps.Close()
	exact, err := steps.Graph(ctx, export.FP32)
	if err != nil {
		return nil, err
	}
	other, err := steps.Graph(ctx, reduced)
	if err != nil {
		return nil, err
	}
	inputs, err := steps.Inputs()
	if err != nil {
		return nil, err
	}
	c, err := Compare(ctx, rt, other, exact, inputs)
	if err != nil {
		return nil, fmt.Errorf("precision %s of model %s: %w", reduced, s.Model, err)
	}
	return c, nil
}
