package export

import (
	"context"
	"fmt"

	"softprompt/models"
)

// Model is a model from which graphs can be made: it has its weights.
type Model struct {
	*models.Model
}

// Open opens a model of any kind: a checkpoint as [models.Open] does, and an
// exported ONNX model by recovering its weights. The caller closes it.
func Open(ctx context.Context, ref string, opts models.Options) (*Model, error) {
	m, err := models.Open(ctx, ref, opts)
	if err != nil {
		return nil, err
	}
	if m.Checkpoint == nil {
		m.Close()
		return nil, fmt.Errorf("opening model %s: an exported ONNX model", ref)
	}
	return &Model{Model: m}, nil
}

// Spec returns the description of the model's graphs, without a method.
func (m *Model) Spec(ctx context.Context) (Spec, error) {
	weights, err := m.Float32File(ctx)
	return Spec{Config: m.Config, Weights: weights}, err
}
