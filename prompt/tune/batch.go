package tune

import (
	"fmt"
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
	Key    uint64
	Prompt int  // which of the bank's prompts it uses
	Cut    bool // the input was longer than allowed
}

// encodeRows turns examples into rows. A target that does not fit is an error:
// cutting it would train on another word.
func encodeRows(tok *models.Tokenizer, examples []tasks.Example, maxInput, maxTarget int) ([]Row, error) {
	rows := make([]Row, len(examples))
	targets := map[string][]int64{}
	for i, e := range examples {
		ids, cut, err := tok.EncodeEOS(e.Input, maxInput)
		if err != nil {
			return nil, fmt.Errorf("encoding row %s: %w", e.ID, err)
		}
		rows[i] = Row{IDs: ids, Label: e.Label, Key: uint64(e.Index), Cut: cut}
		if e.Target == "" {
			continue
		}
		if targets[e.Target] == nil {
			t, cut, err := tok.EncodeEOS(e.Target, maxTarget)
			if err != nil {
				return nil, fmt.Errorf("encoding the target of row %s: %w", e.ID, err)
			}
			if cut {
				return nil, fmt.Errorf("encoding row %s: target %q has more than %d tokens", e.ID, e.Target, maxTarget)
			}
			targets[e.Target] = t
		}
		rows[i].Target = targets[e.Target]
	}
	return rows, nil
}

// sequence gives the training rows of every step: epoch after epoch, each in
// an order of its own. Within a window of batches rows are sorted by length,
// so that a batch holds little padding; the batches of a window come in random
// order. It is a pure function of the seed and the step, so a run resumes by
// its step alone.
type sequence struct {
	rows   []Row
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
func (s *sequence) at(step int) []Row {
	if w := step / s.window; w != s.loaded {
		s.load(w)
	}
	return s.steps[step%s.window]
}

// load makes the batches of a window.
func (s *sequence) load(w int) {
	n := s.batch * s.window
	rows := make([]Row, n)
	for i := range rows {
		rows[i] = s.rows[s.row(w*n+i)]
	}
	slices.SortStableFunc(rows, func(a, b Row) int { return len(a.IDs) - len(b.IDs) })
	s.loaded, s.steps = w, make([][]Row, s.window)
	for i, j := range tasks.Permutation(s.window, s.seed+1, w) {
		s.steps[i] = rows[j*s.batch : (j+1)*s.batch]
	}
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

// inputs feeds input_ids and attention_mask [B,S], padded on the right, and
// what the bank adds.
func (f *feed) inputs(rows []Row, bank *Bank, pad int) {
	longest := 0
	for _, r := range rows {
		longest = max(longest, len(r.IDs))
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
