package tune

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"softprompt/models"
	"softprompt/onnx/hint"
	"softprompt/onnx/ort/orttest"
	"softprompt/prompt"
)

// results are the files that two equal runs must agree in.
var results = []string{PromptFile, MetricsFile, ConfigFile}

func readAll(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for _, name := range results {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		out[name] = data
	}
	return out
}

// TestRun is a whole run: its folder holds what it should, its result adds up
// and its prompt loads.
func TestRun(t *testing.T) {
	ctx, rt := context.Background(), orttest.Runtime(t)
	s := smallRun(t)
	dir := filepath.Join(t.TempDir(), "run")
	var events []Event
	var planned []Settings
	res, err := Train(ctx, rt, s, Options{
		Out: dir, Open: models.Options{CacheDir: cache()}, Version: "test",
		Report:  func(e Event) { events = append(events, e) },
		Planned: func(s Settings) { planned = append(planned, s) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(planned) != 1 || planned[0] != s {
		t.Errorf("planned %+v", planned)
	}
	if res.Steps != 8 || res.Tuned != 4*256 || res.Frozen != 11_278_080 || res.Validation.Examples != 12 {
		t.Errorf("result %+v", res)
	}
	if res.Seconds <= 0 || res.Seconds > 600 {
		t.Errorf("a run of seconds took %v", res.Seconds)
	}
	if last := events[len(events)-1]; last.Step != 8 || !last.Evaluated || last.Left != 0 {
		t.Errorf("last event %+v", last)
	}
	p, err := prompt.LoadFile(dir)
	if err != nil {
		t.Fatal(err)
	}
	if p.Meta.Task != "sst2" || p.Meta.BaseModel != "tiny" || p.Meta.Version != "test" || int(p.Meta.Step) != res.BestStep {
		t.Errorf("the prompt says of itself %+v", p.Meta)
	}
	metrics := readAll(t, dir)[MetricsFile]
	var final finalLine
	lines := strings.Split(strings.TrimSpace(string(metrics)), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &final); err != nil || final.Validation != res.Validation {
		t.Errorf("last line %s, %v; result %+v", lines[len(lines)-1], err, res.Validation)
	}
	// 0, 2, 3, 4, 6, 6, 8, 8: logged every 2 steps, evaluated every 3 and at both ends.
	if len(lines) != 8+1 {
		t.Errorf("%d lines of metrics:\n%s", len(lines), metrics)
	}
	// The first step does not wait for a score: that of the start comes beside
	// the first of a tuned prompt.
	for i, want := range []string{`{"step":2,"loss":`, `{"step":0,"held_out_score":`, `{"step":3,"held_out_score":`} {
		if !strings.HasPrefix(lines[i], want) {
			t.Errorf("line %d is %s, want %s…", i+1, lines[i], want)
		}
	}
	if e := events[0]; e.Step != 2 || e.Evaluated || e.BestStep != -1 {
		t.Errorf("first event %+v", e)
	}
	if strings.Contains(string(metrics), "seconds") {
		t.Error("there is a clock in metrics.jsonl")
	}
	if found, _ := filepath.Glob(filepath.Join(dir, eventsGlob)); len(found) != 1 {
		t.Errorf("TensorBoard files: %v", found)
	}
	got, err := ReadSettings(dir)
	if err != nil || got != s {
		t.Errorf("settings read back %+v, %v", got, err)
	}
	// The folder is taken now, and the error says what to do.
	_, err = Train(ctx, rt, s, Options{Out: dir, Open: models.Options{CacheDir: cache()}})
	if err == nil || !strings.Contains(hint.Of(err), "--resume") {
		t.Errorf("a second run in the folder: %v, hint %q", err, hint.Of(err))
	}
}

// TestResume stops a run at every event in turn and resumes it: the files are
// those of a run that never stopped.
func TestResume(t *testing.T) {
	ctx, rt := context.Background(), orttest.Runtime(t)
	s := smallRun(t)
	s.Patience, s.MicroBatch, s.Workers, s.Threads = 4, 3, 2, 2
	whole := filepath.Join(t.TempDir(), "whole")
	n := 0
	if _, err := Train(ctx, rt, s, Options{Out: whole, Open: models.Options{CacheDir: cache()}, Report: func(Event) { n++ }}); err != nil {
		t.Fatal(err)
	}
	want := readAll(t, whole)
	dir := filepath.Join(t.TempDir(), "cut")
	for stop := 0; ; stop++ {
		ctx, cancel := context.WithCancel(ctx)
		opts := Options{Out: dir, Open: models.Options{CacheDir: cache()}, Report: func(Event) { cancel() }}
		var err error
		if stop == 0 {
			_, err = Train(ctx, rt, s, opts)
		} else {
			_, err = Resume(ctx, rt, opts)
		}
		cancel()
		if err == nil {
			break
		}
		if !errors.Is(err, ErrStopped) && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if stop > 2*n {
			t.Fatalf("the run did not end after %d stops", stop)
		}
		// What a kill leaves beside the state: lines that it does not know of.
		f, err := os.OpenFile(filepath.Join(dir, MetricsFile), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		f.WriteString(`{"step":`)
		f.Close()
		if stop > n {
			opts.Report = nil
			if _, err := Resume(context.Background(), rt, opts); err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	for name, data := range readAll(t, dir) {
		if !bytes.Equal(data, want[name]) {
			t.Errorf("%s differs from that of a run that never stopped: %d bytes, want %d", name, len(data), len(want[name]))
		}
	}
	// A run that is over resumes to the same end again.
	if _, err := Resume(context.Background(), rt, Options{Out: dir, Open: models.Options{CacheDir: cache()}}); err != nil {
		t.Fatal(err)
	}
	for name, data := range readAll(t, dir) {
		if !bytes.Equal(data, want[name]) {
			t.Errorf("%s differs after resuming a run that was over", name)
		}
	}
}

// TestSettingsDecide: the same settings give the same bytes, another seed
// other ones.
func TestSettingsDecide(t *testing.T) {
	ctx, rt := context.Background(), orttest.Runtime(t)
	s := smallRun(t)
	s.Steps, s.Optimizer, s.LearningRate, s.Loss = 3, "adamw", 0.5, "mean"
	run := func(seed uint64) []byte {
		s.Seed = seed
		dir := filepath.Join(t.TempDir(), "run")
		if _, err := Train(ctx, rt, s, Options{Out: dir, Open: models.Options{CacheDir: cache()}}); err != nil {
			t.Fatal(err)
		}
		return readAll(t, dir)[MetricsFile]
	}
	a, b, c := run(1), run(1), run(2)
	if !bytes.Equal(a, b) {
		t.Error("two runs of the same settings differ")
	}
	if bytes.Equal(a, c) {
		t.Error("another seed changes nothing")
	}
}

// TestTuning trains for real, if shortly: the loss on rows held out falls.
func TestTuning(t *testing.T) {
	s := smallRun(t)
	s.Data = smallData(t, 400, 12)
	s.Steps, s.Batch, s.MicroBatch, s.Workers, s.HeldOut, s.EvalEvery, s.Length = 40, 16, 4, 2, 64, 20, 8
	dir := filepath.Join(t.TempDir(), "run")
	if _, err := Train(context.Background(), orttest.Runtime(t), s, Options{Out: dir, Open: models.Options{CacheDir: cache()}}); err != nil {
		t.Fatal(err)
	}
	var losses []float64
	for line := range strings.Lines(string(readAll(t, dir)[MetricsFile])) {
		var e struct {
			Loss *float64 `json:"held_out_loss"`
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if e.Loss != nil {
			losses = append(losses, *e.Loss)
		}
	}
	t.Logf("held-out loss %.3f", losses)
	if first, last := losses[0], losses[len(losses)-1]; last > first-0.1 {
		t.Errorf("held-out loss went from %.3f to %.3f, want a fall of 0.1 at least", first, last)
	}
}

func TestResumeRefuses(t *testing.T) {
	ctx, rt := context.Background(), orttest.Runtime(t)
	empty := t.TempDir()
	if _, err := Resume(ctx, rt, Options{Out: empty}); err == nil || hint.Of(err) == "" {
		t.Errorf("an empty folder: %v, hint %q", err, hint.Of(err))
	}
	s := smallRun(t)
	s.Steps = 2
	dir := filepath.Join(t.TempDir(), "run")
	if _, err := Train(ctx, rt, s, Options{Out: dir, Open: models.Options{CacheDir: cache()}}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, stateFile)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"cut":              good[:len(good)/2],
		"empty":            nil,
		"not a state":      bytes.Replace(good, []byte("softprompt.state"), []byte("softprompt.stale"), 1),
		"another version":  bytes.Replace(good, []byte(`{\"version\":2`), []byte(`{\"version\":7`), 1),
		"a strange tensor": bytes.Replace(good, []byte(`"0.current.prompt"`), []byte(`"0.corrent.prompt"`), 1),
	} {
		if bytes.Equal(data, good) {
			t.Fatalf("%s: the test changes nothing", name)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Resume(ctx, rt, Options{Out: dir, Open: models.Options{CacheDir: cache()}}); err == nil {
			t.Errorf("a state that is %s was resumed", name)
		}
	}
	if err := os.WriteFile(path, good, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, MetricsFile), 3); err != nil {
		t.Fatal(err)
	}
	if _, err := Resume(ctx, rt, Options{Out: dir, Open: models.Options{CacheDir: cache()}}); err == nil || !strings.Contains(err.Error(), MetricsFile) {
		t.Errorf("lost metrics: %v", err)
	}
}

func TestPlan(t *testing.T) {
	s := smallRun(t)
	p, err := NewPlan(context.Background(), orttest.Runtime(t), s, Options{Open: models.Options{CacheDir: cache()}})
	if err != nil {
		t.Fatal(err)
	}
	if p.TrainRows != 40 || p.HeldOut != 8 || p.Validation != 12 || p.Tuned != 1024 || p.Epochs != 8.*8/40 {
		t.Errorf("plan %+v", p)
	}
	if p.StepTime <= 0 || p.TotalTime < 8*p.StepTime || p.LongestIn > 24 || p.MeanIn <= 1 {
		t.Errorf("plan %+v", p)
	}
}
