package tune

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"softprompt/onnx"
	"softprompt/onnx/ort"
)

// Score returns the log-probability of each candidate answer for each row:
// [row][candidate]. A candidate is a token sequence with EOS last. The encoder
// reads a row once for all its candidates; rows run in batches of similar
// length, as many at once as there are workers.
func (f *Frozen) Score(ctx context.Context, bank *Bank, rows []Row, candidates [][]int64) ([][]float64, error) {
	return f.ScoreEach(ctx, bank, rows, func(*Row) [][]int64 { return candidates })
}

// ScoreEach is [Frozen.Score] where each row has candidates of its own, as
// many as it likes but at least one.
func (f *Frozen) ScoreEach(ctx context.Context, bank *Bank, rows []Row, candidates func(r *Row) [][]int64) ([][]float64, error) {
	out := make([][]float64, len(rows))
	most := 1
	for i := range rows {
		most = max(most, len(candidates(&rows[i])))
	}
	err := f.eachBatch(ctx, rows, (most+manyCandidates-1)/manyCandidates, func(ctx context.Context, workers int, batch []int) error {
		s, err := f.session(ctx, scoreGraph, workers)
		if err != nil {
			return err
		}
		return f.scoreBatch(ctx, s, bank, rows, batch, candidates, out)
	})
	return out, err
}

// manyCandidates of a row weigh as much as the row: that many label words are
// next to nothing beside the encoder.
const manyCandidates = 16

// scoreBatch rows run at once: enough to keep two cores busy with short text,
// few enough that long text does not fill the memory.
const scoreBatch = 32

// eachBatch calls do for the rows of similar length, of which each stands for
// as many in the model. The longest come first: what is left at the end, when
// some workers have nothing more to do, is short.
func (f *Frozen) eachBatch(ctx context.Context, rows []Row, each int, do func(ctx context.Context, workers int, batch []int) error) error {
	workers := max(1, f.passes.Workers)
	batches := byLength(rows, max(1, scoreBatch/workers/each))
	workers = min(workers, len(batches))
	slices.Reverse(batches)
	return inParallel(ctx, workers, len(batches), func(ctx context.Context, _, i int) error {
		return do(ctx, workers, batches[i])
	})
}

// byLength returns the indices of the rows in batches of similar length.
func byLength(rows []Row, size int) [][]int {
	order := make([]int, len(rows))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(len(rows[a].IDs), len(rows[b].IDs)) })
	return slices.Collect(slices.Chunk(order, size))
}

// scoreBatch scores the rows of the given indices and puts their results in out.
func (f *Frozen) scoreBatch(ctx context.Context, s *ort.Session, bank *Bank, rows []Row, batch []int, candidates func(r *Row) [][]int64, out [][]float64) error {
	in := newFeed()
	defer in.close()
	part := make([]Row, len(batch))
	sets := make([][][]int64, len(batch))
	most := 0
	for i, at := range batch {
		part[i] = rows[at]
		sets[i] = candidates(&rows[at])
		most = max(most, len(sets[i]))
	}
	in.inputs(part, bank, f.Model.Config.PadID)
	in.candidates(sets, most)
	if in.err != nil {
		return in.err
	}
	logp, err := ort.NewTensor(onnx.Float32, int64(len(part)), int64(most))
	if err != nil {
		return err
	}
	defer logp.Close()
	if err := s.Run(ctx, in.takenBy(s), map[string]*ort.Tensor{"log_probability": logp}); err != nil {
		return fmt.Errorf("scoring %d rows: %w", len(batch), err)
	}
	for i, at := range batch {
		scores := make([]float64, len(sets[i]))
		for j := range scores {
			scores[j] = float64(logp.Float32s()[i*most+j])
		}
		out[at] = scores
	}
	return nil
}
