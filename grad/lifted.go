package grad

import (
	"fmt"

	"softprompt/onnx"
)

// Lift returns a model of opset 11 to 23 at opset 18 or newer, in which it
// computes the same: what [Reverse] does first. Passes that come before it, and
// would rather know one form of each operator, call it themselves. A model that
// is new enough is returned as it is; else the result shares its tensors.
func Lift(m *onnx.Model) (*onnx.Model, error) {
	if m.Graph == nil {
		return nil, fmt.Errorf("the model has no graph")
	}
	return lift(m)
}
