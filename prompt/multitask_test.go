package prompt

import (
	"slices"
	"strings"
	"testing"

	"softprompt/models"
)

// TestMultitaskStart: of rank 1, the prompt that training starts from is the
// shared matrix itself; of a higher one it is near it, and its ranks differ.
func TestMultitaskStart(t *testing.T) {
	for _, rank := range []int{0, 3} {
		m, err := NewMethod(MethodMultitask, models.Config{DModel: 5}, Sizes{Length: 4, Rank: rank})
		if err != nil {
			t.Fatal(err)
		}
		tensors, err := m.Start(7, Uniform(1, 2), nil)
		if err != nil {
			t.Fatal(err)
		}
		p := &Prompt{Method: m.Name, Tensors: tensors, Meta: Meta{Length: 4, DModel: 5, Sizes: m.Sizes.Map()}}
		if err := p.Check(); err != nil {
			t.Fatal(err)
		}
		folded, err := m.Fold(p)
		if err != nil {
			t.Fatal(err)
		}
		got, want := folded.Tensors[0].Data, tensors[0].Data
		for i := range want {
			if d := got[i]/want[i] - 1; d > 0.01 || d < -0.01 || rank == 0 && d != 0 {
				t.Errorf("rank %d: the prompt starts with %v, its matrix with %v", rank, got, want)
				break
			}
		}
		if u := p.Tensor(TensorU).Data; rank == 3 && u[1] == u[2] {
			t.Errorf("two ranks start alike: %v", u)
		}
	}
}

// TestMultitaskFold multiplies out by hand.
func TestMultitaskFold(t *testing.T) {
	p := &Prompt{
		Method: MethodMultitask,
		Tensors: []Tensor{
			{TensorPrompt, []int64{2, 3}, []float32{1, 2, 3, 4, 5, 6}},
			{TensorU, []int64{2, 2}, []float32{1, 2, 0, -1}},
			{TensorV, []int64{2, 3}, []float32{1, 0, 2, 3, 1, 0}},
		},
		Meta: Meta{Length: 2, DModel: 3, Sizes: map[string]int{"rank": 2}, Task: "sst2"},
	}
	got, err := foldMultitask(p)
	if err != nil {
		t.Fatal(err)
	}
	// U·V is [[7 2 2] [-3 -1 0]].
	if want := []float32{7, 4, 6, -12, -5, 0}; !slices.Equal(got.Tensors[0].Data, want) {
		t.Errorf("folded to %v, want %v", got.Tensors[0].Data, want)
	}
	if err := got.Check(); err != nil || got.Method != MethodPromptTuning || got.Meta.Task != "sst2" || got.Meta.Extra["folded_from"] != MethodMultitask {
		t.Errorf("%+v, %v", got, err)
	}
	p.Tensors[2].Shape[0] = 3
	if _, err := foldMultitask(p); err == nil || !strings.Contains(err.Error(), `tensor "v"`) {
		t.Errorf("V of another rank: %v", err)
	}
}
