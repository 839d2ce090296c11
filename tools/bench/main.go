// Command bench measures prompt tuning and evaluation against PEFT and
// transformers on PyTorch, for T5 v1.1 with random weights: time and memory of
// a step, the share of the machine's matrix peak that it reaches, the start of
// a process, real text, ranking and decoding, and several prompts in one pass. At the end it prints a table of
// goals with the measured quotients.
//
//	go run ./tools/bench                                   small and base, all peers, all sections
//	go run ./tools/bench -sizes small -peers softprompt    softprompt alone, for quick development
//	go run ./tools/bench profile -size small               where softprompt's step spends its time
//
// Every peer is a process of its own (protocol.go), so that its memory is its
// own, and all run at once but take turns: each round is one step of each
// (rounds.go). Both sides start from the same weights, prompt and batches;
// their float32 losses must agree, else nothing is reported. Dropout is 0 for
// both unless -dropout says otherwise, since masks cannot be compared.
//
// The sections of a run are steps.go, start.go, train_text.go,
// eval.go and many.go. The
// peers are bench_peft.py and bench_transformers.py in tools/reference and, as
// their counterparts, this program in the roles step and evaluate (step.go,
// evaluate.go). The peak comes from ONNX Runtime's and PyTorch's own products
// (peak.go, peak.py), the better of the two; the operations of a step are
// counted from its graph (count.go). The result is printed as tables, judged by
// goals.go, and kept as a file under tools/bench/results.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"softprompt/onnx/hint"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := dispatch(ctx, os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench: error:", err)
		if advice := hint.Of(err); advice != "" {
			fmt.Fprintln(os.Stderr, "bench: hint:", advice)
		}
		stop()
		os.Exit(1)
	}
}

// dispatch takes up the role that the first argument names.
func dispatch(ctx context.Context, args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case "step":
			return stepMain(ctx, args[1:], os.Stdin, os.Stdout)
		case "evaluate":
			return evaluateMain(ctx, args[1:], os.Stdin, os.Stdout)
		case "peak":
			return peakMain(ctx, args[1:], os.Stdout)
		case "profile":
			return profileMain(ctx, args[1:], os.Stdout)
		}
	}
	return benchMain(ctx, args, os.Stdout, os.Stderr)
}
