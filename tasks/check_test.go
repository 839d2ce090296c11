package tasks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// withoutRows leaves the examples of a check aside.
var withoutRows = cmpopts.IgnoreFields(Checked{}, "Examples")

// A check counts the rows that read well and has a line for each that does not,
// in every format.
func TestCheckEveryFormat(t *testing.T) {
	for ending, c := range map[string]struct {
		text string
		bad  []string
	}{
		".tsv": {"text\tlabel\none\tm\nbad\n\ntwo\tq\n \ts\ntwo\ts\none\tm\none\ts\n", []string{
			"line 3: 1 columns, want 2 split by tabs, as in the header", "line 4: a blank line between the rows",
			`line 5: the label is "q", want m or s`, "line 6: the text is empty",
		}},
		".csv": {"text,label\none,m\nbad\n\ntwo,q\n,s\ntwo,s\none,m\none,s\n", []string{
			"line 3: another number of columns than 2", `line 5: the label is "q", want m or s`, "line 6: the text is empty",
		}},
		".jsonl": {`{"text":"one","label":"m"}` + "\n{}\n[]\n" + `{"text":"two","label":"s"}` + "\n" + `{"text":"one","label":"m"}` + "\n" + `{"text":"one","label":"s"}` + "\n", []string{
			`line 2: no column "text"; there are `, `line 3: not a JSON object: it begins with "[]"`,
		}},
		".json": {`[{"text":"one","label":"m"},{"text":"two","label":"s"},7,{"text":"one","label":"m"},{"text":"one","label":"s"}`, []string{
			`row 3: not a JSON object: it begins with "7"`, "after row 5: unexpected EOF; the list is cut short",
		}},
	} {
		task, dir, err := openOwn(t, "files: {train: a"+ending+", validation: v.tsv}\nlabels: [m, s]\n",
			map[string]string{"a" + ending: c.text, "v.tsv": "text\tlabel\none\tm\nnew\tm\n"})
		if err != nil {
			t.Fatal(err)
		}
		got, err := task.Check(t.Context(), "")
		want := []*Checked{
			{Split: Train, File: filepath.Join(dir, "a"+ending), Rows: 4, Labels: map[string]int{"m": 2, "s": 2}, Bad: c.bad, Repeated: 2, Clashing: 1},
			{Split: Validation, File: filepath.Join(dir, "v.tsv"), Rows: 2, Labels: map[string]int{"m": 2}, Shared: 1},
		}
		if diff := cmp.Diff(want, got, withoutRows); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", ending, err, diff)
		}
	}
}

