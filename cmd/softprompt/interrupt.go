package main

import (
	"context"
	"errors"
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

// stopped adds to the error of an interrupted run how to go on with it.
func stopped(err error, dir string) error {
	if !errors.Is(err, tune.ErrStopped) { // nothing had begun
		return err
	}
	return hint.Wrap(err, "softprompt train --resume %s goes on", shellWord(dir))
}
