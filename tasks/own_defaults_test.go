package tasks

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"softprompt/onnx/hint"
)

const ownRows = "text\tlabel\tnote\none\tm\tx\ntwo\ts\ty\n"

// openOwn opens a task of a folder with a YAML text and files.
func openOwn(t *testing.T, yaml string, files map[string]string) (*Task, string, error) {
	t.Helper()
	all := map[string]string{"my.yaml": yaml}
	for name, text := range files {
		all[name] = text
	}
	dir := folder(t, all)
	task, err := Open(filepath.Join(dir, "my.yaml"), "")
	return task, dir, err
}

// Every key that is left out has the default that its description promises.
func TestOwnDefaults(t *testing.T) {
	files := map[string]string{"a.tsv": ownRows, "qa.jsonl": `{"text": "q", "a": "b"}` + "\n"}
	classes := Definition{
		Name: "my", Files: map[Split]string{Train: "a.tsv"}, Template: "{text}", Fields: []string{"text"},
		Label: "label", Labels: Words{{"m", Texts{"m"}}, {"s", Texts{"s"}}}, HeldOut: 0.2, MaxInput: 512, MaxTarget: 16,
	}
	for _, c := range []struct {
		yaml   string
		change func(d *Definition)
	}{
		{"files: {train: a.tsv}", func(d *Definition) {}},
		{"files: {train: a.tsv, validation: a.tsv}", func(d *Definition) { d.Files[Validation], d.HeldOut = "a.tsv", 0 }},
		{"files: {train: a.tsv}\nheld_out: 7", func(d *Definition) { d.HeldOut = 7 }},
		{"files: {train: a.tsv}\nmax_input: 9\nmax_target: 3", func(d *Definition) { d.MaxInput, d.MaxTarget = 9, 3 }},
		{"files: {train: a.tsv}\nname: other\ndescription: a line", func(d *Definition) { d.Name, d.Description = "other", "a line" }},
		{"files: {train: a.tsv}\ntemplate: '{note} {text} {note}'", func(d *Definition) { d.Template, d.Fields = "{note} {text} {note}", []string{"note", "text"} }},
		{"files: {train: a.tsv}\nfields: [text, note]", func(d *Definition) { d.Fields = []string{"text", "note"} }},
		{"files: {train: a.tsv}\nlabel: note", func(d *Definition) {
			d.Label, d.Labels = "note", Words{{"x", Texts{"x"}}, {"y", Texts{"y"}}}
		}},
		{"files: {train: a.tsv}\nlabels: [s, m]", func(d *Definition) { d.Labels = Words{{"s", Texts{"s"}}, {"m", Texts{"m"}}} }},
		{"files: {train: qa.jsonl}\nanswer: a", func(d *Definition) {
			d.Files[Train], d.Answer, d.Label, d.Labels, d.MaxTarget = "qa.jsonl", "a", "", nil, 64
		}},
	} {
		task, dir, err := openOwn(t, c.yaml, files)
		if err != nil {
			t.Errorf("%q: %v", c.yaml, err)
			continue
		}
		want := classes
		want.Files = map[Split]string{Train: "a.tsv"}
		c.change(&want)
		if diff := cmp.Diff(&want, task.Definition()); diff != "" || task.Home() != dir {
			t.Errorf("%q, in %s:\n%s", c.yaml, task.Home(), diff)
		}
	}
	if sst2.Definition() != nil || sst2.Home() != "" {
		t.Error("a task of the table has a file")
	}
}

