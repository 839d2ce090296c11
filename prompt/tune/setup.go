package tune

import (
	"context"
	"fmt"
	"log/slog"

	"softprompt/export"
	"softprompt/onnx/hint"
	"softprompt/onnx/ort"
	"softprompt/prompt"
	"softprompt/tasks"
)

// setup is what a run needs before its first step, all of it derived from the
// settings.
type setup struct {
	settings   Settings
	task       *tasks.Task
	model      *export.Model
	frozen     *Frozen
	judge      *Judge
	encoder    *encoder // of the rows to train on, encoded as they are needed
	held       []Row
	validation []Row
	meta       prompt.Meta
	start      *prompt.Prompt // what the run starts from
	sequence   *sequence
	kept       keptPasses
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
	if u.kept, err = keptIn(opts.Open.CacheDir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			u.Close()
		}
	}()
	if err := u.freeze(ctx, rt, opts, false); err != nil {
		return nil, err
	}
	if u.judge, err = u.frozen.NewJudge(u.task, s.MaxInput, s.MaxTarget); err != nil {
		return nil, err
	}
	if err := u.loadRows(ctx); err != nil {
		return nil, err
	}
	u.sequence = newSequence(u.encoder.rows, s.Batch, s.Window, s.Seed)
	u.sequence.encode = u.encoder.input
	if u.meta, err = u.newMeta(opts.Version); err != nil {
		return nil, err
	}
	u.start, err = u.initial()
	return u, err
}

// freeze opens the model of the settings.
func (u *setup) freeze(ctx context.Context, rt *ort.Runtime, opts Options, noTokenizer bool) error {
	s := u.settings
	device, err := ort.ParseDevice(s.Device)
	if err != nil {
		return err
	}
	if opts.Open.Log == nil {
		opts.Open.Log = opts.Log
	}
	if u.model, err = export.Open(ctx, s.Model, opts.Open); err != nil {
		return err
	}
	u.frozen, err = Freeze(ctx, rt, u.model, FreezeOptions{
		Method: s.Method, Sizes: s.sizes(), Device: device, Threads: s.Threads, Dropout: s.Dropout > 0, ZLoss: s.ZLoss, Rank: s.Loss == "labels",
		LongTargets: s.MaxTarget > u.model.Config.DKV,
		Precision:   s.Precision, Recompute: s.Memory == memoryLeast, Passes: s.passes(u.model.Config),
		NoTokenizer: noTokenizer, Profile: opts.Profile, TF32: s.TF32,
	})
	if err == nil { // the defaults of the method, now that the model is known
		u.settings.Rank, u.settings.Hidden = u.frozen.Method.Sizes.Rank, u.frozen.Method.Sizes.Hidden
	}
	return err
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
	if u.encoder, err = newEncoder(u.frozen.Tokenizer, train, s.MaxInput, s.MaxTarget); err != nil {
		return err
	}
	for _, p := range []struct {
		rows     *[]Row
		examples []tasks.Example
	}{{&u.held, held}, {&u.validation, validation}} {
		if *p.rows, err = encodeRows(ctx, u.frozen.Tokenizer, p.examples, s.MaxInput, s.MaxTarget); err != nil {
			return err
		}
	}
	return nil
}

// stepOptions says how the rows of a step weigh and what is dropped.
func (u *setup) stepOptions(rows []Row, step int) StepOptions {
	opts := StepOptions{Weight: 1, Judge: u.judge}
	if u.settings.Loss == "mean" {
		tokens := 0
		for _, r := range rows {
			tokens += len(r.Target)
		}
		opts.Weight = 1 / float32(tokens)
	}
	if u.settings.Dropout > 0 {
		opts.Dropout = &Dropout{Rate: u.settings.Dropout, Seeds: []uint64{u.settings.Seed}, Step: uint64(step)}
	}
	return opts
}

// newMeta describes the prompt to be, so that it can be used alone.
func (u *setup) newMeta(version string) (prompt.Meta, error) {
	fp, err := u.model.Fingerprint()
	if err != nil {
		return prompt.Meta{}, err
	}
	s, sizes := u.settings, u.frozen.Method.Sizes
	return prompt.Meta{
		Length: sizes.Length, DModel: u.model.Config.DModel, Sizes: sizes.Map(),
		Task: s.Task, Template: s.Template, Verbalizer: s.Verbalizer, Labels: u.task.Labels,
		MaxInput: s.MaxInput, MaxTarget: s.MaxTarget,
		BaseModel: u.model.Name, Revision: u.model.Revision, Fingerprint: fp.String(),
		TokenizerHash: u.frozen.Tokenizer.Hash(),
		ScoreName:     "held-out " + u.task.Metrics[0].Name,
		Seed:          s.Seed, Init: s.madeBy(u.frozen.Method), Version: version,
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
	tensors, err := u.frozen.Method.Start(u.settings.Seed, spec.From(prompt.Source{
		Embeddings: prompt.Embeddings{Rows: min(rows, u.frozen.Tokenizer.VocabSize()), Row: row},
		Encode:     u.frozen.Tokenizer.Encode,
		EOSID:      int64(u.model.Config.EOSID),
		Labels:     u.task.Verbalizer.List(),
		Log:        u.log,
	}))
	if err != nil {
		return nil, fmt.Errorf("making the initial prompt: %w", err)
	}
	return &prompt.Prompt{Method: u.settings.Method, Tensors: tensors, Meta: u.meta}, nil
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
