package main

import (
	"context"
	"fmt"
	"strings"

	"softprompt/export"
	"softprompt/onnx/hint"
	"softprompt/tasks"
)

// tasksCheckCmd reads all of a task's rows.
type tasksCheckCmd struct {
	Name  string `arg:"" help:"A .yaml file that defines a task, a table with the columns text and label, or a task that is listed."`
	Data  string `placeholder:"DIR" help:"Folder with the task's files; without it, where the YAML or the table is."`
	Bad   int    `default:"20" placeholder:"N" help:"Bad rows to print of a split; 0 for all. (${default})"`
	Model string `default:"tiny" placeholder:"M" help:"Whose tokens to count. (${default})"`
}

// Help has the examples.
func (tasksCheckCmd) Help() string {
	return `Every row is read, where training stops at the first that is bad. Beside bad rows it
finds those that are there twice, with two labels, or in training and validation both.

    softprompt tasks check my-task.yaml
    softprompt tasks check questions.tsv --model ./my-t5
    softprompt tasks check rte --data ./superglue

The keys of a YAML file, of which files alone is needed; behind a semicolon what
holds without the key:

    name, description
    folder: DIR                     where the files are; beside the YAML file
    files: {train: F, validation: F, test: F}
    format: tsv                     tsv, csv, jsonl, json or parquet; by the ending
    template: "q: {question}"       columns in braces; {text}
    fields: [question]              input columns; those of the template
    label: COLUMN                   of the class; label
    labels: {yes: [1, y], no: 0}    classes and what the column says; all it says
    words: {yes: [good, fine]}      label words, the first to train on; the classes
    answer: COLUMN                  of the text to write, in place of classes
    metrics: [macro_f1]             accuracy, or em and f1 of texts
    held_out: 0.2                   rows in place of a validation file: a share, or a number
    shots: 16, balance: true        rows of each class; each class equally often
    max_input: 512, max_target: 16  tokens
    cut: COLUMN                     gives way where an input is too long; the end
    aggregate: sum, norm: none      how several words of a class are weighed`
}

// checked is the JSON form of a check.
type checked struct {
	Task       string           `json:"task"`
	Template   tasks.Template   `json:"template"`
	Verbalizer string           `json:"verbalizer"` // "" where no words stand for classes
	Metrics    []string         `json:"metrics"`
	Splits     []*tasks.Checked `json:"splits"`
	Tokens     tokenCounts      `json:"tokens"` // of the training rows
	Warnings   []string         `json:"warnings"`
}

// Run checks.
func (c *tasksCheckCmd) Run(ctx context.Context, ui *tui) error {
	t, err := tasks.Open(c.Name, c.Data)
	if err != nil {
		return err
	}
	out := checked{
		Task: t.Name, Template: t.Template, Verbalizer: t.Verbalizer.Format(t.Labels), Metrics: metricNames(t),
		Warnings: []string{},
	}
	if out.Splits, err = t.Check(ctx, c.Data); err != nil {
		return err
	}
	m, err := export.Open(ctx, c.Model, ui.opening())
	if err != nil {
		return err
	}
	defer m.Close()
	if out.Tokens, err = countTokens(m, out.Splits[0].Examples, t.MaxInput); err != nil {
		return err
	}
	bad := 0
	for _, s := range out.Splits {
		out.Warnings = append(out.Warnings, doubts(t, s)...)
		bad += len(s.Bad)
	}
	if ui.json {
		err = ui.emit(out)
	} else {
		c.show(ui, t, out)
	}
	if bad > 0 && err == nil {
		err = hint.Wrap(fmt.Errorf("%s has %s", c.Name, plural(bad, "bad row")), "mend or remove them: training stops at the first")
	}
	return err
}

// doubts says what in a split can be read but is hardly meant.
func doubts(t *tasks.Task, s *tasks.Checked) (found []string) {
	if none := s.EmptyClasses(t); len(none) > 0 && s.Rows > 0 && len(s.Labels) > 0 {
		found = append(found, fmt.Sprintf("%s: no row is labelled %s", s.Split, strings.Join(none, ", ")))
	}
	for _, d := range []struct {
		rows int
		what string
	}{
		{s.Clashing, "with the input of an earlier row and another answer"},
		{s.Repeated - s.Clashing, "with input and answer of an earlier row"},
		{s.Shared, "whose input is trained on, so that the score flatters"},
	} {
		if d.rows > 0 {
			found = append(found, fmt.Sprintf("%s: %s %s", s.Split, plural(d.rows, "row"), d.what))
		}
	}
	return found
}

// show prints the tables.
func (c *tasksCheckCmd) show(ui *tui, t *tasks.Task, out checked) {
	rows := []string{
		cells("task", title(t)),
		cells("template", t.Template),
		cells("answers", answers(t, shown{Verbalizer: out.Verbalizer})),
		cells("score", t.ScoreName()),
	}
	for _, s := range out.Splits {
		line := rowsOf(t, shown{Examples: s.Rows, Labels: s.Labels})
		if s.File == "" {
			line += " (a part of the training file)"
		}
		rows = append(rows, cells(string(s.Split), line))
	}
	ui.table(append(rows, cells("tokens ("+out.Tokens.Model+")", out.Tokens))...)
	for _, s := range out.Splits {
		for i, text := range s.Bad {
			if c.Bad > 0 && i == c.Bad {
				ui.printf("bad      %s: %s more\n", s.File, count(int64(len(s.Bad)-i)))
				break
			}
			ui.printf("bad      %s: %s\n", s.File, text)
		}
	}
	for _, text := range out.Warnings {
		ui.warn("%s", text)
	}
}
