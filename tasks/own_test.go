package tasks

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"softprompt/onnx/hint"
)

// folder writes files into a new folder.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// The same rows in each format are the same task.
func TestOwnTables(t *testing.T) {
	dir := folder(t, map[string]string{
		"a.tsv":   "text\tlabel\tnote\na \"fine\" song\tmusic\tx\na, goal\tsport\t\n",
		"a.csv":   "\uFEFFlabel,text\nmusic,\"a \"\"fine\"\" song\"\nsport,\"a, goal\"\n",
		"a.jsonl": `{"text": "a \"fine\" song", "label": "music"}` + "\n" + `{"label": "sport", "text": "a, goal", "more": [1]}` + "\n",
		"a.json":  "\n [" + `{"text": "a \"fine\" song", "label": "music"}, {"text": "a, goal", "label": "sport"}` + "]\n",
	})
	writeHub(t, filepath.Join(dir, "a.parquet"), "", [][]hubCell{
		{{"text", `a "fine" song`}, {"label", "music"}}, {{"text", "a, goal"}, {"label", "sport"}},
	})
	for ending := range formats {
		task, err := Open(filepath.Join(dir, "a"+ending), "")
		if err != nil {
			t.Errorf("%s: %v", ending, err)
			continue
		}
		task.Part = 0
		got, err := task.Load(t.Context(), Train, LoadOptions{})
		want := []Example{
			{ID: "train:0", Index: 0, Input: `a "fine" song`, Label: 0, Target: "music"},
			{ID: "train:1", Index: 1, Input: "a, goal", Label: 1, Target: "sport"},
		}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", ending, err, diff)
		}
		if task.Name != "a" || !slices.Equal(task.Labels, []string{"music", "sport"}) || task.ScoreName() != "accuracy" {
			t.Errorf("%s: %s, %v, %s", ending, task.Name, task.Labels, task.ScoreName())
		}
	}
}

// What a YAML file can say.
func TestOwnYAML(t *testing.T) {
	rows := "a\tb\tclass\ttext\tlabel\nx\ty\t1\tone\tm\nz\tw\ttrue\ttwo\ts\nu\tv\t02\tthree\tm\n"
	qa := `{"q": "Who?", "a": ["Ann", "A"]}` + "\n" + `{"q": "When?", "a": 1910}` + "\n"
	for _, c := range []struct {
		name, yaml string
		check      func(task *Task, rows []Example) bool
	}{
		{"two fields, values of any type", "files: {train: a.tsv, validation: a.tsv}\ntemplate: '{a} | {b}'\nlabel: class\nlabels: {no: [1, 02], yes: true}\n", func(task *Task, rows []Example) bool {
			return rows[0].Input == "x | y" && rows[0].Label == 0 && rows[1].Label == 1 && rows[2].Label == 0 && rows[1].Target == "yes" && task.MaxInput == 512
		}},
		{"several words", "files: {train: a.tsv, validation: a.tsv}\nwords: {m: [song, music]}\naggregate: mean\nmax_input: 20\n", func(task *Task, rows []Example) bool {
			return rows[0].Target == "song" && rows[1].Target == "s" && task.Postprocess("music", rows[0]).Class == 0 &&
				task.Verbalizer.Aggregate == AggregateMean && task.MaxInput == 20
		}},
		{"metrics, shots, balance", "files: {train: a.tsv, validation: a.tsv}\nmetrics: [macro_f1, f1]\nshots: 2\nbalance: true\n", func(task *Task, rows []Example) bool {
			return task.ScoreName() == "mean of macro_f1 and f1" && task.Shots == 2 && task.Balance
		}},
		{"answers", "files: {train: qa.jsonl, validation: qa.jsonl}\ntemplate: '{q}'\nanswer: a\n", func(task *Task, rows []Example) bool {
			return len(task.Labels) == 0 && rows[0].Target == "Ann" && slices.Equal(rows[0].Answers, []string{"Ann", "A"}) &&
				rows[1].Target == "1910" && task.ScoreName() == "mean of em and f1" && task.MaxTarget == 64
		}},
		{"another folder and ending", "folder: sub\nformat: tsv\nfiles: {train: rows.txt, validation: rows.txt}\n", func(task *Task, rows []Example) bool {
			return rows[2].Input == "three"
		}},
		{"a field that gives way", "files: {train: a.tsv, validation: a.tsv}\ntemplate: '{a}: {text} ({b})'\ncut: text\n", func(task *Task, rows []Example) bool {
			return rows[2].Shorten(2) == "u: th (v)" && rows[2].Shorten(99) == rows[2].Input
		}},
	} {
		dir := folder(t, map[string]string{"a.tsv": rows, "qa.jsonl": qa, "sub/rows.txt": rows, "my.yaml": c.yaml})
		task, err := Open(filepath.Join(dir, "my.yaml"), "")
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got, err := task.Load(t.Context(), Train, LoadOptions{})
		if err != nil || !c.check(task, got) {
			t.Errorf("%s: %v, %+v, %+v", c.name, err, task, got)
		}
		// What a run keeps defines the same task.
		text, err := task.Definition().YAML()
		if err != nil {
			t.Fatal(err)
		}
		d, err := ParseDefinition(text)
		if err != nil {
			t.Fatalf("%s: %v in\n%s", c.name, err, text)
		}
		again, err := d.Task(task.Home())
		if err != nil {
			t.Fatal(err)
		}
		rows, err := again.Load(t.Context(), Train, LoadOptions{})
		if diff := cmp.Diff(got, rows); diff != "" || err != nil {
			t.Errorf("%s, written and read again: %v\n%s", c.name, err, diff)
		}
	}
}

