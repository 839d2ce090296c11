package main

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"softprompt/export"
	"softprompt/tasks"
)

// tasksCmd shows tasks.
type tasksCmd struct {
	List  tasksListCmd  `cmd:"" default:"1" help:"List the tasks."`
	Show  tasksShowCmd  `cmd:"" help:"Show a task's rows as a model will see them, their lengths and labels."`
	Check tasksCheckCmd `cmd:"" help:"Read every row of a task, and say which are bad."`
}

type tasksListCmd struct{}

// Run lists.
func (tasksListCmd) Run(ui *tui) error {
	type entry struct {
		Name        string              `json:"name"`
		Description string              `json:"description"`
		Rows        map[tasks.Split]int `json:"rows"` // as published
		Metrics     []string            `json:"metrics"`
		Labels      []string            `json:"labels"` // none where a text is the answer
		Source      string              `json:"source"`
		Travels     bool                `json:"travels"` // a part of it comes with softprompt
		Files       []string            `json:"files"`   // where they go below --data
	}
	var list []entry
	rows := []string{cells("task", "train", "validation", "score", "what it asks", "files below --data DIR")}
	for _, t := range tasks.All() {
		list = append(list, entry{t.Name, t.Description, t.Rows, metricNames(t), t.Labels, t.Source, t.Travels(), t.Wanted()})
		rows = append(rows, cells(t.Name, published(t, tasks.Train), published(t, tasks.Validation),
			strings.Join(metricNames(t), ", "), t.Description, below(t)))
	}
	if ui.json {
		return ui.emit(list)
	}
	ui.table(rows...)
	return nil
}

// metricNames lists the metrics whose mean is a task's score.
func metricNames(t *tasks.Task) []string {
	names := []string{}
	for _, m := range t.Metrics {
		names = append(names, m.Name)
	}
	return names
}

// published says how many rows a split has; a task that has neither a train
// nor a validation split has a test split.
func published(t *tasks.Task, split tasks.Split) string {
	switch n, test := t.Rows[split], t.Rows[tasks.Test]; {
	case n > 0:
		return count(int64(n))
	case test > 0 && split == tasks.Validation:
		return count(int64(test)) + " (test)"
	}
	return "-"
}

// below lists a task's files, their folder once.
func below(t *tasks.Task) string {
	files := t.Wanted()
	for i, name := range files[1:] {
		files[i+1] = path.Base(name)
	}
	list := strings.Join(files, ", ")
	if t.Travels() {
		list += "; a part travels"
	}
	return list
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
	Name  string `arg:"" help:"The task, or a file that defines one."`
	Data  string `placeholder:"DIR" help:"Folder with the task's files; without it, the part that travels with softprompt."`
	Split string `default:"train" placeholder:"S" help:"train, validation, test, or another that the task has. (${default})"`
	Rows  int    `default:"3" placeholder:"N" help:"Rows to show. (${default})"`
	Model string `default:"tiny" placeholder:"M" help:"Whose tokens to count. (${default})"`
}

// Help has the examples.
func (tasksShowCmd) Help() string {
	return `
    softprompt tasks show sst2
    softprompt tasks show sst2 --split validation --data ./glue --model ./my-t5
    softprompt tasks show imdb --data ./data
    softprompt tasks show my-task.yaml
    softprompt tasks show mnli --split validation_mismatched --data ./glue`
}

// shown is the JSON form of a task.
type shown struct {
	Task       string          `json:"task"`
	Split      tasks.Split     `json:"split"`
	Examples   int             `json:"examples"`
	Template   tasks.Template  `json:"template"`
	Verbalizer string          `json:"verbalizer"` // "" where no words stand for classes
	Metrics    []string        `json:"metrics"`
	Labels     map[string]int  `json:"labels"`
	ToTrainOn  int             `json:"to_train_on"`       // rows that training makes of them, one for each target
	Groups     int             `json:"groups,omitempty"`  // of rows that are scored together
	Choices    int             `json:"choices,omitempty"` // that the rows list, in all
	Tokens     tokenCounts     `json:"tokens"`
	First      []tasks.Example `json:"first"`
}

// tokenCounts says how long inputs are, the end-of-sequence included.
type tokenCounts struct {
	Model string  `json:"model"`
	Rows  int     `json:"rows"` // that were counted
	Mean  float64 `json:"mean"`
	P95   int     `json:"p95"`
	Max   int     `json:"max"`
	Limit int     `json:"limit"` // what the task allows by default
	Cut   int     `json:"cut"`   // inputs above it
}

