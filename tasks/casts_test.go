package tasks

import (
	"cmp"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// googleCast is a row as TFDS, T5 and prompt tuning make it; tools/reference/
// casts.py runs their code on the files in testdata/casts.
type googleCast struct {
	Input   string   `json:"input"`
	Label   int      `json:"label"`
	Targets []string `json:"targets"`
	Answers []string `json:"answers"`
	Choices []string `json:"choices"`
}

// googleCasts is what the script wrote.
type googleCasts struct {
	Tasks map[string]map[Split][]googleCast `json:"tasks"`
	WSC   [][3]any                          `json:"wsc"` // written, noun, class
}

func readCasts(t testing.TB) googleCasts {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "casts.json"))
	if err != nil {
		t.Fatal(err)
	}
	var casts googleCasts
	if err := json.Unmarshal(text, &casts); err != nil {
		t.Fatal(err)
	}
	return casts
}

// Every task that T5 has is cast as Google's code casts it.
func TestCastsLikeGoogle(t *testing.T) {
	casts := readCasts(t)
	for _, task := range All() {
		splits, ok := casts.Tasks[task.Name]
		if !ok {
			if !slices.Contains([]string{"imdb", "ag-news", "trec"}, task.Name) { // which T5 lacks
				t.Errorf("%s has no casts", task.Name)
			}
			continue
		}
		rows := 0
		for split, want := range splits {
			got, err := task.Load(t.Context(), split, LoadOptions{Data: filepath.Join("testdata", "casts")})
			if err != nil {
				t.Error(err)
				continue
			}
			rows += len(got)
			if diff := gocmp.Diff(want, asGoogle(task, got), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s, %s:\n%s", task.Name, split, diff)
			}
		}
		if rows < 5 {
			t.Errorf("%s: %d rows are compared, want 5 at least", task.Name, rows)
		}
	}
	if n := len(casts.Tasks); n != 10+9+1+6 {
		t.Errorf("casts of %d tasks, want the 10 of SuperGLUE, 9 of GLUE, SQuAD and 6 of MRQA", n)
	}
}

// asGoogle writes examples as the script does. STS-B's published scores are
// not in its output, as T5 keeps the rounded ones alone.
func asGoogle(task *Task, examples []Example) []googleCast {
	out := make([]googleCast, len(examples))
	for i, ex := range examples {
		out[i] = googleCast{Input: ex.Input, Label: ex.Label, Answers: ex.Answers, Choices: ex.Choices}
		if task == stsb {
			out[i].Answers = nil
		}
		for _, row := range task.TrainingRows(examples[i : i+1]) {
			out[i].Targets = append(out[i].Targets, row.Target)
		}
	}
	return out
}

// The Target of a loaded row is the first that it is trained on, if any.
func TestTargetIsTheFirstTrainedOn(t *testing.T) {
	for name, splits := range readCasts(t).Tasks {
		for split, want := range splits {
			got, err := lookup(t, name).Load(t.Context(), split, LoadOptions{Data: filepath.Join("testdata", "casts")})
			if err != nil {
				t.Fatal(err)
			}
			for i, ex := range got {
				first := ""
				if len(want[i].Targets) > 0 {
					first = want[i].Targets[0]
				}
				if ex.Target != first {
					t.Errorf("%s %s: target %q, want %q", name, ex.ID, ex.Target, first)
				}
			}
		}
	}
}

// A written noun is read as T5's postprocessor reads it.
func TestWSCClassLikeGoogle(t *testing.T) {
	seen := map[int]int{}
	for _, row := range readCasts(t).WSC {
		written, noun, want := row[0].(string), row[1].(string), int(row[2].(float64))
		if got := wsc.Postprocess(written, Example{Answers: []string{noun}}).Class; got != want {
			t.Errorf("%q for %q is class %d, want %d", written, noun, got, want)
		}
		seen[want]++
	}
	if min(seen[-1], seen[0], seen[1]) < 10 {
		t.Errorf("too few readings of a class: %v", seen)
	}
	if got := wsc.Postprocess("Bob", Example{}).Class; got != -1 {
		t.Errorf("class %d for a row without a noun", got)
	}
}

// Scores in between are rounded to the even fifth, as TensorFlow rounds.
func TestSTSBScores(t *testing.T) {
	rows, err := stsb.Load(t.Context(), Train, LoadOptions{Data: filepath.Join("testdata", "casts")})
	if err != nil {
		t.Fatal(err)
	}
	if got := []string{rows[0].Answers[0], rows[4].Answers[0]}; !slices.Equal(got, []string{"5.000", "2.917"}) {
		t.Errorf("answers %v, want the scores as published", got)
	}
	for score, want := range map[string]string{
		"0": "0.0", "0.1": "0.0", "0.3": "0.4", "0.5": "0.4", "0.7": "0.8", "1.1": "1.2", "2.5": "2.4",
		"2.51": "2.6", "4.89": "4.8", "4.9": "4.8", "5": "5.0",
	} {
		if got := fifths(Example{Answers: []string{score}}); !slices.Equal(got, []string{want}) {
			t.Errorf("%s is rounded to %v, want %s", score, got, want)
		}
	}
	for _, score := range []string{"", "x", "-0.1", "5.1", "NaN", "Inf", "1,5"} {
		if err := readScore(&Record{Fields: map[string]string{"score": score}}); err == nil {
			t.Errorf("the score %q was taken", score)
		}
	}
	for score := 0.0; score <= 5; score += 0.01 {
		text := strconv.FormatFloat(score, 'f', 3, 64)
		got, err := strconv.ParseFloat(fifths(Example{Answers: []string{text}})[0], 64)
		if err != nil || cmp.Compare(got, score-0.1001) < 0 || cmp.Compare(got, score+0.1001) > 0 {
			t.Errorf("%s is rounded to %g, %v", text, got, err)
		}
	}
	if fifths(Example{}) != nil || fifths(Example{Answers: []string{"x"}}) != nil {
		t.Error("a target without a score")
	}
}
