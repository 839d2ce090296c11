package tune

import (
	"context"
	"fmt"

	"softprompt/export"
	"softprompt/onnx"
	"softprompt/onnx/ort"
	"softprompt/prompt"
)

// Stepper makes the training steps of a run and nothing else: no folder, no
// log, no evaluation. Measurements are made with it, so that what they say is
// true of [Train].
type Stepper struct {
	g       *group
	t       *trainer // its only run, or the first
	planned bool
}

// NewStepper prepares the steps of a run of these settings. Of the options,
// Open, Log and Profile count.
func NewStepper(ctx context.Context, rt *ort.Runtime, s Settings, opts Options) (*Stepper, error) {
	return NewStepperAll(ctx, rt, []Settings{s}, opts)
}

// NewStepperAll is [NewStepper] for runs that share their passes.
func NewStepperAll(ctx context.Context, rt *ort.Runtime, settings []Settings, opts Options) (*Stepper, error) {
	all, err := newSetups(ctx, rt, settings, nil, opts)
	if err != nil {
		return nil, err
	}
	return newStepper(all, opts)
}

// NewStepperOf is [NewStepper] for rows of random tokens, input and targets of
// them a row, that stand for the data of a task. The model needs no tokenizer.
func NewStepperOf(ctx context.Context, rt *ort.Runtime, s Settings, input, targets int, opts Options) (*Stepper, error) {
	return NewStepperOfAll(ctx, rt, []Settings{s}, input, targets, opts)
}

// NewStepperOfAll is [NewStepperOf] for runs that share their passes, each with
// rows of its own.
func NewStepperOfAll(ctx context.Context, rt *ort.Runtime, settings []Settings, input, targets int, opts Options) (*Stepper, error) {
	if input < 1 || targets < 1 {
		return nil, fmt.Errorf("making rows up: %d input and %d target tokens, want at least 1", input, targets)
	}
	var all []*setup
	for _, s := range settings {
		s.MaxInput, s.MaxTarget = max(input, 2), max(targets, 2)
		if s.Loss == "labels" {
			return nil, fmt.Errorf("making rows up: they have no labels to choose among, which --loss labels wants")
		}
		if err := s.Check(); err != nil {
			return nil, err
		}
		all = append(all, &setup{settings: s})
	}
	common, err := together(settings)
	if err != nil {
		return nil, err
	}
	common.MaxInput, common.MaxTarget = max(input, 2), max(targets, 2)
	h, err := newShared(ctx, rt, common, opts, true)
	if err != nil {
		return nil, err
	}
	for _, u := range all {
		u.shared = h
		if err := u.makeUp(input, targets); err != nil {
			h.Close()
			return nil, err
		}
	}
	startTogether(all, h.frozen.Method)
	return newStepper(all, opts)
}

// makeUp draws the rows of one batch and the prompt from the vocabulary.
func (u *setup) makeUp(input, targets int) error {
	row, words, err := u.model.Embedding()
	if err != nil {
		return err
	}
	s, c := u.settings, u.model.Config
	draw := func(rng *prompt.Rand, n int) []int64 {
		ids := make([]int64, n)
		for i := range ids {
			ids[i] = int64(rng.IntN(words))
		}
		ids[n-1] = int64(c.EOSID)
		return ids
	}
	var rows []Row
	for i := range s.Batch {
		rng := prompt.NewRand(s.Seed, uint64(i))
		rows = append(rows, Row{IDs: draw(&rng, input), Target: draw(&rng, targets), Label: -1, Key: uint64(i)})
	}
	u.sequence = newSequence(rows, s.Batch, s.Window, s.Seed)
	source := prompt.Source{Embeddings: prompt.Embeddings{Rows: words, Row: row}, Log: u.log}
	tensors, err := u.frozen.Method.Start(s.Seed, prompt.SampledVocabulary(source, 0, prompt.CommonWords), u.frozen.weight)
	if err != nil {
		return fmt.Errorf("making a prompt up: %w", err)
	}
	u.start = &prompt.Prompt{Method: s.Method, Tensors: tensors}
	return nil
}

func newStepper(all []*setup, opts Options) (*Stepper, error) {
	opts.Out = ""
	var states []*state
	for _, u := range all {
		states = append(states, u.first())
	}
	g, err := newGroup(all, states, "", nil, opts)
	if err != nil {
		all[0].shared.Close()
		return nil, err
	}
	return &Stepper{g: g, t: g.runs[0]}, nil
}

// Step makes the next step: passes forward and backward, and the update. The
// first one settles the passes, as a run does before its own.
func (s *Stepper) Step(ctx context.Context) error {
	if _, err := s.Plan(ctx); err != nil {
		return err
	}
	return s.g.update(ctx)
}

// Plan settles the passes, if that was not done, and returns them.
func (s *Stepper) Plan(ctx context.Context) (Passes, error) {
	if !s.planned {
		var all []*setup
		for _, t := range s.g.runs {
			all = append(all, t.setup)
		}
		if err := planAll(ctx, all); err != nil {
			return Passes{}, err
		}
		s.planned = true
	}
	return s.t.frozen.passes, nil
}

// Passes is how often a step goes through the model, once one was made.
func (s *Stepper) Passes() int {
	b, m := 0, s.t.settings.MicroBatch
	for _, t := range s.g.runs {
		b += t.settings.Batch
	}
	return (b + m - 1) / m
}

// Model returns the model, which stays the stepper's.
func (s *Stepper) Model() *export.Model { return s.t.model }

// Graph returns the train graph in a precision, that of the settings or
// another.
func (s *Stepper) Graph(ctx context.Context, p export.Precision) (*onnx.Model, error) {
	spec := s.t.frozen.spec
	spec.Precision = p
	if p == export.INT8 && spec.Int8 == nil {
		var err error
		if spec.Int8, err = s.t.model.Int8File(ctx); err != nil {
			return nil, err
		}
	}
	return export.Train(spec)
}

// Inputs returns what the train graph takes for the rows of the next step. It
// is the same in all precisions, and good until a step is made.
func (s *Stepper) Inputs() (map[string]*ort.Tensor, error) {
	in, t := newFeed(), s.t
	rows, err := t.sequence.at(t.Step)
	if err != nil {
		return nil, fmt.Errorf("feeding a step: %w", err)
	}
	in.inputs(rows, t.bank, t.model.Config.PadID)
	targets := in.answers
	if t.frozen.spec.Rank {
		targets = in.choices
	}
	longest, err := targets(rows, StepOptions{Weights: []float32{1}, Judges: []*Judge{t.judge}})
	if err != nil {
		return nil, fmt.Errorf("feeding a step: %w", err)
	}
	if opts := t.stepOptions(rows, t.Step); opts.Dropout != nil {
		opts.Dropout.feed(in, t.model.Config, rows, t.bank, longest)
	}
	return in.tensors, in.err
}

// Close frees the sessions, which writes the profile, and the model.
func (s *Stepper) Close() error {
	s.g.Close()
	err := s.t.frozen.Close()
	s.t.shared.Close()
	return err
}
