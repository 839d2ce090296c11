package tasks

import (
	"fmt"
	"slices"
	"strings"

	"softprompt/onnx/hint"
)

// Task is one data set together with the way a model is asked about it.
// The values in the table are shared: change a copy, as [Task.With] does.
//
// There are three kinds. A task with Labels chooses one of a few classes, the
// same for every row. One without is answered by text; where its rows list
// their own Choices, as ReCoRD's entities, one of those. What is right is in
// the rows' Answers then.
type Task struct {
	Name        string // as Lookup takes it
	Description string // one line for people

	Fields     []string   // the input columns, which a template may name
	Labels     []string   // class names in class order; none for text
	Template   Template   // how the fields become the input
	Verbalizer Verbalizer // the words that stand for the classes; none where only writing shows the class
	Metrics    []Metric   // a run's score is their mean
	InitWords  []string   // what a prompt may start from where no words stand for classes

	// Tidy changes the text of a field before the cast, of rows and of what a
	// user gives alike; nil leaves it.
	Tidy func(field, text string) string
	// Prepare changes a record that was read before its fields are cast; nil
	// leaves it.
	Prepare func(r *Record) error
	// Targets returns what a prompt is trained to answer to an example, each a
	// training row of its own; nil is its Target, where it has one. The first is
	// the Target of an example that is loaded.
	Targets func(ex Example) []string
	// Class returns the class that a written text names for an example, or −1;
	// nil compares it with the label words.
	Class func(written string, ex Example) int

	MaxInput  int // default input length in tokens, EOS included, prompt not
	MaxTarget int // default target length in tokens, EOS included
	HeldOut   int // default number of training rows to choose the best step on; 0 is what a run has for all

	Folders     []string         // where the files may lie below a data folder, first found wins
	Files       map[Split]File   // one file for each split that is published
	Others      []map[Split]File // other forms in which they are published, read where a folder has none of Files
	Rows        map[Split]int    // rows of the splits as published, where they have labels
	LabelField  string           // the column that holds the label
	LabelValues []string         // what that column says, in class order
	Blank       []string         // fields that are empty in a few published rows
	Source      string           // where the data can be had

	Part    float64 // what of the training rows is the validation split, where that has no file: a share, or from 1 on a number
	Shots   int     // training rows of each class that a run uses by default; 0 is all
	Balance bool    // by default, a run shows every class equally often
	Cut     string  // the field that gives way where an input is too long; "" is the input's end

	own *own // of a task that a file defines
}

// Example is one row, ready for the tokenizer.
type Example struct {
	ID     string `json:"id"`     // split and row, as "validation:17"
	Index  int    `json:"index"`  // row in the split's file, from 0, the header not counted
	Input  string `json:"input"`  // the fields after the cast
	Label  int    `json:"label"`  // class, -1 where the file gives none
	Target string `json:"target"` // the text to train on: the label word or the first answer; "" where there is none

	Answers []string `json:"answers,omitempty"` // texts that are right, where the task has them
	Choices []string `json:"choices,omitempty"` // what the row can be answered with, where rows differ
	Group   string   `json:"group,omitempty"`   // rows of one group are scored together, as the answers to one question

	CutFrom int `json:"-"` // Input[CutFrom:CutTo] is the field that gives way where the input is too long;
	CutTo   int `json:"-"` // where the two are equal, that is the input's end
}

// Prediction is what a model made of an example.
type Prediction struct {
	Class int    // -1 where the task has no classes, or the text names none
	Text  string // what was written, or the word or choice that was ranked first
}

// table holds every task, in the order that listings show.
var table = []*Task{
	boolQ, cb, copa, multiRC, record, superRTE, wic, wsc, axb, axg,
	cola, sst2, mrpc, qqp, stsb, mnli, qnli, glueRTE, wnli,
	imdb, agNews, trec,
	squad, mrqaTextbookQA, mrqaBioASQ, mrqaRACE, mrqaRE, mrqaDuoRC, mrqaDROP,
}

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
	if len(t.Verbalizer.Words) == 0 && (len(t.Labels) == 0 || t.Class != nil) {
		return nil
	}
	if err := t.Verbalizer.Validate(t.Labels); err != nil {
		return fmt.Errorf("task %s: %w", t.Name, err)
	}
	return nil
}

