package tune

import (
	"context"
	"errors"
	"fmt"
	"time"

	"softprompt/grad"
	"softprompt/onnx/hint"
	"softprompt/prompt"
)

// ErrStopped is in the chain of the error of a run that its context ended. The
// run's state is saved, and it can be resumed.
var ErrStopped = errors.New("stopped")

// trainer is a run under way, one of a group.
type trainer struct {
	*setup
	name      string // in its group, "" alone
	dir       string
	bank      *Bank // the group's
	k         int   // its prompt there
	optimizer *grad.Optimizer
	schedule  grad.Schedule
	logs      *logs
	report    func(Event)

	progress
	bestTensors []prompt.Tensor
	started     time.Time // when this process began to train
	before      float64   // seconds of earlier processes
	timed       time.Time // when the last event was, at timedStep
	timedStep   int
	pace        time.Duration // of a step
}

// Event tells how a run is doing.
type Event struct {
	Run         string // its name among those that share their passes, "" alone
	Step, Steps int
	Loss        float64 // since the last event: mean −log p of a target token, or of a label's choice
	Score       float64 // last score on the rows held out
	Best        float64 // best of them, and its step, −1 before the first
	BestStep    int
	Rate        float64 // training rows a second
	Left        time.Duration
	Evaluated   bool // the score is new
	Reported    int  // rows of the split that is scored at the end, three times
}

// The lines of metrics.jsonl.
type (
	stepLine struct {
		Step         int     `json:"step"`
		Loss         float64 `json:"loss"`           // mean −log p of a target token, or of a label's choice
		TokenHits    float64 `json:"token_accuracy"` // share of target tokens with the highest logit
		Norm         float64 `json:"gradient_norm"`
		LearningRate float64 `json:"learning_rate"`
	}
	evalLine struct {
		Step  int     `json:"step"`
		Score float64 `json:"held_out_score"`
		Loss  float64 `json:"held_out_loss"`
		Best  bool    `json:"best"`
	}
	finalLine struct {
		Step       int        `json:"step"` // of the best prompt
		Validation Comparison `json:"validation"`
	}
	timeLine struct {
		Step    int     `json:"step"`
		Seconds float64 `json:"seconds"`
		Rows    float64 `json:"rows_per_second"`
		Memory  int64   `json:"memory_bytes"`
	}
)

// goesOn tells whether the run has steps to make.
func (t *trainer) goesOn() bool { return t.Step < t.settings.Steps && !t.Stopped }

// due tells whether the prompt is to be scored before anything else. A run
// that stopped on the way to a score makes up for it when it resumes.
func (t *trainer) due() bool {
	return t.Step > 0 && t.Evaluated != t.Step && (t.Step%t.settings.EvalEvery == 0 || t.Step == t.settings.Steps)
}

// update moves the prompt by the gradient that lies in the bank; batch is what
// the step's rows added up to.
func (t *trainer) update(batch sums) error {
	values, grads := t.bank.TensorsOf(t.k)
	norm, err := t.optimizer.Update(0, t.rate(), values, grads)
	if err != nil {
		return hint.Wrap(fmt.Errorf("%sstep %d: %w", t.prefix(), t.Step+1, err), "a lower --learning-rate may help")
	}
	t.Step++
	t.Since.Loss += batch.Loss
	t.Since.Tokens += batch.Tokens
	t.Since.Hits += batch.Hits
	t.Since.Norm += norm
	t.Since.Rows += batch.Rows
	t.Since.Steps++
	return nil
}

// prefix names the run in a message, where there are others.
func (t *trainer) prefix() string {
	if t.name == "" {
		return ""
	}
	return "run " + t.name + ": "
}

// logIfDue writes the averages since the last line at the steps that say so.
func (t *trainer) logIfDue() error {
	if t.Since.Steps == 0 || t.Step%t.settings.LogEvery != 0 && t.Step != t.settings.Steps {
		return nil
	}
	return t.log()
}

// rate is the learning rate of the step to come.
func (t *trainer) rate() float64 {
	return t.settings.LearningRate * t.schedule.At(int64(t.Step))
}

// log writes the averages since the last line.
func (t *trainer) log() error {
	s := t.Since
	line := stepLine{
		Step: t.Step, Loss: s.Loss / float64(s.Tokens), TokenHits: float64(s.Hits) / float64(s.Tokens),
		Norm: s.Norm / float64(s.Steps), LearningRate: t.rate(),
	}
	t.Since = sums{}
	if err := t.logs.metrics.add(line); err != nil {
		return err
	}
	now := t.event(line.Loss)
	if err := t.logs.timing.add(timeLine{t.Step, t.seconds(), now.Rate, memory()}); err != nil {
		return err
	}
	t.report(now)
	return t.logs.scalars(t.Step, map[string]float64{
		"train/loss": line.Loss, "train/gradient_norm": line.Norm, "train/learning_rate": line.LearningRate,
	})
}

