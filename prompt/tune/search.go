package tune

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"softprompt/models"
	"softprompt/onnx/ort"
)

// passes returns how the settings let a batch go through a model, as far as
// they say.
func (s Settings) passes(c models.Config) Passes {
	// Packed, a weight is there once for each direction.
	packed, total := 2*4*c.Parameters(), totalMemory()
	return Passes{
		MicroBatch: s.MicroBatch, Workers: s.Workers,
		Prepack: s.Memory != memoryLeast && s.onProcessor() && packed <= total/4,
	}
}

func (s Settings) onProcessor() bool { return s.Device == "" || s.Device == "cpu" }

// settled returns the passes if the settings alone decide them, and the key of
// the setting that does.
func (s Settings) settled() (p Passes, from string, ok bool) {
	switch {
	case s.MicroBatch > 0 && s.Workers > 0:
		return Passes{MicroBatch: s.MicroBatch, Workers: s.Workers}, "", true
	case !s.onProcessor(): // a card is busy with a whole batch
		return Passes{MicroBatch: s.Batch, Workers: 1}, "device", true
	case s.Memory == memoryLeast:
		return Passes{MicroBatch: 1, Workers: 1}, "memory", true
	}
	return Passes{}, "", false
}

// fill takes over what the settings leave open.
func (s *Settings) fill(p Passes) {
	if s.MicroBatch == 0 {
		s.MicroBatch = p.MicroBatch
	}
	if s.Workers == 0 {
		s.Workers = p.Workers
	}
}

// Foresee returns the settings with what they leave to the trainer, as far as
// that need not be measured, and what decides it: the key of another setting,
// or the file that remembers what an earlier run measured.
func Foresee(ctx context.Context, rt *ort.Runtime, s Settings, opts Options) (filled Settings, from string, err error) {
	p, from, ok := s.settled()
	if !ok {
		u, err := newSetup(ctx, rt, s, opts)
		if err != nil {
			return s, "", err
		}
		defer u.Close()
		rows, err := u.typicalRows()
		if err != nil {
			return s, "", err
		}
		if p, ok = u.kept.find(u.passesKey(rows)); !ok {
			return s, "", nil
		}
		from = u.kept.path
	}
	s.fill(p)
	return s, from, nil
}

// plan settles how a batch goes through the model: as the settings say, as was
// found before, or as it is measured now. From here on it is a setting like
// the others.
func (u *setup) plan(ctx context.Context) error {
	p, _, ok := u.settings.settled()
	if !ok {
		rows, err := u.typicalRows()
		if err != nil {
			return err
		}
		key := u.passesKey(rows)
		if p, ok = u.kept.find(key); !ok {
			began := time.Now()
			if p, err = u.search(ctx, rows); err != nil {
				return fmt.Errorf("finding the fastest way to run a batch: %w", err)
			}
			u.log.Info("found the fastest way to run a batch", "micro_batch", p.MicroBatch, "workers", p.Workers, "seconds", time.Since(began).Seconds())
			if err := u.kept.add(key, p); err != nil {
				u.log.Info("what was found could not be kept, and will be looked for again", "error", err)
			}
		}
	}
	u.settings.fill(p)
	u.frozen.passes = u.settings.passes(u.model.Config)
	return u.frozen.keep()
}

// search measures passes on the rows about the middle of those given.
func (u *setup) search(ctx context.Context, sorted []Row) (Passes, error) {
	bank, err := NewBank(u.frozen.Method, u.start)
	if err != nil {
		return Passes{}, err
	}
	defer bank.Close()
	before := memory()
	perRow := int64(0) // bytes that a row under way was seen to take
	s := u.settings
	h := hunt{batch: s.Batch, sizes: s.MicroBatch, best: time.Duration(1 << 62)}
	h.workers = []int{s.Workers}
	if s.Workers == 0 {
		h.workers = []int{u.frozen.threads(), 1}
	}
	h.try = func(p Passes) (time.Duration, error) {
		n := p.MicroBatch * p.Workers
		if total := totalMemory(); total > 0 && before+perRow*int64(n) > total/2 {
			return 0, ort.ErrOutOfMemory
		}
		u.frozen.passes.MicroBatch, u.frozen.passes.Workers = p.MicroBatch, p.Workers
		if _, err := u.frozen.session(ctx, trainGraph, p.Workers); err != nil {
			return 0, err
		}
		rows := make([]Row, n)
		for i := range rows {
			rows[i] = sorted[(len(sorted)/2+i-n/2+len(sorted)*n)%len(sorted)]
		}
		began := time.Now()
		_, err := u.frozen.Batch(ctx, bank, rows, u.stepOptions(rows, 0))
		took := time.Since(began)
		perRow = max(perRow, (memory()-before)/int64(n))
		return took, err
	}
	return h.run()
}

// typicalRows returns the rows of the first batches in the order of their
// lengths.
func (u *setup) typicalRows() ([]Row, error) {
	if err := u.sequence.load(0); err != nil {
		return nil, err
	}
	rows := slices.Concat(u.sequence.steps...)
	slices.SortStableFunc(rows, func(a, b Row) int { return len(a.IDs) - len(b.IDs) })
	return rows, nil
}

// hunt looks for the fastest passes. A few sizes are tried for each number of
// workers, from one that is near the best on most machines, as long as they
// get faster.
type hunt struct {
	batch   int
	workers []int // numbers to try
	sizes   int   // the only size to try, 0 for all powers of two
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
	huntEqual = 1.03 // times this close count as equal, and the smaller pass wins
	huntSteps = 2    // steps' time that may be spent before the last trial
	huntLeast = time.Second
)

// run returns the passes that take the least time for a step; of equals those
// with the fewest rows under way.
func (h *hunt) run() (Passes, error) {
	for _, workers := range h.workers {
		from := h.sizes
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
	if err != nil || h.sizes > 0 {
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
	for i := range 2 { // the first of a size makes room for its buffers
		took, err := h.try(p)
		if errors.Is(err, ort.ErrOutOfMemory) && len(h.found) > 0 {
			return 0, nil
		}
		if err != nil {
			return 0, err
		}
		h.spent += took
		if i == 0 || took < least {
			least = took
		}
	}
	passes := (h.batch + size - 1) / size
	rounds := (passes + workers - 1) / workers
	step := max(1, time.Duration(rounds)*least)
	h.found = append(h.found, trial{p, step})
	h.best = min(h.best, step)
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

// passesKey is what the fastest passes for such rows depend on.
func (u *setup) passesKey(rows []Row) passesKey {
	s, c := u.settings, u.model.Config
	k := passesKey{
		Processor: processor(), Threads: u.frozen.threads(), Runtime: u.frozen.rt.Version(),
		DModel: c.DModel, DFF: c.DFF, Heads: c.NumHeads, Layers: c.NumLayers, DecoderLayers: c.NumDecoderLayers,
		Method: s.Method, Length: s.Length, Batch: s.Batch, Inputs: bucket(len(rows[len(rows)/2].IDs)),
		Loss: s.Loss, Dropout: s.Dropout > 0, Precision: s.Precision, Prepack: u.frozen.passes.Prepack,
		MicroBatch: s.MicroBatch, Workers: s.Workers,
	}
	if s.Loss == "labels" {
		k.Candidates = len(u.judge.candidates)
		for _, ids := range u.judge.candidates {
			k.Targets = max(k.Targets, len(ids))
		}
		return k
	}
	for _, r := range rows {
		k.Targets = max(k.Targets, len(r.Target))
	}
	return k
}

// bucket rounds a length up to a multiple of 16.
func bucket(n int) int { return (n + 15) / 16 * 16 }
