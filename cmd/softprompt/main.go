// Command softprompt tunes, scores, uses, shows and exports soft prompts for
// frozen T5 models.
//
// Each command is a struct in a file of its own: its fields are its flags and
// its Run method calls the library. What a command prints, and where, is
// decided in tui.go.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"github.com/alecthomas/kong"
)

// version is stamped by the linker: -X main.version=v1.2.3.
var version string

// cli is the whole command line.
type cli struct {
	JSON    bool `help:"Print results as JSON."`
	Verbose bool `short:"v" help:"Say what is being done, on stderr."`
	Quiet   bool `short:"q" help:"No progress and no notes on stderr."`

	Train    trainCmd    `cmd:"" help:"Tune a prompt."`
	Eval     evalCmd     `cmd:"" help:"Score a prompt on a split of its task."`
	Predict  predictCmd  `cmd:"" help:"Label texts with a prompt."`
	Generate generateCmd `cmd:"" help:"Write text with a prompt."`
	Ensemble ensembleCmd `cmd:"" help:"Have several prompts vote, in one pass."`
	Study    studyCmd    `cmd:"" help:"Repeat an experiment: many runs from one file, and their table."`
	Report   reportCmd   `cmd:"" help:"Put runs side by side: tables, figures, what is more than chance."`
	Inspect  inspectCmd  `cmd:"" help:"Show what a prompt is: where it came from, its norms, the words it lies near."`
	Export   exportCmd   `cmd:"" help:"Write a model's ONNX graphs; of a run, with its prompt built in."`
	Grad     gradCmd     `cmd:"" help:"Derive the gradient graph of any ONNX model."`
	Tasks    tasksCmd    `cmd:"" help:"List the tasks, or show one."`
	Models   modelsCmd   `cmd:"" help:"List the models at hand, or show one."`
	Bench    benchCmd    `cmd:"" help:"Measure what a training step takes, and what a reduced precision costs."`
	Doctor   doctorCmd   `cmd:"" help:"Check what softprompt needs, and train one step as proof."`
	Version  versionCmd  `cmd:"" help:"Print the version."`
}

// Exit codes.
const (
	exitOK          = 0
	exitFailure     = 1
	exitUsage       = 2
	exitInterrupted = 130
)

// usageError is an error in how softprompt was called.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func (u usageError) Unwrap() error { return u.error }

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run is main with everything that it touches named.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) (code int) {
	var c cli
	ui := newTUI(stdin, stdout, stderr)
	defer func() {
		if r := recover(); r != nil {
			ui.log.Debug("panic", "value", r, "stack", string(debug.Stack()))
			ui.errorWithHint("this is a fault of softprompt; -v shows where it happened", "internal error: %v", r)
			code = exitFailure
		}
	}()
	parser, err := kong.New(&c,
		kong.Name("softprompt"),
		kong.Description("Tune soft prompts for frozen T5 models on ONNX Runtime."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.Writers(stdout, stderr),
		kong.PostBuild(showDefaults),
	)
	if err != nil {
		panic(err) // the structs are wrong, which every test would show
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	call, err := parser.Parse(args)
	if err != nil {
		return ui.fail(usageError{err})
	}
	ui.set(c)
	ctx, stop := interruptible(context.Background(), ui)
	defer stop()
	call.Bind(ui)
	call.BindTo(ctx, (*context.Context)(nil))
	err = call.Run()
	ui.downloads.close()
	if err != nil {
		return ui.fail(err)
	}
	return exitOK
}

// exitCode says what an error means to the shell.
func exitCode(err error) int {
	var usage usageError
	switch {
	case interrupted(err):
		return exitInterrupted
	case errors.As(err, &usage):
		return exitUsage
	}
	return exitFailure
}
