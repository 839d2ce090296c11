package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"softprompt/onnx/ort"
	"softprompt/prompt/tune"
	"softprompt/tasks"
)

// manyPrompts share a pass in this section.
const manyPrompts = 5

// manyGoal is how much longer a step of theirs may take than one of a single
// prompt with as many rows.
const manyGoal = 1.15

// manyReport has the times of steps of several prompts, and of one.
type manyReport struct {
	Size     string    `json:"size"`
	Prompts  int       `json:"prompts"`
	Rows     int       `json:"rows"` // of a step, of all prompts together
	Together []float64 `json:"together_seconds"`
	Alone    []float64 `json:"alone_seconds"`
}

// measureMany has five prompts with a fifth of the batch each and one prompt
// with all of it take steps in turn.
func (b *bench) measureMany(ctx context.Context) (err error) {
	rt, err := ort.Open(ort.Options{})
	if err != nil {
		return err
	}
	dir, err := modelDir(ctx, b.sizes[0], b.shape, b.interpreter)
	if err != nil {
		return err
	}
	each := max(1, int(b.shape.Batch)/manyPrompts)
	one := tune.Defaults(&tasks.Task{})
	one.Model, one.Length, one.Batch, one.Dropout, one.Threads = dir, int(b.shape.Prompt), each*manyPrompts, b.dropout, b.threads
	var several []tune.Settings
	for k := range manyPrompts {
		s := one
		s.Batch, s.Seed = each, uint64(k+1)
		several = append(several, s)
	}
	r := &manyReport{Size: b.sizes[0], Prompts: manyPrompts, Rows: one.Batch}
	var sides [2]*tune.Stepper
	for i, settings := range [][]tune.Settings{several, {one}} {
		s, err := tune.NewStepperOfAll(ctx, rt, settings, int(b.shape.Input), int(b.shape.Targets), tune.Options{})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.Close()) }()
		p, err := s.Plan(ctx)
		if err != nil {
			return err
		}
		b.say("%d prompts: micro-batches of %d rows, %d workers", len(settings), p.MicroBatch, p.Workers)
		sides[i] = s
	}
	for round := -b.warmup; round < b.rounds; round++ {
		var took [2]float64
		for i, s := range sides {
			began := time.Now()
			if err := s.Step(ctx); err != nil {
				return err
			}
			took[i] = time.Since(began).Seconds()
		}
		b.say("%s: round %d of %d: %d prompts %.3f s, one %.3f s", r.Size, max(round+1, 0), b.rounds, manyPrompts, took[0], took[1])
		if round >= 0 {
			r.Together, r.Alone = append(r.Together, took[0]), append(r.Alone, took[1])
		}
	}
	b.Many = r
	return nil
}

// verdict judges the step of several prompts against that of one.
func (m *manyReport) verdict() verdict {
	return judge(verdict{
		Goal: fmt.Sprintf("step of %d prompts against one", m.Prompts), Where: m.Size, Precision: "float32",
		Wanted: manyGoal, Measured: ratio(m.Together, m.Alone),
	})
}

// table has a row for each side.
func (m *manyReport) table() *table {
	t := &table{head: []string{"prompts in a pass", "rows each", "step", "min", "max", "time ×"}}
	for _, side := range []struct {
		prompts int
		seconds []float64
	}{{1, m.Alone}, {m.Prompts, m.Together}} {
		s := spreadOf(side.seconds)
		t.add(fmt.Sprint(side.prompts), fmt.Sprint(m.Rows/side.prompts), seconds(s.Median), seconds(s.Min), seconds(s.Max),
			fmt.Sprintf("%.2f", ratio(side.seconds, m.Alone)))
	}
	return t
}
