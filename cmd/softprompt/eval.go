package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"softprompt/prompt"
	"softprompt/prompt/tune"
	"softprompt/tasks"
)

// evalCmd scores a prompt.
type evalCmd struct {
	Dir string `arg:"" optional:"" help:"A run folder, an adapter folder of PEFT or DePT, or a prompt's .safetensors or .npy file; none with --text-prompt or --shots."`
	useFlags
	Split  string `default:"validation" placeholder:"S" help:"train, validation, test, or another that the task has. (${default})"`
	Data   string `placeholder:"DIR" help:"Folder with the task's files; without it that of the run, or the part that travels with softprompt."`
	Decode string `placeholder:"HOW" enum:"rank,generate,both" default:"both" help:"How an answer is read off the model: by the rank of the label words, by what it writes, or both. (${default})"`

	Calibrate bool `help:"Rank label words by what they gain over texts without content."`
	Save      bool `help:"Keep that in the prompt's file, for every use of it."`

	TextPrompt string `placeholder:"TEXT" help:"In place of a prompt, an instruction in words before every input; with --model and --task."`
	Shots      int    `placeholder:"K" help:"Training rows that follow it with their answers, classes in turn."`
	Seed       uint64 `default:"1" placeholder:"N" help:"Which rows these are. (${default})"`
	MaxInput   int    `placeholder:"N" help:"Input tokens; what is longer is cut, shots first. Without it, as in training; 512 after a text prompt."`
}

// Help has the examples.
func (evalCmd) Help() string {
	return `Ranking gives every label word a probability; writing is the paper's protocol, where
an answer that is not a label word exactly is wrong. --task scores a prompt on another
task, as it is. A text prompt is the baseline without anything tuned.

    softprompt eval runs/sst2
    softprompt eval runs/mrpc --task qqp --data ./glue
    softprompt eval runs/sst2 --calibrate --save
    softprompt eval --model tiny --task sst2 --text-prompt "Is the review good or bad?" --shots 4
    softprompt eval runs/sst2 --split train --decode rank --json
    softprompt eval prompt.safetensors --model ./my-t5 --data ./glue
    softprompt eval runs/squad --task mrqa-bioasq --data ./mrqa
    softprompt eval runs/qqp --task mrpc --verbalizer "not_equivalent=not_duplicate;equivalent=duplicate"`
}

// scored is the JSON form of an evaluation.
type scored struct {
	Prompt      string           `json:"prompt,omitempty"`
	Model       string           `json:"model"`
	Split       tasks.Split      `json:"split"`
	Chosen      bool             `json:"chosen_on_it,omitempty"` // the prompt's step was chosen on this split
	TunedFor    string           `json:"tuned_for,omitempty"`    // another task, from which the prompt was taken over
	TextPrompt  *tune.TextPrompt `json:"text_prompt,omitempty"`
	Calibration []float64        `json:"calibration,omitempty"` // added to the scores of the labels
	*tune.Evaluation
}

