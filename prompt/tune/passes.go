package tune

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"softprompt/onnx/ort"
)

// Passes says how the rows of a batch go through the model. The zero value is
// all of them at once.
//
// A micro-batch is small enough that what one operator leaves is still in the
// cache when the next one reads it. Workers share one session, whose operators
// then have a share of the threads: threads that each work at a pass of their
// own never wait for one another.
type Passes struct {
	MicroBatch int // rows of a pass, 0 for all
	Workers    int // passes under way at once; 0 is 1
	// Prepack gives the train session a copy of the encoder's weights in the layout that
	// matrix products like best, once as the forward and once as the backward
	// pass reads them.
	Prepack bool
}

// cut returns the micro-batches of a batch. Its rows are in the order of their
// lengths, so a micro-batch holds little padding.
func (p Passes) cut(rows []Row) [][]Row {
	size := p.MicroBatch
	if size < 1 {
		size = max(1, len(rows))
	}
	return slices.Collect(slices.Chunk(rows, size))
}

// Batch computes the loss of the rows and its gradient in the bank's prompts,
// as [Frozen.Step] does, in micro-batches and with the workers of
// [FreezeOptions]. The passes add up in the order of their rows, whichever
// ends first, so the result does not depend on the time they took.
func (f *Frozen) Batch(ctx context.Context, bank *Bank, rows []Row, opts StepOptions) (StepResult, error) {
	parts := f.passes.cut(rows)
	if len(parts) == 0 {
		return StepResult{}, errNoRows
	}
	workers := min(max(1, f.passes.Workers), len(parts))
	banks := make([]*Bank, workers) // the same prompts, each with a gradient of its own
	for i := range banks {
		var err error
		if banks[i], err = bank.twin(); err != nil {
			return StepResult{}, fmt.Errorf("training step: %w", err)
		}
	}
	sum := newTally(bank)
	err := inParallel(ctx, workers, len(parts), func(ctx context.Context, worker, i int) error {
		res, err := f.Step(ctx, banks[worker], parts[i], opts)
		if err == nil {
			sum.add(i, res, banks[worker].grads)
		}
		return err
	})
	return sum.res, err
}

var errNoRows = errors.New("training step: no rows")

// tally adds up the passes of a batch, the gradients in a bank.
type tally struct {
	mu      sync.Mutex
	res     StepResult
	grads   map[string]*ort.Tensor
	next    int            // the pass that is to be added
	waiting map[int]passed // those behind it that ended before it
}

// passed is what a pass left.
type passed struct {
	res   StepResult
	grads map[string][]float32
}

func newTally(bank *Bank) *tally {
	for _, g := range bank.grads {
		clear(g.Float32s())
	}
	return &tally{grads: bank.grads, waiting: map[int]passed{}}
}

// add takes the i-th pass. Its gradients are the caller's again afterwards.
func (t *tally) add(i int, res StepResult, grads map[string]*ort.Tensor) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := passed{res, map[string][]float32{}}
	for name, g := range grads {
		p.grads[name] = g.Float32s()
	}
	if i > t.next {
		for name, g := range p.grads {
			p.grads[name] = slices.Clone(g)
		}
	}
	t.waiting[i] = p
	for {
		p, ok := t.waiting[t.next]
		if !ok {
			return
		}
		delete(t.waiting, t.next)
		t.next++
		t.res.Loss += p.res.Loss
		t.res.ExampleLoss = append(t.res.ExampleLoss, p.res.ExampleLoss...)
		t.res.Tokens += p.res.Tokens
		t.res.Hits += p.res.Hits
		t.res.ExampleHits = append(t.res.ExampleHits, p.res.ExampleHits...)
		for name, g := range p.grads {
			total := t.grads[name].Float32s()
			for j, v := range g {
				total[j] += v
			}
		}
	}
}

// inParallel calls do for 0 to n−1, in this order, by the given number of
// workers. The first error stops the others, and is returned.
func inParallel(ctx context.Context, workers, n int, do func(ctx context.Context, worker, i int) error) error {
	inside, stop := context.WithCancel(ctx)
	defer stop()
	var (
		next  atomic.Int64
		wg    sync.WaitGroup
		once  sync.Once
		first error
	)
	work := func(worker int) {
		for {
			i := int(next.Add(1)) - 1
			if i >= n {
				return
			}
			err := inside.Err()
			if err == nil {
				err = do(inside, worker, i)
			}
			if err != nil {
				once.Do(func() { first = err })
				stop()
				return
			}
		}
	}
	for worker := range min(workers, n) {
		wg.Go(func() { work(worker) })
	}
	wg.Wait()
	return first
}

// twin returns a bank of the same prompts, in the same memory, with gradients
// of its own. It need not be closed.
func (b *Bank) twin() (*Bank, error) {
	t := *b
	t.grads = maps.Clone(b.grads)
	for name, g := range b.grads {
		own, err := ort.NewTensor(g.Type(), g.Shape()...)
		if err != nil {
			return nil, err
		}
		t.grads[name] = own
	}
	return &t, nil
}
