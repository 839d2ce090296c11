package tune

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"softprompt/grad"
	"softprompt/onnx"
	"softprompt/onnx/ort"
)

// TestBatch holds batches that go through the model in micro-batches, by
// several workers, against one pass: the same losses in the same order, the
// same gradient but for rounding, and at each repetition the same bits.
func TestBatch(t *testing.T) {
	ctx := context.Background()
	opts := StepOptions{Weights: []float32{0.25}, Dropout: &Dropout{Rate: 0.1, Seeds: []uint64{5}, Step: 1}}
	freeze := func(p Passes, threads int) (*Frozen, []Row, *Bank) {
		f := freezeTiny(t, FreezeOptions{Method: "prompt-tuning", ZLoss: 1e-4, Dropout: true, Threads: threads, Passes: p})
		return f, slices.Concat(someRows(t, f), someRows(t, f)[:2]), bankOf(t, f, randomPrompt(t, f, 6, 1))
	}
	f, rows, bank := freeze(Passes{}, 1)
	whole, err := f.Step(ctx, bank, rows, opts)
	if err != nil {
		t.Fatal(err)
	}
	_, g := bank.Tensors()
	want := slices.Clone(g[0])

	bySize := map[int][]float32{} // one thread a worker: the workers' number changes no bit
	for _, p := range []Passes{
		{},
		{MicroBatch: 1, Workers: 1},
		{MicroBatch: 2, Workers: 1},
		{MicroBatch: 2, Workers: 2},
		{MicroBatch: 3, Workers: 2},
		{MicroBatch: 1, Workers: 3},
		{MicroBatch: 100, Workers: 4},
		{MicroBatch: 2, Workers: 3, Prepack: true},
	} {
		f, rows, bank := freeze(p, max(1, p.Workers))
		for repeat := range 3 {
			res, err := f.Batch(ctx, bank, rows, opts)
			if err != nil {
				t.Fatalf("%+v: %v", p, err)
			}
			_, g := bank.Tensors()
			if diff, ok := near(g[0], want, 1e-5); !ok {
				t.Errorf("%+v: the gradient differs from that of one pass, relative %.1e", p, diff)
			}
			if diff, ok := near(res.ExampleLoss, whole.ExampleLoss, 1e-5); !ok {
				t.Errorf("%+v: losses of the rows %v, want %v: relative %.1e", p, res.ExampleLoss, whole.ExampleLoss, diff)
			}
			if math.Abs(res.Loss-whole.Loss) > 1e-5*whole.Loss || res.Tokens != whole.Tokens || res.Hits != whole.Hits {
				t.Errorf("%+v: loss %v, %d tokens, %d hits; one pass: %v, %d, %d", p, res.Loss, res.Tokens, res.Hits, whole.Loss, whole.Tokens, whole.Hits)
			}
			if p.Prepack {
				continue
			}
			if first := bySize[p.MicroBatch]; first == nil {
				bySize[p.MicroBatch] = slices.Clone(g[0])
			} else if !slices.Equal(g[0], first) {
				t.Errorf("%+v, repetition %d: the gradient has other bits", p, repeat)
			}
		}
	}
}

// TestBatchFails: what goes wrong in one pass ends the batch, and is told.
func TestBatchFails(t *testing.T) {
	f := freezeTiny(t, FreezeOptions{Method: "prompt-tuning", Threads: 2, Passes: Passes{MicroBatch: 1, Workers: 2}})
	bank := bankOf(t, f, randomPrompt(t, f, 6, 1))
	rows := someRows(t, f)
	bad := slices.Clone(rows)
	bad[3].Target = nil
	_, err := f.Batch(context.Background(), bank, bad, StepOptions{Weights: []float32{1}})
	if err == nil || !strings.Contains(err.Error(), "has no target") {
		t.Errorf("a row without a target: %v", err)
	}
	if _, err := f.Batch(context.Background(), bank, nil, StepOptions{Weights: []float32{1}}); !errors.Is(err, errNoRows) {
		t.Errorf("no rows: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := f.Batch(ctx, bank, rows, StepOptions{Weights: []float32{1}}); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that had ended: %v", err)
	}
	// The session is as good as before.
	if _, err := f.Batch(context.Background(), bank, rows, StepOptions{Weights: []float32{1}}); err != nil {
		t.Error(err)
	}
}

