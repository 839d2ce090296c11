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
	train, score = filepath.Join(dir, "train"), filepath.Join(dir, "score")
	for _, part := range []struct {
		split  tasks.Split
		rows   int
		folder string
	}{
		{tasks.Train, s.train, train},
		{tasks.Validation, reportedOn, train},
		{tasks.Validation, s.score, score},
	} {
		all, err := bare.Load(ctx, part.split, tasks.LoadOptions{Data: data})
		if err != nil {
			return "", "", err
		}
		if len(all) < part.rows {
			return "", "", fmt.Errorf("the %s split has %d rows, want %d to draw from", part.split, len(all), part.rows)
		}
		_, drawn := tasks.HoldOut(all, part.rows, drawSeed)
		if err := writeRows(filepath.Join(part.folder, task.Files[part.split].Name), task, drawn); err != nil {
			return "", "", err
		}
	}
	return train, score, nil
}

// writeRows writes rows as JSON lines of the task's form.
func writeRows(path string, task *tasks.Task, rows []tasks.Example) error {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	for _, ex := range rows {
		if err := e.Encode(map[string]any{task.Fields[0]: ex.Input, task.LabelField: ex.Label}); err != nil {
			return fmt.Errorf("writing %s: %w", path, err)
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return atomicfile.Write(path, text.Bytes())
}
