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

// ResumeAll is [Resume] for a folder of one run or, made by [TrainAll], of
// several.
func ResumeAll(ctx context.Context, rt *ort.Runtime, opts Options) ([]*Result, error) {
	named, err := readRuns(opts.Out)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, r := range named {
		names = append(names, r.Name)
	}
	for k := range max(1, len(names)) {
		sweep(folderOf(opts.Out, names, k))
	}
	sweep(opts.Out)
	states, err := loadStates(opts.Out)
	if errors.Is(err, fs.ErrNotExist) {
		return restart(ctx, rt, named, names, opts)
	}
	if err != nil {
		return nil, err
	}
	if len(states) != max(1, len(names)) {
		return nil, fmt.Errorf("resuming run %s: its state is of %d runs, %s names %d", opts.Out, len(states), RunsFile, len(names))
	}
	var settings []Settings
	for _, st := range states {
		settings = append(settings, pinned(st.Settings, st.Revision))
	}
	all, err := newSetups(ctx, rt, settings, names, opts)
	if err != nil {
		return nil, err
	}
	defer all[0].shared.Close()
	for k, u := range all {
		u.settings = states[k].Settings
		if err := u.sameModel(states[k], opts.Out); err != nil {
			return nil, err
		}
	}
	return runAll(ctx, all, states, names, opts)
}

// sameModel reports a model that is not the one the run began with.
func (u *setup) sameModel(st *state, dir string) error {
	was := prompt.Prompt{Meta: prompt.Meta{DModel: u.meta.DModel, Fingerprint: st.Fingerprint, TokenizerHash: st.Tokenizer}}
	fp, err := u.model.Fingerprint()
	if err != nil {
		return err
	}
	if err := was.CheckModel(fp, u.model.Config, u.meta.TokenizerHash); err != nil {
		return fmt.Errorf("resuming run %s: model %s is not what it was: %w", dir, st.Settings.Model, err)
	}
	return nil
}

// restart begins runs anew that were killed before they saved anything but
// their settings.
func restart(ctx context.Context, rt *ort.Runtime, named []Named, names []string, opts Options) ([]*Result, error) {
	if named == nil {
		s, err := ReadSettings(opts.Out)
		if err != nil {
			return nil, err
		}
		named = []Named{{Settings: s}}
	}
	var settings []Settings
	for k, r := range named {
		dir := folderOf(opts.Out, names, k)
		if _, err := os.Stat(filepath.Join(dir, PromptFile)); err == nil {
			return nil, hint.Wrap(fmt.Errorf("resuming run %s: it has a prompt, but no %s to go on from", dir, stateFile),
				"the prompt can be used as it is; to tune another, give a new --out")
		}
		settings = append(settings, r.Settings)
	}
	all, err := newSetups(ctx, rt, settings, names, opts)
	if err != nil {
		return nil, err
	}
	defer all[0].shared.Close()
	if err := planAll(ctx, all); err != nil {
		return nil, err
	}
	// The settings are as complete as those of a run that was not killed.
	if err := fillFolders(opts.Out, names, all); err != nil {
		return nil, err
	}
	return begin(ctx, all, names, opts)
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
			Tuned: tuned(t.bestTensors), Frozen: t.frozenParameters(), Seconds: t.seconds(), Prompt: t.path(PromptFile),
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

// tuned counts the elements of a prompt.
func tuned(tensors []prompt.Tensor) int64 {
	var n int64
	for _, t := range tensors {
		n += int64(len(t.Data))
	}
	return n
}

// frozenParameters counts the model's parameters but for those that are tuned.
func (u *setup) frozenParameters() int64 {
	n := u.model.Config.Parameters()
	for _, t := range u.frozen.Method.Trainables {
		if t.Weight == "" {
			continue
		}
		size := int64(1)
		for _, d := range t.Shape {
			size *= d.Size
		}
		n -= size
	}
	return n
}

// untuned scores the reported split of each run by the model without a prompt,
// once for runs whose rows are the same.
func (g *group) untuned(ctx context.Context) ([]*Evaluation, error) {
	plain := g.frozen.Plain()
	defer plain.Close()
	none, err := NewBank(nil)
	if err != nil {
		return nil, err
	}
	type asked struct {
		task, data, template, verbalizer string
		maxInput, maxTarget              int
	}
	known := map[asked]*Evaluation{}
	var out []*Evaluation
	for _, t := range g.runs {
		s := t.settings
		key := asked{s.Task, s.Data, s.Template, s.Verbalizer, s.MaxInput, s.MaxTarget}
		if known[key] == nil {
			if known[key], err = plain.Evaluate(ctx, none, t.judge, t.validation); err != nil {
				return nil, err
			}
		}
		out = append(out, known[key])
	}
	return out, nil
}

// compare scores the reported split with the prompt that the run started from
// and with the best, beside what the model does without one, and writes the
// best one's answers and the last line of the metrics.
func (t *trainer) compare(ctx context.Context, before *Evaluation) (*Comparison, error) {
	c := &Comparison{
		Split: tasks.Validation, Examples: before.Examples, Metric: t.task.ScoreName(), Majority: before.Majority,
		NoPrompt: before.Score, Chosen: t.settings.Choose == ChooseValidation,
	}
	var last *Evaluation
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
		last = ev
	}
	if err := writePredictions(t.path(PredictionsFile), t.task, t.validation, last.Predictions); err != nil {
		return nil, err
	}
	if err := t.logs.metrics.add(finalLine{t.Best.Step, *c}); err != nil {
		return nil, err
	}
	return c, t.logs.sync()
}
