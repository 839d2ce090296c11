package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"softprompt/export"
	"softprompt/models"
	"softprompt/onnx/ort"
	"softprompt/prompt/tune"
	"softprompt/tasks"
)

// doctorCmd checks what softprompt needs.
type doctorCmd struct {
	machineFlags
}

// Help has the examples.
func (doctorCmd) Help() string {
	return `
    softprompt doctor
    softprompt doctor --device cuda`
}

// checkup is one line of what the doctor finds, in the order of the checks.
type checkup struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Run checks one thing after another, since each needs those before it, and
// prints what it found even where one fails.
func (c *doctorCmd) Run(ctx context.Context, ui *tui) error {
	var found []checkup
	report := func(name, format string, args ...any) {
		found = append(found, checkup{name, fmt.Sprintf(format, args...)})
	}
	err := c.check(ctx, ui, report)
	if ui.json {
		if e := ui.emit(map[string]any{"ok": err == nil, "checks": found}); e != nil {
			return e
		}
		return err
	}
	var rows []string
	for _, f := range found {
		rows = append(rows, cells(f.Name, f.Value))
	}
	ui.table(rows...)
	return err
}

// check reports what it finds and returns what is wrong.
func (c *doctorCmd) check(ctx context.Context, ui *tui, report func(name, format string, args ...any)) error {
	report("softprompt", "%s (%s, %s)", programVersion(), runtime.Version(), platform())
	device, err := ort.ParseDevice(c.Device)
	if err != nil {
		return usageError{err}
	}
	rt, err := ort.Open(ort.Options{Log: ui.log})
	if err != nil {
		return err
	}
	r := rt.Report()
	report("ONNX Runtime", "%s, %s", r.Version, r.Library)
	report("providers", "%s", strings.Join(r.Providers, ", "))
	report("device", "%v", device)
	report("threads", "%d of %d processors", r.Threads, runtime.NumCPU())
	cache, err := models.CacheDir()
	if err != nil {
		return err
	}
	report("cache", "%s", cache)
	m, err := export.Open(ctx, "tiny", ui.opening())
	if err != nil {
		return err
	}
	defer m.Close()
	report("model", "%s, %s parameters", m.Name, count(m.Config.Parameters()))
	tok, err := m.Tokenizer()
	if err != nil {
		return err
	}
	const text = "a gorgeous , witty , seductive movie ."
	ids, err := tok.Encode(text)
	if err != nil {
		return err
	}
	if back := tok.Decode(ids); back != text {
		return fmt.Errorf("the tokenizer does not work: %q came back as %q", text, back)
	}
	report("tokenizers", "%s, %d tokens there and back", moduleVersion("github.com/daulet/tokenizers"), len(ids))
	loss, took, err := trainOneStep(ctx, rt, c.Device, c.Threads)
	if err != nil {
		return fmt.Errorf("training one step: %w", err)
	}
	report("training", "one step, loss %.3f, %s with all that belongs to a run", loss, about(took))
	return nil
}

// proof is a data set of the smallest size that a run takes.
const proof = "sentence\tlabel\na gorgeous , witty , seductive movie .\t1\nslow and dull .\t0\none of the best films of the year .\t1\na waste of time .\t0\n"

// trainOneStep makes a whole run of one step in a folder that goes away, and
// returns its loss and how long it took.
func trainOneStep(ctx context.Context, rt *ort.Runtime, device string, threads int) (loss float64, took time.Duration, err error) {
	dir, err := os.MkdirTemp("", "softprompt-doctor-")
	if err != nil {
		return 0, 0, err
	}
	defer os.RemoveAll(dir)
	for _, name := range []string{"train.tsv", "dev.tsv"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(proof), 0o644); err != nil {
			return 0, 0, err
		}
	}
	task, err := tasks.Lookup("sst2")
	if err != nil {
		return 0, 0, err
	}
	s := tune.Defaults(task)
	s.Data, s.Device, s.Threads = dir, device, threads
	s.Length, s.Steps, s.Batch, s.HeldOut, s.EvalEvery, s.LogEvery, s.Window = 4, 1, 2, 2, 1, 1, 1
	s.MicroBatch, s.Workers = 1, 2
	began := time.Now()
	_, err = tune.Train(ctx, rt, s, tune.Options{Out: filepath.Join(dir, "run"), Report: func(e tune.Event) {
		if !e.Evaluated {
			loss = e.Loss
		}
	}})
	return loss, time.Since(began), err
}
