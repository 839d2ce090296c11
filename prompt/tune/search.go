package tune

import (
	"context"
	"fmt"
	"slices"
	"time"

	"softprompt/models"
	"softprompt/onnx/ort"
)

// passes returns how the settings let a batch go through a model, as far as
// they say.
func (s Settings) passes(c models.Config) Passes {
	// Packed, a weight is there once for each direction: memory, and seconds
	// before the first step, that a large model does not win back.
	packed, total := 2*4*encoderWeights(c), totalMemory()
	return Passes{
		MicroBatch: s.MicroBatch, Workers: s.Workers,
		Prepack: s.Memory != memoryLeast && s.onProcessor() && packed <= total/8,
	}
}

// encoderWeights counts the elements of the encoder's matrices.
func encoderWeights(c models.Config) int64 {
	matrices := 2 // of a feed-forward layer
	if c.Gated {
		matrices = 3
	}
	return int64(c.NumLayers) * int64(c.DModel) * int64(4*c.InnerDim()+matrices*c.DFF)
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
	perRow := int64(0) // bytes that a row under way was seen to take
	s := u.settings
	h := hunt{batch: s.Batch, size: s.MicroBatch, workers: []int{s.Workers}}
	if s.Workers == 0 {
		h.workers = slices.Compact([]int{u.frozen.threads(), 1})
	}
	h.try = func(p Passes) (time.Duration, error) {
		n := p.MicroBatch * p.Workers
		if total := totalMemory(); total > 0 && perRow*int64(n) > total/2 {
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
		before, began := buffers(), time.Now()
		_, err := u.frozen.Batch(ctx, bank, rows, u.stepOptions(rows, 0))
		took := time.Since(began)
		perRow = max(perRow, (buffers()-before)/int64(n))
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