// TestBatchCancelled ends the context while passes are under way.
func TestBatchCancelled(t *testing.T) {
	f := freezeTiny(t, FreezeOptions{Method: "prompt-tuning", Threads: 2, Passes: Passes{MicroBatch: 1, Workers: 2}})
	bank := bankOf(t, f, randomPrompt(t, f, 100, 1))
	var rows []Row
	for range 40 {
		rows = append(rows, someRows(t, f)...)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() {
		_, err := f.Batch(ctx, bank, rows, StepOptions{Weights: []float32{1}})
		ended <- err
	}()
	if _, err := f.Step(context.Background(), bankOf(t, f, randomPrompt(t, f, 6, 1)), rows[:1], StepOptions{Weights: []float32{1}}); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled on the way: %v", err)
	}
}

func TestInParallel(t *testing.T) {
	broken := errors.New("broken")
	for _, c := range []struct{ workers, n, breaks int }{
		{1, 5, -1}, {3, 5, -1}, {3, 2, -1}, {2, 0, -1}, {1, 5, 2}, {4, 200, 3}, {4, 4, 0},
	} {
		var mu sync.Mutex
		var got []int
		err := inParallel(context.Background(), c.workers, c.n, func(ctx context.Context, worker, i int) error {
			mu.Lock()
			got = append(got, i)
			mu.Unlock()
			if worker >= c.workers {
				t.Errorf("%+v: worker %d", c, worker)
			}
			if i == c.breaks {
				return broken
			}
			if c.breaks >= 0 && i > c.breaks { // the others wait for the end that the error brings
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		})
		slices.Sort(got)
		switch {
		case c.breaks < 0 && (err != nil || len(got) != c.n || len(slices.Compact(got)) != c.n):
			t.Errorf("%+v: did %v, %v", c, got, err)
		case c.breaks >= 0 && (err != broken || len(got) > c.breaks+c.workers):
			t.Errorf("%+v: did %v, %v", c, got, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var calls atomic.Int64
	err := inParallel(ctx, 2, 1000, func(context.Context, int, int) error {
		if calls.Add(1) == 10 {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || calls.Load() > 20 {
		t.Errorf("cancelled at the tenth of 1000: %d done, %v", calls.Load(), err)
	}
}

// TestTally adds passes in every order of their ends: the sum is that of their
// own order, to the bit.
func TestTally(t *testing.T) {
	parts := [][]float32{{1e8, 1}, {1, 2}, {-1e8, 3}, {0.1, 4}}
	tensor := func(v []float32) map[string]*ort.Tensor {
		x, err := ort.FromFloats(v, int64(len(v)))
		if err != nil {
			t.Fatal(err)
		}
		return map[string]*ort.Tensor{grad.Prefix + "x": x}
	}
	var want []float32
	for _, order := range permutations(len(parts)) {
		bank := &Bank{grads: tensor([]float32{7, 7})}
		sum := newTally(bank)
		reused := tensor([]float32{0, 0}) // as a worker's gradients are
		for _, i := range order {
			copy(reused[grad.Prefix+"x"].Float32s(), parts[i])
			sum.add(i, StepResult{Loss: float64(i), ExampleLoss: []float32{float32(i)}, Tokens: 1, Hits: i}, reused)
		}
		got := bank.grads[grad.Prefix+"x"].Float32s()
		if want == nil {
			want = got
		}
		if !slices.Equal(got, want) || !slices.Equal(sum.res.ExampleLoss, []float32{0, 1, 2, 3}) || sum.res.Loss != 6 || sum.res.Tokens != 4 || sum.res.Hits != 6 {
			t.Errorf("order %v: gradient %v, want %v; %+v", order, got, want, sum.res)
		}
	}
}

// permutations returns all orders of 0 to n−1, its own first.
func permutations(n int) [][]int {
	if n == 0 {
		return [][]int{nil}
	}
	var all [][]int
	for _, shorter := range permutations(n - 1) {
		for at := n - 1; at >= 0; at-- {
			all = append(all, slices.Insert(slices.Clone(shorter), at, n-1))
		}
	}
	return all
}

// TestWorkersScore: workers change neither scores nor what is written.
func TestWorkersScore(t *testing.T) {
	ctx := context.Background()
	var scores [][][]float64
	var texts [][]Generation
	for _, workers := range []int{1, 2, 3} {
		f := freezeTiny(t, FreezeOptions{Method: "prompt-tuning", Threads: workers, Passes: Passes{Workers: workers}})
		rows := slices.Concat(someRows(t, f), someRows(t, f), someRows(t, f), someRows(t, f), someRows(t, f), someRows(t, f), someRows(t, f))
		bank := bankOf(t, f, randomPrompt(t, f, 6, 1))
		s, err := f.Score(ctx, bank, rows, [][]int64{rows[0].Target, rows[1].Target})
		if err != nil {
			t.Fatal(err)
		}
		g, err := f.Generate(ctx, bank, rows, GenerateOptions{MaxTokens: 3, Beams: 2})
		if err != nil {
			t.Fatal(err)
		}
		scores, texts = append(scores, s), append(texts, g)
		bad := slices.Clone(rows)
		bad[7].IDs = []int64{1 << 40}
		if _, err := f.Score(ctx, bank, bad, [][]int64{rows[0].Target}); err == nil {
			t.Errorf("%d workers: an id that is no word was scored", workers)
		}
	}
	for w := 1; w < len(scores); w++ {
		for i := range scores[0] {
			for j, want := range scores[0][i] {
				if got := scores[w][i][j]; math.Abs(got-want) > 1e-5*math.Abs(want) {
					t.Errorf("%d workers, row %d: %v, want %v", w+1, i, got, want)
				}
			}
			if !slices.Equal(texts[w][i].IDs, texts[0][i].IDs) {
				t.Errorf("%d workers, row %d: wrote %v, want %v", w+1, i, texts[w][i].IDs, texts[0][i].IDs)
			}
		}
	}
}

// TestNameShapes: the names of computed sizes are in the graph that the runtime
// gets; a graph with an operator that is unknown stays as it is.
func TestNameShapes(t *testing.T) {
	f := freezeTiny(t, FreezeOptions{Method: "prompt-tuning"})
	m, err := exporters[trainGraph](f.specOf(trainGraph))
	if err != nil {
		t.Fatal(err)
	}
	nameShapes(m)
	named := 0
	for _, v := range m.Graph.Values {
		if strings.Contains(fmt.Sprint(v.Shape), "P+S") {
			named++
		}
	}
	if named < 20 {
		t.Errorf("%d values of the train graph have a size P+S", named)
	}
	odd := onnx.NewModel("odd")
	odd.Graph.Inputs = []onnx.Value{{Name: "x", Type: onnx.Float32, Shape: onnx.Shape{onnx.Sym("B")}}}
	odd.Graph.Nodes = []*onnx.Node{{Op: "MatMul", Inputs: []string{"x", "nothing"}, Outputs: []string{"y"}}}
	odd.Graph.Outputs = []onnx.Value{{Name: "y", Type: onnx.Float32}}
	nameShapes(odd)
	if len(odd.Graph.Values) != 0 || odd.Graph.Outputs[0].Shape != nil {
		t.Errorf("values %v, outputs %v", odd.Graph.Values, odd.Graph.Outputs)
	}
}
