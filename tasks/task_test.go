package tasks

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"softprompt/onnx/hint"
)

func lookup(t testing.TB, name string) *Task {
	t.Helper()
	task, err := Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	return task
}

// Every value in the table has to hold together, whatever tasks come.
func TestTable(t *testing.T) {
	seen := map[string]bool{}
	for _, task := range All() {
		t.Run(task.Name, func(t *testing.T) {
			if seen[task.Name] || task.Name == "" || task.Description == "" || task.Source == "" {
				t.Error("the name is taken, or name, description or source is missing")
			}
			seen[task.Name] = true
			if err := task.validate(); err != nil {
				t.Error(err)
			}
			if len(task.Labels) != len(task.LabelValues) {
				t.Errorf("%d labels, %d values in the files", len(task.Labels), len(task.LabelValues))
			}
			if len(task.Metrics) == 0 || task.MaxInput < 1 || task.MaxTarget < 1 {
				t.Error("no metric or no length")
			}
			for _, split := range task.Splits() {
				if file := task.Files[split]; file.Name == "" || file.Read == nil {
					t.Errorf("no file for %s", split)
				}
			}
			// What is not trained on is scored by prompts of another task.
			splits := []Split{Train, Validation}
			if _, ok := task.Files[Train]; !ok {
				splits = []Split{Test}
			}
			for _, split := range splits {
				if _, ok := task.Files[split]; !ok || task.Rows[split] == 0 {
					t.Errorf("no file for %s, or its rows are not known", split)
				}
			}
			if task.Folders[len(task.Folders)-1] != "." {
				t.Error("the data folder itself is not looked at")
			}
			if task.HeldOut*4 > task.Rows[Train] {
				t.Errorf("%d of %d rows are held out", task.HeldOut, task.Rows[Train])
			}
			if len(task.Folders) == 0 {
				t.Error("no folders")
			}
		})
	}
}

func TestLookup(t *testing.T) {
	for _, name := range Names() {
		task, err := Lookup(name)
		if err != nil || task.Name != name {
			t.Errorf("Lookup(%q) = %v, %v", name, task, err)
		}
	}
	for typed, advice := range map[string]string{
		"SST-2":   "did you mean sst2?",
		"sst":     "did you mean sst2?",
		"stt2":    "did you mean sst2?",
		"weather": "the tasks are: " + strings.Join(Names(), ", "),
		"":        "the tasks are: " + strings.Join(Names(), ", "),
	} {
		_, err := Lookup(typed)
		if err == nil {
			t.Errorf("found a task named %q", typed)
		} else if got := hint.Of(err); got != advice {
			t.Errorf("Lookup(%q): hint %q, want %q", typed, got, advice)
		}
	}
}

func TestEdits(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"abc", "", 3}, {"", "ab", 2}, {"kitten", "sitting", 3}, {"flaw", "lawn", 2}, {"same", "same", 0}} {
		if got := edits(c.a, c.b); got != c.want {
			t.Errorf("edits(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.StringMatching(`[a-c]{0,8}`).Draw(t, "a"), rapid.StringMatching(`[a-c]{0,8}`).Draw(t, "b")
		d := edits(a, b)
		if d != edits(b, a) || (d == 0) != (a == b) || d > max(len(a), len(b)) || d < len(a)-len(b) {
			t.Fatalf("edits(%q, %q) = %d", a, b, d)
		}
	})
}

