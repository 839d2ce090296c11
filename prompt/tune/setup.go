package tune

import (
	"context"
	"fmt"

	"softprompt/onnx/ort"
	"softprompt/prompt"
	"softprompt/tasks"
)

// setup is what a run needs before its first step, all of it derived from the
// settings.
type setup struct {
	*shared
	settings   Settings
	task       *tasks.Task
	judge      *Judge
	encoder    *encoder // of the rows to train on, encoded as they are needed
	held       []Row
	validation []Row
	meta       prompt.Meta
	start      *prompt.Prompt // what the run starts from
	sequence   *sequence
}

// newSetup opens the model and the data of a run.
func newSetup(ctx context.Context, rt *ort.Runtime, s Settings, opts Options) (*setup, error) {
	all, err := newSetups(ctx, rt, []Settings{s}, nil, opts)
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

// newSetups opens the model and the data of runs that share their passes;
// names are those of their folders, as [folderOf] has it.
func newSetups(ctx context.Context, rt *ort.Runtime, all []Settings, names []string, opts Options) (_ []*setup, err error) {
	found := make([]*tasks.Task, len(all)) // before the model is opened
	for k, s := range all {
		if err := s.Check(); err != nil {
			return nil, err
		}
		if found[k], err = s.taskIn(folderOf(opts.Out, names, k)); err != nil {
			return nil, err
		}
	}
	common, err := together(all)
	if err != nil {
		return nil, err
	}
	h, err := newShared(ctx, rt, common, opts, false)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			h.Close()
		}
	}()
	var out []*setup
	for k, s := range all {
		u, err := h.setup(ctx, s, found[k], opts)
		if err != nil {
			return nil, err
		}
		out = append(out, u)
	}
	startTogether(out, h.frozen.Method)
	return out, nil
}

// setup prepares one run.
func (h *shared) setup(ctx context.Context, s Settings, task *tasks.Task, opts Options) (u *setup, err error) {
	u = &setup{shared: h, settings: s, task: task}
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

// weight is that of the rows of a step in the loss.
func (u *setup) weight(rows []Row) float32 {
	if u.settings.Loss != "mean" {
		return 1
	}
	tokens := 0
	for _, r := range rows {
		tokens += len(r.Target)
	}
	return 1 / float32(tokens)
}

// stepOptions says how the rows of a step weigh and what is dropped.
func (u *setup) stepOptions(rows []Row, step int) StepOptions {
	return optionsOf([]*setup{u}, [][]Row{rows}, step)
}

// optionsOf says it for runs that share a pass, each with its rows.
func optionsOf(all []*setup, rows [][]Row, step int) StepOptions {
	var opts StepOptions
	d := &Dropout{Rate: all[0].settings.Dropout, Step: uint64(step)}
	for k, u := range all {
		opts.Weights = append(opts.Weights, u.weight(rows[k]))
		opts.Judges = append(opts.Judges, u.judge)
		d.Seeds = append(d.Seeds, u.settings.Seed)
	}
	if d.Rate > 0 {
		opts.Dropout = d
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
	s, sizes := u.settings, u.frozen.Method.Sizes
	return prompt.Meta{
		Length: sizes.Length, DModel: u.model.Config.DModel, Sizes: sizes.Map(),
		Placement: sizes.Placement, Visibility: sizes.Visibility,
		Task: u.task.Name, Definition: definition, Template: s.Template, Verbalizer: s.Verbalizer, Labels: u.task.Labels,
		MaxInput: s.MaxInput, MaxTarget: s.MaxTarget,
		BaseModel: u.model.Name, Revision: u.model.Revision, Fingerprint: fp.String(),
		TokenizerHash: u.frozen.Tokenizer.Hash(),
		ScoreName:     u.scoreName(),
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
		Labels:     initWords(u.task),
		Log:        u.log,
	}), u.frozen.weight)
	if err != nil {
		return nil, fmt.Errorf("making the initial prompt: %w", err)
	}
	return &prompt.Prompt{Method: u.settings.Method, Tensors: tensors, Meta: u.meta}, nil
}

// initWords are what a prompt that starts from a task's words starts from.
func initWords(t *tasks.Task) []string {
	if t.HasWords() {
		return t.Verbalizer.List()
	}
	return t.InitWords
}
