package tune

import (
	"slices"
	"testing"
)

// TestRecompute takes the same step with and without: the same loss and the
// same gradients to the bit.
func TestRecompute(t *testing.T) {
	var want StepResult
	var first []float32
	for _, recompute := range []bool{false, true} {
		f := freezeTiny(t, FreezeOptions{Method: "prompt-tuning", ZLoss: 1e-4, Dropout: true, Recompute: recompute, Threads: 2})
		bank := bankOf(t, f, randomPrompt(t, f, 20, 1))
		got, err := f.Step(t.Context(), bank, someRows(t, f), StepOptions{Weights: []float32{1}, Dropout: &Dropout{Rate: 0.1, Seeds: []uint64{5}}})
		if err != nil {
			t.Fatal(err)
		}
		_, grads := bank.Tensors()
		if !recompute {
			want, first = got, slices.Clone(grads[0])
			continue
		}
		if got.Loss != want.Loss || !slices.Equal(got.ExampleLoss, want.ExampleLoss) || got.Hits != want.Hits {
			t.Errorf("with recomputation %+v, want %+v", got, want)
		}
		if !slices.Equal(grads[0], first) {
			diff, _ := near(grads[0], first, 0)
			t.Errorf("the gradient is another with recomputation, by %.1e of the largest", diff)
		}
	}
}
