package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"

	"softprompt/prompt/tune"
)

// textReport says how fast prompts are trained on real text.
type textReport struct {
	Text    string     `json:"text"`
	Size    string     `json:"size"`
	Rows    int        `json:"rows"`
	Batch   int        `json:"batch"`
	Mean    float64    `json:"mean_tokens"` // of a row
	Longest int        `json:"longest_tokens"`
	Cut     int        `json:"cut_rows"`
	Runs    []*textRun `json:"runs"`
}

// textRun is one side with one way of padding.
type textRun struct {
	Name    string    `json:"name"`
	Padding string    `json:"padding"`
	Seconds []float64 `json:"seconds"`   // of each step that counts
	Losses  []float64 `json:"losses"`    // of each step, those before included
	Loss    float64   `json:"mean_loss"` // of a target token over the rows

	every   int // rounds for one step
	batches [][]tune.Row
	args    []string
	peer    *peer
}

// rate is in examples a second.
func (r *textRun) rate(batch int) float64 {
	var all float64
	for _, s := range r.Seconds {
		all += s
	}
	return float64(batch*len(r.Seconds)) / all
}

// sparse is how many rounds there are for one step of a run all of whose steps
// take the same time.
const sparse = 4

// measureTexts trains on real text with the first size, float32 on both
// sides: softprompt with the batches that its trainer makes, PEFT with the
// same rows in random order, padded as transformers' collator does and as
// PEFT's example does. The learning rate is 0, so that every order meets the
// same prompt and the mean losses have to agree.
func (b *bench) measureTexts(ctx context.Context) (err error) {
	size := b.sizes[0]
	dir, err := modelDir(ctx, size, b.shape, b.interpreter)
	if err != nil {
		return err
	}
	start, err := readBatches(filepath.Join(dir, batchesFile))
	if err != nil {
		return err
	}
	model, tok, err := lendTokenizer(ctx, dir, b.tokenizer)
	if err != nil {
		return err
	}
	defer model.Close()
	all, err := b.texts(ctx)
	if err != nil {
		return err
	}
	tmp, err := os.MkdirTemp("", "softprompt-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	for _, t := range all {
		rows, err := t.encode(tok, b.textBatches*int(b.shape.Batch))
		if err != nil {
			return err
		}
		r := newTextReport(t, size, rows, int(b.shape.Batch))
		if r.Runs, err = b.textRuns(t, rows); err != nil {
			return err
		}
		for _, run := range r.Runs {
			file := filepath.Join(tmp, run.Name+".safetensors")
			work := batches{prompt: start.prompt, values: start.values, rows: run.batches}
			if err := work.save(file); err != nil {
				return err
			}
			run.args = append(run.args, "--batches", file, "--rate", "0")
		}
		if err := b.trainText(ctx, dir, r); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		b.Texts = append(b.Texts, r)
	}
	return nil
}

func newTextReport(t text, size string, rows []tune.Row, batch int) *textReport {
	r := &textReport{Text: t.name, Size: size, Rows: len(rows), Batch: batch}
	for _, row := range rows {
		r.Mean += float64(len(row.IDs)) / float64(len(rows))
		r.Longest = max(r.Longest, len(row.IDs))
		if row.Cut {
			r.Cut++
		}
	}
	return r
}

// textRuns are the runs over a text of the sides that take part.
func (b *bench) textRuns(t text, rows []tune.Row) ([]*textRun, error) {
	own, random, err := orders(rows, int(b.shape.Batch))
	var runs []*textRun
	if b.has("softprompt") {
		runs = append(runs, &textRun{Name: "softprompt", Padding: "batches by length", every: 1, batches: own})
	}
	if b.has("peft") {
		length := strconv.Itoa(t.maxInput)
		runs = append(runs,
			&textRun{Name: "peft", Padding: "longest of the batch", every: 1, batches: random},
			&textRun{Name: "peft", Padding: "max_length " + length, every: sparse, batches: random, args: []string{"--max-length", length}})
	}
	return runs, err
}

// trainText has the runs take turns until each batch has been trained on once
// after the steps before that do not count.
func (b *bench) trainText(ctx context.Context, dir string, r *textReport) error {
	var peers []*peer
	for _, run := range r.Runs {
		side := sides[sideIndex(run.Name)]
		o := b.options
		o.dropout = 0
		cmd, err := side.command(ctx, dir, o, run.args...)
		if run.peer, err = b.launch(ctx, run.Name, cmd, err); err != nil {
			return err
		}
		defer run.peer.kill()
		peers = append(peers, run.peer)
	}
	if err := comparable(peers); err != nil {
		return err
	}
	for round := -b.warmup; round < b.textBatches; round++ {
		for _, run := range r.Runs {
			if round > 0 && round%run.every != 0 {
				continue
			}
			s, err := run.peer.step(ctx)
			if err != nil {
				return err
			}
			b.say("%s: batch %d of %d: %s, %s %.3f s, loss %.4f", r.Text, max(round+1, 0), b.textBatches, run.Name, run.Padding, s.Seconds, s.Loss)
			run.Losses = append(run.Losses, s.Loss)
			if round >= 0 {
				run.Seconds = append(run.Seconds, s.Seconds)
			}
		}
	}
	for _, run := range r.Runs {
		if _, err := run.peer.finish(ctx); err != nil {
			return err
		}
		run.Loss = run.mean()
	}
	return sameLosses(r.Runs)
}

// mean is the loss of a target token over the batches that were trained on,
// each counted once.
func (r *textRun) mean() float64 {
	var loss, count float64
	for i, rows := range r.batches[:min(len(r.batches), len(r.Losses))] {
		n := float64(tokens(rows))
		loss += n * r.Losses[i]
		count += n
	}
	return loss / count
}

// sameLosses reports runs that found other losses: over all rows, and batch by
// batch where they trained on the same.
func sameLosses(runs []*textRun) error {
	apart := func(a, b float64) bool { return math.Abs(a-b) > lossTolerance*math.Abs(b) }
	for _, run := range runs[min(1, len(runs)):] {
		first := runs[0]
		if len(run.Losses) >= len(run.batches) && apart(run.Loss, first.Loss) {
			return fmt.Errorf("the mean loss is %.6f in %s and %.6f in %s: they do not train on the same", first.Loss, first.Name, run.Loss, run.Name)
		}
		for _, other := range runs {
			for i := range min(len(run.Losses), len(other.Losses)) {
				if other.Name == run.Name && apart(run.Losses[i], other.Losses[i]) {
					return fmt.Errorf("step %d: the loss is %.6f padded to %s and %.6f to %s", i+1, run.Losses[i], run.Padding, other.Losses[i], other.Padding)
				}
			}
		}
	}
	return nil
}
