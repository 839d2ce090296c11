package tune

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"softprompt/grad"
	"softprompt/models"
	"softprompt/onnx/ort"
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
	Name       string     `json:"name,omitempty"` // among runs that shared their passes
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

// Train tunes a prompt in a new run folder. If ctx ends, the run is saved and
// the error wraps [ErrStopped]; [Resume] goes on.
func Train(ctx context.Context, rt *ort.Runtime, s Settings, opts Options) (*Result, error) {
	return single(trainAll(ctx, rt, []Settings{s}, nil, opts))
}

// Resume goes on with the run in a folder, from its last saved state, to the
// same end as if it had never stopped.
func Resume(ctx context.Context, rt *ort.Runtime, opts Options) (*Result, error) {
	return single(ResumeAll(ctx, rt, opts))
}

// single is the result of a run alone.
func single(all []*Result, err error) (*Result, error) {
	if err != nil {
		return nil, err
	}
	if len(all) != 1 {
		return nil, fmt.Errorf("%d runs ended, want 1", len(all))
	}
	return all[0], nil
}

// Named is one of several runs that share their passes, and the name of its
// folder.
type Named struct {
	Name     string   `yaml:"name"`
	Settings Settings `yaml:"settings"`
}

// TrainAll tunes several prompts at once: the batches of all runs go through
// the model together. Each run gets a folder of its own below that of the
// options. What decides the graph must be the same for all, such as model,
// method and precision; tasks, seeds, rates, batches and steps may differ. Of
// the method multitask, runs of different tasks that agree in seed, initial
// prompt and optimiser share the prompt's matrix.
func TrainAll(ctx context.Context, rt *ort.Runtime, runs []Named, opts Options) ([]*Result, error) {
	var all []Settings
	var names []string
	for _, r := range runs {
		all, names = append(all, r.Settings), append(names, r.Name)
	}
	if err := checkNames(names); err != nil {
		return nil, err
	}
	return trainAll(ctx, rt, all, names, opts)
}

// trainAll is [TrainAll]; without names there is one run, in the folder itself.
func trainAll(ctx context.Context, rt *ort.Runtime, settings []Settings, names []string, opts Options) ([]*Result, error) {
	all, err := newSetups(ctx, rt, settings, names, opts)
	if err != nil {
		return nil, err
	}
	defer all[0].shared.Close()
	if err := planAll(ctx, all); err != nil {
		return nil, err
	}
	// A device that is not there, or too little memory for the weights, shows
	// before anything is written.
	frozen := all[0].frozen
	for _, g := range []graph{scoreGraph, trainGraph} {
		if _, err := frozen.session(ctx, g, frozen.passes.Workers); err != nil {
			return nil, err
		}
	}
	if err := createFolders(opts.Out, names, all); err != nil {
		return nil, err
	}
	return begin(ctx, all, names, opts)
}

// begin runs from the initial prompts.
func begin(ctx context.Context, all []*setup, names []string, opts Options) ([]*Result, error) {
	var states []*state
	for _, u := range all {
		states = append(states, u.first())
	}
	return runAll(ctx, all, states, names, opts)
}

// first is the state of a run before its first step.
func (u *setup) first() *state {
	p := progress{
		Version: stateVersion, Best: bestStep{Step: -1}, Evaluated: -1, Settings: u.settings,
		Revision: u.meta.Revision, Fingerprint: u.meta.Fingerprint, Tokenizer: u.meta.TokenizerHash,
	}
	return &state{progress: p, current: u.start.Tensors}
}

// runAll trains from states to the end and compares before and after.
func runAll(ctx context.Context, all []*setup, states []*state, names []string, opts Options) ([]*Result, error) {
	if opts.Planned != nil {
		for _, u := range all {
			opts.Planned(u.settings)
		}
	}
	g, err := newGroup(all, states, opts.Out, names, opts)
	if err != nil {
		return nil, err
	}
	defer g.Close()
	if err := g.save(); err != nil { // so that a kill before the first evaluation loses nothing
		return nil, err
	}
	if err := g.train(ctx); err != nil {
		return nil, err
	}
	before, err := g.untuned(ctx)
	if err != nil {
		return nil, err
	}
	var results []*Result
	for k, t := range g.runs {
		c, err := t.compare(ctx, before[k])
		if err != nil {
			return nil, err
		}
		results = append(results, &Result{
			Name: t.name, Settings: t.settings, Steps: t.Step, BestStep: t.Best.Step, HeldOut: t.Best.Score, Validation: *c,
			Tuned: t.frozen.Method.Tuned(), Frozen: t.frozen.Method.Frozen(t.model.Config), Seconds: t.seconds(), Prompt: t.path(PromptFile),
		})
	}
	return results, nil
}

// newTrainer puts a run together at a state; the k-th prompt of the bank is its.
func (u *setup) newTrainer(st *state, bank *Bank, k int, dir string, opts Options) (*trainer, error) {
	t := &trainer{
		setup: u, bank: bank, k: k, dir: dir, report: opts.Report, progress: st.progress, bestTensors: st.best,
		started: time.Now(), before: st.Seconds, timed: time.Now(), timedStep: st.Step,
	}
	if t.report == nil {
		t.report = func(Event) {}
	}
	rule, err := u.settings.rule()
	if err != nil {
		return nil, err
	}
	var params []grad.Param
	for _, tensor := range bank.Prompt(k) {
		params = append(params, grad.Param{Name: tensor.Name, Shape: append([]int64{1}, tensor.Shape...)})
	}
	if t.optimizer, err = grad.NewOptimizer(rule, params...); err != nil {
		return nil, err
	}
	t.optimizer.MaxNorm, t.optimizer.RateFactors = u.settings.ClipNorm, u.settings.rates(u.frozen.Method)
	if len(st.Steps) > 0 {
		if err := t.optimizer.LoadState(grad.State{Rule: st.Rule, Steps: st.Steps, Tensors: st.optimizer}); err != nil {
			return nil, err
		}
	}
	if t.schedule, err = grad.ParseSchedule(u.settings.Schedule); err != nil {
		return nil, err
	}
	if steps := int64(u.settings.Steps); t.schedule.Warmup >= steps {
		u.log.Warn("the run ends before its warm-up does", "steps", steps, "warmup", t.schedule.Warmup)
	}
	t.schedule = t.schedule.Over(int64(u.settings.Steps))
	if opts.Out != "" {
		t.logs, err = openLogs(dir, st.Logs)
	}
	return t, err
}

func (t *trainer) path(name string) string { return filepath.Join(t.dir, name) }
