package tune

import (
	"errors"
	"testing"
	"time"

	"softprompt/onnx/ort"
)

// TestHunt finds the best of machines whose times are known.
func TestHunt(t *testing.T) {
	const ms = time.Millisecond
	rows := func(p Passes) time.Duration { return time.Duration(p.MicroBatch * p.Workers) }
	for name, c := range map[string]struct {
		batch, size int
		workers     []int
		took        func(Passes) time.Duration
		want        Passes
		most        int // trials
	}{
		"small micro-batches, workers": {
			32, 0,
			[]int{2, 1},
			func(p Passes) time.Duration { // a cost a pass, one a row, and one for large passes
				each := 10*ms + 10*ms*time.Duration(p.MicroBatch) + ms*time.Duration(p.MicroBatch*p.MicroBatch)
				if p.Workers == 1 {
					each = each * 6 / 10
				}
				return each
			},
			Passes{MicroBatch: 2, Workers: 2}, // 3 % slower than with 4 rows
			7,
		},
		"all at once":         {32, 0, []int{2, 1}, func(p Passes) time.Duration { return 100*ms + rows(p)*ms/2*time.Duration(p.Workers) }, Passes{MicroBatch: 32, Workers: 1}, 9},
		"a row at a time":     {32, 0, []int{2, 1}, func(p Passes) time.Duration { return rows(p) * rows(p) * ms }, Passes{MicroBatch: 1, Workers: 1}, 6},
		"equal: the smallest": {32, 0, []int{2, 1}, func(p Passes) time.Duration { return rows(p) * ms }, Passes{MicroBatch: 1, Workers: 1}, 8},
		"a size that is said": {32, 8, []int{2, 1}, func(p Passes) time.Duration { return rows(p) * ms * time.Duration(p.Workers) }, Passes{MicroBatch: 8, Workers: 1}, 2},
		"one worker":          {5, 0, []int{1}, func(p Passes) time.Duration { return 10*ms + rows(p)*ms }, Passes{MicroBatch: 5, Workers: 1}, 3},
		"a batch of one":      {1, 0, []int{4, 1}, func(p Passes) time.Duration { return 10 * ms * time.Duration(p.Workers) }, Passes{MicroBatch: 1, Workers: 1}, 2},
		// Time runs out: what was measured until then decides.
		"slow": {4, 0, []int{2, 1}, func(p Passes) time.Duration { return rows(p) * time.Second }, Passes{MicroBatch: 1, Workers: 2}, 2},
	} {
		tried := map[Passes]int{}
		h := hunt{batch: c.batch, size: c.size, workers: c.workers, try: func(p Passes) (time.Duration, error) {
			tried[p]++
			if most := (c.batch + p.Workers - 1) / p.Workers; p.MicroBatch < 1 || p.MicroBatch > most {
				t.Errorf("%s: tried %+v", name, p)
			}
			return c.took(p), nil
		}}
		got, err := h.run()
		if err != nil || got != c.want || len(tried) > c.most {
			t.Errorf("%s: %+v after %v, %v; want %+v after %d", name, got, tried, err, c.want, c.most)
		}
		if h.best > huntLeast && h.spent > 3*h.best {
			t.Errorf("%s: spent %v, a step takes %v", name, h.spent, h.best)
		}
	}
}

// TestHuntMemory: what does not fit is passed over, unless nothing does.
func TestHuntMemory(t *testing.T) {
	broken := errors.New("broken")
	for _, c := range []struct {
		fits int
		err  error
		want Passes
		fail error
	}{
		{4, ort.ErrOutOfMemory, Passes{MicroBatch: 2, Workers: 2}, nil},
		{0, ort.ErrOutOfMemory, Passes{}, ort.ErrOutOfMemory},
		{4, broken, Passes{}, broken},
	} {
		h := hunt{batch: 32, workers: []int{2, 1}, try: func(p Passes) (time.Duration, error) {
			if p.MicroBatch*p.Workers > c.fits {
				return 0, c.err
			}
			return 100*time.Millisecond + time.Duration(p.MicroBatch), nil // the larger the better
		}}
		got, err := h.run()
		if !errors.Is(err, c.fail) || got != c.want {
			t.Errorf("%+v: %+v, %v", c, got, err)
		}
	}
}
