package tune

import (
	"errors"
	"time"

	"softprompt/onnx/ort"
)

// hunt looks for the fastest passes. A few sizes are tried for each number of
// workers, from one that is near the best on most machines, as long as they
// get faster.
type hunt struct {
	batch   int
	workers []int // numbers to try
	size    int   // the only size to try, 0 for all powers of two
	// try runs as many micro-batches as there are workers and says how long
	// they took together.
	try func(Passes) (time.Duration, error)

	found []trial
	best  time.Duration // of found
	spent time.Duration
}

// trial is a step's time with some passes.
type trial struct {
	passes Passes
	step   time.Duration
}

const (
	huntFrom  = 2    // rows of the first micro-batch that is tried
	huntEqual = 1.05 // times this close count as equal, and the smaller pass wins, which takes less memory
	huntSteps = 2    // steps' time that may be spent before the last trial
	huntLeast = time.Second
)

// run returns the passes that take the least time for a step; of equals those
// with the fewest rows under way.
func (h *hunt) run() (Passes, error) {
	for _, workers := range h.workers {
		from := h.size
		switch {
		case from > 0:
		case len(h.found) > 0: // as many rows under way as was best with more workers
			p := h.pick()
			from = p.MicroBatch * p.Workers / workers
		default:
			from = huntFrom
		}
		if err := h.climb(workers, min(from, h.most(workers))); err != nil {
			return Passes{}, err
		}
	}
	return h.pick(), nil
}

// most is the largest micro-batch that leaves each worker one.
func (h *hunt) most(workers int) int { return (h.batch + workers - 1) / workers }

// climb tries sizes from one on: upwards while that gets faster, else
// downwards while it gets no slower.
func (h *hunt) climb(workers, from int) error {
	first, err := h.measure(workers, from)
	if err != nil || h.size > 0 {
		return err
	}
	last := first
	for size := from; size < h.most(workers); {
		size = min(2*size, h.most(workers))
		took, err := h.measure(workers, size)
		if err != nil {
			return err
		}
		if took == 0 || float64(took)*huntEqual > float64(last) {
			break
		}
		last = took
	}
	for size := from / 2; last == first && size > 0; size /= 2 {
		took, err := h.measure(workers, size)
		if err != nil {
			return err
		}
		if took == 0 || float64(took) > float64(last)*huntEqual {
			break
		}
		first, last = took, took
	}
	return nil
}

// measure returns the time of a step, or 0 if these passes are not tried: for
// want of memory, or because enough time was spent.
func (h *hunt) measure(workers, size int) (time.Duration, error) {
	if len(h.found) > 0 && h.spent > max(huntLeast, huntSteps*h.best) {
		return 0, nil
	}
	p := Passes{MicroBatch: size, Workers: workers}
	var least time.Duration
	for i := range 3 { // the first of a size makes room for its buffers, and the first of all reads the weights
		took, err := h.try(p)
		if errors.Is(err, ort.ErrOutOfMemory) && len(h.found) > 0 {
			return 0, nil
		}
		if err != nil {
			return 0, err
		}
		if i == 0 {
			continue
		}
		h.spent += took
		if i == 1 || took < least {
			least = took
		}
	}
	passes := (h.batch + size - 1) / size
	rounds := (passes + workers - 1) / workers
	step := max(1, time.Duration(rounds)*least)
	h.found = append(h.found, trial{p, step})
	if len(h.found) == 1 || step < h.best {
		h.best = step
	}
	return step, nil
}

// pick returns the best of what was tried.
func (h *hunt) pick() Passes {
	var p Passes
	for _, t := range h.found {
		if float64(t.step) > float64(h.best)*huntEqual {
			continue
		}
		if p.MicroBatch == 0 || t.passes.MicroBatch*t.passes.Workers < p.MicroBatch*p.Workers {
			p = t.passes
		}
	}
	return p
}
