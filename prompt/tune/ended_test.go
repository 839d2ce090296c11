package tune

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"softprompt/onnx/hint"
	"softprompt/onnx/ort/orttest"
	"softprompt/tasks"
)

// TestReadEnded: a run that came to its end can be read back, its answers with
// it, which give its score; one that did not is refused with advice.
func TestReadEnded(t *testing.T) {
	ctx, rt := context.Background(), orttest.Runtime(t)
	s := smallRun(t)
	s.Steps = 3
	opts := opened
	opts.Out = filepath.Join(t.TempDir(), "run")
	want, err := Train(ctx, rt, s, opts)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ReadEnded(opts.Out)
	if err != nil {
		t.Fatal(err)
	}
	if got.Settings != want.Settings || got.BestStep != want.BestStep || got.Validation != want.Validation {
		t.Errorf("%+v, want %+v", got, want)
	}
	task, err := tasks.Lookup("sst2")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := task.Load(ctx, tasks.Validation, tasks.LoadOptions{Data: s.Data})
	if err != nil {
		t.Fatal(err)
	}
	right := 0
	for i, p := range got.Predictions {
		if p.ID != rows[i].ID || p.Gold != task.Labels[rows[i].Label] || p.Right != (p.Answer == p.Gold) {
			t.Errorf("row %d: %+v of %+v", i, p, rows[i])
		}
		if p.Right {
			right++
		}
	}
	if accuracy := 100 * float64(right) / float64(len(rows)); len(got.Predictions) != len(rows) || accuracy != want.Validation.Tuned {
		t.Errorf("%d answers, %v %% right, want %v", len(got.Predictions), accuracy, want.Validation.Tuned)
	}

	metrics := filepath.Join(opts.Out, MetricsFile)
	data, err := os.ReadFile(metrics)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(data), "\n")
	if err := os.WriteFile(metrics, []byte(strings.Join(lines[:len(lines)-2], "")), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadEnded(opts.Out); !errors.Is(err, ErrUnfinished) || !strings.Contains(hint.Of(err), "--resume "+opts.Out) {
		t.Errorf("without its last line: %v, hint %q", err, hint.Of(err))
	}
	if err := os.WriteFile(metrics, append(data, "{\"st"...), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadEnded(opts.Out); !errors.Is(err, ErrUnfinished) {
		t.Errorf("with a line that is cut short: %v", err)
	}
	for name, text := range map[string]string{MetricsFile: "{\"step\":\n", PredictionsFile: "[]\n"} {
		path := filepath.Join(opts.Out, name)
		if err := os.WriteFile(metrics, data, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadEnded(opts.Out); err == nil || !strings.Contains(err.Error(), "line 1") || !strings.Contains(err.Error(), name) {
			t.Errorf("%s of %q: %v", name, text, err)
		}
	}
	if _, err := ReadEnded(t.TempDir()); err == nil {
		t.Error("an empty folder is a run")
	}
}
