package main

import (
	"context"
	"fmt"
	"slices"

	"softprompt/export"
	"softprompt/models"
	"softprompt/prompt"
	"softprompt/prompt/tune"
	"softprompt/tasks"
)

// modelsParamsCmd counts parameters.
type modelsParamsCmd struct {
	Models  []string `arg:"" optional:"" name:"model" help:"Models; without any, the published LM-adapted T5s."`
	Lengths []int    `default:"1,5,20,100,150" placeholder:"P" help:"Prompt lengths. (${default})"`
	Methods bool     `help:"Every method with its defaults, in place of prompt tuning at each length."`
	Length  int      `placeholder:"P" help:"With --methods, the same length for all that have one."`
}

// Help has the examples.
func (modelsParamsCmd) Help() string {
	return `Table 4 of Lester et al. 2021: what prompt tuning tunes of each size of T5; with --methods,
its figure 4 for the methods that there are. Published models need not be downloaded.

    softprompt models params
    softprompt models params google/t5-base-lm-adapt --methods --length 100
    softprompt models params tiny ./my-t5 --lengths 20,50`
}

// counted is a row of the table.
type counted struct {
	Model  string `json:"model"`
	Method string `json:"method"`
	Length int    `json:"length,omitempty"`
	prompt.Count
	Share float64 `json:"share"`
}

// Run counts.
func (c *modelsParamsCmd) Run(ctx context.Context, ui *tui) error {
	if c.Length < 0 || len(c.Lengths) == 0 || slices.Min(c.Lengths) < 1 {
		return usagef("a prompt has a vector at least: --lengths %v, --length %d", c.Lengths, c.Length)
	}
	refs := c.Models
	if len(refs) == 0 {
		for _, k := range models.KnownModels() {
			if k.Family == models.LMAdapted {
				refs = append(refs, k.Name)
			}
		}
	}
	var list []counted
	for _, ref := range refs {
		config, err := configOf(ctx, ui, ref)
		if err != nil {
			return err
		}
		rows, err := c.count(ui, ref, config)
		if err != nil {
			return fmt.Errorf("counting the parameters of %s: %w", ref, err)
		}
		list = append(list, rows...)
	}
	if ui.json {
		return ui.emit(list)
	}
	rows := [][]string{{"model", "method", "length", "tuned", "kept", "frozen", "share"}}
	for _, r := range list {
		length := "-"
		if r.Length > 0 {
			length = fmt.Sprint(r.Length)
		}
		rows = append(rows, []string{
			r.Model, r.Method, length, count(r.Tuned), count(r.Kept), count(r.Frozen), fmt.Sprintf("%.5f %%", 100*r.Share),
		})
	}
	ui.numbers(rows...)
	return nil
}

// configOf returns a model's sizes, of a published one without asking for it.
func configOf(ctx context.Context, ui *tui, ref string) (models.Config, error) {
	for _, k := range models.KnownModels() {
		if k.Name == ref {
			return k.Config, nil
		}
	}
	m, err := export.Open(ctx, ref, ui.opening())
	if err != nil {
		return models.Config{}, err
	}
	defer m.Close()
	return m.Config, nil
}

// count makes the rows of a model.
func (c *modelsParamsCmd) count(ui *tui, ref string, config models.Config) ([]counted, error) {
	var rows []counted
	add := func(info prompt.MethodInfo, sizes prompt.Sizes) error {
		if !slices.Contains(info.Uses, "length") {
			sizes.Length = 0
		}
		n, err := info.CountParameters(config, sizes)
		rows = append(rows, counted{ref, info.Name, sizes.Length, n, n.Share()})
		return err
	}
	if !c.Methods {
		info, err := prompt.LookupMethod(prompt.MethodPromptTuning)
		for _, length := range c.Lengths {
			if err == nil {
				err = add(info, prompt.Sizes{Length: length})
			}
		}
		return rows, err
	}
	for _, info := range prompt.Methods() {
		s, err := tune.DefaultsOf(&tasks.Task{MaxInput: 256}, info.Name)
		if err != nil {
			return nil, err
		}
		if c.Length > 0 {
			s.Length = c.Length
		}
		sizes := prompt.Sizes{Length: s.Length, Rank: s.Rank, Hidden: s.Hidden, Rows: s.MaxInput}
		if err := add(info, sizes); err != nil { // DePT has no rank within the budget of 100 vectors
			rows = rows[:len(rows)-1]
			ui.warn("left out: %v", err)
		}
	}
	return rows, nil
}
