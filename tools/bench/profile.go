package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"

	"softprompt/onnx/ort"
	budget "softprompt/prompt/measure"
	"softprompt/prompt/tune"
	"softprompt/tasks"
)

// profileMain prints the budget of a step of one of the benchmark's models, as
// softprompt bench profile does for a model of the user's.
func profileMain(ctx context.Context, args []string, out io.Writer) error {
	s := tune.Defaults(&tasks.Task{})
	flags := flag.NewFlagSet("profile", flag.ContinueOnError)
	size := flags.String("size", "small", "size of T5 v1.1")
	steps := flags.Int("steps", 4, "steps after the first, which is left out")
	nodes := flags.Int("nodes", 15, "how many operators are shown with their shapes")
	flags.IntVar(&s.Threads, "threads", 2, "threads of one operator")
	flags.IntVar(&s.MicroBatch, "micro-batch", 4, "rows that go through the model at once")
	flags.Float64Var(&s.Dropout, "dropout", 0, "rate for every site")
	flags.StringVar((*string)(&s.Precision), "precision", string(s.Precision), "fp32 or int8")
	interpreter := flags.String("python", "", "`interpreter` with PyTorch, to make the model if it is not there")
	if err := flags.Parse(args); err != nil {
		return err
	}
	batch := shape{Prompt: 100, Input: 128, Targets: 4, Batch: 16}
	dir, err := modelDir(ctx, *size, batch, func() (string, error) {
		if *interpreter != "" {
			return *interpreter, nil
		}
		return python(ctx, os.Stderr)
	})
	if err != nil {
		return err
	}
	rt, err := ort.Open(ort.Options{})
	if err != nil {
		return err
	}
	s.Workers = 1 // the trace of one pass after another
	s.Model, s.Length, s.Batch = dir, int(batch.Prompt), int(batch.Batch)
	b, err := budget.Profile(ctx, rt, s, budget.ProfileOptions{Input: int(batch.Input), Targets: int(batch.Targets), Steps: *steps})
	if err != nil {
		return err
	}
	printProfile(out, b, *nodes)
	return nil
}

func printProfile(w io.Writer, b *budget.Budget, nodes int) {
	for _, part := range []struct {
		title string
		lines []budget.Line
	}{
		{"kind of work", b.Kinds},
		{"operator", b.Ops},
		{"operator and shapes of its inputs", b.Shapes[:min(nodes, len(b.Shapes))]},
	} {
		t := &table{head: []string{part.title, "nodes", "ms a step", "share", "GFLOP/s"}}
		for _, l := range part.lines {
			speed := ""
			if l.GFLOPS > 0 {
				speed = fmt.Sprintf("%.0f", l.GFLOPS)
			}
			t.add(l.Name, fmt.Sprintf("%.0f", l.Calls), fmt.Sprintf("%.1f", l.Millis), fmt.Sprintf("%.1f %%", 100*l.Share), speed)
		}
		t.text(w)
		fmt.Fprintln(w)
	}
	kernels := 0.0
	for _, l := range b.Ops {
		kernels += l.Millis
	}
	fmt.Fprintf(w, "%.1f ms a step, %.1f ms of it in kernels, mean of %d steps\n", b.Millis, kernels, b.Steps)
}
