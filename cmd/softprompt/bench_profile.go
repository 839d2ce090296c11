package main

import (
	"context"
	"fmt"

	"softprompt/export"
	"softprompt/onnx/ort"
	"softprompt/prompt/measure"
	"softprompt/prompt/tune"
	"softprompt/tasks"
)

// benchProfileCmd shows the budget of a step.
type benchProfileCmd struct {
	Model      string  `default:"tiny" placeholder:"M" help:"tiny, a folder, or a name on the hub. (${default})"`
	Task       string  `placeholder:"T" help:"Take a task's rows, at their own lengths; without it rows are made up."`
	Data       string  `placeholder:"DIR" help:"Folder with the task's files; without it, the part that travels with softprompt."`
	Input      int     `default:"128" placeholder:"N" help:"Tokens of a row that is made up. (${default})"`
	Targets    int     `default:"4" placeholder:"N" help:"Target tokens of a row that is made up. (${default})"`
	Length     int     `default:"100" placeholder:"P" help:"Vectors of the prompt. (${default})"`
	Batch      int     `default:"16" placeholder:"N" help:"Rows of a step. (${default})"`
	MicroBatch int     `placeholder:"N" help:"Rows that go through the model at once; without it all."`
	Dropout    float64 `default:"0.1" placeholder:"R" help:"Dropout in the frozen model. (${default})"`
	Precision  string  `default:"fp32" placeholder:"P" help:"Numbers that the model's products are computed in: fp32 or int8. (${default})"`
	Steps      int     `default:"4" placeholder:"N" help:"Steps to measure, after one that is not. (${default})"`
	Nodes      int     `default:"15" placeholder:"N" help:"Operators to show with the shapes of their inputs. (${default})"`
	machineFlags
}

// Help has the examples.
func (benchProfileCmd) Help() string {
	return `The time comes from ONNX Runtime's profiler: by kind of work, by operator, by
operator and shapes, and by block of the model, forward and backward. Speeds of
products are in GFLOP/s, a multiplication and an addition being two operations.
The profiler itself takes a few microseconds for each node.

    softprompt bench profile
    softprompt bench profile --model google/t5-v1_1-small --precision int8
    softprompt bench profile --model ./my-t5 --task sst2 --batch 32 --micro-batch 8 --json`
}

// profiled is the JSON form of a profile.
type profiled struct {
	Settings tune.Settings `json:"settings"`
	Runtime  string        `json:"onnxruntime"`
	Threads  int           `json:"threads"`
	*measure.Budget
}

// Run measures.
func (c *benchProfileCmd) Run(ctx context.Context, ui *tui) error {
	s, err := c.settings()
	if err != nil {
		return err
	}
	if c.Steps < 1 || c.Nodes < 0 || c.Input < 1 || c.Targets < 1 {
		return usagef("--steps, --input and --targets have to be 1 at least, and --nodes 0")
	}
	rt, err := ort.Open(ort.Options{Log: ui.log})
	if err != nil {
		return err
	}
	budget, err := measure.Profile(ctx, rt, s, measure.ProfileOptions{
		Input: c.Input, Targets: c.Targets, Steps: c.Steps, Run: tune.Options{Log: ui.log, Open: ui.opening()},
	})
	if err != nil {
		return err
	}
	budget.Shapes = budget.Shapes[:min(c.Nodes, len(budget.Shapes))]
	result := profiled{s, rt.Version(), s.Threads, budget}
	if result.Threads == 0 {
		result.Threads = ort.Threads()
	}
	if ui.json {
		return ui.emit(result)
	}
	rows := fmt.Sprintf("%d rows of %d tokens", s.Batch, c.Input)
	if s.Task != "" {
		rows = fmt.Sprintf("%d rows of %s", s.Batch, s.Task)
	}
	ui.printf("model %s, %s, prompt %d, %s, %d threads, ONNX Runtime %s\n", s.Model, rows, s.Length, s.Precision, result.Threads, result.Runtime)
	ui.printf("%s ms a step of %d passes, mean of %d steps\n", ms(budget.Millis), budget.Passes, budget.Steps)
	ui.showBudget(budget)
	return nil
}

// settings are those of a run that makes the same steps.
func (c *benchProfileCmd) settings() (tune.Settings, error) {
	task := &tasks.Task{}
	if c.Task != "" {
		var err error
		if task, err = tasks.Open(c.Task, c.Data); err != nil {
			return tune.Settings{}, err
		}
	}
	s := tune.Defaults(task)
	s.Task = c.Task
	s.Model, s.Data, s.Length, s.Batch, s.MicroBatch, s.Dropout = c.Model, c.Data, c.Length, c.Batch, c.MicroBatch, c.Dropout
	s.Precision, s.Device, s.Threads = export.Precision(c.Precision), c.Device, c.Threads
	s.Workers = 1 // the trace of one pass after another
	s.HeldOut = 1 // small data will do
	if s.MicroBatch == 0 {
		s.MicroBatch = s.Batch
	}
	if c.Task == "" {
		s.MaxInput, s.MaxTarget = max(c.Input, 2), max(c.Targets, 2)
	}
	if err := s.Check(); err != nil {
		return s, usageError{err}
	}
	return s, nil
}

// lumped puts what is below a thousandth of the step into one line.
func lumped(lines []measure.Line) []measure.Line {
	shown, rest := []measure.Line{}, measure.Line{}
	others := 0
	for _, l := range lines {
		if l.Share >= 0.001 {
			shown = append(shown, l)
			continue
		}
		others++
		rest.Calls, rest.Millis, rest.Share = rest.Calls+l.Calls, rest.Millis+l.Millis, rest.Share+l.Share
	}
	if others == 0 {
		return shown
	}
	rest.Name = fmt.Sprintf("%d others", others)
	return append(shown, rest)
}

// some writes a number, and nothing for 0.
func some(x float64) string {
	if x == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f", x)
}

// showBudget prints the tables.
func (ui *tui) showBudget(b *measure.Budget) {
	for _, part := range []struct {
		title string
		lines []measure.Line
	}{{"kind of work", b.Kinds}, {"operator", lumped(b.Ops)}, {"operator and its inputs", b.Shapes}} {
		if len(part.lines) == 0 {
			continue
		}
		rows := [][]string{{part.title, "calls", "ms a step", "share", "GFLOP/s"}}
		for _, l := range part.lines {
			rows = append(rows, []string{l.Name, some(l.Calls), ms(l.Millis), percent(l.Share), some(l.GFLOPS)})
		}
		ui.printf("\n")
		ui.numbers(rows...)
	}
	rows := [][]string{{"block", "forward ms", "backward ms", "share"}}
	for _, l := range b.Blocks {
		rows = append(rows, []string{l.Name, ms(l.Forward), ms(l.Backward), percent(l.Share)})
	}
	ui.printf("\n")
	ui.numbers(rows...)
}