func TestWith(t *testing.T) {
	task := lookup(t, "sst2")
	words := Verbalizer{Words: [][]string{{"terrible", "bad"}, {"great"}}}
	other, err := task.With("{sentence}", words)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := other.CastText("fine"); got != "fine" {
		t.Errorf("cast %q", got)
	}
	if got := other.Postprocess("bad", Example{}).Class; got != 0 {
		t.Errorf("class %d for another word of class 0", got)
	}
	if got := other.Postprocess("negative", Example{}).Class; got != -1 {
		t.Errorf("class %d for a word that was replaced", got)
	}
	// The one in the table must not have changed, and "" keeps what is there.
	same, err := task.With("", Verbalizer{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(same.Verbalizer, lookup(t, "sst2").Verbalizer); diff != "" || same.Template != "sentence: {sentence}" {
		t.Errorf("the table's task changed: %s\n%s", same.Template, diff)
	}

	for name, c := range map[string]struct {
		template Template
		words    Verbalizer
		message  string
	}{
		"unknown field":   {"{passage}", Verbalizer{}, "unknown field {passage}, want one of sentence"},
		"no field":        {"sentence", Verbalizer{}, "names no field"},
		"too few classes": {"", Verbalizer{Words: [][]string{{"bad"}}}, "words for 1 classes, want 2"},
	} {
		if _, err := task.With(c.template, c.words); err == nil || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s: error %v, want %q in it", name, err, c.message)
		}
	}
}

func TestCast(t *testing.T) {
	task := lookup(t, "sst2")
	got, err := task.Cast(map[string]string{"sentence": "a {sentence} of\x00fire \xff", "id": "unused"})
	if want := "sentence: a {sentence} of fire \uFFFD"; err != nil || got != want {
		t.Errorf("cast %q, %v; want %q", got, err, want)
	}
	if _, err := task.Cast(map[string]string{"text": "x"}); err == nil || !strings.Contains(err.Error(), `no field "sentence"`) {
		t.Errorf("error %v for a missing field", err)
	}
	pair := *task
	pair.Fields = []string{"premise", "hypothesis"}
	if _, err := pair.CastText("x"); err == nil || hint.Of(err) != "give a JSON object with premise, hypothesis" {
		t.Errorf("error %v, hint %q for a bare text where two fields are needed", err, hint.Of(err))
	}
}

func TestPostprocess(t *testing.T) {
	task := lookup(t, "sst2")
	for decoded, want := range map[string]int{
		"negative": 0, "positive": 1,
		"": -1, "Positive": -1, "positive ": -1, " positive": -1, "positive.": -1,
		"pos": -1, "positive positive": -1, "<unk>": -1, "0": -1,
	} {
		if got := task.Postprocess(decoded, Example{}).Class; got != want {
			t.Errorf("Postprocess(%q) = %d, want %d", decoded, got, want)
		}
	}
	for class := range task.Labels {
		if got := task.Postprocess(task.Verbalizer.Target(class), Example{}).Class; got != class {
			t.Errorf("the target of class %d is read as class %d", class, got)
		}
	}
}

func TestAllAndNamesAreCopies(t *testing.T) {
	clear(All())
	clear(Names())
	if slices.Contains(All(), nil) || slices.Contains(Names(), "") {
		t.Error("a caller can change the table")
	}
}

// A task that trains on each of several answers, or on none.
func TestTrainingRows(t *testing.T) {
	task := &Task{}
	examples := []Example{{Index: 0, Target: "a", Answers: []string{"a", "b"}}, {Index: 1, Answers: []string{"c"}}, {Index: 2, Target: "d"}}
	targets := func() (got []string) {
		for _, ex := range task.TrainingRows(examples) {
			got = append(got, fmt.Sprint(ex.Index, ex.Target))
		}
		return got
	}
	if diff := cmp.Diff([]string{"0a", "2d"}, targets()); diff != "" {
		t.Error(diff)
	}
	task.Targets = func(ex Example) []string { return ex.Answers }
	if diff := cmp.Diff([]string{"0a", "0b", "1c"}, targets()); diff != "" {
		t.Error(diff)
	}
}

func TestScoreName(t *testing.T) {
	task := &Task{Metrics: []Metric{Accuracy}}
	if got := task.ScoreName(); got != "accuracy" {
		t.Error(got)
	}
	task.Metrics = []Metric{{Name: "F1"}, Accuracy}
	if got := task.ScoreName(); got != "mean of F1 and accuracy" {
		t.Error(got)
	}
}

// A task without label words needs a way to read a class off a text.
func TestWithoutWords(t *testing.T) {
	task := *lookup(t, "sst2")
	task.Verbalizer = Verbalizer{}
	if _, err := task.With("", Verbalizer{}); err == nil {
		t.Error("classes without words, and nothing that reads them, were taken")
	}
	task.Class = func(written string, ex Example) int { return strings.Count(written, ex.Answers[0]) - 1 }
	if _, err := task.With("", Verbalizer{}); err != nil {
		t.Error(err)
	}
	if got := task.Postprocess("x x", Example{Answers: []string{"x"}}); got != (Prediction{1, "x x"}) {
		t.Error(got)
	}
	if words, err := task.ParseWords(""); err != nil || len(words.Words) > 0 {
		t.Error(words, err)
	}
	if _, err := lookup(t, "sst2").ParseWords(""); err == nil {
		t.Error("a task with words takes none")
	}
}
