package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"softprompt/prompt/tune"
	"softprompt/tasks"
)

// options are the settings of a run with what it takes to start its peers.
type options struct {
	sections    []string
	sizes       []string
	peers       []side
	shape       shape
	threads     int
	optimizer   string
	dropout     float64
	warmup      int
	rounds      int
	starts      int // processes of each peer
	textBatches int
	evalRows    int
	evalRounds  int
	tokenizer   string // tiny, or a folder
	boolq       string // a file, or nothing
	out         string
	markdown    bool
	command     string
	interpreter func() (string, error) // made at the first call
}

func parseOptions(ctx context.Context, args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	only := flags.String("only", strings.Join(sectionNames(), ","), "`sections` to run")
	sizes := flags.String("sizes", "small,base", "sizes of T5 v1.1 to measure: small, base, large; text and eval take the first, start the last")
	peers := flags.String("peers", strings.Join(sideNames(), ","), "who is measured; quotients are to the first")
	flags.IntVar(&o.rounds, "rounds", 8, "steps of each peer that count")
	flags.IntVar(&o.warmup, "warmup", 2, "steps of each peer before")
	flags.IntVar(&o.starts, "starts", 3, "processes of each peer whose start is timed")
	flags.IntVar(&o.textBatches, "text-batches", 24, "`batches` of each real text")
	flags.IntVar(&o.evalRows, "eval-rows", 128, "`rows` that are evaluated")
	flags.IntVar(&o.evalRounds, "eval-rounds", 3, "passes over them of each peer that count")
	flags.StringVar(&o.tokenizer, "tokenizer", "tiny", "`folder` with the tokenizer.json or spiece.model to read text with, or tiny")
	flags.StringVar(&o.boolq, "boolq", "", "`file` val.jsonl of BoolQ as SuperGLUE publishes it; without it only SST-2 is read")
	flags.IntVar(&o.threads, "threads", 2, "threads of each peer")
	flags.Float64Var(&o.dropout, "dropout", 0, "rate on both sides; losses are not compared unless it is 0")
	flags.StringVar(&o.optimizer, "optimizer", "adamw", "adamw or adafactor")
	flags.Int64Var(&o.shape.Prompt, "prompt", 100, "prompt `length`")
	flags.Int64Var(&o.shape.Input, "input", 128, "input `tokens` of a row")
	flags.Int64Var(&o.shape.Targets, "targets", 4, "target `tokens` of a row")
	flags.Int64Var(&o.shape.Batch, "batch", 16, "`rows` of a batch")
	flags.StringVar(&o.out, "out", "", "`file` for the result, none for no file (default tools/bench/results/DATE-CPU.json)")
	flags.BoolVar(&o.markdown, "markdown", false, "print the tables in Markdown")
	given := flags.String("python", "", "`interpreter` with PyTorch and PEFT (default: the environment of tools/reference, made if needed)")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unknown argument %q", flags.Arg(0))
	}
	o.sections, o.sizes = strings.Split(*only, ","), strings.Split(*sizes, ",")
	var err error
	if o.peers, err = chosen(*peers); err != nil {
		return o, err
	}
	if err := o.check(); err != nil {
		return o, err
	}
	o.command = "go run ./tools/bench"
	flags.Visit(func(f *flag.Flag) {
		switch f.Name {
		case "out", "python": // change no number
		case "tokenizer", "boolq": // paths of this machine
			o.command += " -" + f.Name + "=…"
		default:
			o.command += " -" + f.Name + "=" + f.Value.String()
		}
	})
	o.interpreter = sync.OnceValues(func() (string, error) {
		if *given != "" {
			return *given, nil
		}
		return python(ctx, stderr)
	})
	return o, nil
}

// check reports the first option that makes no sense.
func (o *options) check() error {
	for _, s := range o.sections {
		if !slices.Contains(sectionNames(), s) {
			return fmt.Errorf("no section %q: want some of %s", s, strings.Join(sectionNames(), ", "))
		}
	}
	for _, n := range []struct {
		flag  string
		value int
	}{
		{"rounds", o.rounds},
		{"warmup", o.warmup},
		{"starts", o.starts},
		{"text-batches", o.textBatches},
		{"eval-rows", o.evalRows},
		{"eval-rounds", o.evalRounds},
		{"threads", o.threads},
		{"prompt", int(o.shape.Prompt)},
		{"input", int(o.shape.Input)},
		{"targets", int(o.shape.Targets)},
		{"batch", int(o.shape.Batch)},
	} {
		if n.value < 1 {
			return fmt.Errorf("-%s %d has to be 1 at least", n.flag, n.value)
		}
	}
	if !(o.dropout >= 0 && o.dropout < 1) {
		return fmt.Errorf("-dropout %g has to be 0 at least and below 1", o.dropout)
	}
	if o.textBatches%window() != 0 {
		return fmt.Errorf("-text-batches %d has to be a multiple of %d, the batches whose rows a training run sorts together", o.textBatches, window())
	}
	if o.evalRows%min(evalBatch, o.evalRows) != 0 {
		return fmt.Errorf("-eval-rows %d has to be a multiple of the %d rows of a batch", o.evalRows, evalBatch)
	}
	if _, ok := optimizers[o.optimizer]; !ok {
		return fmt.Errorf("no optimizer %q: want adamw or adafactor", o.optimizer)
	}
	return nil
}

// window is how many batches a training run sorts by length together.
func window() int { return tune.Defaults(tasks.All()[0]).Window }

func (o *options) has(peer string) bool {
	return slices.ContainsFunc(o.peers, func(s side) bool { return s.name == peer })
}
