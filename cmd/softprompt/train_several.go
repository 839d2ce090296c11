package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"softprompt/prompt/tune"
)

// plannedRun is a run that the flags ask for.
type plannedRun struct {
	tune.Named
	from map[string]origin // of each setting
}

// runs puts together the runs that flags and file ask for: one for each task
// and seed, named by what tells them apart.
func (c *trainCmd) runs() ([]plannedRun, error) {
	file, err := readConfig(c.Config)
	if err != nil {
		return nil, err
	}
	named, names, err := c.named(file)
	if err != nil {
		return nil, err
	}
	if c.Seeds < 0 {
		return nil, usagef("--seeds is %d, want 1 or more", c.Seeds)
	}
	var runs []plannedRun
	for _, name := range names {
		s, from, err := c.effective(file, named, strings.TrimSpace(name))
		if err != nil {
			return nil, err
		}
		for i := range max(1, c.Seeds) {
			one := s
			one.Seed += uint64(i)
			runs = append(runs, plannedRun{tune.Named{Name: runName(one, len(names) > 1, c.Seeds > 1), Settings: one}, from})
		}
	}
	return runs, nil
}

// runName is the folder of one of several runs.
func runName(s tune.Settings, tasks, seeds bool) string {
	task := strings.TrimSuffix(filepath.Base(s.Task), filepath.Ext(s.Task))
	switch {
	case tasks && seeds:
		return fmt.Sprintf("%s-%d", task, s.Seed)
	case seeds:
		return fmt.Sprintf("seed-%d", s.Seed)
	}
	return task
}

// subjects says what runs are for: their tasks, and how many seeds each.
func subjects(runs []tune.Named) string {
	var names []string
	for _, r := range runs {
		if !slices.Contains(names, r.Settings.Task) {
			names = append(names, r.Settings.Task)
		}
	}
	text := strings.Join(names, ", ")
	if seeds := len(runs) / len(names); seeds > 1 {
		text += fmt.Sprintf(", %d seeds", seeds)
	}
	return text
}

// prefix names a run in a message, where there are others.
func prefix(name string) string {
	if name == "" {
		return ""
	}
	return name + ": "
}

// showResults prints a line for each of several runs.
func (ui *tui) showResults(results []*tune.Result, dir string) {
	number := func(x float64) string { return fmt.Sprintf("%.1f", x) }
	rows := [][]string{{"run", "metric", "rows", "commonest", "no prompt", "before", "after", "best step"}}
	for _, r := range results {
		v := r.Validation
		rows = append(rows, []string{
			r.Name, v.Metric, count(int64(v.Examples)), number(v.Majority), number(v.NoPrompt), number(v.Initial), number(v.Tuned),
			fmt.Sprintf("%d of %d", r.BestStep, r.Steps),
		})
	}
	ui.numbers(rows...)
	ui.printf("\nprompts in %s, one folder a run\n\nnext\n  softprompt eval %s\n", dir, shellWord(filepath.Join(dir, results[0].Name)))
}
