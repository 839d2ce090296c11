package measure

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"softprompt/onnx/ort"
	"softprompt/prompt/tune"
)

// ProfileOptions says what [Profile] measures.
type ProfileOptions struct {
	// Input and Targets are the tokens of a row where the settings name no
	// task: rows of random tokens then stand for its data.
	Input, Targets int
	// Steps are measured after one that is not.
	Steps int
	// Run is what [tune.NewStepper] takes.
	Run tune.Options
}

// Profile makes some steps of a run of these settings under ONNX Runtime's
// profiler and returns where their time went. Nothing is kept of the run. The
// profiler itself takes a few microseconds a kernel, which a step without it
// saves.
func Profile(ctx context.Context, rt *ort.Runtime, s tune.Settings, o ProfileOptions) (_ *Budget, err error) {
	if o.Steps < 1 {
		return nil, fmt.Errorf("profiling: %d steps, want at least 1", o.Steps)
	}
	dir, err := os.MkdirTemp("", "softprompt-profile-")
	if err != nil {
		return nil, fmt.Errorf("profiling: %w", err)
	}
	defer os.RemoveAll(dir)
	opts := o.Run
	opts.Profile = filepath.Join(dir, "trace")
	steps, err := newSteps(ctx, rt, s, o, opts)
	if err != nil {
		return nil, err
	}
	closed := false
	stop := func() error {
		if closed {
			return nil
		}
		closed = true
		return steps.Close()
	}
	defer func() { err = errors.Join(err, stop()) }()

	graph, err := steps.Graph(ctx, s.Precision)
	if err != nil {
		return nil, err
	}
	wall, err := timeSteps(ctx, steps, o.Steps)
	if err != nil {
		return nil, err
	}
	if err := stop(); err != nil { // which writes the trace
		return nil, err
	}
	runs, err := readTrace(dir)
	if err != nil {
		return nil, err
	}
	want := o.Steps * steps.Passes()
	if len(runs) < want {
		return nil, fmt.Errorf("profiling: the trace has %d runs, want %d at least", len(runs), want)
	}
	return NewBudget(runs[len(runs)-want:], graph, wall, o.Steps), nil
}

// newSteps prepares the steps, on the rows of a task or on others.
func newSteps(ctx context.Context, rt *ort.Runtime, s tune.Settings, o ProfileOptions, opts tune.Options) (*tune.Stepper, error) {
	if s.Task == "" {
		return tune.NewStepperOf(ctx, rt, s, o.Input, o.Targets, opts)
	}
	return tune.NewStepper(ctx, rt, s, opts)
}

// timeSteps returns the time of n steps after one that is not timed, in which
// the session is made.
func timeSteps(ctx context.Context, s *tune.Stepper, n int) (time.Duration, error) {
	var began time.Time
	for i := range n + 1 {
		if i == 1 {
			began = time.Now()
		}
		if err := s.Step(ctx); err != nil {
			return 0, err
		}
	}
	return time.Since(began), nil
}

// readTrace reads the only trace in a folder.
func readTrace(dir string) ([]Run, error) {
	files, err := filepath.Glob(filepath.Join(dir, "trace*.json"))
	if err != nil || len(files) != 1 {
		return nil, errors.Join(err, fmt.Errorf("profiling: the runtime wrote %d traces, want 1", len(files)))
	}
	f, err := os.Open(files[0])
	if err != nil {
		return nil, fmt.Errorf("profiling: %w", err)
	}
	defer f.Close()
	return ParseTrace(f)
}
