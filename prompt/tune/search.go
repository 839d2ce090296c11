package tune

import (
	"context"
	"fmt"
	"slices"
	"time"

	"softprompt/models"
	"softprompt/onnx/ort"
	"softprompt/prompt"
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
		one := []*setup{u}
		rows, err := typicalRows(one)
		if err != nil {
			return s, "", err
		}
		if p, ok = u.kept.find(passesKeyOf(one, rows)); !ok {
			return s, "", nil
		}
		from = u.kept.path
	}
	s.fill(p)
	return s, from, nil
}

// plan is [planAll] for a run alone.
func (u *setup) plan(ctx context.Context) error { return planAll(ctx, []*setup{u}) }

// planAll settles how a batch of runs that share their passes goes through the
// model: as the settings say, as was found before, or as it is measured now.
// From here on it is a setting like the others.
func planAll(ctx context.Context, all []*setup) error {
	u, s := all[0], batchOf(all)
	p, _, ok := s.settled()
	if !ok {
		rows, err := typicalRows(all)
		if err != nil {
			return err
		}
		key := passesKeyOf(all, rows)
		if p, ok = u.kept.find(key); !ok {
			began := time.Now()
			if p, err = search(ctx, all, rows); err != nil {
				return fmt.Errorf("finding the fastest way to run a batch: %w", err)
			}
			u.log.Info("found the fastest way to run a batch", "micro_batch", p.MicroBatch, "workers", p.Workers, "seconds", time.Since(began).Seconds())
			if err := u.kept.add(key, p); err != nil {
				u.log.Info("what was found could not be kept, and will be looked for again", "error", err)
			}
		}
	}
	for _, one := range all {
		one.settings.fill(p)
	}
	u.frozen.passes = u.settings.passes(u.model.Config)
	return u.frozen.keep()
}

// batchOf returns settings with the batch that goes through the model: that of
// all runs together.
func batchOf(all []*setup) Settings {
	s := all[0].settings
	for _, u := range all[1:] {
		s.Batch += u.settings.Batch
	}
	return s
}

// search measures passes on the rows about the middle of those given.
func search(ctx context.Context, all []*setup, sorted []Row) (Passes, error) {
	u, s := all[0], batchOf(all)
	bank, err := bankOfStarts(all)
	if err != nil {
		return Passes{}, err
	}
	defer bank.Close()
	perRow := int64(0) // bytes that a row under way was seen to take
	options := optionsOf(all, make([][]Row, len(all)), 0)
	options.Weights = []float32{1} // what the rows weigh takes no time
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
		_, err := u.frozen.Batch(ctx, bank, rows, options)
		took := time.Since(began)
		perRow = max(perRow, (buffers()-before)/int64(n))
		return took, err
	}
	return h.run()
}

// bankOfStarts lays the prompts that runs start from side by side.
func bankOfStarts(all []*setup) (*Bank, error) {
	var starts []*prompt.Prompt
	for _, u := range all {
		starts = append(starts, u.start)
	}
	return NewBank(all[0].frozen.Method, starts...)
}

// typicalRows returns the rows of the first batches in the order of their
// lengths.
func typicalRows(all []*setup) ([]Row, error) {
	var rows []Row
	for k, u := range all {
		if err := u.sequence.load(0); err != nil {
			return nil, err
		}
		for _, batch := range u.sequence.steps {
			rows = append(rows, ofPrompt(k, batch)...)
		}
	}
	slices.SortStableFunc(rows, func(a, b Row) int { return len(a.IDs) - len(b.IDs) })
	return rows, nil
}

// passesKeyOf is what the fastest passes for such rows depend on.
func passesKeyOf(all []*setup, rows []Row) passesKey {
	u := all[0]
	s, c := batchOf(all), u.model.Config
	k := passesKey{
		Processor: processor(), Threads: u.frozen.threads(), Runtime: u.frozen.rt.Version(),
		DModel: c.DModel, DFF: c.DFF, Heads: c.NumHeads, Layers: c.NumLayers, DecoderLayers: c.NumDecoderLayers,
		Method: s.Method, Length: s.Length, Batch: s.Batch, Inputs: bucket(len(rows[len(rows)/2].IDs)),
		Loss: s.Loss, Dropout: s.Dropout > 0, Precision: s.Precision, Prepack: u.frozen.passes.Prepack,
		MicroBatch: s.MicroBatch, Workers: s.Workers,
	}
	if s.Loss == "labels" {
		for _, r := range rows {
			candidates, _ := all[r.Prompt].judge.choices(&r)
			k.Candidates = max(k.Candidates, len(candidates))
			for _, ids := range candidates {
				k.Targets = max(k.Targets, len(ids))
			}
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
