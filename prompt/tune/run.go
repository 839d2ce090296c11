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
	Log    *slog.Logger
	Cache  string // models.Options.CacheDir
	// Version goes into the prompt's file: the program that made it.
	Version string
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
	Warning  string      `json:"warning,omitempty"`
}

// setup is what a run needs before its first step, all of it derived from the
// settings.
type setup struct {
	settings   Settings
	task       *tasks.Task
	model      *models.Model
	frozen     *Frozen
	judge      *Judge
	rows, held []Row
	validation []Row
	meta       prompt.Meta
	log        *slog.Logger
}

// newSetup opens the model and the data.
func newSetup(ctx context.Context, rt *ort.Runtime, s Settings, opts Options) (_ *setup, err error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	u := &setup{settings: s, log: opts.Log}
	if u.log == nil {
		u.log = slog.New(slog.DiscardHandler)
	}
	if u.task, err = s.task(); err != nil {
		return nil, err
	}
	device, err := ort.ParseDevice(s.Device)
	if err != nil {
		return nil, err
	}
	if u.model, err = models.Open(ctx, s.Model, models.Options{CacheDir: opts.Cache, Log: opts.Log}); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			u.Close()
		}
	}()
	u.frozen, err = Freeze(ctx, rt, u.model, FreezeOptions{
		Method: s.Method, Device: device, Threads: s.Threads, Dropout: s.Dropout > 0, ZLoss: s.ZLoss, Rank: s.Loss == "labels",
	})
	if err != nil {
		return nil, err
	}
	if u.judge, err = u.frozen.NewJudge(u.task, s.MaxInput, s.MaxTarget); err != nil {
		return nil, err
	}
	if err := u.loadRows(ctx); err != nil {
		return nil, err
	}
	u.meta, err = u.newMeta(opts.Version)
	return u, err
}

// loadRows reads the task's data: rows to train on, rows held out of them to
// choose the best step, and the split that is reported.
func (u *setup) loadRows(ctx context.Context) error {
	s := u.settings
	from := tasks.LoadOptions{Data: s.Data}
	train, err := u.task.Load(ctx, tasks.Train, from)
	if err != nil {
		return err
	}
	validation, err := u.task.Load(ctx, tasks.Validation, from)
	if err != nil {
		return err
	}
	if len(train) <= s.HeldOut {
		return hint.Wrap(fmt.Errorf("task %s has %d training rows, and --held-out keeps back %d", s.Task, len(train), s.HeldOut),
			"choose a smaller --held-out")
	}
	train, held := tasks.HoldOut(train, s.HeldOut, s.Seed)
	if s.TrainRows > 0 && s.TrainRows < len(train) {
		_, train = tasks.HoldOut(train, s.TrainRows, s.Seed+1)
	}
	for _, p := range []struct {
		rows     *[]Row
		examples []tasks.Example
	}{{&u.rows, train}, {&u.held, held}, {&u.validation, validation}} {
		if *p.rows, err = encodeRows(u.frozen.Tokenizer, p.examples, s.MaxInput, s.MaxTarget); err != nil {
			return err
		}
	}
	return nil
}

// newMeta describes the prompt to be, so that it can be used alone.
func (u *setup) newMeta(version string) (prompt.Meta, error) {
	fp, err := u.model.Fingerprint()
	if err != nil {
		return prompt.Meta{}, err
	}
	s := u.settings
	return prompt.Meta{
		Length: s.Length, DModel: u.model.Config.DModel,
		Task: s.Task, Template: s.Template, Verbalizer: s.Verbalizer, Labels: u.task.Labels,
		MaxInput: s.MaxInput, MaxTarget: s.MaxTarget,
		BaseModel: u.model.Name, Revision: u.model.Revision, Fingerprint: fp.String(),
		TokenizerHash: u.frozen.Tokenizer.Hash(),
		ScoreName:     "held-out " + u.task.Metrics[0].Name,
		Seed:          s.Seed, Init: s.Init, Version: version,
	}, nil
}

