package tune

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"softprompt/grad"
	"softprompt/models"
	"softprompt/onnx/hint"
	"softprompt/onnx/ort"
	"softprompt/prompt"
	"softprompt/tasks"
)

// Options says where a run goes and who is told.
type Options struct {
	Out    string // the run folder
	Report func(Event)
	// Planned is told the settings that the run goes by, with what the trainer
	// found for those that were left to it.
	Planned func(Settings)
	Log     *slog.Logger
	Open    models.Options // how the model is opened
	// Version goes into the prompt's file: the program that made it.
	Version string
	// Profile is the start of the name of a file that says where the time
	// went, as in [FreezeOptions].
	Profile string
}

// Result is how a run ended.
type Result struct {
	Settings   Settings   `json:"settings"`
	Steps      int        `json:"steps"`
	BestStep   int        `json:"best_step"`
	HeldOut    float64    `json:"held_out_score"` // of the best step
	Validation Comparison `json:"validation"`
	Tuned      int64      `json:"tuned_parameters"`
	Frozen     int64      `json:"frozen_parameters"`
	Seconds    float64    `json:"seconds"`
	Prompt     string     `json:"prompt"` // where the prompt lies
}

// Comparison is the same split before and after tuning.
type Comparison struct {
	Split    tasks.Split `json:"split"`
	Examples int         `json:"examples"`
	Metric   string      `json:"metric"`
	Majority float64     `json:"majority"`  // always the commonest class
	NoPrompt float64     `json:"no_prompt"` // the frozen model, label words ranked
	Initial  float64     `json:"initial"`   // with the prompt it started from
	Tuned    float64     `json:"tuned"`
	Chosen   bool        `json:"chosen_on_it,omitempty"` // the best step was chosen on this split, as in the paper
	Warning  string      `json:"warning,omitempty"`
}

// Train tunes a prompt in a new run folder. If ctx ends, the run is saved and
// the error wraps [ErrStopped]; [Resume] goes on.
func Train(ctx context.Context, rt *ort.Runtime, s Settings, opts Options) (*Result, error) {
	u, err := newSetup(ctx, rt, s, opts)
	if err != nil {
		return nil, err
	}
	defer u.Close()
	if err := u.plan(ctx); err != nil {
		return nil, err
	}
	// A device that is not there, or too little memory for the weights, shows
	// before anything is written.
	for _, g := range []graph{scoreGraph, trainGraph} {
		if _, err := u.frozen.session(ctx, g, u.frozen.passes.Workers); err != nil {
			return nil, err
		}
	}
	if err := createFolder(opts.Out, u.settings); err != nil {
		return nil, err
	}
	if err := writeTask(opts.Out, u.task); err != nil {
		return nil, err
	}
	return u.begin(ctx, opts)
}

// begin runs from the initial prompt.
func (u *setup) begin(ctx context.Context, opts Options) (*Result, error) {
	return u.run(ctx, u.first(), opts)
}

// first is the state of a run before its first step.
func (u *setup) first() *state {
	p := progress{
		Version: stateVersion, Best: bestStep{Step: -1}, Evaluated: -1, Settings: u.settings,
		Revision: u.meta.Revision, Fingerprint: u.meta.Fingerprint, Tokenizer: u.meta.TokenizerHash,
	}
	return &state{progress: p, current: u.start.Tensors}
}

// Resume goes on with the run in a folder, from its last saved state, to the
// same end as if it had never stopped.
func Resume(ctx context.Context, rt *ort.Runtime, opts Options) (*Result, error) {
	sweep(opts.Out)
	st, err := loadState(opts.Out)
	if errors.Is(err, fs.ErrNotExist) {
		return restart(ctx, rt, opts)
	}
	if err != nil {
		return nil, err
	}
	u, err := newSetup(ctx, rt, pinned(st.Settings, st.Revision), opts)
	if err != nil {
		return nil, err
	}
	defer u.Close()
	u.settings = st.Settings
	was := prompt.Prompt{Meta: prompt.Meta{DModel: u.meta.DModel, Fingerprint: st.Fingerprint, TokenizerHash: st.Tokenizer}}
	fp, err := u.model.Fingerprint()
	if err != nil {
		return nil, err
	}
	if err := was.CheckModel(fp, u.model.Config, u.meta.TokenizerHash); err != nil {
		return nil, fmt.Errorf("resuming run %s: model %s is not what it was: %w", opts.Out, st.Settings.Model, err)
	}
	return u.run(ctx, st, opts)
}

