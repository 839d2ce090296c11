package tune

import (
	"context"
	"time"

	"softprompt/onnx/ort"
)

// Plan is what a run would do and take, measured without training.
type Plan struct {
	Settings   Settings      `json:"settings"`
	TrainRows  int           `json:"train_rows"`
	HeldOut    int           `json:"held_out_rows"`
	Validation int           `json:"validation_rows"`
	Epochs     float64       `json:"epochs"` // how often each training row is seen
	LongestIn  int           `json:"longest_input_tokens"`
	MeanIn     float64       `json:"mean_input_tokens"`
	CutRows    int           `json:"cut_rows"` // training rows longer than allowed
	Tuned      int64         `json:"tuned_parameters"`
	Frozen     int64         `json:"frozen_parameters"`
	StepTime   time.Duration `json:"step_nanoseconds"`  // measured, mean of a few batches
	TotalTime  time.Duration `json:"total_nanoseconds"` // estimate: steps and evaluations
	Memory     int64         `json:"memory_bytes"`      // the most that was resident
}

// planSteps batches are timed for a plan, after one that is not.
const planSteps = 3

// NewPlan opens everything that a run would, times a few passes forward and
// backward and one evaluation's worth of scoring, and changes nothing but the
// cache of what was found fastest.
func NewPlan(ctx context.Context, rt *ort.Runtime, s Settings, opts Options) (*Plan, error) {
	u, err := newSetup(ctx, rt, s, opts)
	if err != nil {
		return nil, err
	}
	defer u.Close()
	if err := u.plan(ctx); err != nil {
		return nil, err
	}
	s = u.settings
	bank, err := NewBank(u.frozen.Method, u.start)
	if err != nil {
		return nil, err
	}
	defer bank.Close()
	rows, err := u.encoder.all(ctx)
	if err != nil {
		return nil, err
	}
	p := &Plan{
		Settings: s, TrainRows: len(rows), HeldOut: len(u.held), Validation: len(u.validation),
		Epochs: float64(s.Steps) * float64(s.Batch) / float64(len(rows)),
		Tuned:  u.frozen.Method.Tuned(), Frozen: u.frozen.Method.Frozen(u.model.Config),
	}
	for _, r := range rows {
		p.LongestIn = max(p.LongestIn, len(r.IDs))
		p.MeanIn += float64(len(r.IDs)) / float64(len(rows))
		if r.Cut {
			p.CutRows++
		}
	}
	if p.StepTime, err = u.timeSteps(ctx, bank); err != nil {
		return nil, err
	}
	began := time.Now()
	sample := u.held[:min(len(u.held), 2*scoreBatch)]
	if _, err := u.frozen.Evaluate(ctx, bank, u.judge, sample); err != nil {
		return nil, err
	}
	perRow := time.Since(began) / time.Duration(len(sample))
	looks := s.Steps/s.EvalEvery + 1
	scored := looks*len(u.held) + 3*len(u.validation) // the end compares three prompts
	p.TotalTime = time.Duration(s.Steps)*p.StepTime + time.Duration(scored)*perRow
	p.Memory = PeakMemory()
	return p, nil
}

// timeSteps returns the mean time of a step, its gradient thrown away.
func (u *setup) timeSteps(ctx context.Context, bank *Bank) (time.Duration, error) {
	var began time.Time
	for i := range planSteps + 1 {
		if i == 1 {
			began = time.Now()
		}
		rows, err := u.sequence.at(i)
		if err != nil {
			return 0, err
		}
		if _, err = u.frozen.Batch(ctx, bank, rows, u.stepOptions(rows, i)); err != nil {
			return 0, err
		}
	}
	return time.Since(began) / planSteps, nil
}
