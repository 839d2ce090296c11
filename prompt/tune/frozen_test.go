package tune

import (
	"context"
	"math"
	"slices"
	"testing"

	"softprompt/prompt"
)

// near tells whether two slices differ by at most tol times b's largest value.
func near(a, b []float32, tol float64) (float64, bool) {
	var diff, scale float64
	for i := range b {
		diff = max(diff, math.Abs(float64(a[i]-b[i])))
		scale = max(scale, math.Abs(float64(b[i])))
	}
	return diff / scale, len(a) == len(b) && diff <= tol*scale
}

// TestPromptsShareABatch trains three prompts of different lengths in one
// pass: each has the loss and the gradient that it has alone.
func TestPromptsShareABatch(t *testing.T) {
	ctx := context.Background()
	f := freezeTiny(t, FreezeOptions{Method: "prompt-tuning", ZLoss: 1e-4, Dropout: true})
	prompts := []*prompt.Prompt{randomPrompt(t, f, 7, 1), randomPrompt(t, f, 3, 2), randomPrompt(t, f, 5, 3)}
	rows := someRows(t, f)
	for i := range rows {
		rows[i].Prompt = i % len(prompts)
	}
	opts := StepOptions{Weights: []float32{1}, Dropout: &Dropout{Rate: 0.1, Seeds: []uint64{11, 12, 13}, Step: 4}}
	together := bankOf(t, f, prompts...)
	all, err := f.Step(ctx, together, rows, opts)
	if err != nil {
		t.Fatal(err)
	}
	_, grads := together.Tensors()
	d := f.Model.Config.DModel
	for k, p := range prompts {
		var own []Row
		var want []float32
		for i, r := range rows {
			if r.Prompt == k {
				r.Prompt = 0
				own = append(own, r)
				want = append(want, all.ExampleLoss[i])
			}
		}
		alone := bankOf(t, f, p)
		o := opts
		o.Dropout = &Dropout{Rate: 0.1, Seeds: opts.Dropout.Seeds[k : k+1], Step: 4}
		res, err := f.Step(ctx, alone, own, o)
		if err != nil {
			t.Fatal(err)
		}
		if diff, ok := near(res.ExampleLoss, want, 1e-5); !ok {
			t.Errorf("prompt %d: losses alone %v, together %v: relative %.1e", k, res.ExampleLoss, want, diff)
		}
		_, g := alone.Tensors()
		n := together.Length * d
		slot := grads[0][k*n : (k+1)*n]
		padding, part := slot[:n-len(g[0])], slot[n-len(g[0]):]
		if diff, ok := near(part, g[0], 1e-5); !ok {
			t.Errorf("prompt %d: gradient differs from that alone, relative %.1e", k, diff)
		}
		if slices.ContainsFunc(padding, func(v float32) bool { return v != 0 }) {
			t.Errorf("prompt %d: its padding has a gradient", k)
		}
	}
}

// TestMicroBatches holds the sum of two passes' gradients against one pass.
func TestMicroBatches(t *testing.T) {
	ctx := context.Background()
	f := freezeTiny(t, FreezeOptions{Method: "prompt-tuning", ZLoss: 1e-4, Dropout: true})
	rows := someRows(t, f)
	bank := bankOf(t, f, randomPrompt(t, f, 6, 1))
	opts := StepOptions{Weights: []float32{0.25}, Dropout: &Dropout{Rate: 0.1, Seeds: []uint64{5}, Step: 1}}
	whole, err := f.Step(ctx, bank, rows, opts)
	if err != nil {
		t.Fatal(err)
	}
	_, g := bank.Tensors()
	want := slices.Clone(g[0])
	sum := make([]float32, len(want))
	loss, tokens, hits := 0.0, 0, 0
	for _, part := range [][]Row{rows[:2], rows[2:]} {
		res, err := f.Step(ctx, bank, part, opts)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range g[0] {
			sum[i] += v
		}
		loss, tokens, hits = loss+res.Loss, tokens+res.Tokens, hits+res.Hits
	}
	if diff, ok := near(sum, want, 1e-5); !ok {
		t.Errorf("gradients of two passes differ from one, relative %.1e", diff)
	}
	if math.Abs(loss-whole.Loss) > 1e-5*whole.Loss || tokens != whole.Tokens || hits != whole.Hits {
		t.Errorf("two passes: loss %v, %d tokens, %d hits; one: %v, %d, %d", loss, tokens, hits, whole.Loss, whole.Tokens, whole.Hits)
	}
}

