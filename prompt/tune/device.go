package tune

import (
	"context"

	"softprompt/export"
	"softprompt/onnx/ort"
)

// NeedsStandard tells whether graphs for a device are to be written in the
// operators of the standard domain alone: its provider lacks some of ONNX
// Runtime's own, which would run on the processor, with copies to and fro.
func NeedsStandard(ctx context.Context, rt *ort.Runtime, d ort.Device) (bool, error) {
	lacking, err := rt.Lacks(ctx, d, export.Fused()...)
	return len(lacking) > 0, err
}
