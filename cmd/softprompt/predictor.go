package main

import (
	"context"
	"fmt"

	"softprompt/export"
	"softprompt/onnx/ort"
	"softprompt/prompt/tune"
)

// machineFlags say what a command runs on.
type machineFlags struct {
	Device  string `default:"cpu" placeholder:"DEVICE" help:"cpu, cuda, cuda:1, or the library of an execution provider."`
	Threads int    `placeholder:"N" help:"Threads of an operator; 0 is one a core."`
}

// promptFlags name a prompt and what it is used with.
type promptFlags struct {
	Dir string `arg:"" help:"A run folder, an adapter folder of PEFT or DePT, or a prompt's .safetensors or .npy file."`
	useFlags
}

// useFlags say what prompts are used with.
type useFlags struct {
	Model      string `placeholder:"M" help:"A model in place of the one that the prompt names."`
	Task       string `placeholder:"T" help:"A task, or a file that defines one, in place of the one that the prompt was tuned for."`
	Template   string `placeholder:"TEXT" help:"Another template."`
	Verbalizer string `placeholder:"WORDS" help:"Other label words, as \"negative=terrible;positive=great\"."`
	Precision  string `placeholder:"P" help:"Numbers that products are computed in: fp32, int8, fp16 or bf16. (fp32)"`
	machineFlags
}

// open loads the prompt with its model. The files of another task are in the
// folder data, "" being where they usually are.
func (f promptFlags) open(ctx context.Context, ui *tui, data string) (*tune.Predictor, error) {
	rt, opts, err := f.options(ui, data)
	if err != nil {
		return nil, err
	}
	return tune.NewPredictor(ctx, rt, f.Dir, opts)
}

// options returns what the flags say, and the runtime.
func (f useFlags) options(ui *tui, data string) (rt *ort.Runtime, opts tune.PredictOptions, err error) {
	device, err := ort.ParseDevice(f.Device)
	if err != nil {
		return nil, opts, usageError{err}
	}
	if f.Threads < 0 {
		return nil, opts, usagef("--threads is %d, want 0 or more", f.Threads)
	}
	precision, err := export.ParsePrecision(f.Precision)
	if err != nil {
		return nil, opts, usageError{fmt.Errorf("--precision: %w", err)}
	}
	rt, err = ort.Open(ort.Options{Log: ui.log})
	return rt, tune.PredictOptions{
		Model: f.Model, Task: f.Task, Data: data, Template: f.Template, Verbalizer: f.Verbalizer,
		Device: device, Threads: f.Threads, Precision: precision, Open: ui.opening(),
	}, err
}
