package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"softprompt/prompt/tune"
	"softprompt/tasks"
)

// odd are texts that a file's form could take for something else.
var odd = []string{
	`a "gorgeous" film`, `"gorgeous`, `gorgeous"`, `""`, `back\slash`, `\n is no line end`, "it's", "# no comment", "a,b;c|d", "<br /><br />&amp;",
	"é, 漢, 😀 and e\u0301", "nul\u00adl", "1", "-0.5e3", "null", "{}", "sentence", strings.Repeat("long ", 2000),
}

// What is drawn into a data folder is read from it as it was, in the form of
// each task's files and in the same order.
func TestRowsAreReadAsWritten(t *testing.T) {
	for _, name := range []string{"sst2", "imdb"} {
		task, err := tasks.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		bare, err := task.With(tasks.Template("{"+task.Fields[0]+"}"), tasks.Verbalizer{})
		if err != nil {
			t.Fatal(err)
		}
		var written []tasks.Example
		texts := odd
		if name == "imdb" {
			texts = append([]string{"a\ttab", "two\nlines", "two\r\nlines"}, odd...) // which no row of a .tsv can hold
		}
		for i, text := range texts {
			written = append(written, tasks.Example{Input: text, Label: i % 2})
		}
		dir := filepath.Join(t.TempDir(), "made", "on", "the way")
		if err := writeRows(filepath.Join(dir, task.Files[tasks.Validation].Name), task, written); err != nil {
			t.Fatal(err)
		}
		got, err := bare.Load(t.Context(), tasks.Validation, tasks.LoadOptions{Data: dir})
		if err != nil || len(got) != len(written) {
			t.Fatalf("%s: %d rows of %d, %v", name, len(got), len(written), err)
		}
		for i, w := range written {
			if got[i].Input != w.Input || got[i].Label != w.Label {
				t.Errorf("%s: row %d is read as %.80q of class %d, was %.80q of class %d", name, i, got[i].Input, got[i].Label, w.Input, w.Label)
			}
		}
	}
}

// A folder that cannot be made, or a file that cannot be written, is named,
// and a study that is stopped draws nothing.
func TestRowsThatCannotBeWritten(t *testing.T) {
	task, err := tasks.Lookup("imdb")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := writeRows(filepath.Join(file, "below", "test.jsonl"), task, nil); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("below a file: %v", err)
	}
	if err := os.Mkdir(filepath.Join(dir, "test.jsonl"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := writeRows(filepath.Join(dir, "test.jsonl"), task, nil); err == nil || !strings.Contains(err.Error(), "test.jsonl") {
		t.Errorf("over a folder: %v", err)
	}
	if _, _, err := small.draw(t.Context(), reviews(t, 40, 100), file); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a draw below a file: %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	to := filepath.Join(dir, "drawn")
	if _, _, err := small.draw(ctx, reviews(t, 40, 100), to); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
	if _, err := os.Stat(to); err == nil {
		t.Error("a draw that was stopped left a folder")
	}
}

// Some rows are as many as asked for, each once, in the order in which they
// stand, and classes keep their shares to a row; 0 are all.
func TestSome(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		classes := [2]int{rapid.IntRange(1, 40).Draw(t, "negative"), rapid.IntRange(1, 40).Draw(t, "positive")}
		var all []tasks.Example
		for left := classes; left[0]+left[1] > 0; {
			label := rapid.IntRange(0, 1).Draw(t, "label")
			if left[label] == 0 {
				label = 1 - label
			}
			left[label]--
			all = append(all, tasks.Example{Index: len(all), Input: fmt.Sprint(len(all)), Label: label})
		}
		n := rapid.IntRange(0, len(all)).Draw(t, "rows")
		got := some(all, n)
		want, last, positive := n, -1, 0
		if n == 0 {
			want = len(all)
		}
		for _, ex := range got {
			if ex.Index <= last || !cmp.Equal(ex, all[ex.Index]) {
				t.Fatalf("row %+v after %d", ex, last)
			}
			last = ex.Index
			positive += ex.Label
		}
		share := float64(want) * float64(classes[1]) / float64(len(all))
		if len(got) != want || float64(positive) < share-1 || float64(positive) > share+1 {
			t.Fatalf("%d rows of %v, %d positive; want %d with %.1f", len(got), classes, positive, want, share)
		}
	})
}

// A change is keys over settings: what it does not name stays, and one that is
// no setting, or none that makes sense, changes nothing that is used.
func TestChange(t *testing.T) {
	task, err := tasks.Lookup("sst2")
	if err != nil {
		t.Fatal(err)
	}
	base := tune.Defaults(task)
	for text, want := range map[string]func(s *tune.Settings){
		"":                                    func(*tune.Settings) {},
		"# nothing\n":                         func(*tune.Settings) {},
		"{}":                                  func(*tune.Settings) {},
		"precision: int8":                     func(s *tune.Settings) { s.Precision = "int8" },
		"{length: 7, dropout: 0}":             func(s *tune.Settings) { s.Length, s.Dropout = 7, 0 },
		"batch: 4\nmicro_batch: 2\nseed: 9\n": func(s *tune.Settings) { s.Batch, s.MicroBatch, s.Seed = 4, 2, 9 },
	} {
		expected := base
		want(&expected)
		if got, err := change(base, text); err != nil || got != expected {
			t.Errorf("%q: %v, %s", text, err, cmp.Diff(expected, got))
		}
	}
	for text, want := range map[string]string{
		"Precision: int8":          "line 1: field Precision not found",
		"precision int8":           "cannot unmarshal !!str",
		"length: ten":              "line 1: cannot unmarshal !!str `ten` into int",
		"length: 0":                "--length is 0, want at least 1",
		"batch: 4\nbatch: 5":       "line 2: mapping key \"batch\" already defined at line 1",
		"batch: 4\nlearn: 1":       "line 2: field learn not found",
		"batch: [4":                "line 1: did not find expected ',' or ']'",
		"- batch: 4":               "cannot unmarshal !!seq",
		"precision: int9":          "--precision: there is no precision \"int9\"",
		"dropout: -0.5":            "--dropout is -0.5, want 0 or more and below 1",
		"learning_rate: !!int one": "cannot decode !!str `one` as a !!int",
	} {
		if _, err := change(base, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
	}
}
