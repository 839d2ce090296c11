package tune

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"softprompt/models"
	"softprompt/tasks"
)

// numbered returns rows whose keys are their numbers and whose lengths vary.
func numbered(n int) []Row {
	rows := make([]Row, n)
	for i := range rows {
		rows[i] = Row{Key: uint64(i), IDs: make([]int64, 1+i*7%13)}
	}
	return rows
}

// TestSequence: every epoch has each row once, a step is a function of its
// number alone, and the rows of a window lie in batches by length.
func TestSequence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(t, "rows")
		batch := rapid.IntRange(1, 9).Draw(t, "batch")
		window := rapid.IntRange(1, 5).Draw(t, "window")
		seed := rapid.Uint64().Draw(t, "seed")
		rows := numbered(n)
		s := newSequence(rows, batch, window, seed)
		steps := window * (1 + n/batch)
		count := map[uint64]int{}
		for i := range steps {
			b := stepRows(t, s, i)
			if len(b) != batch {
				t.Fatalf("step %d has %d rows", i, len(b))
			}
			for _, r := range b {
				count[r.Key]++
			}
		}
		for k, c := range count {
			if most := (steps*batch + n - 1) / n; c > most || c < steps*batch/n {
				t.Fatalf("row %d came %d times in %d rows of %d", k, c, steps*batch, n)
			}
		}
		step := rapid.IntRange(0, steps-1).Draw(t, "step")
		again := stepRows(t, newSequence(rows, batch, window, seed), step)
		if !slices.EqualFunc(again, stepRows(t, s, step), func(a, b Row) bool { return a.Key == b.Key }) {
			t.Fatalf("step %d differs when it is asked for first", step)
		}
		var spans [][2]int
		for i := range window {
			b := stepRows(t, s, i)
			spans = append(spans, [2]int{len(b[0].IDs), len(b[batch-1].IDs)})
			if !slices.IsSortedFunc(b, func(a, b Row) int { return len(a.IDs) - len(b.IDs) }) {
				t.Fatalf("the rows of batch %d are not sorted by length", i)
			}
		}
		slices.SortFunc(spans, func(a, b [2]int) int { return a[0] - b[0] + a[1] - b[1] })
		for i := 1; i < len(spans); i++ {
			if spans[i][0] < spans[i-1][1] {
				t.Fatalf("the lengths of two batches overlap: %v", spans)
			}
		}
	})
}