// The first word of a class is trained on, any of them names it, and their
// scores are joined as the YAML says.
func TestOwnWords(t *testing.T) {
	logs := [][]float64{{math.Log(0.1), math.Log(0.4)}, {math.Log(0.3)}}
	for _, c := range []struct {
		keys string
		want [2]float64 // probabilities of the classes
		norm float64    // of a word of two tokens at -6
	}{
		{"", [2]float64{0.5, 0.3}, -6},
		{"aggregate: sum\nnorm: none\n", [2]float64{0.5, 0.3}, -6},
		{"aggregate: mean\n", [2]float64{0.2, 0.3}, -6},
		{"aggregate: max\nnorm: length\n", [2]float64{0.4, 0.3}, -3},
		{"aggregate: first\n", [2]float64{0.1, 0.3}, -6},
	} {
		task, _, err := openOwn(t, "files: {train: a.tsv, test: a.tsv}\nwords: {m: [song, tune]}\n"+c.keys, map[string]string{"a.tsv": ownRows})
		if err != nil {
			t.Fatal(err)
		}
		rows, err := task.Load(t.Context(), Test, LoadOptions{})
		if err != nil || rows[0].Target != "song" || rows[1].Target != "s" {
			t.Errorf("%q: %+v, %v", c.keys, rows, err)
		}
		for written, class := range map[string]int{"song": 0, "tune": 0, "s": 1, "m": -1, "Song": -1, "": -1} {
			if got := task.Postprocess(written, Example{}).Class; got != class {
				t.Errorf("%q names the class %d, want %d", written, got, class)
			}
		}
		for class, score := range task.Verbalizer.Scores(logs) {
			if math.Abs(math.Exp(score)-c.want[class]) > 1e-12 {
				t.Errorf("%q: class %d has %v, want %v", c.keys, class, math.Exp(score), c.want[class])
			}
		}
		if got := task.Verbalizer.WordScore(-6, 2); got != c.norm {
			t.Errorf("%q: a word scores %v, want %v", c.keys, got, c.norm)
		}
		// Words that a run gives keep how the task joins them.
		other, err := task.ParseWords("m=a;s=b")
		if err != nil || other.Aggregate != task.Verbalizer.Aggregate || other.Norm != task.Verbalizer.Norm {
			t.Errorf("%q: words of a run are %+v, %v", c.keys, other, err)
		}
	}
}

// What only the data or the keys together show is refused by name.
func TestOwnMistakes(t *testing.T) {
	files := map[string]string{"a.tsv": ownRows, "full.csv": "a,label\nb,c\n", "none.tsv": "text\tlabel\none\t \n"}
	for _, c := range []struct{ keys, want, hint string }{
		{"aggregate: median", `task my: aggregate "median", want one of first, max, mean, sum`, ""},
		{"norm: words", `task my: norm "words", want one of length, none`, ""},
		{"labels: {a: [], b: x}", `labels: no value means "a"`, ""},
		{"labels: {a: x}", "labels names one class, want at least 2", ""},
		{"words: {m: [a, a]}", `task my: label "m" has the word "a" twice`, ""},
		{"words: {m: s}", `task my: the word "s" stands for both "m" and "s"`, ""},
		{"words: {m: ' a'}", `task my: label "m": word " a" begins or ends in a space, which no tokenizer keeps`, ""},
		{"words: {m: }", `task my: label "m" has an empty word`, ""},
		{"words: {M: a}", `words: no label "M", want m, s`, ""},
		{"metrics: [f1, f1]", `metrics: "f1", want some of accuracy, macro_f1, matthews, f1, each once`, ""},
		{"metrics: em", `metrics: "em", want some of accuracy, macro_f1, matthews, f1, each once`, ""},
		{"labels: [m, s, t]\nmetrics: f1", `metrics: "f1", want some of accuracy, macro_f1, matthews, each once`, ""},
		{"format: doc", `a.tsv: no format of the name "doc"`, "formats are csv, json, jsonl, parquet, tsv, each also as .gz"},
		{"template: static", "task my: template \"static\": names no field, so every input would be the same; want one of {}", ""},
		{"fields: [note]", `task my: template "{text}": unknown field {text}, want one of note`, ""},
		{"cut: note", `cut is "note", want one of the fields text`, ""},
		{"fields: [text, label]", `the column "label" is the label: it cannot be in the template or among the fields`, ""},
		{"label: labl", `reading the classes in DIR/a.tsv: line 1: no column "labl"; there are text, label, note`, "did you mean label?"},
		{"files: {train: a.tsv}", "", ""},
		{
			"files: {train: none.tsv}", `reading the classes in DIR/none.tsv: the column "label" has 0 different values, want at least 2`,
			"where another column holds the class, name it with label: in the task's YAML",
		},
		{"files: {train: sub/a.tsv}", "there is no file DIR/sub/a.tsv", "files are looked for beside the task's YAML, or in the folder of --data"},
		{"files: {train: a.tsv, test: b}", `b: no format of the name ""`, "formats are csv, json, jsonl, parquet, tsv, each also as .gz"},
	} {
		yaml := c.keys + "\n"
		if !strings.HasPrefix(yaml, "files") {
			yaml = "files: {train: a.tsv}\n" + yaml
		}
		_, dir, err := openOwn(t, yaml, files)
		if c.want == "" {
			if err != nil {
				t.Errorf("%q: %v", c.keys, err)
			}
			continue
		}
		want := "opening the task " + filepath.Join(dir, "my.yaml") + ": " + strings.ReplaceAll(c.want, "DIR", dir)
		if err == nil || err.Error() != want || hint.Of(err) != c.hint {
			t.Errorf("%q: error\n%v, want\n%s\nhint %q, want %q", c.keys, err, want, hint.Of(err), c.hint)
		}
	}
}

