package tune

import (
	"context"
	"fmt"
	"log/slog"

	"softprompt/export"
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
	if u.task, err = s.taskIn(opts.Out); err != nil {
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
		Method: s.Method, Device: device, Threads: s.Threads, Dropout: s.Dropout > 0, ZLoss: s.ZLoss, Rank: s.Loss == "labels",
		LongTargets: s.MaxTarget > u.model.Config.DKV,
		Precision:   s.Precision, Recompute: s.Memory == memoryLeast, Passes: s.passes(u.model.Config),
		NoTokenizer: noTokenizer, Profile: opts.Profile, TF32: s.TF32,
	})
	return err
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
	definition, err := definitionOf(u.task)
	if err != nil {
		return prompt.Meta{}, err
	}
	s := u.settings
	return prompt.Meta{
		Length: s.Length, DModel: u.model.Config.DModel,
		Task: u.task.Name, Definition: definition, Template: s.Template, Verbalizer: s.Verbalizer, Labels: u.task.Labels,
		MaxInput: s.MaxInput, MaxTarget: s.MaxTarget,
		BaseModel: u.model.Name, Revision: u.model.Revision, Fingerprint: fp.String(),
		TokenizerHash: u.frozen.Tokenizer.Hash(),
		ScoreName:     u.scoreName(),
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
		Labels:     initWords(u.task),
		Log:        u.log,
	})(prompt.NewRand(s.Seed, prompt.StreamInit), s.Length, d)
	if err != nil {
		return nil, fmt.Errorf("making the initial prompt: %w", err)
	}
	p := prompt.New(values, s.Length, d)
	p.Meta = u.meta
	return p, nil
}

// initWords are what a prompt that starts from a task's words starts from.
func initWords(t *tasks.Task) []string {
	if t.HasWords() {
		return t.Verbalizer.List()
	}
	return t.InitWords
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
