package tasks

import (
	"context"

	"strings"
)

// Checked is what [Task.CheckSplit] finds in a split's file.
type Checked struct {
	Split  Split          `json:"split"`
	File   string         `json:"file"`             // "" where it is a part of the training file
	Rows   int            `json:"rows"`             // that read well
	Labels map[string]int `json:"labels,omitempty"` // of these, by class
	Bad    []string       `json:"bad,omitempty"`    // a line for each other row: where it is and what is wrong

	Repeated int       `json:"repeated"` // rows whose input an earlier row of the split has
	Clashing int       `json:"clashing"` // of those, the ones with another label or answer
	Examples []Example `json:"-"`
}

// CheckSplit reads a split to its end and reports every bad row, where
// [Task.Load] stops at the first. It fails only where the file cannot be
// opened, or ctx ended.
func (t *Task) CheckSplit(ctx context.Context, split Split, data string) (*Checked, error) {
	c := &Checked{Split: split, Labels: map[string]int{}}
	if t.isPart(split) && split == Validation {
		return c, c.part(ctx, t, data)
	}
	rows, name, err := t.read(split, data)
	if err != nil {
		return nil, err
	}
	c.File = name
	for ex, err := range rows {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			c.Bad = append(c.Bad, err.Error())
			continue
		}
		c.Examples = append(c.Examples, ex)
	}
	c.count(t)
	return c, nil
}

// part checks the rows that stand for a validation split; what is bad among
// them is said of the training file.
func (c *Checked) part(ctx context.Context, t *Task, data string) (err error) {
	c.Examples, err = t.Load(ctx, Validation, LoadOptions{Data: data})
	c.count(t)
	return err
}

// count fills what is counted over the rows that read well.
func (c *Checked) count(t *Task) {
	c.Rows = len(c.Examples)
	seen := map[string]Example{}
	for _, ex := range c.Examples {
		if ex.Label >= 0 {
			c.Labels[t.Labels[ex.Label]]++
		}
		first, again := seen[ex.Input]
		if !again {
			seen[ex.Input] = ex
			continue
		}
		c.Repeated++
		if first.Label != ex.Label || strings.Join(first.Answers, "\x00") != strings.Join(ex.Answers, "\x00") {
			c.Clashing++
		}
	}
}

// Shared counts the examples whose input others have too: rows of a validation
// split that are trained on say little.
func Shared(examples, others []Example) int {
	inputs := map[string]bool{}
	for _, ex := range others {
		inputs[ex.Input] = true
	}
	n := 0
	for _, ex := range examples {
		if inputs[ex.Input] {
			n++
		}
	}
	return n
}

// EmptyClasses lists the labels that no training row has.
func (c *Checked) EmptyClasses(t *Task) []string {
	var none []string
	for _, label := range t.Labels {
		if c.Labels[label] == 0 {
			none = append(none, label)
		}
	}
	return none
}
