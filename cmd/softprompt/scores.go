package main

import (
	"fmt"

	"softprompt/prompt/tune"
	"softprompt/tasks"
)

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