// What a reference to a task is, a name or a file.
func TestIsFile(t *testing.T) {
	for ref, want := range map[string]bool{
		"sst2": false, "my.yaml": true, "MY.YML": true, "a/b.tsv": true, "a.csv.gz": true, "A.JSONL": true, "a.parquet": true,
		"a.yaml.gz": false, "a.gz": false, "a.txt": false, "tsv": false, ".tsv": true, "": false,
	} {
		if got := IsFile(ref); got != want {
			t.Errorf("%q is a file: %v", ref, got)
		}
	}
}

// A task's files are looked for beside its YAML, in the folder it names, or in
// the one that the caller gives, packed or not.
func TestOwnFolders(t *testing.T) {
	rows := func(mark string) string { return strings.ReplaceAll(ownRows, "one", mark) }
	elsewhere := folder(t, map[string]string{"a.tsv": rows("given"), "far.tsv": rows("far")})
	dir := folder(t, map[string]string{
		"a.tsv": rows("beside"), "in/a.tsv": rows("inner"), "beside.yaml": "files: {train: a.tsv}\nheld_out: 1\n",
		"inner.yaml":  "folder: in\nfiles: {train: a.tsv}\nheld_out: 1\n",
		"abs.yaml":    "folder: " + elsewhere + "\nfiles: {train: a.tsv}\nheld_out: 1\n",
		"far.yaml":    "files: {train: " + filepath.Join(elsewhere, "far.tsv") + "}\nheld_out: 1\n",
		"packed.yaml": "files: {train: p.tsv}\nheld_out: 1\n", "named.yaml": "files: {train: p.tsv.gz}\nheld_out: 1\n",
		"p.tsv.gz": string(pack(t, rows("packed"))),
	})
	for _, c := range []struct{ ref, data, want string }{
		{"beside.yaml", "", "beside"},
		{"inner.yaml", "", "inner"},
		{"abs.yaml", "", "given"},
		{"far.yaml", "", "far"},
		{"packed.yaml", "", "packed"},
		{"named.yaml", "", "packed"},
		{"a.tsv", "", "beside"},
		{"p.tsv.gz", "", "packed"},
		{"beside.yaml", elsewhere, "given"},
		{"inner.yaml", elsewhere, "given"},
		{"far.yaml", dir, "far"},
		{"a.tsv", elsewhere, "given"},
	} {
		task, err := Open(filepath.Join(dir, c.ref), c.data)
		if err != nil {
			t.Errorf("%s: %v", c.ref, err)
			continue
		}
		task.Part = 0
		got, err := task.Load(t.Context(), Train, LoadOptions{Data: c.data})
		if err != nil || got[0].Input != c.want {
			t.Errorf("%s in %q: %+v, %v, want %q", c.ref, c.data, got, err, c.want)
		}
		if want := strings.TrimSuffix(strings.TrimSuffix(c.ref, ".gz"), filepath.Ext(strings.TrimSuffix(c.ref, ".gz"))); task.Name != want {
			t.Errorf("%s is named %q, want %q", c.ref, task.Name, want)
		}
	}
}

// A YAML file that is none, or too large to be one, is not read.
func TestOwnFileItself(t *testing.T) {
	dir := folder(t, map[string]string{
		"large.yaml": "files: {train: a.tsv}\n" + strings.Repeat("#\n", maxDefinition/2), "folder.yaml/x": "",
	})
	for name, want := range map[string]string{
		"folder.yaml": "opening the task: opening folder.yaml: not a plain file",
		"large.yaml":  "opening the task: " + filepath.Join(dir, "large.yaml") + " has more than 1048576 bytes, so it is no task",
	} {
		if _, err := Open(filepath.Join(dir, name), ""); err == nil || err.Error() != want {
			t.Errorf("%s: error %v, want %s", name, err, want)
		}
	}
	if _, err := Open(filepath.Join(dir, "none.yaml"), ""); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	if task, err := Open("sst2", ""); err != nil || task != sst2 {
		t.Errorf("by its name: %v, %v", task, err)
	}
}

