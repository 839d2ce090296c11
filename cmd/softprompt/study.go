package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"softprompt/onnx/ort"
	"softprompt/prompt/study"
	"softprompt/prompt/tune"
)

// studyCmd repeats an experiment.
type studyCmd struct {
	File   string   `arg:"" help:"The study: what is varied, and over how many seeds."`
	Out    string   `placeholder:"DIR" help:"Folder for the runs; what is done there is not done again."`
	Full   bool     `help:"The experiment at its real size, not the small one of minutes."`
	Data   string   `placeholder:"DIR" help:"Folder with the tasks' files; without it, the part that travels with softprompt."`
	Set    []string `placeholder:"KEY=VALUE" sep:"none" help:"Another value of a setting, or others (commas between) of what is varied; may be repeated."`
	Only   []string `placeholder:"NAME" sep:"none" help:"Make this variant alone; may be repeated."`
	DryRun bool     `help:"List the runs, and make none."`
}

// Help has the examples.
func (studyCmd) Help() string {
	return `A study is a YAML file: settings of all runs, what is varied, the number of seeds. Those of
the papers are in experiments, each in a small version of minutes and a full one.

    softprompt study experiments/prompt-length.yaml --out runs/length
    softprompt study experiments/prompt-length.yaml --set length=5,20 --set steps=200 --out runs/short
    softprompt study experiments/tasks.yaml --data ./data --out runs/tasks
    softprompt study experiments/size.yaml --full --dry-run`
}

// Run makes the runs and shows their table.
func (c *studyCmd) Run(ctx context.Context, ui *tui) error {
	f, err := study.Load(c.File)
	if err != nil {
		return err
	}
	for _, set := range c.Set {
		key, value, ok := strings.Cut(set, "=")
		if !ok {
			return usagef("--set is %q, want KEY=VALUE", set)
		}
		f.Set(key, value)
	}
	sel := study.Select{Full: c.Full, Data: c.Data, Only: c.Only}
	variants, err := f.Variants(sel)
	if err != nil {
		return err
	}
	switch {
	case c.DryRun:
		return ui.showVariants(variants)
	case c.Out == "":
		return usagef("missing --out, the folder to put the runs in")
	}
	rt, err := ort.Open(ort.Options{Log: ui.log})
	if err != nil {
		return err
	}
	at := 0
	opts := study.Options{
		Select: sel, Out: c.Out, Log: ui.log, Open: ui.opening(), Version: programVersion(),
		Begin: func(v study.Variant, done bool) {
			at++
			what := fmt.Sprintf("%d of %d, %s", at, len(variants), v.Name)
			if done {
				ui.note("%s: done before", what)
				return
			}
			ui.note("%s: %s", what, plural(len(v.Runs), "run"))
		},
		Report: func(v study.Variant, e tune.Event) { ui.studyEvent(v, e) },
	}
	outcomes, err := study.Run(ctx, rt, f, opts)
	for _, o := range outcomes {
		for _, r := range o.Runs {
			if err := drawCurve(filepath.Dir(r.Prompt)); err != nil {
				ui.warn("a curve could not be drawn: %v", err)
			}
		}
	}
	if err != nil {
		return err
	}
	if ui.json {
		return ui.emit(outcomes)
	}
	ui.showOutcomes(outcomes)
	return nil
}

// studyEvent notes how a variant's runs get on, where something was scored.
func (ui *tui) studyEvent(v study.Variant, e tune.Event) {
	if e.Evaluated {
		ui.note("%s: %sstep %d/%d  score %.1f  best %.1f at %d", v.Name, prefix(e.Run), e.Step, e.Steps, e.Score, e.Best, e.BestStep)
	}
}

// showVariants lists the runs.
func (ui *tui) showVariants(variants []study.Variant) error {
	if ui.json {
		return ui.emit(variants)
	}
	rows := [][]string{{"variant", "model", "task", "method", "steps", "batch", "seeds"}}
	for _, v := range variants {
		s := v.Runs[0].Settings
		rows = append(rows, []string{
			v.Name, s.Model, s.Task, s.Method, count(int64(s.Steps)), count(int64(s.Batch)), count(int64(len(v.Runs))),
		})
	}
	ui.numbers(rows...)
	return nil
}

// showOutcomes prints a line for each variant: mean and deviation over seeds.
func (ui *tui) showOutcomes(outcomes []study.Outcome) {
	number := func(x float64) string { return fmt.Sprintf("%.1f", x) }
	head := []string{"variant", "score", "rows", "seeds", "parameters", "commonest", "no prompt", "tuned"}
	first := outcomes[0]
	for _, t := range first.Transfer {
		head = append(head, "on "+t.Task)
	}
	if first.Ensemble != nil {
		head = append(head, "best", "vote")
	}
	rows := [][]string{head}
	for _, o := range outcomes {
		v := o.Runs[0].Validation
		row := []string{
			o.Name, v.Metric, count(int64(v.Examples)), count(int64(len(o.Runs))), count(o.Runs[0].Tuned),
			number(v.Majority), number(v.NoPrompt), overSeeds(o.Mean, o.Deviation, len(o.Runs)),
		}
		for _, t := range o.Transfer {
			row = append(row, overSeeds(t.Mean, t.Deviation, len(t.Scores)))
		}
		if o.Ensemble != nil {
			row = append(row, number(o.Ensemble.Best), number(o.Ensemble.Vote.Score))
		}
		rows = append(rows, row)
	}
	ui.numbers(rows...)
}
