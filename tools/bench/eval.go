package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"

	"softprompt/models"
	"softprompt/tasks"
)

// evalReport says how fast rows of SST-2 are evaluated.
type evalReport struct {
	Size  string     `json:"size"`
	Rows  int        `json:"rows"`
	Batch int        `json:"batch"`
	Runs  []*evalRun `json:"runs"`
	// Difference is the largest between log-probabilities, by the largest of
	// them; SameChoice and SameText are shares of the rows.
	Difference float64 `json:"score_difference"`
	SameChoice float64 `json:"same_choice"`
	SameText   float64 `json:"same_text"`
	Length     float64 `json:"mean_tokens_written"`
}

// evalRun is one way of one side to evaluate all rows.
type evalRun struct {
	Name    string    `json:"name"`
	Command string    `json:"command"`
	Seconds []float64 `json:"seconds"` // of each round

	peer  *peer
	found evaluated
}

const (
	evalBatch = 32 // softprompt's own, and what the other side is given
	maxTokens = 8  // of an answer, the default of SST-2
)

// measureEvals ranks SST-2's two words and writes answers, with the first
// size. Both sides read the same rows; softprompt sorts them by length, as it
// always does, transformers takes them as they come, padded to the longest of
// each batch.
func (b *bench) measureEvals(ctx context.Context) (err error) {
	size := b.sizes[0]
	dir, err := modelDir(ctx, size, b.shape, b.interpreter)
	if err != nil {
		return err
	}
	model, tok, err := lendTokenizer(ctx, dir, b.tokenizer)
	if err != nil {
		return err
	}
	defer model.Close()
	work, err := b.evalBatches(ctx, dir, tok)
	if err != nil {
		return err
	}
	tmp, err := os.MkdirTemp("", "softprompt-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	file := filepath.Join(tmp, batchesFile)
	if err := work.save(file); err != nil {
		return err
	}
	b.Eval = &evalReport{Size: size, Rows: b.evalRows, Batch: len(work.rows[0])}
	given := []string{"--model", dir, "--batches", file, "--threads", strconv.Itoa(b.threads), "--max-tokens", strconv.Itoa(maxTokens)}
	return b.evaluate(ctx, b.Eval, given, tok.VocabSize())
}

// evalBatches draws the rows and encodes the words to choose among.
func (b *bench) evalBatches(ctx context.Context, dir string, tok *models.Tokenizer) (*batches, error) {
	work, err := readBatches(filepath.Join(dir, batchesFile)) // for its prompt
	if err != nil {
		return nil, err
	}
	sst2, err := tasks.Lookup("sst2")
	if err != nil {
		return nil, err
	}
	examples, err := sst2.Load(ctx, tasks.Validation, tasks.LoadOptions{})
	if err != nil {
		return nil, err
	}
	rows, err := text{"SST-2", sst2.MaxInput, examples}.encode(tok, b.evalRows)
	if err != nil {
		return nil, err
	}
	work.rows = slices.Collect(slices.Chunk(rows, min(evalBatch, len(rows))))
	for _, word := range sst2.Verbalizer.List() {
		ids, _, err := tok.EncodeEOS(word, maxTarget)
		if err != nil {
			return nil, err
		}
		work.candidates = append(work.candidates, ids)
	}
	return work, nil
}

// evaluate starts the sides that take part and has them take turns.
func (b *bench) evaluate(ctx context.Context, r *evalReport, given []string, words int) error {
	add := func(name string, cmd *exec.Cmd, err error, commands ...string) (*peer, error) {
		p, err := b.launch(ctx, name, cmd, err)
		for _, c := range commands {
			r.Runs = append(r.Runs, &evalRun{Name: name, Command: c, peer: p})
		}
		return p, err
	}
	var peers []*peer
	defer func() {
		for _, p := range peers {
			p.kill()
		}
	}()
	if b.has("softprompt") {
		cmd, err := self(ctx, "evaluate", given...)
		p, err := add("softprompt", cmd, err, "rank", "greedy")
		if err != nil {
			return err
		}
		peers = append(peers, p)
	}
	if b.has("peft") {
		cmd, err := script(ctx, b.options, "bench_transformers.py", append(given, "--words", strconv.Itoa(words))...)
		p, err := add("transformers", cmd, err, "rank", "rank-shared", "greedy")
		if err != nil {
			return err
		}
		peers = append(peers, p)
	}
	if err := comparable(peers); err != nil {
		return err
	}
	for round := -1; round < b.evalRounds; round++ { // the first warms up
		for _, run := range r.Runs {
			var e evaluated
			if err := run.peer.ask(ctx, run.Command, &e); err != nil {
				return err
			}
			if !(e.Seconds > 0) || len(e.Scores)+len(e.IDs) != r.Rows {
				return fmt.Errorf("%s, %s: %d rows in %v seconds, want %d rows", run.Name, run.Command, len(e.Scores)+len(e.IDs), e.Seconds, r.Rows)
			}
			b.say("evaluation %d of %d: %s, %s %.3f s", round+1, b.evalRounds, run.Name, run.Command, e.Seconds)
			run.found = e
			if round >= 0 {
				run.Seconds = append(run.Seconds, e.Seconds)
			}
		}
	}
	for _, p := range peers {
		if _, err := p.finish(ctx); err != nil {
			return err
		}
	}
	return r.compare()
}

// run returns a run, or nil.
func (r *evalReport) run(name, command string) *evalRun {
	i := slices.IndexFunc(r.Runs, func(e *evalRun) bool { return e.Name == name && e.Command == command })
	if i < 0 {
		return nil
	}
	return r.Runs[i]
}

// textTolerance is the share of rows whose greedy answers may differ: two
// words may be as likely as float32 can tell.
const textTolerance = 0.05

// compare holds the answers of both sides against each other.
func (r *evalReport) compare() error {
	n := float64(r.Rows)
	own := r.run("softprompt", "rank")
	for _, command := range []string{"rank", "rank-shared"} {
		other := r.run("transformers", command)
		if own == nil || other == nil {
			continue
		}
		var apart, scale, same float64
		for i, scores := range own.found.Scores {
			theirs := other.found.Scores[i]
			if len(theirs) != len(scores) {
				return fmt.Errorf("row %d: %d scores and %d", i, len(scores), len(theirs))
			}
			for j, s := range scores {
				apart, scale = max(apart, math.Abs(s-theirs[j])), max(scale, math.Abs(theirs[j]))
			}
			if tasks.Best(scores) == tasks.Best(theirs) {
				same++
			}
		}
		r.Difference, r.SameChoice = max(r.Difference, apart/scale), same/n
		if r.Difference > lossTolerance {
			return fmt.Errorf("the scores of %s are %.2g apart: they do not compute the same", command, r.Difference)
		}
	}
	own, other := r.run("softprompt", "greedy"), r.run("transformers", "greedy")
	if own == nil || other == nil {
		return nil
	}
	for i, ids := range own.found.IDs {
		r.Length += float64(len(ids)) / n
		if slices.Equal(ids, other.found.IDs[i]) {
			r.SameText += 1 / n
		}
	}
	if r.SameText < 1-textTolerance {
		return fmt.Errorf("%.0f %% of the greedy answers are the same: they do not compute the same", 100*r.SameText)
	}
	return nil
}