// Training rows that stand for a validation split are counted there alone, and
// are those that a run is scored on.
func TestCheckPart(t *testing.T) {
	var text strings.Builder
	text.WriteString("text\tlabel\n")
	for i := range 40 {
		fmt.Fprintf(&text, "text %d\t%c\n", i%38, 'a'+i%2) // the last two again
	}
	task, _, err := openOwn(t, "files: {train: a.tsv, test: t.tsv}\nheld_out: 10\n", map[string]string{"a.tsv": text.String(), "t.tsv": "text\ntext 1\nother\n"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := task.Check(t.Context(), "")
	if err != nil || len(got) != 3 {
		t.Fatalf("%d splits, %v", len(got), err)
	}
	trained := map[string]bool{}
	for i, split := range []Split{Train, Validation} {
		rows, err := task.Load(t.Context(), split, LoadOptions{})
		if diff := cmp.Diff(rows, got[i].Examples, cmpopts.IgnoreFields(Example{}, "ID")); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", split, err, diff)
		}
		shared := 0
		for _, ex := range rows {
			if split == Train {
				trained[ex.Input] = true
			} else if trained[ex.Input] {
				shared++
			}
		}
		want := &Checked{Split: split, File: []string{got[0].File, ""}[i], Rows: 30 - 20*i, Labels: map[string]int{"a": 15 - 10*i, "b": 15 - 10*i}, Shared: shared}
		if diff := cmp.Diff(want, got[i], withoutRows, cmpopts.IgnoreFields(Checked{}, "Repeated")); diff != "" {
			t.Errorf("%s:\n%s", split, diff)
		}
	}
	if test := got[2]; test.Rows != 2 || len(test.Labels) != 0 || (test.Shared == 1) != trained["text 1"] {
		t.Errorf("test %+v", test)
	}
}

// Where nothing is trained on, as of MRQA's sets, no row is shared with what is,
// though two splits name one file.
func TestCheckWithoutTraining(t *testing.T) {
	dir := folder(t, map[string]string{"DROP.jsonl": `{"context": "c", "qas": [{"question": "q", "answers": ["a"]}, {"question": "q", "answers": ["b"]}]}`})
	got, err := mrqaDROP.Check(t.Context(), dir)
	file := filepath.Join(dir, "DROP.jsonl")
	want := []*Checked{
		{Split: Validation, File: file, Rows: 2, Repeated: 1, Clashing: 1},
		{Split: Test, File: file, Rows: 2, Repeated: 1, Clashing: 1},
	}
	if diff := cmp.Diff(want, got, withoutRows, cmpopts.EquateEmpty()); diff != "" || err != nil {
		t.Error(err, diff)
	}
}

// Of a published task the splits that have labels are read, and one whose file
// is not there ends the check.
func TestCheckPublished(t *testing.T) {
	dir := folder(t, map[string]string{"train.tsv": twoRows, "test.tsv": "index\tsentence\n0\tx\n"})
	_, err := sst2.Check(t.Context(), dir)
	if want := "task sst2: no dev.tsv in " + dir + ", nor below it in SST-2 or glue/SST-2"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	put(t, dir, "dev.tsv", []byte(twoRows))
	got, err := sst2.Check(t.Context(), dir)
	want := []*Checked{
		{Split: Train, File: filepath.Join(dir, "train.tsv"), Rows: 2, Labels: map[string]int{"negative": 1, "positive": 1}},
		{Split: Validation, File: filepath.Join(dir, "dev.tsv"), Rows: 2, Labels: map[string]int{"negative": 1, "positive": 1}, Shared: 2},
	}
	if diff := cmp.Diff(want, got, withoutRows); diff != "" || err != nil {
		t.Error(err, diff)
	}
	if empty := got[0].EmptyClasses(mnli); !cmp.Equal(empty, mnli.Labels) {
		t.Errorf("the classes %v have no row", empty)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := sst2.Check(ctx, dir); !errors.Is(err, context.Canceled) || got != nil {
		t.Errorf("cancelled: %v, %v", got, err)
	}
	if _, err := sst2.Check(t.Context(), filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", err)
	}
}

// What is there twice is counted as looking at each row and those before it
// counts.
func TestCheckCountsByDefinition(t *testing.T) {
	task := &Task{Name: "x", Labels: []string{"a", "b"}}
	rapid.Check(t, func(t *rapid.T) {
		c := &Checked{Repeated: 99, Clashing: 99, Examples: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Example {
			return Example{
				Input: rapid.SampledFrom([]string{"u", "v", "w"}).Draw(t, "input"), Label: rapid.IntRange(-1, 1).Draw(t, "label"),
				Answers: rapid.SliceOfN(rapid.SampledFrom([]string{"y", "z"}), 0, 2).Draw(t, "answers"),
			}
		}), 0, 12).Draw(t, "rows")}
		c.count(task)
		labels, repeated, clashing := [2]int{}, 0, 0
		for i, ex := range c.Examples {
			if ex.Label >= 0 {
				labels[ex.Label]++
			}
			for _, first := range c.Examples[:i] { // the first of its input
				if first.Input == ex.Input {
					repeated++
					clashing += int(indicator(first.Label != ex.Label || !cmp.Equal(first.Answers, ex.Answers, cmpopts.EquateEmpty())))
					break
				}
			}
		}
		if c.Rows != len(c.Examples) || c.Labels["a"] != labels[0] || c.Labels["b"] != labels[1] || c.Repeated != repeated || c.Clashing != clashing {
			t.Fatalf("%+v, want %v, %d repeated and %d clashing", c, labels, repeated, clashing)
		}
	})
}