// event says how the run is doing. The pace is that of the last few events:
// the first steps, and whatever else the machine did meanwhile, are forgotten.
func (t *trainer) event(loss float64) Event {
	e := Event{Run: t.name, Step: t.Step, Steps: t.settings.Steps, Loss: loss, Score: t.Score, Best: t.Best.Score, BestStep: t.Best.Step, Reported: len(t.validation)}
	if done := t.Step - t.timedStep; done > 0 {
		pace := time.Since(t.timed) / time.Duration(done)
		if t.pace > 0 {
			pace = (3*t.pace + pace) / 4
		}
		t.pace, t.timed, t.timedStep = pace, time.Now(), t.Step
	}
	if t.pace > 0 {
		e.Rate = float64(t.settings.Batch) / t.pace.Seconds()
		e.Left = t.pace * time.Duration(t.settings.Steps-t.Step)
	}
	return e
}

// seconds is the time that the run has trained, over all processes.
func (t *trainer) seconds() float64 { return t.before + time.Since(t.started).Seconds() }

// evaluate scores the prompt on the rows held out, keeps it if it is the best
// so far. The prompt that the run started from is scored
// before the first one that was tuned, not before the first step: that would
// keep from view, for minutes where the model is large, whether it trains.
func (t *trainer) evaluate(ctx context.Context) error {
	if t.Best.Step < 0 {
		bank, err := NewBank(t.frozen.Method, t.start)
		if err != nil {
			return err
		}
		defer bank.Close()
		if _, err := t.look(ctx, bank, 0); err != nil {
			return err
		}
	}
	current, err := NewBank(t.frozen.Method, &prompt.Prompt{Method: t.settings.Method, Tensors: t.bank.Prompt(t.k)})
	if err != nil {
		return err
	}
	defer current.Close()
	ev, err := t.look(ctx, current, t.Step)
	if err != nil {
		return err
	}
	t.Evaluated = t.Step
	if t.settings.Patience > 0 && t.Stale >= t.settings.Patience {
		t.Stopped = true
	}
	now := t.event(ev.Loss)
	now.Evaluated = true
	t.report(now)
	return nil
}

// look scores the prompt of a step on the rows held out.
func (t *trainer) look(ctx context.Context, bank *Bank, step int) (*Evaluation, error) {
	ev, err := t.frozen.Evaluate(ctx, bank, t.judge, t.held)
	if err != nil {
		return nil, fmt.Errorf("scoring the rows held out: %w", err)
	}
	t.Score = ev.Score
	line := evalLine{Step: step, Score: ev.Score, Loss: ev.Loss, Best: t.Best.better(ev.Score, ev.Loss)}
	t.Stale++
	if line.Best {
		t.Best, t.Stale = bestStep{step, ev.Score, ev.Loss}, 0
		t.bestTensors = bank.Prompt(0)
		if err := t.savePrompt(); err != nil {
			return nil, err
		}
	}
	if err := t.logs.metrics.add(line); err != nil {
		return nil, err
	}
	return ev, t.logs.scalars(step, map[string]float64{"held_out/score": ev.Score, "held_out/loss": ev.Loss})
}

// savePrompt writes the best prompt, ready to be used alone.
func (t *trainer) savePrompt() error {
	p := &prompt.Prompt{Method: t.settings.Method, Tensors: t.bestTensors, Meta: t.meta}
	p.Meta.Step, p.Meta.Score = int64(t.Best.Step), t.Best.Score
	if fold := t.frozen.Method.Fold; fold != nil {
		var err error
		if p, err = fold(p); err != nil {
			return fmt.Errorf("saving the best prompt: %w", err)
		}
	}
	return prompt.Save(t.path(PromptFile), p)
}

// state returns the run as it is now. Its logs are synced: the state says how
// long they are.
func (t *trainer) state() (*state, error) {
	if err := t.logs.sync(); err != nil {
		return nil, err
	}
	t.Logs, t.Seconds = t.logs.sizes(), t.seconds()
	o := t.optimizer.State()
	t.Rule, t.Steps = o.Rule, o.Steps
	return &state{progress: t.progress, current: t.bank.Prompt(t.k), best: t.bestTensors, optimizer: o.Tensors}, nil
}
