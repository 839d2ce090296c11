package main

import (
	"context"
	"fmt"
	"strings"
)

// predictCmd labels texts.
type predictCmd struct {
	promptFlags
	Text []string `arg:"" optional:"" help:"Texts; without any, the lines of stdin."`
}

// Help has the examples.
func (predictCmd) Help() string {
	return `Prints the label of each text, the probabilities of all labels, and the text, with tabs between.
A line of stdin is a text, or a JSON object {"text": …}; each gets one line of output.

    softprompt predict runs/sst2 "a gorgeous , witty , seductive movie ."
    softprompt predict runs/sst2 < reviews.txt
    softprompt predict runs/sst2 --json < reviews.jsonl`
}

// Run labels.
func (c *predictCmd) Run(ctx context.Context, ui *tui) error {
	p, err := c.open(ctx, ui, "")
	if err != nil {
		return err
	}
	defer p.Close()
	return eachBatch(ctx, ui.stdin, c.Text, p.Task.Fields, func(texts []string) error {
		answers, err := p.Predict(ctx, texts)
		if err != nil {
			return err
		}
		for _, a := range answers {
			if a.Cut {
				ui.warn("a text was longer than the prompt allows, and was cut: %.60q…", a.Text)
			}
			if ui.json {
				if err := ui.emitLine(a); err != nil {
					return err
				}
				continue
			}
			var shares []string
			for i, l := range a.Labels {
				shares = append(shares, fmt.Sprintf("%s %.3f", l, a.Probabilities[i]))
			}
			ui.printf("%s\t%s\t%s\n", a.Label, strings.Join(shares, "  "), a.Text)
		}
		return nil
	})
}