// What is wrong with a definition, or with what it points at.
func TestHostileOwn(t *testing.T) {
	files := map[string]string{
		"a.tsv":   "text\tlabel\none\tm\ntwo\ts\n",
		"one.tsv": "text\tlabel\none\tm\n",
		"many.tsv": "text\tlabel\n" + func() (s string) {
			for i := range 102 {
				s += fmt.Sprintf("x\t%d\n", i)
			}
			return
		}(),
		"twice.tsv":  "text\tlabel\ttext\none\tm\tx\none\ts\tx\n",
		"header.tsv": "text\tlabel\n",
		"blank.tsv":  "text\tlabel\none\tm\n\ntwo\ts\n",
		"qa.jsonl":   `{"text": "q", "label": []}` + "\n" + `{"text": "q", "label": {"x": 1}}` + "\n",
		"quote.csv":  "text,label\n\"one,m\n",
		"cut.json":   `[{"text": "one", "label": "m"}, {"text": "two", "label": "s"`,
		"no.parquet": "PAR1 nothing PAR1",
		"empty.tsv":  "",
	}
	for _, c := range []struct{ yaml, want string }{
		{"", "the file is empty"},
		{"files: {}", "files names no train"},
		{"train: a.tsv", `field train not found`},
		{"files: {train: a.tsv}\nfiles: {train: a.tsv}", `already defined`},
		{"files: {train: a.tsv}\n---\nfiles: {train: a.tsv}", "more than one document"},
		{"files: {train: none.tsv}", "there is no file"},
		{"files: {train: a.xls}", `no format of the name "xls"`},
		{"files: {train: a.tsv}\nanswer: text\nlabel: label", "give one of the two"},
		{"files: {train: a.tsv}\nheld_out: 1.5", "held_out is 1.5"},
		{"files: {train: a.tsv}\nlabel: text", "it cannot be in the template"},
		{"files: {train: a.tsv}\nlabel: lable", `no column "lable"`},
		{"files: {train: a.tsv}\ntemplate: '{title}'", `no column "title"`},
		{"files: {train: a.tsv}\ntemplate: '{text'", "a { without its }"},
		{"files: {train: a.tsv}\nlabels: {a: m, b: m}", `the value "m" means both "a" and "b"`},
		{"files: {train: a.tsv}\nlabels: [m]", "names one class"},
		{"files: {train: a.tsv}\nlabels: [m, m]", `"m" is there twice`},
		{"files: {train: a.tsv}\nlabels: [m, x]", `the label is "s", want m or x`},
		{"files: {train: a.tsv}\nwords: {z: x}", `no label "z", want m, s`},
		{"files: {train: a.tsv}\nmetrics: rouge", `metrics: "rouge"`},
		{"files: {train: a.tsv}\ncut: title", `cut is "title"`},
		{"files: {train: one.tsv}", "has 1 different values"},
		{"files: {train: many.tsv}", "more than 100 different values"},
		{"files: {train: twice.tsv}", `the column "text" is there twice`},
		{"files: {train: header.tsv}", "the file has no rows|has 0 different values"},
		{"files: {train: empty.tsv}", "the file has no rows"},
		{"files: {train: blank.tsv}", "a blank line between the rows"},
		{"files: {train: qa.jsonl}\nanswer: label", "the list is empty"},
		{"files: {train: quote.csv}", `extraneous or missing " in quoted-field|unexpected EOF|quote`},
		{"files: {train: cut.json}", "unexpected EOF"},
		{"files: {train: no.parquet}", "not a Parquet file"},
		{"files: {train: a.tsv}\nheld_out: 2", "leaves 0 to train on"},
	} {
		all := map[string]string{"my.yaml": c.yaml}
		for name, text := range files {
			all[name] = text
		}
		task, err := Open(filepath.Join(folder(t, all), "my.yaml"), "")
		if err == nil {
			_, err = task.Load(context.Background(), Train, LoadOptions{})
		}
		if err == nil || !containsOne(err.Error(), c.want) {
			t.Errorf("%q: error %v, want %q in it", c.yaml, err, c.want)
		}
	}
	for ref, want := range map[string]string{"./x": "a task of your own is a .yaml file", "sst": "did you mean sst2?"} {
		if _, err := Open(ref, ""); err == nil || !strings.Contains(hint.Of(err), want) {
			t.Errorf("%s: %v, hint %q", ref, err, hint.Of(err))
		}
	}
}

