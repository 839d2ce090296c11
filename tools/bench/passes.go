package main

import (
	"cmp"
	"context"
	"errors"
	"strconv"

	"softprompt/export"
	"softprompt/onnx/ort"
	"softprompt/prompt/tune"
	"softprompt/tasks"
)

// passes returns how softprompt's trainer lets batches of rows of a length go
// through a model, found as a run finds it, as flags of the role step. PEFT has
// nothing of the kind.
func (b *bench) passes(ctx context.Context, s side, dir string, input, targets int64) (flags []string, err error) {
	if s.dtype != "" {
		return nil, nil
	}
	rt, err := ort.Open(ort.Options{})
	if err != nil {
		return nil, err
	}
	run := tune.Defaults(&tasks.Task{})
	run.Model, run.Length, run.Batch, run.Dropout = dir, int(b.shape.Prompt), int(b.shape.Batch), b.dropout
	run.Precision, run.Threads = cmp.Or(s.precision, export.FP32), b.threads
	steps, err := tune.NewStepperOf(ctx, rt, run, int(input), int(targets), tune.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, steps.Close()) }()
	p, err := steps.Plan(ctx)
	if err != nil {
		return nil, err
	}
	b.say("%s: micro-batches of %d rows, %d workers, weights packed: %v", s.name, p.MicroBatch, p.Workers, p.Prepack)
	return []string{
		"--micro-batch", strconv.Itoa(p.MicroBatch), "--workers", strconv.Itoa(p.Workers),
		"--prepack=" + strconv.FormatBool(p.Prepack),
	}, nil
}
