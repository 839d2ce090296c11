package main

import (
	"context"

	"softprompt/models"
)

type modelsPullCmd struct {
	Refs []string `arg:"" name:"model" help:"Names on the hub: org/name or org/name@revision."`
}

// Help has the examples.
func (modelsPullCmd) Help() string {
	return `Downloads what softprompt needs of a model to the hub's cache: its configuration,
its weights in the best format that there is, and its tokenizer. A command that
names a model does the same by itself.

    softprompt models pull google/t5-base-lm-adapt
    softprompt models pull google/t5-v1_1-base@refs/pr/1
    HF_TOKEN=… softprompt models pull my-org/private-t5`
}

// pulled is a model that is there now.
type pulled struct {
	Name   string        `json:"name"`
	Commit string        `json:"commit"`
	Folder string        `json:"folder"`
	Format models.Format `json:"format"`
	Files  []string      `json:"files"`
}

// Run downloads.
func (c *modelsPullCmd) Run(ctx context.Context, ui *tui) error {
	var all []pulled
	for _, ref := range c.Refs {
		p, err := models.Pull(ctx, ref, ui.opening())
		if err != nil {
			return err
		}
		all = append(all, pulled{p.Name, p.Revision, p.Dir, p.Files.Format, p.Files.All()})
	}
	if ui.json {
		return ui.emit(all)
	}
	for _, p := range all {
		ui.printf("%s@%s\n  %s, %d files in %s\n", p.Name, p.Commit, p.Format, len(p.Files), p.Folder)
	}
	return nil
}