// TestFeed checks padding, masks and ignored labels.
func TestFeed(t *testing.T) {
	none, err := NewBank(nil)
	if err != nil {
		t.Fatal(err)
	}
	f := newFeed()
	defer f.close()
	f.inputs([]Row{{IDs: []int64{7, 8, 1}}, {IDs: []int64{9, 1}}}, none, 0)
	labels, longest := padded([][]int64{{5, 1}, {5, 6, 7, 1}})
	f.ints("labels", labels, 2, longest)
	if f.err != nil || longest != 4 {
		t.Fatalf("%v, longest %d", f.err, longest)
	}
	for name, want := range map[string][]int64{
		"input_ids":      {7, 8, 1, 9, 1, 0},
		"attention_mask": {1, 1, 1, 1, 1, 0},
		"labels":         {5, 1, -100, -100, 5, 6, 7, 1},
	} {
		if got := f.tensors[name].Int64s(); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	f.ints("wrong", []int64{1, 2, 3}, 2, 2)
	if f.err == nil {
		t.Error("three values filled a 2×2 tensor")
	}
}

// TestDropoutFollowsTheExample: a row's masks are the same wherever it stands,
// whatever is padded, and different at another step, seed or example.
func TestDropoutFollowsTheExample(t *testing.T) {
	c := models.Config{DModel: 6, DFF: 5, NumHeads: 2, NumLayers: 2, NumDecoderLayers: 1}
	long, short := Row{Key: 3, IDs: make([]int64, 4)}, Row{Key: 9, IDs: make([]int64, 2)}
	draw := func(d Dropout, rows []Row, p, targets int) map[string][]float32 {
		f := newFeed()
		t.Cleanup(f.close)
		d.feed(f, c, rows, &Bank{Length: p}, targets)
		if f.err != nil {
			t.Fatal(f.err)
		}
		out := map[string][]float32{}
		for name, v := range f.tensors {
			out[name] = v.Float32s()
		}
		return out
	}
	d := Dropout{Rate: 0.5, Seeds: []uint64{1}, Step: 4}
	alone := draw(d, []Row{short}, 3, 2)
	pair := draw(d, []Row{long, short}, 5, 3)
	// The encoder's masks: [sites,B,h,1,P+S]. The short row alone has 3+2 keys,
	// in the pair 5+4; its prompt's part lies at the right end of the prompt.
	for site := range c.NumLayers {
		for h := range c.NumHeads {
			a := alone["dropout.encoder"][(site*2+h)*5:][:5]
			b := pair["dropout.encoder"][((site*2+1)*2+h)*9:][:9]
			if !slices.Equal(a, b[2:7]) {
				t.Errorf("site %d, head %d: alone %v, in the pair %v", site, h, a, b)
			}
		}
	}
	for site := range 2 + 2*2 + 2 + 3 {
		a, b := alone["dropout.hidden"][site*6:][:6], pair["dropout.hidden"][(site*2+1)*6:][:6]
		if !slices.Equal(a, b) {
			t.Errorf("hidden site %d: alone %v, in the pair %v", site, a, b)
		}
	}
	for name, other := range map[string]Dropout{
		"step": {Rate: 0.5, Seeds: []uint64{1}, Step: 5},
		"seed": {Rate: 0.5, Seeds: []uint64{2}, Step: 4},
	} {
		if got := draw(other, []Row{short}, 3, 2); slices.Equal(got["dropout.hidden"], alone["dropout.hidden"]) {
			t.Errorf("another %s draws the same masks", name)
		}
	}
	for _, v := range pair["dropout.feed_forward"] {
		if v != 0 && v != 2 {
			t.Errorf("a mask holds %v, want 0 or 1/(1−0.5)", v)
		}
	}
}

func TestEncodeRowsRefusesALongTarget(t *testing.T) {
	f := freezeTiny(t, FreezeOptions{Method: "prompt-tuning"})
	s := smallRun(t)
	task, err := s.task()
	if err != nil {
		t.Fatal(err)
	}
	examples, err := task.Load(t.Context(), tasks.Train, tasks.LoadOptions{Data: s.Data, Limit: 2})
	if err != nil {
		t.Fatal(err)
	}
	examples[1].Target = "a target that is certainly longer than four tokens"
	if _, err := encodeRows(t.Context(), f.Tokenizer, examples, 24, 4); err == nil {
		t.Error("a target was cut")
	}
	rows, err := encodeRows(t.Context(), f.Tokenizer, examples[:1], 3, 8)
	if err != nil {
		t.Fatal(err)
	}
	if r := rows[0]; !r.Cut || len(r.IDs) != 3 || r.IDs[2] != int64(f.Model.Config.EOSID) {
		t.Errorf("a cut input: %+v, want two tokens and EOS", r)
	}
}

// TestSequenceEncodes the rows of a window when it comes to them, and no
// others; what cannot be encoded is told then.
func TestSequenceEncodes(t *testing.T) {
	rows := numbered(40)
	s := newSequence(rows, 4, 2, 1)
	var asked []int
	s.encode = func(i int) error {
		asked = append(asked, i)
		return nil
	}
	for step, want := range []int{8, 8, 16} {
		for _, r := range stepRows(t, s, step) {
			if !slices.ContainsFunc(asked, func(i int) bool { return rows[i].Key == r.Key }) {
				t.Errorf("step %d has row %d, which was not encoded", step, r.Key)
			}
		}
		if len(asked) != want {
			t.Errorf("%d rows were encoded up to step %d, want %d", len(asked), step, want)
		}
	}
	s.encode = func(int) error { return errors.New("no words") }
	if _, err := s.at(4); err == nil || err.Error() != "no words" {
		t.Errorf("error %v", err)
	}
}

// TestEncoder encodes an input once, alone or with all others.
func TestEncoder(t *testing.T) {
	f := freezeTiny(t, FreezeOptions{})
	var examples []tasks.Example
	for i := range 3 * encodedAtOnce {
		examples = append(examples, tasks.Example{ID: fmt.Sprint(i), Index: i, Input: strings.Repeat("good ", 1+i%9), Target: "great"})
	}
	one, err := newEncoder(f.Tokenizer, examples, 6, 8)
	if err != nil {
		t.Fatal(err)
	}
	if one.rows[8].IDs != nil || one.rows[8].Target == nil {
		t.Errorf("at first row 8 is %+v", one.rows[8])
	}
	if err := one.input(8); err != nil || len(one.rows[8].IDs) != 6 || !one.rows[8].Cut {
		t.Errorf("row 8 is %+v, %v", one.rows[8], err)
	}
	first := &one.rows[8].IDs[0]
	rows, err := one.all(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if &rows[8].IDs[0] != first {
		t.Error("row 8 was encoded twice")
	}
	for i, r := range rows {
		if want := min(6, len(rows[i%9].IDs)); len(r.IDs) != want || r.Key != uint64(i) {
			t.Fatalf("row %d is %+v", i, r)
		}
	}
	stopped, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := encodeRows(stopped, f.Tokenizer, examples, 6, 8); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
}

// TestBatchesAreThoseOfARun: a run's steps and what Batches lists are the same.
func TestBatchesAreThoseOfARun(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows := numbered(rapid.IntRange(1, 40).Draw(t, "rows"))
		batch, window := rapid.IntRange(1, 9).Draw(t, "batch"), rapid.IntRange(1, 5).Draw(t, "window")
		s := newSequence(rows, batch, window, 3)
		for i, got := range Batches(rows, batch, window, 2*window+1, 3) {
			if !slices.EqualFunc(got, stepRows(t, s, i), func(a, b Row) bool { return a.Key == b.Key }) {
				t.Fatalf("batch %d differs from the rows of step %d", i, i)
			}
		}
	})
}