// HasWords tells whether words stand for the task's classes, so that they can
// be ranked.
func (t *Task) HasWords() bool { return len(t.Verbalizer.Words) > 0 }

// ParseWords reads label words as [ParseVerbalizer] does; "" is none, which a
// task without words takes.
func (t *Task) ParseWords(text string) (Verbalizer, error) {
	if text == "" && !t.HasWords() {
		return Verbalizer{}, nil
	}
	v, err := ParseVerbalizer(text, t.Labels)
	v.Aggregate, v.Norm = t.Verbalizer.Aggregate, t.Verbalizer.Norm // which the text does not say
	return v, err
}

// ScoreName says what a score of the task is: its metric, or the mean of several.
func (t *Task) ScoreName() string {
	names := make([]string, len(t.Metrics))
	for i, m := range t.Metrics {
		names[i] = m.Name
	}
	if len(names) == 1 {
		return names[0]
	}
	return "mean of " + strings.Join(names, " and ")
}

// TrainingRows returns the rows to train on: an example for each of its
// targets, in order. Those without a target are left out.
func (t *Task) TrainingRows(examples []Example) []Example {
	var rows []Example
	for _, ex := range examples {
		targets := []string{ex.Target}
		if t.Targets != nil {
			targets = t.Targets(ex)
		}
		for _, target := range targets {
			if target == "" {
				continue
			}
			ex.Target = target
			rows = append(rows, ex)
		}
	}
	return rows
}

// Cast writes the input text of one set of fields. Fields that the template
// does not name are ignored; one that it names and that is missing is an
// error. Text is made safe for the tokenizer as [Clean] says.
func (t *Task) Cast(fields map[string]string) (string, error) {
	input, err := t.Template.Expand(t.clean(fields))
	if err != nil {
		return "", fmt.Errorf("task %s: %w", t.Name, err)
	}
	return input, nil
}

// clean returns the fields as they are cast.
func (t *Task) clean(fields map[string]string) map[string]string {
	clean := make(map[string]string, len(fields))
	for name, value := range fields {
		value = Clean(value)
		if t.Tidy != nil {
			value = t.Tidy(name, value)
		}
		clean[name] = value
	}
	return clean
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

// TextExample is an example without a label, of what a user gives to predict:
// a bare text where the task has one input field, else a JSON object with all
// of them.
func (t *Task) TextExample(text string) (Example, error) {
	fields := map[string]string{}
	if len(t.Fields) == 1 {
		fields[t.Fields[0]] = text
	} else {
		record := Record{}
		if err := (Columns{Names: t.Fields}).object(&record, text); err != nil {
			return Example{}, hint.Wrap(fmt.Errorf("task %s takes %d fields, not a bare text: %w", t.Name, len(t.Fields), err),
				"give a JSON object with %s", strings.Join(t.Fields, ", "))
		}
		fields = record.Fields
	}
	input, err := t.Cast(fields)
	if err != nil {
		return Example{}, err
	}
	from, to := t.giving(fields)
	return Example{Input: input, Label: -1, CutFrom: from, CutTo: to}, nil
}

// Postprocess says what a written text answers to an example. Of a task with
// classes the text must be one of the label words exactly, else it names none.
// Nothing is stripped or lower-cased, as in T5's string_label_to_class_id; a
// model that answers "Positive." has not learnt the task's form.
func (t *Task) Postprocess(written string, ex Example) Prediction {
	p := Prediction{Class: -1, Text: written}
	switch {
	case t.Class != nil:
		p.Class = t.Class(written, ex)
	default:
		p.Class = slices.IndexFunc(t.Verbalizer.Words, func(words []string) bool { return slices.Contains(words, written) })
	}
	return p
}

// Clean makes any text safe for a tokenizer: a NUL becomes a space, a byte
// that is not UTF-8 becomes U+FFFD.
func Clean(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", " ")
}
