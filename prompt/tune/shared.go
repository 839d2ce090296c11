package tune

import (
	"context"
	"fmt"
	"log/slog"

	"softprompt/export"
	"softprompt/onnx/hint"
	"softprompt/onnx/ort"
	"softprompt/prompt"
)

// shared is what all runs of a group have in common: the model, frozen, and
// what is known about how to run it.
type shared struct {
	model  *export.Model
	frozen *Frozen
	kept   keptPasses
	log    *slog.Logger
}

// newShared opens the model of the settings.
func newShared(ctx context.Context, rt *ort.Runtime, s Settings, opts Options, noTokenizer bool) (_ *shared, err error) {
	h := &shared{log: opts.Log}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	defer func() {
		if err != nil {
			h.Close()
		}
	}()
	if h.kept, err = keptIn(opts.Open.CacheDir); err != nil {
		return nil, err
	}
	device, err := ort.ParseDevice(s.Device)
	if err != nil {
		return nil, err
	}
	if opts.Open.Log == nil {
		opts.Open.Log = opts.Log
	}
	if h.model, err = export.Open(ctx, s.Model, opts.Open); err != nil {
		return nil, err
	}
	h.frozen, err = Freeze(ctx, rt, h.model, FreezeOptions{
		Method: s.Method, Sizes: s.sizes(), Device: device, Threads: s.Threads, Dropout: s.Dropout > 0, ZLoss: s.ZLoss, Rank: s.Loss == "labels",
		LongTargets: s.MaxTarget > h.model.Config.DKV,
		Precision:   s.Precision, Recompute: s.Memory == memoryLeast, Passes: s.passes(h.model.Config),
		NoTokenizer: noTokenizer, Profile: opts.Profile, TF32: s.TF32,
	})
	return h, err
}

// sharing names the settings that runs of one pass must agree in, since they
// decide the graph or how it is run.
var sharing = []struct {
	flag  string
	value func(Settings) any
}{
	{"model", func(s Settings) any { return s.Model }},
	{"method", func(s Settings) any { return s.Method }},
	{"length", func(s Settings) any { return s.Length }},
	{"rank", func(s Settings) any { return s.Rank }},
	{"hidden", func(s Settings) any { return s.Hidden }},
	{"placement", func(s Settings) any { return s.Placement }},
	{"visibility", func(s Settings) any { return s.Visibility }},
	{"loss labels", func(s Settings) any { return s.Loss == "labels" }},
	{"z-loss", func(s Settings) any { return s.ZLoss }},
	{"dropout", func(s Settings) any { return s.Dropout }},
	{"device", func(s Settings) any { return s.Device }},
	{"threads", func(s Settings) any { return s.Threads }},
	{"precision", func(s Settings) any { return s.Precision }},
	{"memory", func(s Settings) any { return s.Memory }},
	{"tf32", func(s Settings) any { return s.TF32 }},
	{"micro-batch", func(s Settings) any { return s.MicroBatch }},
	{"workers", func(s Settings) any { return s.Workers }},
}

// together returns the settings that the model is opened with for several runs,
// or says what keeps them from one pass.
func together(all []Settings) (Settings, error) {
	first := all[0]
	if err := prompt.CheckShared(first.Method, len(all)); err != nil {
		return first, hint.Wrap(err, "train them one after the other, with a --seed each, or let softprompt study do that")
	}
	for i, s := range all[1:] {
		for _, k := range sharing {
			if a, b := k.value(first), k.value(s); a != b {
				return first, hint.Wrap(fmt.Errorf("runs 1 and %d cannot share a pass: they differ in --%s, %v and %v", i+2, k.flag, a, b),
					"runs that share a pass have the same model, method and precision; train these one after the other")
			}
		}
	}
	for _, s := range all[1:] { // what the model must have room for
		first.MaxTarget = max(first.MaxTarget, s.MaxTarget)
		first.MaxInput = max(first.MaxInput, s.MaxInput)
		first.Batch += s.Batch
	}
	return first, nil
}

// Close ends the sessions and the model.
func (h *shared) Close() {
	if h.frozen != nil {
		h.frozen.Close()
	}
	if h.model != nil {
		h.model.Close()
	}
}
