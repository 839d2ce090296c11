package study

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"softprompt/onnx/hint"
)

// TestMistakesInFull: a mistake is told with its line where it has one, without
// the names of types, and with what to do.
func TestMistakesInFull(t *testing.T) {
	const least = "the least is\n    base: {model: tiny, task: sst2}\n    vary: [{length: [5, 20]}]"
	const config = "softprompt train --task sst2 --print-config shows every setting"
	for _, c := range []struct{ text, want, hint string }{
		{"# nothing\n", "the file is empty", least},
		{"- a\n", "line 1: cannot unmarshal !!seq into study.File", least},
		{"name: x\nbase:\n  task: sst2\n  steps: [1]\n", "line 4: steps is no single value", least},
		{"base:\n  task: sst2\n  batch: 3\n  task: rte\n", "line 4: task is there twice", least},
		{"base:\n  task: sst2\nvary:\n  - length: [1, [2]]\n", "line 4: length wants single values, or names with settings", least},
		{"base:\n  task: sst2\nvary:\n  - length\n", `line 4: want one thing that is varied, as "length: [1, 5]"`, least},
		{"vary:\n  - method:\n      a: {rank: {b: 1}}\n", "line 3: rank is no single value", least},
		{"vary:\n  - method:\n      a: dept\n", "line 3: want settings, as {length: 20}", least},
		{"base: {task: sst2}\nseeds: many\n", "line 2: cannot unmarshal !!str `many` into int", least},
		{"base: {task: sst2}\nsedes: 2\nvery: 1\n", "line 2: field sedes not found; line 3: field very not found", least},
		{"full:\n  seeds: 2\n  name: x\n", "line 3: field name not found", least},
		{"base: {task: sst2}\nseeds: 1001\n", "seeds is 1001, want 1 to 1000", ""},
		{"vary: [{a: {x: {steps: 1}, x: {steps: 2}}}]", "vary: a has x twice", ""},
		{"transfer: [{task: rte}, {}]", "transfer: a task is missing", ""},
		{"seeds: -1\nfull: {seeds: -2}\n", "seeds is -1, want 1 to 1000\nseeds is -2, want 1 to 1000", ""},
	} {
		if _, err := Parse([]byte(c.text)); err == nil || err.Error() != c.want || hint.Of(err) != c.hint {
			t.Errorf("%q: %v, hint %q\nwant %s", c.text, err, hint.Of(err), c.want)
		}
	}
	for _, c := range []struct{ text, want, hint string }{
		{"vary: [{length: [1]}]", "study test, length=1: no task is named", "write task under base, or vary it"},
		{"base:\n  task: sst2\n  model: tiny\n  length: short\n", "study test, base: reading its settings: line 4: length is \"short\", want a value of type int", config},
		{"base:\n  lengths: 3\n  task: sst2\n", "study test, base: reading its settings: line 2: there is no setting \"lengths\"", config},
		{"base: {task: sst2}\nvary:\n  - template:\n      a: {template: x}\n      b: {template: y, batch: 1.5}\n", "study test, template=b: reading its settings: line 5: batch is \"1.5\", want a value of type int", config},
		{"base: {task: sst2}\nvary: [{x: {a: {batch: 0}}}]", "study test, x=a: --batch is 0, want at least 1", ""},
		{"base: {task: sst2, rank: 3}", "study test, base: --rank is 3, but method prompt-tuning has no such size", ""},
		{"base: {task: sst2, method: model}\nseeds: 3\nensemble: true", "study test, base: 3 prompts cannot share a pass: method model has one model in it", "leave ensemble out"},
	} {
		if _, err := parse(t, c.text).Variants(Select{}); err == nil || err.Error() != c.want || hint.Of(err) != c.hint {
			t.Errorf("%q: %v, hint %q\nwant %s", c.text, err, hint.Of(err), c.want)
		}
	}
	f := parse(t, lengths)
	f.Set("batch", "much") // from outside, where there is no line
	if _, err := f.Variants(Select{}); err == nil || err.Error() != "study test, length=5,method=plain: reading its settings: batch is \"much\", want a value of type int" {
		t.Error(err)
	}
	_, err := parse(t, lengths).Variants(Select{Only: []string{"length=6", "x"}})
	if err == nil || err.Error() != "study test has none of the variants length=6, x" || hint.Of(err) != "--dry-run lists them" {
		t.Errorf("%v, hint %q", err, hint.Of(err))
	}
}

// TestNumbers: a whole number may be written as a fraction of zero, a text as a
// number, and a fraction stays one where it may be one.
func TestNumbers(t *testing.T) {
	variants, err := parse(t, "base: {task: sst2, steps: 1e3, init: 0.5, learning_rate: 0.5}\nvary: [{seed: [7.0]}]").Variants(Select{})
	if err != nil {
		t.Fatal(err)
	}
	if s := variants[0].Runs[0].Settings; s.Steps != 1000 || s.Init != "0.5" || s.LearningRate != 0.5 || s.Seed != 7 {
		t.Errorf("%+v", s)
	}
	for setting, want := range map[string]string{"initial_step: 0.5": `initial_step is "0.5", want a value of type int64`, "seed: 1.5": `seed is "1.5", want a value of type uint64`, "seed: -1": `seed is "-1", want a value of type uint64`} {
		_, err := parse(t, "base: {task: sst2, "+setting+"}").Variants(Select{})
		if err == nil || err.Error() != "study test, base: reading its settings: line 1: "+want {
			t.Errorf("%s: %v", setting, err)
		}
	}
}

// TestLimits: a study has as many combinations, seeds and bytes as its bounds
// say, and not one more.
func TestLimits(t *testing.T) {
	for text, ok := range map[string]bool{
		"seeds: 1000": true, "seeds: 1001": false, "seeds: 0": true, "full: {seeds: -1}": false,
		"vary: [{length: [" + numbers(100) + "]}, {rank: [" + numbers(100) + "]}]":                true,
		"vary: [{length: [" + numbers(10001) + "]}]":                                              false,
		"full: {vary: [{length: [" + numbers(200) + "]}, {rank: [" + numbers(51) + "]}]}":         false,
		"vary: [{length: [" + numbers(9000) + "]}]\nfull: {vary: [{rank: [" + numbers(5) + "]}]}": true,
	} {
		if _, err := Parse([]byte(text)); (err == nil) != ok {
			t.Errorf("%.60q: %v", text, err)
		}
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "my.study.yaml")
	for size, want := range map[int]string{maxFile: "", maxFile + 1: "reading the study " + path + ": more than 1048576 bytes, so it is no study"} {
		text := []byte("base: {task: sst2} #")
		text = append(text, make([]byte, size-len(text))...)
		for i := range text {
			if text[i] == 0 {
				text[i] = '#'
			}
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
		f, err := Load(path)
		if want == "" && (err != nil || f.Name != "my.study") || want != "" && (err == nil || err.Error() != want) {
			t.Errorf("%d bytes: %+v, %v", size, f, err)
		}
	}
	if err := os.WriteFile(path, []byte("name: other\nbase: [1]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil || err.Error() != "reading the study "+path+": line 2: want settings, as {length: 20}" || hint.Of(err) == "" {
		t.Errorf("%v, hint %q", err, hint.Of(err))
	}
	if _, err := Load(dir); err == nil || !strings.HasPrefix(err.Error(), "reading the study "+dir+": ") {
		t.Errorf("a folder: %v", err)
	}
}
