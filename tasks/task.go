package tasks

import (
	"fmt"
	"slices"
	"strings"

	"softprompt/onnx/hint"
)

// Task is one data set together with the way a model is asked about it.
// The values in the table are shared: change a copy, as [Task.With] does.
type Task struct {
	Name        string // as Lookup takes it
	Description string // one line for people

	Fields     []string   // the input columns, which a template may name
	Labels     []string   // class names in class order; none for free text
	Template   Template   // how the fields become the input
	Verbalizer Verbalizer // the words that stand for the classes
	Metrics    []Metric   // the first is the one that runs report

	MaxInput  int // default input length in tokens, EOS included, prompt not
	MaxTarget int // default target length in tokens, EOS included

	Folders     []string       // where the files may lie below a data folder, first found wins
	Files       map[Split]File // one file for each split that is published
	LabelField  string         // the column that holds the label
	LabelValues []string       // what that column says, in class order
	Source      string         // where the data can be had
}

// Example is one row, ready for the tokenizer.
type Example struct {
	ID     string `json:"id"`     // split and row, as "validation:17"
	Index  int    `json:"index"`  // row in the split's file, from 0, the header not counted
	Input  string `json:"input"`  // the fields after the cast
	Label  int    `json:"label"`  // class, -1 where the file gives none
	Target string `json:"target"` // the label word to train on; "" where Label is -1
}

// table holds every task, in the order that listings show.
var table = []*Task{sst2, imdb}

// All returns every task. The values are shared and must not be changed.
func All() []*Task { return slices.Clone(table) }

// Names returns the name of every task, in the order of [All].
func Names() []string {
	names := make([]string, len(table))
	for i, t := range table {
		names[i] = t.Name
	}
	return names
}

// Lookup returns the task of that name. The error of an unknown one carries a
// hint with the nearest name or, where none is near, with all of them.
func Lookup(name string) (*Task, error) {
	for _, t := range table {
		if t.Name == name {
			return t, nil
		}
	}
	err := fmt.Errorf("no task named %q", name)
	if near := nearest(name, Names()); near != "" {
		return nil, hint.Wrap(err, "did you mean %s?", near)
	}
	return nil, hint.Wrap(err, "the tasks are: %s", strings.Join(Names(), ", "))
}

// With returns a copy of the task with another template, other label words,
// or both; "" and a verbalizer without words leave what is there. It fails
// where the template names a field, or the verbalizer a class, that the task
// does not have.
func (t *Task) With(template Template, verbalizer Verbalizer) (*Task, error) {
	c := *t
	if template != "" {
		c.Template = template
	}
	if len(verbalizer.Words) > 0 {
		c.Verbalizer = verbalizer
	}
	if err := c.validate(); err != nil {
		return nil, err
	}
	return &c, nil
}

// validate checks what a run can override.
func (t *Task) validate() error {
	if err := t.Template.Validate(t.Fields); err != nil {
		return fmt.Errorf("task %s: %w", t.Name, err)
	}
	if err := t.Verbalizer.Validate(t.Labels); err != nil {
		return fmt.Errorf("task %s: %w", t.Name, err)
	}
	return nil
}

// Cast writes the input text of one set of fields. Fields that the template
// does not name are ignored; one that it names and that is missing is an
// error. Text is made safe for the tokenizer as [Clean] says.
func (t *Task) Cast(fields map[string]string) (string, error) {
	clean := make(map[string]string, len(fields))
	for name, value := range fields {
		clean[name] = Clean(value)
	}
	input, err := t.Template.Expand(clean)
	if err != nil {
		return "", fmt.Errorf("task %s: %w", t.Name, err)
	}
	return input, nil
}

// CastText is [Task.Cast] for a bare text, possible where the task has one
// input field.
func (t *Task) CastText(text string) (string, error) {
	if len(t.Fields) != 1 {
		return "", hint.Wrap(
			fmt.Errorf("task %s takes %d fields, not a bare text", t.Name, len(t.Fields)),
			"give a JSON object with %s", strings.Join(t.Fields, ", "))
	}
	return t.Cast(map[string]string{t.Fields[0]: text})
}

// Postprocess returns the class that a decoded text names, or -1 where it
// names none: the text must be one of the label words exactly. Nothing is
// stripped or lower-cased, as in T5's string_label_to_class_id; a model that
// answers "Positive." has not learnt the task's form.
func (t *Task) Postprocess(decoded string) int {
	for class, words := range t.Verbalizer.Words {
		if slices.Contains(words, decoded) {
			return class
		}
	}
	return -1
}

// Clean makes any text safe for a tokenizer: a NUL becomes a space, a byte
// that is not UTF-8 becomes U+FFFD.
func Clean(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", " ")
}