// restart begins a run anew that was killed before it saved anything but its
// settings.
func restart(ctx context.Context, rt *ort.Runtime, opts Options) (*Result, error) {
	s, err := ReadSettings(opts.Out)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(opts.Out, PromptFile)); err == nil {
		return nil, hint.Wrap(fmt.Errorf("resuming run %s: it has a prompt, but no %s to go on from", opts.Out, stateFile),
			"the prompt can be used as it is; to tune another, give a new --out")
	}
	u, err := newSetup(ctx, rt, s, opts)
	if err != nil {
		return nil, err
	}
	defer u.Close()
	if err := u.plan(ctx); err != nil {
		return nil, err
	}
	// The settings are as complete as those of a run that was not killed.
	if err := WriteSettings(filepath.Join(opts.Out, ConfigFile), u.settings); err != nil {
		return nil, err
	}
	if err := makeStateFolder(opts.Out); err != nil {
		return nil, err
	}
	return u.begin(ctx, opts)
}

// run trains from a state to the end and compares before and after.
func (u *setup) run(ctx context.Context, st *state, opts Options) (*Result, error) {
	if opts.Planned != nil {
		opts.Planned(u.settings)
	}
	t, err := u.newTrainer(st, opts)
	if err != nil {
		return nil, err
	}
	defer t.bank.Close()
	defer t.logs.close()
	if err := t.save(); err != nil { // so that a kill before the first evaluation loses nothing
		return nil, err
	}
	if err := t.train(ctx); err != nil {
		return nil, err
	}
	cmp, err := t.compare(ctx)
	if err != nil {
		return nil, err
	}
	return &Result{
		Settings: u.settings, Steps: t.Step, BestStep: t.Best.Step, HeldOut: t.Best.Score, Validation: *cmp,
		Tuned: tuned(t.bestTensors), Frozen: u.model.Config.Parameters(), Seconds: t.seconds(), Prompt: t.path(PromptFile),
	}, nil
}

// newTrainer puts a run together at a state.
func (u *setup) newTrainer(st *state, opts Options) (*trainer, error) {
	t := &trainer{
		setup: u, dir: opts.Out, report: opts.Report, progress: st.progress, bestTensors: st.best,
		started: time.Now(), before: st.Seconds, timed: time.Now(), timedStep: st.Step,
	}
	if t.report == nil {
		t.report = func(Event) {}
	}
	var err error
	if t.bank, err = NewBank(u.frozen.Method, &prompt.Prompt{Method: u.settings.Method, Tensors: st.current}); err != nil {
		return nil, err
	}
	rule, err := u.settings.rule()
	if err != nil {
		return nil, err
	}
	var params []grad.Param
	for _, tr := range u.frozen.Method.Trainables {
		params = append(params, grad.Param{Name: tr.Name, Shape: t.bank.values[tr.Input].Shape()})
	}
	if t.optimizer, err = grad.NewOptimizer(rule, params...); err != nil {
		return nil, err
	}
	t.optimizer.MaxNorm = u.settings.ClipNorm
	if len(st.Steps) > 0 {
		if err := t.optimizer.LoadState(grad.State{Rule: st.Rule, Steps: st.Steps, Tensors: st.optimizer}); err != nil {
			return nil, err
		}
	}
	if t.schedule, err = grad.ParseSchedule(u.settings.Schedule); err != nil {
		return nil, err
	}
	if opts.Out != "" {
		t.logs, err = openLogs(opts.Out, st.Logs)
	}
	return t, err
}

func (t *trainer) path(name string) string { return filepath.Join(t.dir, name) }

// tuned counts the elements of a prompt.
func tuned(tensors []prompt.Tensor) int64 {
	var n int64
	for _, t := range tensors {
		n += int64(len(t.Data))
	}
	return n
}

// compare scores the reported split without a prompt, with the one that the
// run started from and with the best, and writes the last line of the metrics.
func (t *trainer) compare(ctx context.Context) (*Comparison, error) {
	plain := t.frozen.Plain()
	defer plain.Close()
	none, err := NewBank(nil)
	if err != nil {
		return nil, err
	}
	before, err := plain.Evaluate(ctx, none, t.judge, t.validation)
	if err != nil {
		return nil, err
	}
	c := &Comparison{Split: tasks.Validation, Examples: before.Examples, Metric: t.task.ScoreName(), Majority: before.Majority, NoPrompt: before.Score, Chosen: t.settings.Choose == ChooseValidation}
	for _, p := range []struct {
		tensors []prompt.Tensor
		score   *float64
	}{{t.start.Tensors, &c.Initial}, {t.bestTensors, &c.Tuned}} {
		bank, err := NewBank(t.frozen.Method, &prompt.Prompt{Method: t.settings.Method, Tensors: p.tensors})
		if err != nil {
			return nil, err
		}
		ev, err := t.frozen.Evaluate(ctx, bank, t.judge, t.validation)
		bank.Close()
		if err != nil {
			return nil, err
		}
		*p.score, c.Warning = ev.Score, ev.Warning
	}
	if err := t.logs.metrics.add(finalLine{t.Best.Step, *c}); err != nil {
		return nil, err
	}
	return c, t.logs.sync()
}
