package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"softprompt/onnx/atomicfile"
	"softprompt/tasks"
)

// reportedOn is how many rows of the reported split a run itself looks at,
// which it does three times at its end; nothing is made of their scores.
const reportedOn = 64

// drawSeed is the seed of the draws: every study sees the same rows.
const drawSeed = 1

// draw writes two data folders below dir: one to train with, and one whose
// reported split is scored. Rows are drawn by seed, each class keeping its
// share, and stay in file order.
func (s study) draw(ctx context.Context, data, dir string) (train, score string, err error) {
	task, err := tasks.Lookup(s.task)
	if err != nil {
		return "", "", err
	}
	bare, err := task.With(tasks.Template("{"+task.Fields[0]+"}"), tasks.Verbalizer{}) // Input is the text itself
	if err != nil {
		return "", "", err
	}
	from := tasks.LoadOptions{Data: data}
	all, err := bare.Load(ctx, tasks.Train, from)
	if err != nil {
		return "", "", err
	}
	reported, err := bare.Load(ctx, tasks.Validation, from)
	if err != nil {
		return "", "", err
	}
	if n := s.train + s.apart; len(all) < n || len(reported) < max(s.score, reportedOn) {
		return "", "", fmt.Errorf("%d training rows and %d to report on, want %d and %d to draw from",
			len(all), len(reported), n, max(s.score, reportedOn))
	}
	all, apart := tasks.HoldOut(all, s.apart, drawSeed)
	train, score = filepath.Join(dir, "train"), filepath.Join(dir, "score")
	for path, rows := range map[string][]tasks.Example{
		filepath.Join(train, task.Files[tasks.Train].Name):      some(all, s.train),
		filepath.Join(train, task.Files[tasks.Validation].Name): some(reported, reportedOn),
		filepath.Join(score, task.Files[tasks.Validation].Name): append(some(reported, s.score), apart...),
	} {
		if err := writeRows(path, task, rows); err != nil {
			return "", "", err
		}
	}
	return train, score, nil
}

// some draws n rows, or takes all for 0.
func some(rows []tasks.Example, n int) []tasks.Example {
	if n == 0 {
		n = len(rows)
	}
	_, drawn := tasks.HoldOut(rows, n, drawSeed)
	return drawn
}

// writeRows writes rows in the form that the task's files have.
func writeRows(path string, task *tasks.Task, rows []tasks.Example) error {
	var text bytes.Buffer
	field, label := task.Fields[0], task.LabelField
	if filepath.Ext(path) == ".tsv" {
		fmt.Fprintf(&text, "%s\t%s\n", field, label)
		for _, ex := range rows {
			fmt.Fprintf(&text, "%s\t%d\n", ex.Input, ex.Label)
		}
	} else {
		e := json.NewEncoder(&text)
		for _, ex := range rows {
			if err := e.Encode(map[string]any{field: ex.Input, label: ex.Label}); err != nil {
				return fmt.Errorf("writing %s: %w", path, err)
			}
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return atomicfile.Write(path, text.Bytes())
}
