package study

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"softprompt/onnx/hint"
)

// parse reads a study that is well formed.
func parse(t *testing.T, text string) *File {
	t.Helper()
	f, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	f.Name = "test"
	return f
}

// names returns the folders of a study's variants.
func names(t *testing.T, f *File, s Select) []string {
	t.Helper()
	variants, err := f.Variants(s)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, v := range variants {
		out = append(out, v.Name)
	}
	return out
}

const lengths = `
base: {model: tiny, task: sst2, steps: 10, learning_rate: 0.5}
vary:
  - length: [5, 20]
  - method:
      plain: {method: prompt-tuning}
      small: {method: dept, rank: 3, steps: 20}
seeds: 2
full:
  base: {steps: 1000}
  vary:
    - length: [100]
`

// TestVariants: each combination is a variant, a choice's settings lie over
// the base's, these over the defaults of task and method; seeds count up.
func TestVariants(t *testing.T) {
	f := parse(t, lengths)
	want := []string{"length=5,method=plain", "length=5,method=small", "length=20,method=plain", "length=20,method=small"}
	if got := names(t, f, Select{}); !slices.Equal(got, want) {
		t.Errorf("variants %v, want %v", got, want)
	}
	variants, err := f.Variants(Select{Only: []string{"length=20,method=small"}, Data: "d"})
	if err != nil {
		t.Fatal(err)
	}
	v := variants[0]
	if len(variants) != 1 || v.Choice["length"] != "20" || v.Choice["method"] != "small" || len(v.Runs) != 2 {
		t.Fatalf("%+v", variants)
	}
	s := v.Runs[1].Settings
	if v.Runs[1].Name != "seed-2" || s.Seed != 2 || v.Runs[0].Settings.Seed != 1 {
		t.Errorf("the second run is %s of seed %d", v.Runs[1].Name, s.Seed)
	}
	if s.Method != "dept" || s.Rank != 3 || s.Length != 20 || s.Steps != 20 || s.Data != "d" {
		t.Errorf("chosen settings: %+v", s)
	}
	if s.LearningRate != 0.5 || s.Optimizer != "adamw-hf" || s.Template != "sentence: {sentence}" {
		t.Errorf("base, method's and task's settings: %v, %s, %q", s.LearningRate, s.Optimizer, s.Template)
	}
	if got := names(t, f, Select{Full: true}); !slices.Equal(got, []string{"length=100"}) {
		t.Errorf("full: %v", got)
	}
	full, err := f.Variants(Select{Full: true})
	if err != nil {
		t.Fatal(err)
	}
	if s := full[0].Runs[0].Settings; s.Steps != 1000 || s.LearningRate != 0.5 || len(full[0].Runs) != 2 {
		t.Errorf("full: %d steps at %v, %d seeds", s.Steps, s.LearningRate, len(full[0].Runs))
	}
}

// TestSet: a setting of the base, and what is varied, can be set from outside.
func TestSet(t *testing.T) {
	f := parse(t, lengths)
	f.Set("steps", "7")
	f.Set("length", "1,3")
	want := []string{"length=1,method=plain", "length=1,method=small", "length=3,method=plain", "length=3,method=small"}
	if got := names(t, f, Select{}); !slices.Equal(got, want) {
		t.Errorf("variants %v, want %v", got, want)
	}
	variants, err := f.Variants(Select{Only: want[2:3]})
	if err != nil {
		t.Fatal(err)
	}
	if s := variants[0].Runs[0].Settings; s.Steps != 7 || s.Length != 3 {
		t.Errorf("%d steps of length %d", s.Steps, s.Length)
	}
	f.Set("lenght", "4")
	if _, err := f.Variants(Select{}); err == nil || !strings.Contains(err.Error(), "lenght") {
		t.Errorf("a setting that there is not: %v", err)
	}
}

// numbers is 1, 2, …, n.
func numbers(n int) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprint(i+1))
	}
	return strings.Join(list, ",")
}