// String is the counts for people.
func (n tokenCounts) String() string {
	if n.Rows == 0 {
		return "no rows"
	}
	return fmt.Sprintf("%.1f on average, 95 %% within %d, %d at most; of %s %s would be cut at %d",
		n.Mean, n.P95, n.Max, plural(n.Rows, "row"), count(int64(n.Cut)), n.Limit)
}

// countedRows at most are tokenized to learn about lengths.
const countedRows = 2000

// Run shows.
func (c *tasksShowCmd) Run(ctx context.Context, ui *tui) error {
	t, err := tasks.Open(c.Name, c.Data)
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
		Verbalizer: t.Verbalizer.Format(t.Labels), Metrics: metricNames(t), Labels: map[string]int{},
		ToTrainOn: len(t.TrainingRows(examples)),
		First:     examples[:min(max(c.Rows, 0), len(examples))],
	}
	groups := map[string]bool{}
	for _, e := range examples {
		if e.Label >= 0 {
			out.Labels[t.Labels[e.Label]]++
		}
		if e.Group != "" {
			groups[e.Group] = true
		}
		out.Choices += len(e.Choices)
	}
	out.Groups = len(groups)
	if out.Tokens, err = countTokens(m, examples, t.MaxInput); err != nil {
		return err
	}
	if ui.json {
		return ui.emit(out)
	}
	ui.showTask(t, out)
	return nil
}

// countTokens measures the inputs of examples, of many every so manieth.
func countTokens(m *export.Model, examples []tasks.Example, limit int) (tokenCounts, error) {
	n := tokenCounts{Model: m.Name, Limit: limit}
	tok, err := m.Tokenizer()
	if err != nil || len(examples) == 0 {
		return n, err
	}
	n.Rows = min(len(examples), countedRows)
	var lengths []int
	for i := range n.Rows {
		e := examples[i*len(examples)/n.Rows]
		ids, err := tok.Encode(e.Input)
		if err != nil {
			return n, fmt.Errorf("encoding row %s: %w", e.ID, err)
		}
		length := len(ids) + 1
		lengths = append(lengths, length)
		n.Mean += float64(length) / float64(n.Rows)
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
	rows := []string{
		cells("task", title(t)),
		cells("template", s.Template),
		cells("answers", answers(t, s)),
		cells("score", t.ScoreName()),
		cells(string(s.Split), rowsOf(t, s)),
		cells("tokens ("+s.Tokens.Model+")", s.Tokens),
	}
	if t.Home() == "" {
		rows = append(rows, cells("data", whereData(t)), cells("source", t.Source))
	}
	ui.table(rows...)
	for _, e := range s.First {
		ui.printf("\n%s\n  input    %s\n", e.ID, e.Input)
		for _, line := range []struct{ name, text string }{
			{"target", e.Target},
			{"answers", strings.Join(e.Answers, " | ")},
			{"choices", strings.Join(e.Choices, " | ")},
			{"group", e.Group},
		} {
			if line.text != "" {
				ui.printf("  %-8s %s\n", line.name, line.text)
			}
		}
	}
}

// title is what a task asks or, where nobody said, its name.
func title(t *tasks.Task) string { return cmp.Or(t.Description, t.Name) }

// answers says what a task is answered with.
func answers(t *tasks.Task, s shown) string {
	switch {
	case t.HasWords():
		return "label words " + s.Verbalizer
	case len(t.Labels) > 0:
		return "text, read as " + strings.Join(t.Labels, " or ")
	case s.Choices > 0:
		return fmt.Sprintf("one of the choices that a row lists, %.1f on average", float64(s.Choices)/float64(s.Examples))
	}
	return "text"
}

// rowsOf counts the rows of a split: by label, by group, and those that
// training makes of them where these are others.
func rowsOf(t *tasks.Task, s shown) string {
	text := count(int64(s.Examples)) + " rows"
	var labels []string
	for _, l := range t.Labels {
		labels = append(labels, fmt.Sprintf("%s %s", l, count(int64(s.Labels[l]))))
	}
	if len(s.Labels) > 0 {
		text += ": " + strings.Join(labels, ", ")
	}
	if s.Groups > 0 {
		text += fmt.Sprintf("; %s groups", count(int64(s.Groups)))
	}
	if s.Split == tasks.Train && s.ToTrainOn != s.Examples {
		text += fmt.Sprintf("; %s to train on", count(int64(s.ToTrainOn)))
	}
	return text
}