// TestDescent follows the gradient a little way: the loss falls as much as
// the gradient says.
func TestDescent(t *testing.T) {
	ctx := context.Background()
	f := freezeTiny(t, FreezeOptions{Method: "prompt-tuning"})
	rows := someRows(t, f)
	bank := bankOf(t, f, randomPrompt(t, f, 6, 1))
	before, err := f.Step(ctx, bank, rows, StepOptions{Weights: []float32{1}})
	if err != nil {
		t.Fatal(err)
	}
	values, grads := bank.Tensors()
	var square float64
	for _, g := range grads[0] {
		square += float64(g) * float64(g)
	}
	const fall = 0.05 // of the loss, as the gradient promises it
	for i, g := range grads[0] {
		values[0][i] -= float32(fall / square * float64(g))
	}
	after, err := f.Step(ctx, bank, rows, StepOptions{Weights: []float32{1}})
	if err != nil {
		t.Fatal(err)
	}
	if got := before.Loss - after.Loss; got < 0.8*fall || got > 1.2*fall {
		t.Errorf("the loss fell by %.4f, the gradient said %.4f", got, fall)
	}
}

// TestScoreAgreesWithTraining: the score graph's log-probability of the target
// is the train graph's loss of the row.
func TestScoreAgreesWithTraining(t *testing.T) {
	ctx := context.Background()
	f := freezeTiny(t, FreezeOptions{Method: "prompt-tuning"})
	rows := someRows(t, f)
	bank := bankOf(t, f, randomPrompt(t, f, 6, 1))
	res, err := f.Step(ctx, bank, rows, StepOptions{Weights: []float32{1}})
	if err != nil {
		t.Fatal(err)
	}
	candidates := [][]int64{rows[0].Target, rows[1].Target}
	scores, err := f.Score(ctx, bank, rows, candidates)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range rows {
		c := slices.IndexFunc(candidates, func(ids []int64) bool { return slices.Equal(ids, r.Target) })
		if got := -scores[i][c]; math.Abs(got-float64(res.ExampleLoss[i])) > 1e-4 {
			t.Errorf("row %d: score says %.6f, training %.6f", i, got, res.ExampleLoss[i])
		}
	}
}

// TestNoPromptIsNoRows: a prompt whose mask is 0 throughout changes nothing.
func TestNoPromptIsNoRows(t *testing.T) {
	ctx := context.Background()
	f := freezeTiny(t, FreezeOptions{Method: "prompt-tuning"})
	rows := someRows(t, f)
	candidates := [][]int64{rows[0].Target, rows[1].Target}
	masked := bankOf(t, f, randomPrompt(t, f, 5, 1))
	clear(masked.mask.Float32s())
	got, err := f.Score(ctx, masked, rows, candidates)
	if err != nil {
		t.Fatal(err)
	}
	plain := f.Plain()
	defer plain.Close()
	none, err := NewBank(nil)
	if err != nil {
		t.Fatal(err)
	}
	want, err := plain.Score(ctx, none, rows, candidates)
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		for j := range want[i] {
			if math.Abs(got[i][j]-want[i][j]) > 1e-4 {
				t.Errorf("row %d, candidate %d: %.6f, without a prompt %.6f", i, j, got[i][j], want[i][j])
			}
		}
	}
}

func TestBankRefuses(t *testing.T) {
	f := freezeTiny(t, FreezeOptions{Method: "prompt-tuning"})
	for name, p := range map[string]*prompt.Prompt{
		"another width": prompt.New(make([]float32, 12), 3, 4),
		"no tensor":     {Method: "prompt-tuning"},
		"a vector":      {Tensors: []prompt.Tensor{{Name: "prompt", Shape: []int64{4}, Data: make([]float32, 4)}}},
	} {
		if _, err := NewBank(f.Method, p); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func TestStepRefuses(t *testing.T) {
	f := freezeTiny(t, FreezeOptions{Method: "prompt-tuning"})
	bank := bankOf(t, f, randomPrompt(t, f, 2, 1))
	if _, err := f.Step(context.Background(), bank, nil, StepOptions{}); err == nil {
		t.Error("no rows were taken")
	}
	if _, err := f.Step(context.Background(), bank, []Row{{IDs: []int64{5, 1}}}, StepOptions{}); err == nil {
		t.Error("a row without a target was taken")
	}
	if _, err := Freeze(context.Background(), nil, f.Model, FreezeOptions{Method: "magic"}); err == nil {
		t.Error("an unknown method was taken")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := f.Step(ctx, bank, someRows(t, f), StepOptions{Weights: []float32{1}}); err == nil {
		t.Error("a step ran although its context had ended")
	}
}