// TestRefuses: what is wrong is named, with its line where it has one.
func TestRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                                     "the file is empty",
		"base: [1]":                            "line 1: want settings",
		"base: {task: sst2}\nvery: []":         "line 2: field very not found",
		"base: {task: [sst2]}":                 "line 1: task is no single value",
		"base: {task: sst2, task: imdb}":       "line 1: task is there twice",
		"vary: [{length: []}]":                 "line 1: length has no values",
		"vary: [{length: 5}]":                  "line 1: length has no values",
		"vary: [{length: [{a: 1}]}]":           "line 1: length wants single values",
		"vary: [{length: [1], rank: [2]}]":     "line 1: want one thing that is varied",
		"vary: [{length: [1, 1]}]":             "vary: length has 1 twice",
		"vary: [{length: [1]}, {length: [2]}]": "vary: length is there twice",
		"vary: [{length: [" + numbers(101) + "]}, {rank: [" + numbers(100) + "]}]": "more than 10000 combinations",
		"seeds: -1":                              "seeds is -1",
		"full: {seeds: 100000}":                  "seeds is 100000",
		"transfer: [{split: test}]":              "transfer: a task is missing",
		"base: {task: sst2}\n---\nbase: {}":      "more than one document",
		"base: {task: sst2}\nfull: {fuller: {}}": "field fuller not found",
		"base: {task: sst2":                      "did not find",
	} {
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	for text, want := range map[string]string{
		"base: {task: sst2, method: model}\nseeds: 2\nensemble: true": "2 prompts cannot share a pass",
		"base: {steps: 3}":                                       "no task is named",
		"base: {task: sst3}":                                     `no task named "sst3"`,
		"base: {task: sst2}\ntransfer: [{task: sst3}]":           `transfer: no task named "sst3"`,
		"base: {task: sst2, stepps: 3}":                          `there is no setting "stepps"`,
		"base: {task: sst2, steps: many}":                        `steps is "many"`,
		"base: {task: sst2, steps: 0}":                           "--steps is 0",
		"base: {task: sst2}\nvary: [{method: [hypnosis]}]":       `no method "hypnosis"`,
		"base: {task: sst2}\nvary: [{init: [\"a/b\", \"c/b\"]}]": "init",
	} {
		if _, err := parse(t, text).Variants(Select{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, err := parse(t, lengths).Variants(Select{Only: []string{"length=6"}}); err == nil || hint.Of(err) == "" {
		t.Errorf("a variant that there is not: %v", err)
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none.yaml")); err == nil || !strings.Contains(err.Error(), "none.yaml") {
		t.Errorf("a file that is not there: %v", err)
	}
}

// TestFolderNames: what a value is called on disk.
func TestFolderNames(t *testing.T) {
	for value, want := range map[string]string{
		"google/t5-base-lm-adapt": "t5-base-lm-adapt", "./tiny-lm/": "tiny-lm", `C:\models\t5`: "t5",
		"text:Is it good?": "text-Is-it-good", "0.3": "0.3", strings.Repeat("a", 50): strings.Repeat("a", 40),
	} {
		if got := folderName(value); got != want {
			t.Errorf("%q is called %q, want %q", value, got, want)
		}
	}
}

// experiments returns the files of the project's own studies.
func experiments(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "experiments", "*.yaml"))
	if err != nil || len(files) < 10 {
		t.Fatalf("%d experiments, %v", len(files), err)
	}
	return files
}

// TestExperiments: every file of experiments asks for runs whose settings are
// sound, small and full, and says what it repeats.
func TestExperiments(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "..", "experiments", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range experiments(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			f, err := Load(file)
			if err != nil {
				t.Fatal(err)
			}
			if f.Description == "" || !strings.Contains(string(readme), "| "+filepath.Base(file)+" |") {
				t.Error("no description, or no line in README.md")
			}
			steps := map[bool]int{}
			for _, full := range []bool{false, true} {
				variants, err := f.Variants(Select{Full: full})
				if err != nil {
					t.Fatal(err)
				}
				for _, v := range variants {
					steps[full] = max(steps[full], v.Runs[0].Settings.Steps)
				}
			}
			if steps[true] < 30000 || steps[false] > 2000 {
				t.Errorf("%d steps, full %d", steps[false], steps[true])
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(lengths))
	for _, file := range experiments(f) {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Parse(data)
		if err != nil || len(s.Vary) > 3 {
			return
		}
		for _, a := range s.Vary {
			if len(a.Values) > 5 {
				return
			}
		}
		for i := range s.Base {
			if s.Base[i].Key == "task" { // a task's file may be anywhere
				s.Base[i].Node = scalar("sst2")
			}
		}
		for _, c := range product(s.Vary) {
			for _, x := range c {
				if slices.ContainsFunc(x.Settings, func(v Value) bool { return v.Key == "task" }) {
					return
				}
			}
		}
		variants, err := s.Variants(Select{})
		for _, v := range variants {
			if err == nil && v.Name != filepath.Base(v.Name) {
				t.Errorf("a variant is called %q", v.Name)
			}
		}
	})
}
