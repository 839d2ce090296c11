package tune

import (
	"bytes"
	"context"
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

// TestRestart resumes runs that were killed before they saved anything but
// their settings, half of a file beside them, and starts one where another was
// killed before that.
func TestRestart(t *testing.T) {
	ctx, rt := context.Background(), orttest.Runtime(t)
	s := smallRun(t)
	s.Steps = 2
	whole := filepath.Join(t.TempDir(), "whole")
	if _, err := Train(ctx, rt, s, Options{Out: whole, Open: models.Options{CacheDir: cache()}}); err != nil {
		t.Fatal(err)
	}
	want := readAll(t, whole)
	for _, c := range []struct {
		name   string
		files  []string
		config bool
	}{
		{"settings alone", nil, true},
		{"and half a state", []string{"state/.last.safetensors.tmp-1"}, true},
		{"and an empty log", []string{"metrics.jsonl", "timing.jsonl"}, true},
		{"half of the settings", []string{".config.yaml.tmp-1"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for _, f := range c.files {
				path := filepath.Join(dir, f)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, nil, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			opts := Options{Out: dir, Open: models.Options{CacheDir: cache()}}
			var err error
			if c.config {
				if err := WriteSettings(filepath.Join(dir, ConfigFile), s); err != nil {
					t.Fatal(err)
				}
				_, err = Resume(ctx, rt, opts)
			} else {
				_, err = Train(ctx, rt, s, opts)
			}
			if err != nil {
				t.Fatal(err)
			}
			for name, data := range readAll(t, dir) {
				if !bytes.Equal(data, want[name]) {
					t.Errorf("%s differs", name)
				}
			}
			for _, pattern := range []string{".*.tmp-*", "state/.*.tmp-*"} {
				if left, _ := filepath.Glob(filepath.Join(dir, pattern)); len(left) > 0 {
					t.Errorf("left behind: %v", left)
				}
			}
		})
	}
}

// TestRestartPlans completes settings that leave something to the trainer.
func TestRestartPlans(t *testing.T) {
	s := smallRun(t)
	s.Steps, s.MicroBatch, s.Workers, s.Memory = 1, 0, 0, "least"
	dir := t.TempDir()
	if err := WriteSettings(filepath.Join(dir, ConfigFile), s); err != nil {
		t.Fatal(err)
	}
	res, err := Resume(context.Background(), orttest.Runtime(t), Options{Out: dir, Open: models.Options{CacheDir: cache()}})
	if err != nil {
		t.Fatal(err)
	}
	s.MicroBatch, s.Workers = 1, 1
	if got, err := ReadSettings(dir); err != nil || got != s || res.Settings != s {
		t.Errorf("settings %+v, %v", got, err)
	}
}

// TestRestartKeepsAPrompt does not begin anew over a prompt whose state is
// lost.
func TestRestartKeepsAPrompt(t *testing.T) {
	dir := t.TempDir()
	if err := WriteSettings(filepath.Join(dir, ConfigFile), smallRun(t)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, PromptFile), []byte("dear"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Resume(context.Background(), orttest.Runtime(t), Options{Out: dir, Open: models.Options{CacheDir: cache()}})
	if err == nil || !strings.Contains(err.Error(), "it has a prompt, but no state") {
		t.Errorf("error %v", err)
	}
	if data, err := os.ReadFile(filepath.Join(dir, PromptFile)); err != nil || string(data) != "dear" {
		t.Errorf("the prompt is %q, %v", data, err)
	}
}

// TestModelOf prefers what the run was started with to the name in the file.
func TestModelOf(t *testing.T) {
	s := smallRun(t)
	s.Model = "./some/model"
	dir := t.TempDir()
	if err := WriteSettings(filepath.Join(dir, ConfigFile), s); err != nil {
		t.Fatal(err)
	}
	named := &prompt.Prompt{Meta: prompt.Meta{BaseModel: "model"}}
	for _, c := range []struct {
		path, want string
		p          *prompt.Prompt
	}{
		{dir, "./some/model", named},
		{filepath.Join(dir, PromptFile), "./some/model", named},
		{filepath.Join(dir, "other.safetensors"), "model", named},
		{t.TempDir(), "model", named},
		{t.TempDir(), "", &prompt.Prompt{}},
	} {
		got, err := ModelOf(c.path, c.p)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: %q, %v, want %q", c.path, got, err, c.want)
		}
	}
}

// TestResumeOtherModel: a run does not go on with another model than it began
// with, though it lies in the same place.
func TestResumeOtherModel(t *testing.T) {
	ctx, rt := context.Background(), orttest.Runtime(t)
	from := filepath.Join("..", "..", "export", "testdata", "arch", "byt5")
	dir := filepath.Join(t.TempDir(), "model")
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	s := smallRun(t)
	s.Model, s.MaxTarget, s.Steps = dir, 12, 2
	opts := Options{Out: filepath.Join(t.TempDir(), "run"), Open: models.Options{CacheDir: cache()}}
	if _, err := Train(ctx, rt, s, opts); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "model.safetensors")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	other := bytes.Clone(good)
	for i := 8 + int(good[0]) + int(good[1])<<8; i < len(other); i += 4 {
		other[i+2] ^= 0x40 // a bit that every precision keeps
	}
	if err := os.WriteFile(path, other, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Resume(ctx, rt, opts); !errors.Is(err, prompt.ErrOtherModel) || hint.Of(err) == "" {
		t.Errorf("another model: %v (%s)", err, hint.Of(err))
	}
	if err := os.WriteFile(path, good, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Resume(ctx, rt, opts); err != nil {
		t.Error(err)
	}
}

// A model on the hub is opened again by its commit, whatever its branch is now.
func TestPinned(t *testing.T) {
	commit := strings.Repeat("0123456789", 4)
	for _, c := range []struct{ model, revision, want string }{
		{"acme/t5", commit, "acme/t5@" + commit},
		{"acme/t5@main", commit, "acme/t5@" + commit},
		{"tiny", "7dba6bb21e28", "tiny"},
		{"./my@t5", "", "./my@t5"},
	} {
		if got := pinned(Settings{Model: c.model}, c.revision).Model; got != c.want {
			t.Errorf("%s at %q: %s, want %s", c.model, c.revision, got, c.want)
		}
	}
}
