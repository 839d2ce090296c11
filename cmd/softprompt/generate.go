package main

import (
	"context"

	"softprompt/prompt/tune"
)

// generateCmd writes text.
type generateCmd struct {
	promptFlags
	Text      []string `arg:"" optional:"" help:"Texts; without any, the lines of stdin."`
	Beams     int      `default:"1" placeholder:"N" help:"Continuations to follow; 1 is greedy. (${default})"`
	MaxTokens int      `placeholder:"N" help:"Most tokens of an answer; without it, as in training."`
	Alpha     float64  `default:"0.6" placeholder:"A" help:"Length penalty of beams. (${default})"`
}

// Help has the examples.
func (generateCmd) Help() string {
	return `A line of stdin is a text, or a JSON object {"text": …}; each gets one line of output.

    softprompt generate runs/sst2 "a gorgeous , witty , seductive movie ."
    softprompt generate runs/sst2 --beams 4 --max-tokens 20 --json < texts.txt`
}

// written is the JSON form of an answer.
type written struct {
	Text   string `json:"text"`
	Output string `json:"output"`
}

// Run writes.
func (c *generateCmd) Run(ctx context.Context, ui *tui) error {
	if c.Beams < 1 || c.MaxTokens < 0 || c.Alpha < 0 {
		return usagef("--beams must be 1 or more, --max-tokens and --alpha not negative")
	}
	p, err := c.open(ctx, ui, "")
	if err != nil {
		return err
	}
	defer p.Close()
	opts := tune.GenerateOptions{MaxTokens: c.MaxTokens, Beams: c.Beams, Alpha: c.Alpha}
	return eachBatch(ctx, ui.stdin, c.Text, p.Task.Fields, func(texts []string) error {
		outputs, err := p.Write(ctx, texts, opts)
		if err != nil {
			return err
		}
		for i, out := range outputs {
			if !ui.json {
				ui.printf("%s\n", out)
				continue
			}
			if err := ui.emitLine(written{texts[i], out}); err != nil {
				return err
			}
		}
		return nil
	})
}
