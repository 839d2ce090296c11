package study

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"softprompt/onnx/hint"
	"softprompt/prompt"
	"softprompt/prompt/tune"
	"softprompt/tasks"
)

// Variant is one combination of what is varied, with a run for each seed.
type Variant struct {
	Name   string            // its folder: length=5,init=vocab
	Choice map[string]string // by axis
	Runs   []tune.Named
}

// Select says which of a study's runs are meant, and how they are changed.
type Select struct {
	Full bool     // the experiment at its real size
	Data string   // folder of the tasks' files, in place of the study's
	Only []string // names of variants; none are all of them
}

// Variants returns the runs that a study asks for, all settings checked.
func (f *File) Variants(s Select) ([]Variant, error) {
	p := f.plan(s.Full)
	if err := p.check(); err != nil { // again, after what Set did
		return nil, fmt.Errorf("study %s: %w", f.Name, err)
	}
	for _, t := range p.Transfer {
		if err := t.check(s.Data); err != nil {
			return nil, fmt.Errorf("study %s: transfer: %w", f.Name, err)
		}
	}
	var out []Variant
	for _, choice := range product(p.Vary) {
		v, err := p.variant(choice, s.Data)
		if err != nil {
			return nil, fmt.Errorf("study %s, %s: %w", f.Name, v.Name, err)
		}
		if slices.ContainsFunc(out, func(o Variant) bool { return o.Name == v.Name }) {
			return nil, fmt.Errorf("study %s: two variants are called %s", f.Name, v.Name)
		}
		if len(s.Only) == 0 || slices.Contains(s.Only, v.Name) {
			out = append(out, v)
		}
	}
	if len(out) == 0 {
		return nil, hint.Wrap(fmt.Errorf("study %s has none of the variants %s", f.Name, strings.Join(s.Only, ", ")), "--dry-run lists them")
	}
	return out, nil
}

// check reports a task that there is not, or a split that it does not have. A
// task's file may come to be there while the runs are made.
func (t Target) check(data string) error {
	task, err := tasks.Open(t.Task, data)
	if err != nil && tasks.IsFile(t.Task) {
		return nil
	}
	if err == nil && !slices.Contains(task.Splits(), t.split()) {
		err = fmt.Errorf("task %s has no split %q, want one of %v", t.Task, t.split(), task.Splits())
	}
	return err
}

// split is the target's, or the default.
func (t Target) split() tasks.Split { return tasks.Split(cmp.Or(t.Split, string(tasks.Validation))) }

// product returns every combination of one choice from each axis, the last
// axis running fastest.
func product(axes []Axis) [][]Choice {
	out := [][]Choice{nil}
	for _, a := range axes {
		var longer [][]Choice
		for _, before := range out {
			for _, c := range a.Values {
				longer = append(longer, append(slices.Clone(before), c))
			}
		}
		out = longer
	}
	return out
}

// variant makes the runs of one combination.
func (p Plan) variant(choices []Choice, data string) (Variant, error) {
	v := Variant{Choice: map[string]string{}}
	values := p.Base
	var parts []string
	for i, c := range choices {
		values = values.with(c.Settings)
		v.Choice[p.Vary[i].Name] = c.Name
		parts = append(parts, folderName(p.Vary[i].Name)+"="+folderName(c.Name))
	}
	if v.Name = strings.Join(parts, ","); v.Name == "" {
		v.Name = "base"
	}
	if data != "" {
		values = values.with(Values{{"data", scalar(data)}})
	}
	s, err := settings(values)
	if err != nil {
		return v, err
	}
	if p.Ensemble {
		if err := prompt.CheckShared(s.Method, p.Seeds); err != nil {
			return v, hint.Wrap(err, "leave ensemble out")
		}
	}
	for i := range max(1, p.Seeds) {
		one := s
		one.Seed += uint64(i)
		v.Runs = append(v.Runs, tune.Named{Name: fmt.Sprintf("seed-%d", one.Seed), Settings: one})
	}
	return v, nil
}

// unsafe are letters that a folder's name on any system is kept free of.
var unsafe = regexp.MustCompile(`[^A-Za-z0-9._+@-]+`)

// folderName makes a value part of a folder's name: of a path, its end.
func folderName(value string) string {
	value = strings.TrimRight(value, "/\\")
	if i := strings.LastIndexAny(value, "/\\"); i >= 0 {
		value = value[i+1:]
	}
	if value = strings.Trim(unsafe.ReplaceAllString(value, "-"), "-"); len(value) > 40 {
		value = value[:40]
	}
	return value
}

// settings puts values over the defaults of their task and method.
func settings(values Values) (tune.Settings, error) {
	var named tune.Settings
	if err := decode(values, &named); err != nil {
		return named, err
	}
	if named.Task == "" {
		return named, hint.Wrap(fmt.Errorf("no task is named"), "write task under base, or vary it")
	}
	task, err := tasks.Open(named.Task, named.Data)
	if err != nil {
		return named, err
	}
	s, err := tune.DefaultsOf(task, named.Method)
	if err != nil {
		return s, err
	}
	s.Task = named.Task
	if err := decode(values, &s); err != nil {
		return s, err
	}
	return s, s.Check()
}

// decode writes values into settings. Errors name the study's line.
func decode(values Values, s *tune.Settings) error {
	for _, v := range values {
		err := s.Set(v.Key, v.Node)
		if err != nil && v.Node.Line > 0 { // not set from outside
			err = fmt.Errorf("line %d: %w", v.Node.Line, err)
		}
		if err != nil {
			return hint.Wrap(fmt.Errorf("reading its settings: %w", err), "softprompt train --task sst2 --print-config shows every setting")
		}
	}
	return nil
}
