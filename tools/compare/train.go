package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"softprompt/onnx/ort"
	"softprompt/prompt/tune"
	"softprompt/tasks"
	"softprompt/tools/paired"
)

// settings are those of both sides: PEFT's optimiser, no dropout, no z-loss.
func settings(steps, length int, rate float64) (tune.Settings, error) {
	task, err := tasks.Lookup("sst2")
	if err != nil {
		return tune.Settings{}, err
	}
	s := tune.Defaults(task)
	s.Template, s.Verbalizer = "{sentence}", "negative=terrible;positive=great"
	s.Optimizer, s.LearningRate, s.WeightDecay = "adamw", rate, 0
	s.Dropout, s.ZLoss, s.Loss = 0, 0, "mean"
	s.Length, s.Init, s.Steps, s.EvalEvery = length, "vocab", steps, 50
	return s, nil
}

// train tunes a prompt here and has it answer.
func train(ctx context.Context, rt *ort.Runtime, s tune.Settings, dir string, progress io.Writer) (paired.Answers, error) {
	began := time.Now()
	res, err := tune.Train(ctx, rt, s, tune.Options{Out: dir})
	if err != nil {
		return paired.Answers{}, err
	}
	fmt.Fprintf(progress, "softprompt seed %d: %.2f before, %.2f after %d steps (%.0f s for %d)\n",
		s.Seed, res.Validation.Initial, res.Validation.Tuned, res.BestStep, time.Since(began).Seconds(), res.Steps)
	return paired.Answer(ctx, rt, dir, s.Data)
}
