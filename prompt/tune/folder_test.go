package tune

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"softprompt/onnx/hint"
	"softprompt/tasks"
)

// fill writes empty files below a folder.
func fill(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, name := range names {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// list names the files below a folder.
func list(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			name, _ := filepath.Rel(dir, path)
			names = append(names, filepath.ToSlash(name))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// TestCreateFolder takes a folder that is not there, or has nothing in it but
// what a killed start left.
func TestCreateFolder(t *testing.T) {
	s := smallRun(t)
	for _, c := range []struct {
		name  string
		there []string // nil: not even the folder
		fails string
		hint  string
	}{
		{"not there", nil, "", ""},
		{"empty", []string{}, "", ""},
		{"half of the settings", []string{".config.yaml.tmp-123"}, "", ""},
		{"a run", []string{ConfigFile}, "the folder is not empty", "softprompt train --resume "},
		{"something else", []string{"notes.txt"}, "the folder is not empty", "give --out a folder that does not exist yet"},
		{"a hidden file of another", []string{".config.yaml"}, "the folder is not empty", "give --out"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "deep", "run")
			if c.there != nil {
				if err := os.MkdirAll(dir, 0o755); err != nil {
					t.Fatal(err)
				}
				fill(t, dir, c.there...)
			}
			err := createFolders(dir, nil, []*setup{{settings: s, task: &tasks.Task{}}})
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) || !strings.Contains(err.Error(), dir) || !strings.Contains(hint.Of(err), c.hint) {
					t.Errorf("error %v, hint %q", err, hint.Of(err))
				}
				if got := list(t, dir); !slices.Equal(got, c.there) {
					t.Errorf("the folder has %q, had %q", got, c.there)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := list(t, dir); !slices.Equal(got, []string{ConfigFile}) {
				t.Errorf("the folder has %q", got)
			}
			if got, err := ReadSettings(dir); err != nil || got != s {
				t.Errorf("settings %+v, %v", got, err)
			}
			if info, err := os.Stat(filepath.Join(dir, filepath.Dir(stateFile))); err != nil || !info.IsDir() {
				t.Errorf("no folder for the state: %v", err)
			}
		})
	}
	// A file where the folder, or one above it, is to be.
	dir := t.TempDir()
	fill(t, dir, "file")
	for _, path := range []string{"file", "file/run"} {
		if err := createFolders(filepath.Join(dir, path), nil, []*setup{{settings: s, task: &tasks.Task{}}}); err == nil || !strings.Contains(err.Error(), "starting a run") {
			t.Errorf("%s: error %v", path, err)
		}
	}
	fill(t, dir, "state")
	if err := makeStateFolder(dir); err == nil || !strings.Contains(err.Error(), "starting a run") {
		t.Errorf("a file in place of the state's folder: %v", err)
	}
}

// TestSweep removes what atomicfile leaves of this run's files when it is
// killed, and nothing else.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	kept := []string{
		".curve.png", ".notes.tmp-1", "config.yaml", "metrics.jsonl", "old/.config.yaml.tmp-4",
		"prompt.safetensors", "prompt.safetensors.tmp-2", "state/last.safetensors",
	}
	fill(t, dir, kept...)
	fill(t, dir, ".config.yaml.tmp-1", ".prompt.safetensors.tmp-22", ".curve.png.tmp-3", "state/.last.safetensors.tmp-44")
	sweep(dir)
	if got := list(t, dir); !slices.Equal(got, kept) {
		t.Errorf("left %q, want %q", got, kept)
	}
	sweep(filepath.Join(dir, "nowhere"))
}

// TestWriteSettingsFails leaves nothing behind.
func TestWriteSettingsFails(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "nowhere", ConfigFile)
	if err := WriteSettings(path, smallRun(t)); err == nil || !strings.Contains(err.Error(), ConfigFile) {
		t.Errorf("error %v", err)
	}
	if got := list(t, dir); len(got) != 0 {
		t.Errorf("left %q", got)
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadSettings(filepath.Dir(path)); err == nil || hint.Of(err) != "" {
		t.Errorf("a folder in place of the settings: %v, hint %q", err, hint.Of(err))
	}
}