// Run scores.
func (c *evalCmd) Run(ctx context.Context, ui *tui) error {
	from := tasks.LoadOptions{Data: c.Data}
	p, err := c.open(ctx, ui, from)
	if err != nil {
		return err
	}
	defer p.Close()
	if from.Data == "" && c.Dir != "" {
		from.Data = c.runData()
	}
	out := scored{Prompt: c.Dir, Model: p.Frozen.Model.Name, Split: tasks.Split(c.Split)}
	if c.Dir == "" {
		out.TextPrompt = c.text()
	} else if meta := p.Prompt.Meta; meta.Task != p.Task.Name {
		out.TunedFor = meta.Task
	} else {
		out.Calibration = meta.Calibration
		out.Chosen = out.Split == tasks.Validation && tune.ChosenOnValidation(meta)
	}
	if c.Calibrate {
		if out.Calibration, err = p.Calibrate(ctx); err != nil {
			return err
		}
	}
	ev, err := p.ScoreSplit(ctx, tasks.Split(c.Split), from, c.Decode != "rank")
	if err != nil {
		return err
	}
	if c.Decode == "generate" && ev.Ranked {
		ev.Report, ev.Loss, ev.Generated = *ev.Generated, 0, nil
	}
	if ev.Warning != "" {
		ui.warn("%s", ev.Warning)
	}
	if ev.Generated != nil && ev.Generated.Warning != "" {
		ui.warn("when it writes: %s", ev.Generated.Warning)
	}
	if c.Save {
		if err := saveCalibration(c.Dir, p.Prompt, out.Calibration); err != nil {
			return err
		}
	}
	if out.Evaluation = ev; ui.json {
		return ui.emit(out)
	}
	ui.printf("%s %s, %s rows, model %s, %s\n\n", ev.Task, c.Split, count(int64(ev.Examples)), out.Model, out.by())
	ui.showScores(p.Task, ev, c.Decode)
	if out.Chosen {
		ui.printf("the best step was chosen on these rows, as the paper does: the score flatters\n")
	}
	return nil
}

// by names what the answers were asked with.
func (s scored) by() string {
	text := "prompt " + s.Prompt
	switch {
	case s.TextPrompt != nil:
		text = fmt.Sprintf("text prompt of %d shots", s.TextPrompt.Shots)
	case s.TunedFor != "":
		text += ", tuned for " + s.TunedFor
	}
	if s.Calibration != nil {
		text += ", calibrated"
	}
	return text
}

// text is the text prompt that the flags describe.
func (c *evalCmd) text() *tune.TextPrompt {
	return &tune.TextPrompt{Instruction: c.TextPrompt, Shots: c.Shots, Seed: c.Seed}
}

// open loads the prompt, or puts a text in its place.
func (c *evalCmd) open(ctx context.Context, ui *tui, from tasks.LoadOptions) (*tune.Predictor, error) {
	bare := c.Dir == ""
	switch {
	case !bare && (c.TextPrompt != "" || c.Shots != 0):
		return nil, usagef("--text-prompt and --shots stand in place of a prompt: leave %s out", c.Dir)
	case bare && (c.Model == "" || c.Task == ""):
		return nil, usagef("name a prompt, or --model and --task for what the model does without one")
	case c.Save && (bare || !c.Calibrate):
		return nil, usagef("--save keeps what --calibrate finds in a prompt's file")
	case c.Save && c.Task != "":
		return nil, usagef("--save keeps what --calibrate finds for the prompt's own task: leave --task out")
	case c.Shots < 0 || c.MaxInput < 0:
		return nil, usagef("--shots and --max-input cannot be negative")
	}
	rt, opts, err := c.options(ui, c.Data)
	if err != nil {
		return nil, err
	}
	if opts.MaxInput = c.MaxInput; bare {
		return tune.NewTextPredictor(ctx, rt, *c.text(), from, opts)
	}
	return tune.NewPredictor(ctx, rt, c.Dir, opts)
}

// saveCalibration writes a prompt's file anew with its calibration.
func saveCalibration(path string, p *prompt.Prompt, calibration []float64) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, prompt.FileName)
	}
	if filepath.Ext(path) != filepath.Ext(prompt.FileName) {
		return fmt.Errorf("keeping the calibration in %s: the file has no place for it, a run's %s does", path, prompt.FileName)
	}
	p.Meta.Calibration = calibration
	return prompt.Save(path, p)
}

// runData is the data folder of the run that the prompt lies in, if it lies in
// one. Another task's files may be in it where it was named for all tasks; the
// folder of a task from a file has that task's alone.
func (c *evalCmd) runData() string {
	if c.Task == "" {
		data, _ := tune.DataOf(c.Dir)
		return data
	}
	s, err := tune.ReadSettings(c.Dir)
	if err != nil || tasks.IsFile(s.Task) || tasks.IsFile(c.Task) {
		return ""
	}
	return s.Data
}
