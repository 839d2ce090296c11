package main

import (
	"context"
	"fmt"

	"softprompt/prompt/tune"
	"softprompt/tasks"
)

// evalCmd scores a prompt.
type evalCmd struct {
	promptFlags
	Split  string `default:"validation" placeholder:"S" help:"train, validation, test, or another that the task has. (${default})"`
	Data   string `placeholder:"DIR" help:"Folder with the task's files; without it that of the run, or the part that travels with softprompt."`
	Decode string `placeholder:"HOW" enum:"rank,generate,both" default:"both" help:"How an answer is read off the model: by the rank of the label words, by what it writes, or both. (${default})"`
}

// Help has the examples.
func (evalCmd) Help() string {
	return `Ranking gives every label word a probability; writing is the paper's protocol, where
an answer that is not a label word exactly is wrong.

    softprompt eval runs/sst2
    softprompt eval runs/sst2 --split train --decode rank --json
    softprompt eval prompt.safetensors --model ./my-t5 --data ./glue`
}

// scored is the JSON form of an evaluation.
type scored struct {
	Prompt string      `json:"prompt"`
	Model  string      `json:"model"`
	Split  tasks.Split `json:"split"`
	Chosen bool        `json:"chosen_on_it,omitempty"` // the prompt's step was chosen on this split
	*tune.Evaluation
}

// Run scores.
func (c *evalCmd) Run(ctx context.Context, ui *tui) error {
	p, err := c.open(ctx, ui, c.Data)
	if err != nil {
		return err
	}
	defer p.Close()
	from := tasks.LoadOptions{Data: c.Data}
	if from.Data == "" && c.Task == "" {
		from.Data, _ = tune.DataOf(c.Dir) // a prompt need not lie in a run folder
	}
	chosen := c.Task == "" && tasks.Split(c.Split) == tasks.Validation && tune.ChosenOnValidation(p.Prompt.Meta)
	ev, err := p.ScoreSplit(ctx, tasks.Split(c.Split), from, c.Decode != "rank")
	if err != nil {
		return err
	}
	if c.Decode == "generate" && ev.Ranked {
		ev.Report, ev.Loss, ev.Generated = *ev.Generated, 0, nil
	}
	if ev.Warning != "" {
		ui.warn("%s", ev.Warning)
	}
	if ev.Generated != nil && ev.Generated.Warning != "" {
		ui.warn("when it writes: %s", ev.Generated.Warning)
	}
	if ui.json {
		return ui.emit(scored{c.Dir, p.Frozen.Model.Name, tasks.Split(c.Split), chosen, ev})
	}
	ui.printf("%s %s, %s rows, model %s, prompt %s\n\n", ev.Task, c.Split, count(int64(ev.Examples)), p.Frozen.Model.Name, c.Dir)
	ui.showScores(p.Task, ev, c.Decode)
	if chosen {
		ui.printf("the best step was chosen on these rows, as the paper does: the score flatters\n")
	}
	return nil
}

// showScores prints scores and confusion matrices.
func (ui *tui) showScores(task *tasks.Task, ev *tune.Evaluation, decode string) {
	type named struct {
		name string
		*tasks.Report
	}
	reports := []named{{"by rank", &ev.Report}}
	if decode == "generate" || !ev.Ranked {
		reports[0].name = "written"
	}
	if ev.Generated != nil {
		reports = append(reports, named{"written", ev.Generated})
	}
	head := []string{""}
	for _, m := range task.Metrics {
		head = append(head, m.Name)
	}
	rows := [][]string{append(head, "illegal")}
	for _, r := range reports {
		row := []string{r.name}
		for _, m := range task.Metrics {
			row = append(row, fmt.Sprintf("%.1f", r.Metrics[m.Name]))
		}
		rows = append(rows, append(row, percent(r.IllegalShare)))
	}
	rows = append(rows, []string{fmt.Sprintf("always %.40s", ev.MajorityLabel), fmt.Sprintf("%.1f", ev.Majority)})
	ui.numbers(rows...)
	for _, r := range reports {
		if len(r.Labels) == 0 {
			continue
		}
		ui.printf("\n")
		ui.showConfusion(r.name, r.Report)
	}
	ui.printf("\ninputs cut: %s\n", percent(ev.CutShare))
}

// showConfusion prints how often each label was taken for each.
func (ui *tui) showConfusion(name string, r *tasks.Report) {
	head := append([]string{name + ": gold \\ answer"}, r.Labels...)
	rows := [][]string{append(head, "illegal")}
	for gold, line := range r.Confusion {
		row := []string{r.Labels[gold]}
		for _, n := range line {
			row = append(row, count(int64(n)))
		}
		rows = append(rows, row)
	}
	ui.numbers(rows...)
}
