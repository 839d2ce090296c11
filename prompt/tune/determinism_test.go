package tune

import (
	"context"
	"slices"
	"testing"
)

// TestStepsRepeat runs the same step again and again at a size at which the
// runtime splits its work among threads: every gradient is the same to the
// bit.
func TestStepsRepeat(t *testing.T) {
	ctx := context.Background()
	f := freezeTiny(t, FreezeOptions{Method: "prompt-tuning", ZLoss: 1e-4, Threads: 2})
	var rows []Row
	for range 7 {
		rows = append(rows, someRows(t, f)...)
	}
	bank := bankOf(t, f, randomPrompt(t, f, 100, 1))
	_, grads := bank.Tensors()
	var first []float32
	for i := range 10 {
		if _, err := f.Step(ctx, bank, rows, StepOptions{Weights: []float32{1}}); err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = slices.Clone(grads[0])
		}
		if !slices.Equal(grads[0], first) {
			diff, _ := near(grads[0], first, 0)
			t.Fatalf("repetition %d has another gradient, by %.1e of the largest", i, diff)
		}
	}
}
