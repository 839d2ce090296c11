package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"

	"softprompt/tools/paired"
)

// Where PEFT's side lies, from the root of the tree.
const (
	script = "tools/reference/peft_sst2.py"
	model  = "models/tiny"
)

// trainPEFT trains the replays with PEFT, which writes its answers to path.
func trainPEFT(ctx context.Context, python string, plans []string, path string, progress io.Writer) ([]paired.Answers, error) {
	args := append([]string{script, "--model", model, "--out", path, "--plan"}, plans...)
	cmd := exec.CommandContext(ctx, python, args...)
	cmd.Stdout, cmd.Stderr = progress, progress
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("running %s: %w", script, err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	runs, err := parsePEFT(data)
	if err == nil && len(runs) != len(plans) {
		err = fmt.Errorf("it has %d runs, want %d", len(runs), len(plans))
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return runs, nil
}

// parsePEFT reads what the script writes.
func parsePEFT(data []byte) ([]paired.Answers, error) {
	var found struct {
		Runs []paired.Answers `json:"runs"`
	}
	if err := json.Unmarshal(data, &found); err != nil {
		return nil, err
	}
	if len(found.Runs) == 0 {
		return nil, errors.New("it has no runs")
	}
	for i, r := range found.Runs {
		if len(r.Predictions) == 0 || len(r.Predictions) != len(r.Gold) {
			return nil, fmt.Errorf("run %d: %d predictions for %d examples", i+1, len(r.Predictions), len(r.Gold))
		}
	}
	return found.Runs, nil
}
