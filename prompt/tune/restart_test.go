package tune

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"softprompt/models"
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
