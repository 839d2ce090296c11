package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"softprompt/export"
	"softprompt/onnx/ort"
	"softprompt/prompt"
	"softprompt/prompt/measure"
	"softprompt/prompt/tune"
)

// benchPrecisionCmd is the calibration report.
type benchPrecisionCmd struct {
	Config string `placeholder:"FILE" help:"YAML file of settings, as train takes it."`
	Prompt string `placeholder:"RUN" help:"Measure at this prompt, a run folder (whose settings are taken) or a file, in place of the one that a run starts from."`
	Rows   int    `default:"16" placeholder:"N" help:"Rows that errors are measured on. (${default})"`
	Seeds  int    `placeholder:"N" help:"Tune in both precisions from N seeds and compare the scores; 0 leaves that out."`
	settingFlags
}

// Help has the examples.
func (benchPrecisionCmd) Help() string {
	return `Shows the error that products of --precision (int8 if it is not given) put into
the residual stream after each block of the model and into its gradient there,
against float32 on the same rows without dropout: ‖a−b‖/‖b‖, and as the largest
max|a−b|/max|b|. With --seeds prompts are tuned either way and all scored in
float32; a paired bootstrap gives the interval of the difference.

    softprompt bench precision --model tiny --task sst2
    softprompt bench precision --prompt runs/sst2 --rows 32
    softprompt bench precision --task sst2 --loss labels --seeds 5 --steps 500 --json`
}

// calibrated is the JSON form of the report.
type calibrated struct {
	Settings  tune.Settings    `json:"settings"`
	Prompt    string           `json:"prompt,omitempty"`
	Precision export.Precision `json:"precision"`
	Rows      int              `json:"rows"`
	*measure.Comparison
	Tuned *measure.Tuned `json:"tuned,omitempty"`
}

// Run measures.
func (c *benchPrecisionCmd) Run(ctx context.Context, ui *tui) error {
	s, reduced, err := c.both()
	if err != nil {
		return err
	}
	rt, err := ort.Open(ort.Options{Log: ui.log})
	if err != nil {
		return err
	}
	at := s
	at.Batch, at.HeldOut = c.Rows, 1
	if c.Prompt != "" {
		p, err := prompt.LoadFile(c.Prompt)
		if err != nil {
			return err
		}
		at.Init, at.Method = "file:"+c.Prompt, p.Method
		if _, at.Length, _, err = p.Matrix(); err != nil {
			return fmt.Errorf("prompt %s: %w", c.Prompt, err)
		}
	}
	opts := tune.Options{Log: ui.log, Open: ui.opening(), Version: programVersion()}
	result := calibrated{Settings: s, Prompt: c.Prompt, Precision: reduced, Rows: c.Rows}
	if result.Comparison, err = measure.Precision(ctx, rt, at, reduced, opts); err != nil {
		return err
	}
	if !ui.json {
		ui.printf("%s against fp32: model %s, %s, %d rows, prompt %d (%s)\n\n", reduced, s.Model, s.Task, c.Rows, at.Length, at.Init)
		ui.showComparison(result.Comparison, reduced)
	}
	if c.Seeds > 0 {
		if !ui.quiet {
			opts.Report = ui.lines(tune.ChooseHeldOut)
		}
		result.Tuned, err = measure.Accuracy(ctx, rt, s, reduced, c.Seeds, opts, func(s tune.Settings) {
			ui.note("tuning from seed %d in %s: %d steps", s.Seed, s.Precision, s.Steps)
		})
		if err != nil {
			return err
		}
	}
	if ui.json {
		return ui.emit(result)
	}
	if result.Tuned != nil {
		ui.printf("\n")
		ui.showTuned(result.Tuned)
	}
	return nil
}

// both returns the settings of the run in float32 and the other precision.
func (c *benchPrecisionCmd) both() (tune.Settings, export.Precision, error) {
	if c.Rows < 1 {
		return tune.Settings{}, "", usagef("--rows is %d, want at least 1", c.Rows)
	}
	if c.Seeds < 0 {
		return tune.Settings{}, "", usagef("--seeds is %d, want 0 or more", c.Seeds)
	}
	config := c.Config
	if config == "" && c.Prompt != "" {
		if _, err := tune.ReadSettings(c.Prompt); err == nil {
			config = filepath.Join(c.Prompt, tune.ConfigFile)
		}
	}
	s, from, err := c.effectiveOf(config)
	if err != nil {
		return s, "", err
	}
	reduced := export.INT8
	if from["precision"] == "flag" {
		reduced = s.Precision
	}
	if reduced == export.FP32 {
		return s, "", usagef("--precision is fp32, which others are compared with")
	}
	s.Precision = export.FP32
	return s, reduced, nil
}

// showComparison prints errors, layer by layer.
func (ui *tui) showComparison(c *measure.Comparison, reduced export.Precision) {
	rows := [][]string{{"block", "activation", "largest", "gradient", "largest"}}
	for _, l := range c.Layers {
		row := []string{l.Block, fine(l.Activation.Relative), fine(l.Activation.Largest)}
		if l.Gradient != nil {
			row = append(row, fine(l.Gradient.Relative), fine(l.Gradient.Largest))
		}
		rows = append(rows, row)
	}
	ui.numbers(rows...)
	ui.printf("\n")
	result := [][]string{
		{"", "relative", "largest", "cosine"},
		{"example_loss", fine(c.ExampleLoss.Relative), fine(c.ExampleLoss.Largest), fmt.Sprintf("%.6f", c.ExampleLoss.Cosine)},
	}
	var names []string
	for name := range c.Gradients {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		g := c.Gradients[name]
		result = append(result, []string{name, fine(g.Relative), fine(g.Largest), fmt.Sprintf("%.6f", g.Cosine)})
	}
	ui.numbers(result...)
	ui.printf("\nloss  %s %.6f, fp32 %.6f\n", reduced, c.Loss, c.Exact)
}

// showTuned prints the scores after tuning.
func (ui *tui) showTuned(t *measure.Tuned) {
	rows := [][]string{{"tuned from seed", string(export.FP32), string(t.Precision), "difference"}}
	for _, s := range t.Seeds {
		rows = append(rows, []string{fmt.Sprint(s.Seed), fmt.Sprintf("%.2f", s.Exact), fmt.Sprintf("%.2f", s.Reduced), fmt.Sprintf("%+.2f", s.Reduced-s.Exact)})
	}
	ui.numbers(rows...)
	ui.printf("\ndifference  %+.2f points, 95 %% interval %+.2f to %+.2f, over %d seeds and %s validation rows scored in fp32\n",
		t.Difference, t.Low, t.High, len(t.Seeds), count(int64(t.Examples)))
}