// initial returns the prompt that the run starts from.
func (u *setup) initial() (*prompt.Prompt, error) {
	spec, err := prompt.ParseInit(u.settings.Init)
	if err != nil {
		return nil, err
	}
	row, rows, err := u.model.Embedding()
	if err != nil {
		return nil, err
	}
	s, d := u.settings, u.model.Config.DModel
	values, err := spec.From(prompt.Source{
		Embeddings: prompt.Embeddings{Rows: min(rows, u.frozen.Tokenizer.VocabSize()), Row: row},
		Encode:     u.frozen.Tokenizer.Encode,
		Labels:     u.task.Verbalizer.List(),
		Log:        u.log,
	})(prompt.NewRand(s.Seed, prompt.StreamInit), s.Length, d)
	if err != nil {
		return nil, fmt.Errorf("making the initial prompt: %w", err)
	}
	p := prompt.New(values, s.Length, d)
	p.Meta = u.meta
	return p, nil
}

// Close ends the sessions and the model.
func (u *setup) Close() {
	if u.frozen != nil {
		u.frozen.Close()
	}
	if u.model != nil {
		u.model.Close()
	}
}

// Train tunes a prompt in a new run folder. If ctx ends, the run is saved and
// the error wraps [ErrStopped]; [Resume] goes on.
func Train(ctx context.Context, rt *ort.Runtime, s Settings, opts Options) (*Result, error) {
	u, err := newSetup(ctx, rt, s, opts)
	if err != nil {
		return nil, err
	}
	defer u.Close()
	start, err := u.initial()
	if err != nil {
		return nil, err
	}
	// A device that is not there, or too little memory for the weights, shows
	// before anything is written.
	for _, g := range []graph{scoreGraph, trainGraph} {
		if _, err := u.frozen.session(ctx, g); err != nil {
			return nil, err
		}
	}
	if err := createFolder(opts.Out, s); err != nil {
		return nil, err
	}
	return u.begin(ctx, start, opts)
}

// begin runs from a first prompt.
func (u *setup) begin(ctx context.Context, start *prompt.Prompt, opts Options) (*Result, error) {
	first := progress{Version: stateVersion, Best: bestStep{Step: -1}, Evaluated: -1, Settings: u.settings}
	return u.run(ctx, &state{progress: first, current: start.Tensors}, opts)
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
	u, err := newSetup(ctx, rt, st.Settings, opts)
	if err != nil {
		return nil, err
	}
	defer u.Close()
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
	start, err := u.initial()
	if err != nil {
		return nil, err
	}
	if err := makeStateFolder(opts.Out); err != nil {
		return nil, err
	}
	return u.begin(ctx, start, opts)
}

// run trains from a state to the end and compares before and after.
func (u *setup) run(ctx context.Context, st *state, opts Options) (*Result, error) {
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
		Tuned: tuned(t.bestTensors), Frozen: u.model.Parameters(), Seconds: t.seconds(), Prompt: t.path(PromptFile),
	}, nil
}

// newTrainer puts a run together at a state.
func (u *setup) newTrainer(st *state, opts Options) (*trainer, error) {
	t := &trainer{
		setup: u, dir: opts.Out, report: opts.Report, progress: st.progress, bestTensors: st.best,
		started: time.Now(), begun: st.Step, before: st.Seconds,
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
	t.sequence = newSequence(u.rows, u.settings.Batch, u.settings.Window, u.settings.Seed)
	if u.settings.Dropout > 0 {
		t.dropout = &Dropout{Rate: u.settings.Dropout, Seeds: []uint64{u.settings.Seed}}
	}
	t.logs, err = openLogs(opts.Out, st.Logs)
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
	start, err := t.initial()
	if err != nil {
		return nil, err
	}
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
	c := &Comparison{Split: tasks.Validation, Examples: before.Examples, Metric: t.task.Metrics[0].Name, Majority: before.Majority, NoPrompt: before.Score}
	for _, p := range []struct {
		tensors []prompt.Tensor
		score   *float64
	}{{start.Tensors, &c.Initial}, {t.bestTensors, &c.Tuned}} {
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