// A test file may lack the label, or its values, and then has no targets.
func TestOwnTestSplit(t *testing.T) {
	files := map[string]string{
		"a.tsv": ownRows, "bare.tsv": "text\nnew\n", "q.jsonl": `{"text": "q", "a": ["b", "c"]}` + "\n", "bareq.jsonl": `{"text": "new"}` + "\n",
		"nullq.jsonl": `{"text": "q", "a": null}` + "\n",
	}
	for _, yaml := range []string{"files: {train: a.tsv, test: bare.tsv}", "files: {train: q.jsonl, test: bareq.jsonl}\nanswer: a"} {
		task, _, err := openOwn(t, yaml, files)
		if err != nil {
			t.Fatal(err)
		}
		got, err := task.Load(t.Context(), Test, LoadOptions{})
		want := []Example{{ID: "test:0", Input: "new", Label: -1}}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", yaml, err, diff)
		}
		if !slices.Equal(task.Splits(), []Split{Train, Validation, Test}) {
			t.Errorf("%s: splits %v", yaml, task.Splits())
		}
	}
	// An answer that is there must be one.
	for text, want := range map[string]string{
		`{"text": "q", "a": ""}`:         "line 1: the a is empty",
		`{"text": "q", "a": " "}`:        "line 1: the a is empty",
		`{"text": "q", "a": ["", " "]}`:  "line 1: the a is empty",
		`{"text": "q", "a": []}`:         "line 1: the a: the list is empty; the file ends here without a line end, so it looks cut short",
		`{"text": "q", "a": ["b", {}]}`:  "line 1: the a: item 2 is {}, want a text; the file ends here without a line end, so it looks cut short",
		`{"text": "q", "a": null}`:       "line 1: the a is null, want a text, a number, true or false; the file ends here without a line end, so it looks cut short",
		`{"text": "q", "a": ["\u0000"]}`: `line 1: the a: item 1 is "\u0000", want a text; the file ends here without a line end, so it looks cut short`,
		`{"text": "q"}`:                  `line 1: no column "a"; there are text; the file ends here without a line end, so it looks cut short`,
	} {
		task, dir, err := openOwn(t, "files: {train: x.jsonl, validation: x.jsonl}\nanswer: a", map[string]string{"x.jsonl": text})
		if err != nil {
			t.Fatal(err)
		}
		_, err = task.Load(t.Context(), Train, LoadOptions{})
		if err == nil || strings.TrimPrefix(err.Error(), "reading "+dir+string(os.PathSeparator)+"x.jsonl: ") != want {
			t.Errorf("%s: error\n%v, want\n%s", text, err, want)
		}
	}
}

// A bad row of one's own file comes with the advice that helps: the name that
// was meant, or the command that lists all bad rows.
func TestOwnRowAdvice(t *testing.T) {
	for rows, want := range map[string][2]string{
		"txt\tlabel\none\tm\n":        {`line 1: no column "text"; there are txt, label`, "did you mean txt?"},
		"text\tlabel\none\tx\n":       {`line 2: the label is "x", want m or s`, "softprompt tasks check lists every bad row of the task"},
		"text\tlabel\n \tm\n":         {"line 2: the text is empty", "softprompt tasks check lists every bad row of the task"},
		"text\tlabel\none\tm\nx\n":    {"line 3: 1 columns, want 2 split by tabs, as in the header", "softprompt tasks check lists every bad row of the task"},
		"text\tlabel\none\t\n":        {`line 2: the label is "", want m or s`, "softprompt tasks check lists every bad row of the task"},
		"text\tLabel\tlabel\na\tb\tM": {`line 2: the label is "M", want m or s`, "softprompt tasks check lists every bad row of the task"},
	} {
		task, dir, err := openOwn(t, "files: {train: a.tsv, validation: v.tsv}", map[string]string{"a.tsv": ownRows, "v.tsv": rows})
		if err != nil {
			t.Fatal(err)
		}
		_, err = task.Load(t.Context(), Validation, LoadOptions{})
		if message := "reading " + filepath.Join(dir, "v.tsv") + ": " + want[0]; err == nil || err.Error() != message || hint.Of(err) != want[1] {
			t.Errorf("%q: error\n%v, want\n%s\nhint %q, want %q", rows, err, message, hint.Of(err), want[1])
		}
	}
}
