package tune

import (
	"context"
	"fmt"
	"runtime"
	"slices"

	"softprompt/models"
	"softprompt/onnx/ort"
	"softprompt/tasks"
)

// Row is one example as the model sees it.
type Row struct {
	IDs    []int64 // input tokens, EOS last
	Target []int64 // target tokens, EOS last; nil where there is none
	Label  int     // class, −1 where there is none
	// Key names the example whatever batch it is in: dropout is drawn by it.
	Key     uint64
	Prompt  int       // which of the bank's prompts it uses
	Cut     bool      // the input was longer than allowed
	Choices [][]int64 // the example's choices, EOS last; nil where it lists none
	Example tasks.Example
}

// encoder turns examples into rows.
type encoder struct {
	tok       *models.Tokenizer
	examples  []tasks.Example
	maxInput  int
	maxTarget int
	answers   map[string][]int64 // by text
	rows      []Row              // the inputs of some are encoded later
}

// newEncoder encodes the targets and choices of examples, and says where one
// does not fit.
func newEncoder(tok *models.Tokenizer, examples []tasks.Example, maxInput, maxTarget int) (*encoder, error) {
	e := &encoder{tok: tok, examples: examples, maxInput: maxInput, maxTarget: maxTarget, answers: map[string][]int64{}}
	e.rows = make([]Row, len(examples))
	var err error
	for i, x := range examples {
		e.rows[i] = Row{Label: x.Label, Key: uint64(x.Index), Example: x}
		if x.Target != "" {
			if e.rows[i].Target, err = e.answer(x.ID, x.Target, x.Label < 0 && len(x.Choices) == 0); err != nil {
				return nil, err
			}
		}
		for _, choice := range x.Choices {
			ids, err := e.answer(x.ID, choice, false)
			if err != nil {
				return nil, err
			}
			e.rows[i].Choices = append(e.rows[i].Choices, ids)
		}
	}
	return e, nil
}

// answer encodes a target or a choice of a row, each text once. Free text may
// be cut where it is longer than allowed, as T5's preprocessors do; a label
// word or a choice would become another one.
func (e *encoder) answer(row, text string, free bool) ([]int64, error) {
	if ids := e.answers[text]; ids != nil {
		return ids, nil
	}
	ids, cut, err := e.tok.EncodeEOS(text, e.maxTarget)
	if err != nil {
		return nil, fmt.Errorf("encoding the target of row %s: %w", row, err)
	}
	if cut && !free {
		return nil, fmt.Errorf("encoding row %s: target %q has more than %d tokens", row, text, e.maxTarget)
	}
	e.answers[text] = ids
	return ids, nil
}

// input encodes the input of a row unless that was done.
func (e *encoder) input(i int) (err error) {
	r := &e.rows[i]
	if r.IDs != nil {
		return nil
	}
	if r.IDs, r.Cut, err = fitInput(e.tok, e.examples[i], e.maxInput); err != nil {
		return fmt.Errorf("encoding row %s: %w", e.examples[i].ID, err)
	}
	return nil
}

// all encodes the inputs of all rows, on all processors.
func (e *encoder) all(ctx context.Context) ([]Row, error) {
	parts := (len(e.rows) + encodedAtOnce - 1) / encodedAtOnce
	err := inParallel(ctx, runtime.GOMAXPROCS(0), parts, func(_ context.Context, _, part int) error {
		for i := part * encodedAtOnce; i < min(len(e.rows), (part+1)*encodedAtOnce); i++ {
			if err := e.input(i); err != nil {
				return err
			}
		}
		return nil
	})
	return e.rows, err
}

// encodeRows turns examples into rows at once.
func encodeRows(ctx context.Context, tok *models.Tokenizer, examples []tasks.Example, maxInput, maxTarget int) ([]Row, error) {
	e, err := newEncoder(tok, examples, maxInput, maxTarget)
	if err != nil {
		return nil, err
	}
	return e.all(ctx)
}

// encodedAtOnce inputs are encoded by a worker before it takes the next ones.
const encodedAtOnce = 256

// sequence gives the training rows of every step: epoch after epoch, each in
// an order of its own. Within a window of batches rows are sorted by length,
// so that a batch holds little padding; the batches of a window come in random
// order. It is a pure function of the seed and the step, so a run resumes by
// its step alone.
type sequence struct {
	rows []Row
	// encode sees to it that the input of a row is encoded; nil where all are.
	encode func(i int) error

	batch  int
	window int
	seed   uint64

	epoch  int // the epoch of order
	order  []int
	loaded int // the window of batches
	steps  [][]Row
}

