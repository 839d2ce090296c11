package main

import (
	"context"
	"fmt"

	"softprompt/prompt/tune"
	"softprompt/tasks"
)

// ensembleCmd scores several prompts and their vote.
type ensembleCmd struct {
	Dirs []string `arg:"" name:"dir" help:"Run folders, folders of several runs, or prompts' files."`
	useFlags
	Split string `default:"validation" placeholder:"S" help:"train, validation, test, or another that the task has. (${default})"`
	Data  string `placeholder:"DIR" help:"Folder with the task's files; without it that of the first run, or the part that travels with softprompt."`
}

// Help has the examples.
func (ensembleCmd) Help() string {
	return `Every input goes through the frozen model once for each prompt, in the same batches,
and the prompts vote; of equal votes the answer of the prompt named first counts. The
prompts are of one model and one method, such as the seeds of one run.

    softprompt ensemble runs/five        # a folder of several runs, as train --seeds 5 makes
    softprompt ensemble runs/a runs/b runs/c --task mrpc --data ./glue --json`
}

// ensembled is the JSON form.
type ensembled struct {
	Prompts []string    `json:"prompts"`
	Model   string      `json:"model"`
	Task    string      `json:"task"`
	Split   tasks.Split `json:"split"`
	Metric  string      `json:"metric"`
	*tune.Ensembled
}

// Run scores.
func (c *ensembleCmd) Run(ctx context.Context, ui *tui) error {
	var dirs []string
	for _, dir := range c.Dirs {
		runs, err := tune.RunFolders(dir)
		if err != nil {
			return err
		}
		dirs = append(dirs, runs...)
	}
	rt, opts, err := c.options(ui, c.Data)
	if err != nil {
		return err
	}
	e, err := tune.NewEnsemble(ctx, rt, dirs, opts)
	if err != nil {
		return err
	}
	defer e.Close()
	from := tasks.LoadOptions{Data: c.Data}
	if from.Data == "" && c.Task == "" {
		from.Data, _ = tune.DataOf(dirs[0]) // a prompt need not lie in a run folder
	}
	score, err := e.ScoreSplit(ctx, tasks.Split(c.Split), from)
	if err != nil {
		return err
	}
	if ui.json {
		return ui.emit(ensembled{dirs, e.Frozen.Model.Name, e.Task.Name, tasks.Split(c.Split), e.Task.ScoreName(), score})
	}
	ui.printf("%s %s, %s rows, model %s, %d prompts\n\n", e.Task.Name, c.Split, count(int64(score.Vote.Examples)), e.Frozen.Model.Name, e.K)
	rows := [][]string{{"", e.Task.ScoreName()}}
	row := func(name string, score float64) { rows = append(rows, []string{name, fmt.Sprintf("%.1f", score)}) }
	for i, m := range score.Members {
		row(dirs[i], m.Score)
	}
	row("mean of the prompts", score.Mean)
	row("best of the prompts", score.Best)
	row("their vote", score.Vote.Score)
	ui.numbers(rows...)
	return nil
}
