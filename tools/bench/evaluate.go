package main

import (
	"context"
	"flag"
	"io"
	"slices"
	"time"

	"softprompt/prompt/tune"
)

// evaluateMain is softprompt's peer for evaluation: what bench_transformers.py
// is for transformers. Both go over all rows of the file at each command.
func evaluateMain(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	flags := flag.NewFlagSet("evaluate", flag.ContinueOnError)
	dir := flags.String("model", "", "`folder` of the model, a tokenizer in it")
	file := flags.String("batches", "", "`file` of rows and candidates")
	threads := flags.Int("threads", 2, "threads of one operator")
	length := flags.Int("max-tokens", 8, "most `tokens` of an answer")
	if err := flags.Parse(args); err != nil {
		return err
	}
	began := time.Now()
	b, err := readBatches(*file)
	if err != nil {
		return err
	}
	rt, model, frozen, err := freeze(ctx, *dir, tune.FreezeOptions{Threads: *threads, Passes: tune.Passes{Workers: *threads}})
	if err != nil {
		return err
	}
	defer model.Close()
	defer frozen.Close()
	bank, err := b.bank(frozen)
	if err != nil {
		return err
	}
	defer bank.Close()
	rows := slices.Concat(b.rows...)
	hello := ready{
		Ready: time.Since(began).Seconds(), DType: "float32", Threads: *threads,
		Batch: b.inputs[1:], Targets: b.labels[2], Prompt: b.prompt, Runtime: rt.Version(),
	}
	rank := func() (any, error) {
		began := time.Now()
		scores, err := frozen.Score(ctx, bank, rows, b.candidates)
		return evaluated{Seconds: time.Since(began).Seconds(), Scores: scores}, err
	}
	greedy := func() (any, error) {
		began := time.Now()
		found, err := frozen.Generate(ctx, bank, rows, tune.GenerateOptions{MaxTokens: *length})
		e := evaluated{Seconds: time.Since(began).Seconds()}
		for _, g := range found {
			e.IDs = append(e.IDs, g.IDs)
		}
		return e, err
	}
	return serve(in, out, hello, commands{"rank": rank, "greedy": greedy}, func() (memory, error) { return memoryOf("self") })
}
