package tasks

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"softprompt/onnx/hint"
)

// fill gives every key of the definition its value: constants, what follows
// from other keys and, for classes that are not named, what the training file
// holds.
func (o *own) fill() error {
	d := &o.definition
	d.Template = cmp.Or(d.Template, "{"+ownTextColumn+"}")
	d.MaxInput = cmp.Or(d.MaxInput, ownMaxInput)
	if d.Files[Validation] == "" {
		d.HeldOut = cmp.Or(d.HeldOut, ownHeldOut)
	}
	if d.Fields == nil {
		var err error
		if d.Fields, err = d.Template.Fields(); err != nil {
			return err
		}
	}
	if d.Answer != "" {
		d.MaxTarget = cmp.Or(d.MaxTarget, ownMaxAnswer)
		return nil
	}
	d.Label = cmp.Or(d.Label, ownLabelColumn)
	d.MaxTarget = cmp.Or(d.MaxTarget, ownMaxLabel)
	if slices.Contains(d.Fields, d.Label) {
		return fmt.Errorf("the column %q is the label: it cannot be in the template or among the fields", d.Label)
	}
	if len(d.Labels) == 0 {
		values, err := o.distinct()
		if err != nil {
			return err
		}
		for _, v := range values {
			d.Labels = append(d.Labels, NamedTexts{v, Texts{v}})
		}
	}
	return d.checkLabels()
}

// distinct returns the values that the label column has in the training file,
// sorted.
func (o *own) distinct() ([]string, error) {
	d := &o.definition
	ending, err := formatOf(d.Files[Train], d.Format)
	if err != nil {
		return nil, err
	}
	read := formats[ending](Columns{Names: []string{d.Label}})
	rows, name, err := o.open(File{Name: d.Files[Train], Read: read}, "")
	if err != nil {
		return nil, err
	}
	values := map[string]bool{}
	var first error // of a row; if that leaves no classes, it says why
	for row, err := range rows {
		first = cmp.Or(first, err)
		if value := row.Fields[d.Label]; strings.TrimSpace(value) != "" {
			values[value] = true
		}
		if len(values) > ownMaxClasses {
			return nil, hint.Wrap(fmt.Errorf("reading %s: the column %q has more than %d different values, so it holds no classes", name, d.Label, ownMaxClasses),
				"name the column of the class with label:, or, where the answer is a text, its column with answer:")
		}
	}
	switch {
	case len(values) < 2 && first != nil:
		return nil, hint.Wrap(fmt.Errorf("reading the classes in %s: %w", name, first), "%s", cmp.Or(hint.Of(first), "the task's YAML names the column with label:"))
	case len(values) < 2:
		return nil, hint.Wrap(fmt.Errorf("reading the classes in %s: the column %q has %d different values, want at least 2", name, d.Label, len(values)),
			"where another column holds the class, name it with label: in the task's YAML")
	}
	return slices.Sorted(maps.Keys(values)), nil
}

// checkLabels reports a value that means two classes.
func (d *Definition) checkLabels() error {
	if len(d.Labels) < 2 {
		return errors.New("labels names one class, want at least 2")
	}
	owner := map[string]string{}
	for _, class := range d.Labels {
		if len(class.Texts) == 0 {
			return fmt.Errorf("labels: no value means %q", class.Name)
		}
		for _, value := range class.Texts {
			if other, taken := owner[value]; taken {
				return fmt.Errorf("labels: the value %q means both %q and %q", value, other, class.Name)
			}
			owner[value] = class.Name
		}
	}
	return nil
}

// verbalizer returns the label words, those of a class that has none its name.
func (d *Definition) verbalizer() (Verbalizer, error) {
	v := Verbalizer{Aggregate: cmp.Or(d.Aggregate, AggregateSum), Norm: cmp.Or(d.Norm, NormNone)}
	named := map[string]bool{}
	for _, class := range d.Labels {
		words := []string{class.Name}
		for _, entry := range d.Words {
			if entry.Name == class.Name {
				words, named[entry.Name] = entry.Texts, true
			}
		}
		v.Words = append(v.Words, words)
	}
	for _, entry := range d.Words {
		if !named[entry.Name] {
			var labels []string
			for _, class := range d.Labels {
				labels = append(labels, class.Name)
			}
			return v, fmt.Errorf("words: no label %q, want %s", entry.Name, strings.Join(labels, ", "))
		}
	}
	return v, nil
}
