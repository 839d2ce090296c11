package tune

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"softprompt/models"
	"softprompt/onnx/ort/orttest"
)

// openPlan plans a run in a cache of its own and returns the log too.
func openPlan(t *testing.T, s Settings, dir string) (*setup, string) {
	t.Helper()
	var log bytes.Buffer
	u, err := newSetup(context.Background(), orttest.Runtime(t), s, Options{
		Open: models.Options{CacheDir: cache()}, Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(u.Close)
	u.kept = keptPasses{filepath.Join(dir, "passes.json")}
	if err := u.plan(context.Background()); err != nil {
		t.Fatal(err)
	}
	return u, log.String()
}

// TestPlanFinds measures once, remembers it for all runs that are alike, and
// measures again for another.
func TestPlanFinds(t *testing.T) {
	const measured = "found the fastest way"
	dir := t.TempDir()
	s := smallRun(t)
	s.MicroBatch, s.Workers, s.Threads = 0, 0, 2
	u, log := openPlan(t, s, dir)
	p := u.frozen.passes
	if !strings.Contains(log, measured) || p.MicroBatch < 1 || p.MicroBatch > 8 || p.Workers != 1 && p.Workers != 2 {
		t.Fatalf("passes %+v, log %s", p, log)
	}
	if u.settings.MicroBatch != p.MicroBatch || u.settings.Workers != p.Workers || !p.Prepack {
		t.Errorf("settings %+v, passes %+v", u.settings, p)
	}
	if len(u.frozen.sessions) != 1 {
		t.Errorf("%d sessions are left of the search", len(u.frozen.sessions))
	}
	again, log := openPlan(t, s, dir)
	if again.settings != u.settings || strings.Contains(log, measured) {
		t.Errorf("the same again: %+v, %s", again.settings, log)
	}
	other := s
	other.Seed, other.LearningRate, other.Steps = 7, 1, 2 // nothing that costs time
	if _, log := openPlan(t, other, dir); strings.Contains(log, measured) {
		t.Errorf("another seed: %s", log)
	}
	for name, change := range map[string]func(*Settings){
		"length":  func(s *Settings) { s.Length = 9 },
		"batch":   func(s *Settings) { s.Batch = 4 },
		"threads": func(s *Settings) { s.Threads = 1 },
		"workers": func(s *Settings) { s.Workers = 2 },
		"loss":    func(s *Settings) { s.Loss = "labels" },
	} {
		other := s
		change(&other)
		u, log := openPlan(t, other, dir)
		if !strings.Contains(log, measured) || other.Workers > 0 && u.settings.Workers != other.Workers {
			t.Errorf("another %s: %+v, %s", name, u.settings, log)
		}
	}
}

// TestPlanSettled: what the settings say is not measured, and neither is what
// follows from them.
func TestPlanSettled(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Settings)
		want   Passes
		from   string
	}{
		"said":         {func(s *Settings) { s.MicroBatch, s.Workers = 3, 2 }, Passes{3, 2, true}, ""},
		"least memory": {func(s *Settings) { s.Memory = "least" }, Passes{1, 1, false}, "memory"},
		"least memory, but these rows": {
			func(s *Settings) { s.Memory, s.MicroBatch = "least", 4 }, Passes{4, 1, false}, "memory",
		},
	} {
		s := smallRun(t)
		s.MicroBatch, s.Workers = 0, 0
		c.change(&s)
		dir := t.TempDir()
		u, _ := openPlan(t, s, dir)
		if u.frozen.passes != c.want {
			t.Errorf("%s: %+v, want %+v", name, u.frozen.passes, c.want)
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("%s: was kept", name)
		}
		got, from, err := Foresee(context.Background(), orttest.Runtime(t), s, Options{Open: models.Options{CacheDir: cache()}})
		if err != nil || got != u.settings || from != c.from {
			t.Errorf("%s: foreseen %+v from %q, %v", name, got, from, err)
		}
	}
	s := smallRun(t)
	s.MicroBatch, s.Workers, s.Device = 0, 0, "cuda"
	if p, from, ok := s.settled(); !ok || from != "device" || p != (Passes{MicroBatch: 8, Workers: 1}) {
		t.Errorf("a card: %+v from %q, %v", p, from, ok)
	}
}

// TestForesee says what a run will do once one has measured it.
func TestForesee(t *testing.T) {
	ctx, rt := context.Background(), orttest.Runtime(t)
	s := smallRun(t)
	s.MicroBatch, s.Workers, s.Threads, s.Length = 0, 0, 2, 3
	opts := Options{Open: models.Options{CacheDir: t.TempDir()}}
	if got, from, err := Foresee(ctx, rt, s, opts); err != nil || got != s || from != "" {
		t.Errorf("before: %+v from %q, %v", got, from, err)
	}
	p, err := NewPlan(ctx, rt, s, opts)
	if err != nil {
		t.Fatal(err)
	}
	got, from, err := Foresee(ctx, rt, s, opts)
	if err != nil || got != p.Settings || got.MicroBatch == 0 || from != filepath.Join(opts.Open.CacheDir, "passes.json") {
		t.Errorf("foreseen %+v from %q, %v; planned %+v", got, from, err, p.Settings)
	}
	s.Model = filepath.Join(t.TempDir(), "nowhere")
	if _, _, err := Foresee(ctx, rt, s, opts); err == nil {
		t.Error("a model that is not there was planned with")
	}
}

// TestPlanStops: a search ends with its context, and remembers nothing.
func TestPlanStops(t *testing.T) {
	s := smallRun(t)
	s.MicroBatch = 0
	u := setupOf(t, s)
	u.kept = keptPasses{filepath.Join(t.TempDir(), "passes.json")}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := u.plan(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if got := u.kept.read(); len(got) > 0 {
		t.Errorf("kept %+v", got)
	}
}