func newSequence(rows []Row, batch, window int, seed uint64) *sequence {
	return &sequence{rows: rows, batch: batch, window: window, seed: seed, epoch: -1, loaded: -1}
}

// at returns the rows of a step, which counts from 0.
func (s *sequence) at(step int) ([]Row, error) {
	if w := step / s.window; w != s.loaded {
		if err := s.load(w); err != nil {
			return nil, err
		}
	}
	return s.steps[step%s.window], nil
}

// load makes the batches of a window. Only now are their rows encoded: a run
// of a few steps over a large data set begins at once.
func (s *sequence) load(w int) error {
	n := s.batch * s.window
	rows := make([]Row, n)
	for i := range rows {
		at := s.row(w*n + i)
		if s.encode != nil {
			if err := s.encode(at); err != nil {
				return err
			}
		}
		rows[i] = s.rows[at]
	}
	slices.SortStableFunc(rows, func(a, b Row) int { return len(a.IDs) - len(b.IDs) })
	s.loaded, s.steps = w, make([][]Row, s.window)
	for i, j := range tasks.Permutation(s.window, s.seed+1, w) {
		s.steps[i] = rows[j*s.batch : (j+1)*s.batch]
	}
	return nil
}

// row returns the index of the i-th row of the endless sequence.
func (s *sequence) row(i int) int {
	if epoch := i / len(s.rows); epoch != s.epoch {
		s.epoch, s.order = epoch, tasks.Permutation(len(s.rows), s.seed, epoch)
	}
	return s.order[i%len(s.rows)]
}

// feed collects the inputs of a run. The first error sticks, and close frees
// what was made here.
type feed struct {
	tensors map[string]*ort.Tensor
	own     []*ort.Tensor
	err     error
}

func newFeed() *feed { return &feed{tensors: map[string]*ort.Tensor{}} }

func (f *feed) ints(name string, values []int64, shape ...int) {
	f.add(name, func(sizes []int64) (*ort.Tensor, error) { return ort.FromInts(values, sizes...) }, shape)
}

func (f *feed) floats(name string, values []float32, shape ...int) {
	f.add(name, func(sizes []int64) (*ort.Tensor, error) { return ort.FromFloats(values, sizes...) }, shape)
}

func (f *feed) add(name string, make func([]int64) (*ort.Tensor, error), shape []int) {
	if f.err != nil {
		return
	}
	var sizes []int64
	for _, n := range shape {
		sizes = append(sizes, int64(n))
	}
	t, err := make(sizes)
	if err != nil {
		f.err = fmt.Errorf("feeding %s: %w", name, err)
		return
	}
	f.tensors[name] = t
	f.own = append(f.own, t)
}

func (f *feed) close() {
	for _, t := range f.own {
		t.Close()
	}
}

// takenBy returns what a session takes of what was fed: a graph leaves out what
// it does not read of a method.
func (f *feed) takenBy(s *ort.Session) map[string]*ort.Tensor {
	taken := map[string]*ort.Tensor{}
	for _, v := range s.Inputs() {
		if t := f.tensors[v.Name]; t != nil {
			taken[v.Name] = t
		}
	}
	return taken
}

// inputs feeds input_ids and attention_mask [B,S], padded on the right, and
// what the bank adds.
func (f *feed) inputs(rows []Row, bank *Bank, pad int) {
	longest := 0
	for _, r := range rows {
		longest = max(longest, len(r.IDs))
	}
	if m := bank.method; m != nil && m.Sizes.Rows > 0 && longest > m.Sizes.Rows && f.err == nil {
		f.err = fmt.Errorf("an input of %d tokens is longer than the %d that the prompt of method %s has rows for", longest, m.Sizes.Rows, m.Name)
	}
	ids := make([]int64, len(rows)*longest)
	mask := make([]int64, len(ids))
	for i, r := range rows {
		for j := range longest {
			at := i*longest + j
			ids[at] = int64(pad)
			if j < len(r.IDs) {
				ids[at], mask[at] = r.IDs[j], 1
			}
		}
	}
	f.ints("input_ids", ids, len(rows), longest)
	f.ints("attention_mask", mask, len(rows), longest)
	bank.feed(f, rows)
}

// padded lays sequences below one another, [N,T], with −100 where a shorter one
// ends, and returns T.
func padded(sequences [][]int64) (ids []int64, longest int) {
	for _, s := range sequences {
		longest = max(longest, len(s))
	}
	ids = make([]int64, 0, len(sequences)*longest)
	for _, s := range sequences {
		ids = append(ids, s...)
		ids = append(ids, slices.Repeat([]int64{ignored}, longest-len(s))...)
	}
	return ids, longest
}

// ignored is the label of a position that does not count.
const ignored = -100
