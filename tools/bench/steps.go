package main

import (
	"context"
	"fmt"

	"softprompt/export"
	"softprompt/models"
	"softprompt/onnx"
	"softprompt/onnx/hint"
	"softprompt/prompt"
)

// measureSteps has the peers train each model on batches of one length, with
// the machine's peaks measured before and after.
func (b *bench) measureSteps(ctx context.Context) error {
	if err := b.measurePeaks(ctx); err != nil {
		return err
	}
	for _, size := range b.sizes {
		s, err := b.measureSize(ctx, size)
		if err != nil {
			return err
		}
		b.Sizes = append(b.Sizes, *s)
	}
	return b.measurePeaks(ctx) // again: it may be quieter now
}

// measureSize has the peers train one model.
func (b *bench) measureSize(ctx context.Context, size string) (*sizeReport, error) {
	dir, err := modelDir(ctx, size, b.shape, b.interpreter)
	if err != nil {
		return nil, err
	}
	s := &sizeReport{Size: size}
	if err := b.count(ctx, dir, s); err != nil {
		return nil, err
	}
	var peers []*peer
	defer func() {
		for _, p := range peers {
			p.kill()
		}
	}()
	for _, side := range b.peers {
		b.say("%s: loading %s", size, side.name)
		passes, err := b.passes(ctx, side, dir, b.shape.Input, b.shape.Targets)
		if err != nil {
			return nil, err
		}
		cmd, err := side.command(ctx, dir, b.options, passes...)
		p, err := b.launch(ctx, side.name, cmd, err)
		if err != nil {
			return nil, err
		}
		peers = append(peers, p)
	}
	if s.Peers, err = measure(ctx, peers, b.warmup, b.rounds, func(round int, name string, step stepped) {
		b.say("%s: round %d of %d: %s %.3f s, loss %.4f", size, max(round+1, 0), b.rounds, name, step.Seconds, step.Loss)
	}); err != nil {
		return nil, err
	}
	if err := agree(s.Peers); err != nil {
		return nil, hint.Wrap(fmt.Errorf("size %s: %w", size, err), "the times of different computations cannot be compared: find the difference first, with make reference and go test ./export/...")
	}
	return s, nil
}

// count adds a model's parameters to a report and the operations of a training
// step, as the graph of each precision that takes part has them.
func (b *bench) count(ctx context.Context, dir string, s *sizeReport) (err error) {
	if s.Parameters, s.FLOPs, err = stepWork(ctx, dir, export.FP32, b.shape); err != nil || !b.has("softprompt-int8") {
		return err
	}
	s.Int8 = &work{}
	if _, *s.Int8, err = stepWork(ctx, dir, export.INT8, b.shape); err == nil && s.Int8.Int8 == 0 {
		err = fmt.Errorf("size %s: no product of the graph of precision int8 is of integers: it cannot be measured", s.Size)
	}
	return err
}

// stepWork counts a model's parameters and the operations of a training step.
func stepWork(ctx context.Context, dir string, p export.Precision, s shape) (parameters int64, w work, err error) {
	parameters, g, err := trainGraph(ctx, dir, p)
	if err != nil {
		return 0, w, err
	}
	w, err = count(g, s.sizes())
	return parameters, w, err
}

// trainGraph returns the graph of a model's training step, for its nodes: its
// weights are not there to be read.
func trainGraph(ctx context.Context, dir string, p export.Precision) (parameters int64, g *onnx.Model, err error) {
	m, err := export.Open(ctx, dir, models.Options{})
	if err != nil {
		return 0, nil, err
	}
	defer m.Close()
	spec, err := m.Spec(ctx)
	if err == nil && p == export.INT8 {
		spec.Int8, err = m.Int8File(ctx)
	}
	if err != nil {
		return 0, nil, err
	}
	spec.Method, spec.Precision = prompt.PromptTuning(m.Config.DModel), p
	g, err = export.Train(spec)
	return m.Config.Parameters(), g, err
}
