package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"softprompt/export"
	"softprompt/tasks"
)

// tasksCmd shows tasks.
type tasksCmd struct {
	List tasksListCmd `cmd:"" default:"1" help:"List the tasks."`
	Show tasksShowCmd `cmd:"" help:"Show a task's rows as a model will see them, their lengths and labels."`
}

type tasksListCmd struct{}

// Run lists.
func (tasksListCmd) Run(ui *tui) error {
	type entry struct {
		Name        string   `json:"name"`
		Description string   `json:"description"`
		Labels      []string `json:"labels"`
		Source      string   `json:"source"`
		Travels     bool     `json:"travels"` // a part of it comes with softprompt
		Files       []string `json:"files"`   // where they go below --data
	}
	var list []entry
	rows := []string{}
	for _, t := range tasks.All() {
		list = append(list, entry{t.Name, t.Description, t.Labels, t.Source, t.Travels(), t.Wanted()})
		rows = append(rows, cells(t.Name, t.Description, whereData(t)))
	}
	if ui.json {
		return ui.emit(list)
	}
	ui.table(rows...)
	return nil
}

// whereData says what --data has to hold, and whether it can be left out.
func whereData(t *tasks.Task) string {
	wanted := "--data DIR with " + strings.Join(t.Wanted(), ", ")
	if t.Travels() {
		return "a part travels; " + wanted + " for all"
	}
	return wanted
}

type tasksShowCmd struct {
	Name  string `arg:"" help:"The task."`
	Data  string `placeholder:"DIR" help:"Folder with the task's files; without it, the part that travels with softprompt."`
	Split string `default:"train" placeholder:"S" help:"train, validation or test. (${default})"`
	Rows  int    `default:"3" placeholder:"N" help:"Rows to show. (${default})"`
	Model string `default:"tiny" placeholder:"M" help:"Whose tokens to count. (${default})"`
}

// Help has the examples.
func (tasksShowCmd) Help() string {
	return `
    softprompt tasks show sst2
    softprompt tasks show sst2 --split validation --data ./glue --model ./my-t5
    softprompt tasks show imdb --data ./data`
}

// shown is the JSON form of a task.
type shown struct {
	Task       string          `json:"task"`
	Split      tasks.Split     `json:"split"`
	Examples   int             `json:"examples"`
	Template   tasks.Template  `json:"template"`
	Verbalizer string          `json:"verbalizer"`
	Labels     map[string]int  `json:"labels"`
	Tokens     tokenCounts     `json:"tokens"`
	First      []tasks.Example `json:"first"`
}

// tokenCounts says how long inputs are, the end-of-sequence included.
type tokenCounts struct {
	Model string  `json:"model"`
	Mean  float64 `json:"mean"`
	P95   int     `json:"p95"`
	Max   int     `json:"max"`
	Limit int     `json:"limit"` // what the task allows by default
	Cut   int     `json:"cut"`   // inputs above it
}

// Run shows.
func (c *tasksShowCmd) Run(ctx context.Context, ui *tui) error {
	t, err := tasks.Lookup(c.Name)
	if err != nil {
		return err
	}
	examples, err := t.Load(ctx, tasks.Split(c.Split), tasks.LoadOptions{Data: c.Data})
	if err != nil {
		return err
	}
	m, err := export.Open(ctx, c.Model, ui.opening())
	if err != nil {
		return err
	}
	defer m.Close()
	out := shown{
		Task: t.Name, Split: tasks.Split(c.Split), Examples: len(examples), Template: t.Template,
		Verbalizer: t.Verbalizer.Format(t.Labels), Labels: map[string]int{},
		First: examples[:min(max(c.Rows, 0), len(examples))],
	}
	for _, e := range examples {
		if e.Label >= 0 {
			out.Labels[t.Labels[e.Label]]++
		}
	}
	if out.Tokens, err = countTokens(m, examples, t.MaxInput); err != nil {
		return err
	}
	if ui.json {
		return ui.emit(out)
	}
	ui.showTask(t, out)
	return nil
}

// countTokens measures the inputs of examples.
func countTokens(m *export.Model, examples []tasks.Example, limit int) (tokenCounts, error) {
	n := tokenCounts{Model: m.Name, Limit: limit}
	tok, err := m.Tokenizer()
	if err != nil || len(examples) == 0 {
		return n, err
	}
	var lengths []int
	for _, e := range examples {
		ids, err := tok.Encode(e.Input)
		if err != nil {
			return n, fmt.Errorf("encoding row %s: %w", e.ID, err)
		}
		length := len(ids) + 1
		lengths = append(lengths, length)
		n.Mean += float64(length) / float64(len(examples))
		if length > limit {
			n.Cut++
		}
	}
	slices.Sort(lengths)
	n.P95, n.Max = lengths[(len(lengths)-1)*95/100], lengths[len(lengths)-1]
	return n, nil
}

// showTask prints the tables.
func (ui *tui) showTask(t *tasks.Task, s shown) {
	var labels []string
	for _, l := range t.Labels {
		labels = append(labels, fmt.Sprintf("%s %s", l, count(int64(s.Labels[l]))))
	}
	ui.table(
		cells("task", t.Description),
		cells("template", s.Template),
		cells("label words", s.Verbalizer),
		cells(string(s.Split), count(int64(s.Examples))+" rows: "+strings.Join(labels, ", ")),
		cells("tokens ("+s.Tokens.Model+")", fmt.Sprintf("%.1f on average, 95 %% within %d, %d at most; %d rows are over %d and would be cut",
			s.Tokens.Mean, s.Tokens.P95, s.Tokens.Max, s.Tokens.Cut, s.Tokens.Limit)),
		cells("data", whereData(t)),
		cells("source", t.Source),
	)
	for _, e := range s.First {
		ui.printf("\n%s\n  input   %s\n", e.ID, e.Input)
		if e.Target != "" {
			ui.printf("  target  %s\n", e.Target)
		}
	}
}