// Without a validation file a part of the training rows is kept, the same every
// time and none of it trained on.
func TestOwnPart(t *testing.T) {
	var text strings.Builder
	text.WriteString("text\tlabel\n")
	for i := range 50 {
		fmt.Fprintf(&text, "row %d\t%c\n", i, 'a'+i%2)
	}
	for _, c := range []struct {
		heldOut string
		want    int
	}{{"", 10}, {"held_out: 0.1", 5}, {"held_out: 7", 7}} {
		dir := folder(t, map[string]string{"a.tsv": text.String(), "my.yaml": "files: {train: a.tsv}\n" + c.heldOut})
		task, err := Open(filepath.Join(dir, "my.yaml"), "")
		if err != nil {
			t.Fatal(err)
		}
		if splits := task.Splits(); !slices.Equal(splits, []Split{Train, Validation}) {
			t.Errorf("splits %v", splits)
		}
		seen := map[string]int{}
		for _, split := range []Split{Train, Validation, Validation} {
			rows, err := task.Load(t.Context(), split, LoadOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if split == Validation && len(rows) != c.want {
				t.Errorf("%q: %d rows are held out, want %d", c.heldOut, len(rows), c.want)
			}
			for _, ex := range rows {
				seen[ex.Input]++
			}
		}
		twice := 0
		for _, n := range seen {
			if n == 2 {
				twice++
			}
		}
		if len(seen) != 50 || twice != c.want {
			t.Errorf("%q: %d rows in all, %d of them held out both times", c.heldOut, len(seen), twice)
		}
		if rows, err := task.Load(t.Context(), Validation, LoadOptions{Limit: 3}); len(rows) != 3 || err != nil {
			t.Errorf("%d rows of 3, %v", len(rows), err)
		}
	}
}

// A check reads on after bad rows, and counts what is there twice.
func TestCheck(t *testing.T) {
	dir := folder(t, map[string]string{
		"a.tsv":   "text\tlabel\none\tm\nbad\ntwo\ts\none\ts\ntwo\ts\nx\ty\tz\n \tm\n",
		"v.tsv":   "text\tlabel\none\tm\nnew\tm\nnew\tq\n",
		"my.yaml": "files: {train: a.tsv, validation: v.tsv}\nlabels: [m, s]\n",
	})
	task, err := Open(filepath.Join(dir, "my.yaml"), "")
	if err != nil {
		t.Fatal(err)
	}
	splits, err := task.Check(t.Context(), "")
	if err != nil || len(splits) != 2 {
		t.Fatalf("%d splits, %v", len(splits), err)
	}
	train, validation := splits[0], splits[1]
	if train.Rows != 4 || len(train.Bad) != 3 || train.Repeated != 2 || train.Clashing != 1 || train.Labels["s"] != 3 {
		t.Errorf("train %+v", train)
	}
	if validation.Rows != 2 || len(validation.Bad) != 1 || validation.Shared != 1 || !slices.Equal(validation.EmptyClasses(task), []string{"s"}) {
		t.Errorf("validation %+v", validation)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := task.Check(ctx, ""); err != context.Canceled {
		t.Errorf("cancelled: %v", err)
	}
	// The nouns that WSC asks about are a part of the question.
	all, err := wsc.Check(t.Context(), filepath.Join("testdata", "casts"))
	if err != nil || all[0].Clashing > 0 {
		t.Errorf("%+v, %v", all, err)
	}
}

// A few rows of each class, drawn by the seed.
func TestShotsAndBalance(t *testing.T) {
	var rows []Example
	for i := range 40 {
		rows = append(rows, Example{Index: i, Label: min(1, i/30), Target: "x"})
	}
	task := &Task{Name: "x", Labels: []string{"a", "b"}}
	count := func(rows []Example) (n [2]int) {
		for _, ex := range rows {
			n[ex.Label]++
		}
		return n
	}
	few, err := Shots(task, rows, 3, 1)
	if err != nil || count(few) != [2]int{3, 3} {
		t.Errorf("%v, %v", count(few), err)
	}
	again, _ := Shots(task, rows, 3, 1)
	other, _ := Shots(task, rows, 3, 2)
	if !cmp.Equal(few, again) || cmp.Equal(few, other) {
		t.Error("the draw does not follow the seed")
	}
	if all, err := Shots(task, rows, 0, 1); err != nil || len(all) != 40 {
		t.Errorf("no shots are %d rows, %v", len(all), err)
	}
	if _, err := Shots(task, rows, 11, 1); err == nil {
		t.Error("11 shots of a class with 10 rows")
	}
	if got := count(Balance(rows, 1)); got[0] != got[1] || got[0] < 30 {
		t.Errorf("balanced to %v", got)
	}
}
