package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"softprompt/onnx/hint"
	"softprompt/prompt/tune"
)

// interruptible returns a context that the first Ctrl+C or SIGTERM ends: what
// runs then saves itself and stops. The second ends the process at once.
func interruptible(parent context.Context, ui *tui) (context.Context, func()) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		if _, ok := <-signals; !ok {
			return
		}
		ui.note("stopping; once more ends at once")
		cancel()
		if _, ok := <-signals; ok {
			os.Exit(exitInterrupted)
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(signals)
		cancel()
	}
}

// interrupted tells whether an error is the user's wish to stop.
func interrupted(err error) bool {
	return errors.Is(err, tune.ErrStopped) || errors.Is(err, context.Canceled)
}

// resumable adds to the error that ended a run how to go on with it, where the
// run was stopped or its place gave out.
func resumable(err error, dir string) error {
	again := fmt.Sprintf("softprompt train --resume %s goes on", shellWord(dir))
	if errors.Is(err, tune.ErrStopped) {
		return hint.Wrap(err, "%s", again)
	}
	for _, full := range diskErrors {
		if errors.Is(err, full) {
			return hint.Wrap(err, "%s; then %s", advice(err), again)
		}
	}
	return err
}

// diskErrors are those of a disk that takes no more.
var diskErrors = []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG}
