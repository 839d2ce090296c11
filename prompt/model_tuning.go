package prompt

import (
	"slices"

	"softprompt/models"
	"softprompt/onnx"
)

// MethodModel is model tuning.
const MethodModel = "model"

// tunedPrefix tells the graph input of a weight that is tuned from the weight.
const tunedPrefix = "tuned."

// modelTuning is the baseline that prompts are compared with: it tunes the
// model itself.
var modelTuning = MethodInfo{
	Name: MethodModel, Help: "every weight of the model, the paper's baseline (Raffel et al. 2020)",
	ByModel: true, Weights: true, New: ModelTuning,
	// T5's own: Adafactor at 0.001 with its scaling by parameters (Raffel et al.
	// 2020, section 3.1.2). The reference goes on from the moments of
	// pre-training, which no published checkpoint of PyTorch has; without them
	// they have to follow the task at once, hence the initial step.
	Defaults: map[string]any{
		"learning_rate": 1e-3, "weight_decay": 0, "parameter_scale": true, "initial_step": 0,
	},
}

// ModelTuning returns the method that tunes every weight of the model, norms,
// embeddings and position biases included, from the values that it has. A
// weight that stands in two places, as the embeddings of a model whose head is
// tied to them, is one tensor and gets the sum of both gradients.
//
// Graph inputs: tuned.<weight> [1,…] for each weight of models.WeightShapes.
// There is one such model in a pass: rows cannot have weights of their own as
// they have prompts of their own.
func ModelTuning(c models.Config, _ Sizes) (*Method, error) {
	m := &Method{Name: MethodModel}
	for _, w := range models.WeightShapes(c) {
		if w.Optional && w.Name != c.HeadName() {
			continue
		}
		shape := make(onnx.Shape, len(w.Shape))
		for i, n := range w.Shape {
			shape[i] = onnx.Size(n)
		}
		m.Trainables = append(m.Trainables, Trainable{
			Name: w.Name, Input: tunedPrefix + w.Name, Shape: shape, Weight: w.Name,
		})
	}
	m.Weight = func(s *Site, name, w string) string {
		if !slices.ContainsFunc(m.Trainables, func(t Trainable) bool { return t.Name == name }) {
			return w
		}
		return s.B.Squeeze(tunedPrefix+name, 0) // shares the input's memory
	}
	return m, nil
}
