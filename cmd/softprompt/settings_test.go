package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"softprompt/onnx/hint"
	"softprompt/prompt/tune"
	"softprompt/tasks"
)

// TestEverySettingHasAFlag holds the flags against the settings: the same
// names, pointers to the same types, each with a help text.
func TestEverySettingHasAFlag(t *testing.T) {
	flags, settings := reflect.TypeFor[settingFlags](), reflect.TypeFor[tune.Settings]()
	if flags.NumField() != settings.NumField() {
		t.Errorf("%d flags for %d settings", flags.NumField(), settings.NumField())
	}
	for i := range settings.NumField() {
		s := settings.Field(i)
		f, ok := flags.FieldByName(s.Name)
		switch {
		case !ok:
			t.Errorf("setting %s has no flag", s.Name)
		case f.Type != reflect.PointerTo(s.Type):
			t.Errorf("flag %s is %v, want a pointer to %v", s.Name, f.Type, s.Type)
		case f.Tag.Get("help") == "" || f.Tag.Get("group") == "":
			t.Errorf("flag %s lacks a help text or a group", s.Name)
		case s.Tag.Get("yaml") == "":
			t.Errorf("setting %s has no key", s.Name)
		}
	}
}

// TestEffective puts settings together from all three places.
func TestEffective(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(path, []byte("task: sst2\nlength: 5\nsteps: 7\nlearning_rate: 1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	length, seed := 9, uint64(3)
	f := settingFlags{Length: &length, Seed: &seed}
	s, from, err := f.effectiveOf(path)
	if err != nil {
		t.Fatal(err)
	}
	task, err := tasks.Lookup("sst2")
	if err != nil {
		t.Fatal(err)
	}
	want := tune.Defaults(task)
	want.Length, want.Steps, want.LearningRate, want.Seed = 9, 7, 1, 3
	if s != want {
		t.Errorf("got  %+v\nwant %+v", s, want)
	}
	for key, place := range map[string]string{"length": "flag", "seed": "flag", "steps": path, "task": path, "learning_rate": path, "batch": "default"} {
		if from[key] != place {
			t.Errorf("%s comes from %q, want %q", key, from[key], place)
		}
	}
	if len(from) != len(settingKeys()) {
		t.Errorf("%d origins for %d settings", len(from), len(settingKeys()))
	}
	if got := strings.Join(f.given(), " "); got != "length seed" {
		t.Errorf("given %q", got)
	}
}

// TestConfigRoundTrip reads what a run writes.
func TestConfigRoundTrip(t *testing.T) {
	task, err := tasks.Lookup("sst2")
	if err != nil {
		t.Fatal(err)
	}
	want := tune.Defaults(task)
	want.Data, want.Threads, want.Schedule = "some where: #1", 2, "warmup=5,cosine=10"
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := tune.WriteSettings(path, want); err != nil {
		t.Fatal(err)
	}
	got, _, err := (&settingFlags{}).effectiveOf(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// TestNoTask names the tasks there are.
func TestNoTask(t *testing.T) {
	_, _, err := (&settingFlags{}).effectiveOf("")
	if exitCode(err) != exitUsage || !strings.HasSuffix(hint.Of(err), "one of the tasks "+strings.Join(tasks.Names(), ", ")) {
		t.Errorf("error %v, hint %q", err, hint.Of(err))
	}
}

// FuzzConfig feeds the reader anything: it must not panic, and what it takes
// must be settings.
func FuzzConfig(f *testing.F) {
	for _, seed := range []string{
		"", "# nothing\n", "task: sst2\n", "task: sst2\nlength: 1e3\n", "- a\n- b\n", "task: [sst2]\n", "a: &a b\nc: *a\n",
		"task: sst2\nlength: !!int \"5\"\n", "{task: sst2, steps: 4}", "task: sst2\ntask: sst2\n", "length: null\n", "? task\n: sst2\n", "<<: {task: sst2}\n", "\x00", "task: \xff\n",
	} {
		f.Add(seed)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(dir, "c.yaml")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		c, err := readConfig(path)
		if err != nil {
			if !strings.Contains(err.Error(), path) {
				t.Errorf("%q: the error does not name the file: %v", text, err)
			}
			return
		}
		var s tune.Settings
		from := map[string]origin{}
		if c.apply(&s, from) != nil {
			return
		}
		if len(from) != len(c.values) {
			t.Errorf("%q: %d values, %d of them taken", text, len(c.values), len(from))
		}
		if _, err := yaml.Marshal(s); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	})
}

func TestNearest(t *testing.T) {
	known := []string{"length", "loss", "log_every"}
	for word, want := range map[string]string{
		"lenght": "did you mean length?", "los": "did you mean loss?", "LENGTH": "known are length, loss, log_every", "": "known are length, loss, log_every",
	} {
		if got := nearest(word, known); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"", "ab", 2}, {"kitten", "sitting", 3}, {"flaw", "lawn", 2}, {"same", "same", 0}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("from %q to %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
