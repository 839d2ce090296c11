package tasks

import (
	"context"
	"strings"
)

// Checked is what [Task.Check] finds in a split.
type Checked struct {
	Split    Split          `json:"split"`
	File     string         `json:"file,omitempty"`   // none where it is a part of the training file
	Rows     int            `json:"rows"`             // that read well
	Labels   map[string]int `json:"labels,omitempty"` // of these, by class
	Bad      []string       `json:"bad,omitempty"`    // a line for each other row: where it is and what is wrong
	Repeated int            `json:"repeated"`         // rows whose input an earlier row of the split has
	Clashing int            `json:"clashing"`         // of those, the ones with another label or answer
	Shared   int            `json:"shared"`           // rows whose input is trained on
	Examples []Example      `json:"-"`                // training rows that stand for a validation split are there alone
}

// Check reads the splits of a task to their ends and reports every bad row,
// where [Task.Load] stops at the first. Of a published task it reads those
// that have labels. It fails only where a file cannot be opened, or ctx ended.
func (t *Task) Check(ctx context.Context, data string) ([]*Checked, error) {
	var all []*Checked
	trained := map[string]bool{}
	for _, split := range splitOrder {
		_, has := t.Files[split]
		var c *Checked
		switch {
		case has && (t.own != nil || t.Rows[split] > 0):
			var err error
			if c, err = t.checkFile(ctx, split, data); err != nil {
				return nil, err
			}
		case t.isPart(split):
			c = &Checked{Split: split}
			whole := all[0]
			whole.Examples, c.Examples = HoldOut(whole.Examples, partOf(t.Part, len(whole.Examples)), partSeed)
			whole.count(t)
			c.count(t)
		default:
			continue
		}
		all = append(all, c)
	}
	for _, c := range all { // Train is the first, where there is one
		for _, ex := range c.Examples {
			switch {
			case c.Split == Train:
				trained[ex.Input] = true
			case trained[ex.Input]:
				c.Shared++
			}
		}
	}
	return all, nil
}

// checkFile reads one file.
func (t *Task) checkFile(ctx context.Context, split Split, data string) (*Checked, error) {
	rows, name, err := t.read(split, data)
	if err != nil {
		return nil, err
	}
	c := &Checked{Split: split, File: name}
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

// count fills what is counted over the rows that read well.
func (c *Checked) count(t *Task) {
	c.Rows, c.Labels, c.Repeated, c.Clashing = len(c.Examples), map[string]int{}, 0, 0
	seen := map[string]Example{}
	for _, ex := range c.Examples {
		if ex.Label >= 0 {
			c.Labels[t.Labels[ex.Label]]++
		}
		key, answers := ex.Input, strings.Join(ex.Answers, "\x00")
		if t.Class != nil { // the answer is a part of the question
			key += "\x00" + answers
		}
		first, again := seen[key]
		if !again {
			seen[key] = ex
			continue
		}
		c.Repeated++
		if first.Label != ex.Label || strings.Join(first.Answers, "\x00") != answers {
			c.Clashing++
		}
	}
}

// EmptyClasses lists the labels that no row has.
func (c *Checked) EmptyClasses(t *Task) []string {
	var none []string
	for _, label := range t.Labels {
		if c.Labels[label] == 0 {
			none = append(none, label)
		}
	}
	return none
}
