package tune

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
)

// GenerateOptions says how text is written.
type GenerateOptions struct {
	MaxTokens int // EOS included
	// Beams is the number of continuations kept; 0 and 1 are greedy decoding.
	Beams int
	// Alpha is the exponent of the length penalty ((5+length)/6)^alpha that
	// divides a finished beam's log-probability; T5X has 0.6.
	Alpha float64
}

// Generation is what the model wrote for one row.
type Generation struct {
	IDs            []int64 // without EOS
	LogProbability float64 // of the tokens, EOS included when it was written
}

// Generate writes an answer for each row, in batches of similar length.
func (f *Frozen) Generate(ctx context.Context, bank *Bank, rows []Row, opts GenerateOptions) ([]Generation, error) {
	if opts.MaxTokens < 1 {
		return nil, fmt.Errorf("generating: at most %d tokens asked for", opts.MaxTokens)
	}
	opts.Beams = max(opts.Beams, 1)
	out := make([]Generation, len(rows))
	err := f.eachBatch(ctx, rows, opts.Beams, func(ctx context.Context, workers int, batch []int) error {
		part := make([]Row, 0, len(batch)*opts.Beams)
		for _, at := range batch {
			for range opts.Beams {
				part = append(part, rows[at])
			}
		}
		found, err := f.generateBatch(ctx, bank, part, workers, opts)
		if err != nil {
			return fmt.Errorf("generating: %w", err)
		}
		for i, at := range batch {
			out[at] = found[i]
		}
		return nil
	})
	return out, err
}

// beam is one continuation under way.
type beam struct {
	ids  []int64
	logp float64
}

// generateBatch decodes rows, of which each run of opts.Beams is one example,
// as one of some workers.
func (f *Frozen) generateBatch(ctx context.Context, bank *Bank, rows []Row, workers int, opts GenerateOptions) ([]Generation, error) {
	d, err := f.newDecoding(ctx, bank, rows, workers)
	if err != nil {
		return nil, err
	}
	defer d.close()
	k, n := opts.Beams, len(rows)/opts.Beams
	width := 2 * k // enough to go on with k beams when k others end
	if k == 1 {
		width = 1
	}
	live := make([][]beam, n)
	done := make([][]beam, n) // finished, scored with the length penalty
	for i := range live {
		// All beams of an example start alike, so only the first counts.
		live[i] = make([]beam, k)
		for j := 1; j < k; j++ {
			live[i][j].logp = math.Inf(-1)
		}
	}
	origin := make([]int64, len(rows))
	last := make([]int64, len(rows))
	for i := range rows {
		origin[i], last[i] = int64(i), int64(f.Model.Config.DecoderStartID)
	}
	eos := int64(f.Model.Config.EOSID)
	for range opts.MaxTokens {
		logits, vocab, err := d.step(ctx, last, origin)
		if err != nil {
			return nil, err
		}
		finished := true
		for i := range live {
			scores := logits[i*k*vocab : (i+1)*k*vocab]
			next := extend(live[i], scores, vocab, f.Tokenizer.VocabSize(), width)
			var keep []beam
			for _, c := range next {
				b := beam{append(slices.Clone(live[i][c.beam].ids), c.token), c.logp}
				if c.token == eos {
					done[i] = append(done[i], b)
					continue
				}
				if len(keep) < k {
					at := i*k + len(keep)
					origin[at], last[at] = int64(i*k+c.beam), c.token
					keep = append(keep, b)
				}
			}
			live[i] = keep
			finished = finished && settled(done[i], live[i], k, opts)
		}
		if finished {
			break
		}
	}
	out := make([]Generation, n)
	for i := range out {
		out[i] = best(done[i], live[i], eos, opts.Alpha)
	}
	return out, nil
}

// candidate is a token that may follow a beam.
type candidate struct {
	beam  int
	token int64
	logp  float64
}

// extend returns the n likeliest continuations of an example's beams by one
// token, the first of equals first. Only the tokenizer's words are considered:
// the embedding has rows beyond them that stand for nothing.
func extend(beams []beam, logits []float32, vocab, words, n int) []candidate {
	var all []candidate
	for j, b := range beams {
		if math.IsInf(b.logp, -1) {
			continue
		}
		row := logits[j*vocab : j*vocab+min(vocab, words)]
		var top []candidate
		for t, v := range row {
			if len(top) == n && float64(v) <= top[n-1].logp {
				continue
			}
			c := candidate{j, int64(t), float64(v)}
			at, _ := slices.BinarySearchFunc(top, c, func(a, b candidate) int {
				if a.logp >= b.logp {
					return -1
				}
				return 1
			})
			top = slices.Insert(top, at, c)
			top = top[:min(len(top), n)]
		}
		z := logSumExp(logits[j*vocab : (j+1)*vocab])
		for i := range top {
			top[i].logp += b.logp - z
		}
		all = append(all, top...)
	}
	slices.SortStableFunc(all, func(a, b candidate) int { return cmp.Compare(b.logp, a.logp) })
	return all[:min(len(all), n)]
}

func logSumExp(v []float32) float64 {
	top, sum := float64(slices.Max(v)), 0.0
	for _, x := range v {
		sum += math.Exp(float64(x) - top)
	}
	return top + math.Log(sum)
}

// penalised is a beam's score against beams of other lengths.
func penalised(b beam, alpha float64) float64 {
	return b.logp / math.Pow((5+float64(len(b.ids)))/6, alpha)
}

// settled tells whether nothing under way can still win. Greedy decoding is
// settled by its first EOS.
func settled(done, live []beam, k int, opts GenerateOptions) bool {
	if len(done) == 0 || len(live) == 0 {
		return len(live) == 0
	}
	if k == 1 {
		return true
	}
	worst := math.Inf(-1)
	for _, b := range done {
		worst = max(worst, penalised(b, opts.Alpha))
	}
	// The longest answer has the largest divisor, so this is what a live beam
	// could reach at best.
	bound := live[0].logp / math.Pow((5+float64(opts.MaxTokens))/6, opts.Alpha)
	return worst >= bound
}

// best picks an example's answer: a finished beam if there is one.
func best(done, live []beam, eos int64, alpha float64) Generation {
	if len(done) == 0 {
		done = live
	}
	top := done[0]
	for _, b := range done[1:] {
		if penalised(b, alpha) > penalised(top, alpha) {
			top = b
		}
	}
	ids := top.ids
	if n := len(ids); n > 0 && ids[n-1] == eos {
		ids = ids[:n-1]
	}
	return Generation{IDs: ids, LogProbability: top.logp}
}
