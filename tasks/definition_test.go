package tasks

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"softprompt/onnx/hint"
)

// Every mistake that shows in the YAML alone is named, with its line where it
// is one of the file's form.
func TestDefinitionMistakes(t *testing.T) {
	const train = "files: {train: a.tsv}\n"
	for _, c := range []struct{ name, yaml, want string }{
		{"an unknown key", train + "lables: [a, b]\n", "not a task: line 2: field lables not found"},
		{"a key in capitals", "Files: {train: a.tsv}\n", "not a task: line 1: field Files not found"},
		{"two unknown keys", train + "seed: 1\n\nepochs: 2\n", "not a task: line 2: field seed not found; line 4: field epochs not found"},
		{"a key twice", train + "shots: 1\nshots: 2\n", `not a task: line 3: mapping key "shots" already defined at line 2`},
		{"a word for a number", train + "shots: many\n", `not a task: line 2: "many", want a whole number`},
		{"a fraction for a whole number", train + "max_input: 1.5\n", `not a task: line 2: "1.5", want a whole number`},
		{"a share for a number of shots", train + "\nshots: 0.5\n", `not a task: line 3: "0.5", want a whole number`},
		{"a list for a number", train + "max_target: [1]\n", `not a task: line 2: "", want a whole number`},
		{"a number that no machine holds", train + "shots: 99999999999999999999\n", `not a task: line 2: "99999999999999999999", want a whole number`},
		{"a word for a share", train + "held_out: half\n", "not a task: line 2: cannot unmarshal !!str `half` into float64"},
		{"a word for a truth value", train + "balance: often\n", "not a task: line 2: cannot unmarshal !!str `often` into bool"},
		{"files without splits", "files: a.tsv\n", "not a task: line 1: cannot unmarshal !!str `a.tsv` into map[tasks.Split]string"},
		{"a list at the top", "- train: a.tsv\n", "not a task: line 1: cannot unmarshal !!seq into tasks.Definition"},
		{"labels as one text", train + "labels: a\n", `not a task: line 2: want a list of names, or "name: text" for each`},
		{"a mapping within labels", train + "labels:\n  a: x\n  b: {c: d}\n", "not a task: line 4: want a text, or a list of texts"},
		{"a list within a list", train + "words: {a: [x, [y]]}\n", "not a task: line 2: want a text, or a list of texts"},
		{"a list for a name", train + "labels:\n- a\n- [b]\n", "not a task: line 4: want a name"},
		{"a label twice", train + "labels:\n- a\n- b\n- a\n", `not a task: line 5: "a" is there twice`},
		{"words of a label twice", train + "words: {a: x, b: y, a: z}\n", `not a task: line 2: "a" is there twice`},
		{"metrics with parts", train + "metrics: {f1: 1}\n", "not a task: line 2: want a text, or a list of texts"},
		{"nothing", "", "not a task: the file is empty"},
		{"a remark alone", "# to do\n", "not a task: the file is empty"},
		{"two documents", train + "---\n" + train, "not a task: more than one document"},

		{"no training file", "files: {validation: a.tsv}\n", "files names no train"},
		{"an empty training file", "files: {train: }\n", "files names no train"},
		{"an empty test file", "files: {train: a.tsv, test: }\n", "files names no test"},
		{"another split", "files: {train: a.tsv, dev: b.tsv}\n", `files has a split "dev", want train, validation or test`},
		{"a split of MNLI's", "files: {train: a.tsv, validation_mismatched: b.tsv}\n", `files has a split "validation_mismatched", want train, validation or test`},
		{"answer and label", train + "answer: a\nlabel: b\n", "answer is for a task of text, and label, labels and words for one of classes: give one of the two"},
		{"answer and labels", train + "answer: a\nlabels: [x, y]\n", "answer is for a task of text, and label, labels and words for one of classes: give one of the two"},
		{"answer and words", train + "answer: a\nwords: {x: y}\n", "answer is for a task of text, and label, labels and words for one of classes: give one of the two"},
		{"a share below 0", train + "held_out: -0.1\n", "held_out is -0.1, want a share between 0 and 1, or a number of rows"},
		{"a share of more than all", train + "held_out: 1.5\n", "held_out is 1.5, want a share between 0 and 1, or a number of rows"},
		{"a share that is no number", train + "held_out: .nan\n", "held_out is NaN, want a share between 0 and 1, or a number of rows"},
		{"a share without end", train + "held_out: .inf\n", "held_out is +Inf, want a share between 0 and 1, or a number of rows"},
		{"shots below 0", train + "shots: -1\n", "shots, max_input and max_target cannot be negative"},
		{"an input below 0", train + "max_input: -1\n", "shots, max_input and max_target cannot be negative"},
		{"a target below 0", train + "max_target: -1\n", "shots, max_input and max_target cannot be negative"},
		{"a name of two lines", train + "name: \"a\\nb\"\n", "name and description are one line each"},
		{"a name with a tab", train + "name: \"a\\tb\"\n", "name and description are one line each"},
		{"a description of two lines", train + "description: |\n  a\n  b\n", "name and description are one line each"},
	} {
		_, err := ParseDefinition([]byte(c.yaml))
		if err == nil || err.Error() != c.want {
			t.Errorf("%s: error\n%v, want\n%s", c.name, err, c.want)
			continue
		}
		if strings.HasPrefix(c.want, "not a task") && !strings.Contains(hint.Of(err), "files: {train: FILE.tsv}") {
			t.Errorf("%s: hint %q", c.name, hint.Of(err))
		}
	}
}

// YAML that breaks off or nests wrongly is refused with its line.
func TestDefinitionBrokenYAML(t *testing.T) {
	for yaml, want := range map[string]string{
		"files: {train: a.tsv":           "line 1: did not find expected ',' or '}'",
		"files:\n\ttrain: a.tsv\n":       "line 2: found character that cannot start any token",
		"files: {train: a.tsv}\n bad: 1": "did not find expected key",
		"files: {train: \"a.tsv}\n":      "found unexpected end of stream",
		"files: *nothing\n":              "unknown anchor 'nothing' referenced",
		"files: {train: a\xff.tsv}\n":    "UTF-8",
	} {
		_, err := ParseDefinition([]byte(yaml))
		if err == nil || !strings.HasPrefix(err.Error(), "not a task: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q in it", yaml, err, want)
		}
	}
}

// Numbers and truth values among names and texts stay as they are written.
func TestDefinitionKeepsTexts(t *testing.T) {
	d, err := ParseDefinition([]byte(`
files: {train: 2024.tsv}
labels: {no: [0, 00, false, ~], yes: 1.0, "on": 0x1}
words:
  yes: TRUE
  no: [n, 1e3]
metrics: f1
fields: [1, no]
`))
	if err != nil {
		t.Fatal(err)
	}
	want := &Definition{
		Files:   map[Split]string{Train: "2024.tsv"},
		Labels:  Words{{"no", Texts{"0", "00", "false", "~"}}, {"yes", Texts{"1.0"}}, {"on", Texts{"0x1"}}},
		Words:   Words{{"yes", Texts{"TRUE"}}, {"no", Texts{"n", "1e3"}}},
		Metrics: Texts{"f1"},
		Fields:  []string{"1", "no"},
	}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Error(diff)
	}
}

// What is written is what was there, whatever names and texts it holds.
func TestDefinitionRoundTrip(t *testing.T) {
	text := rapid.OneOf(
		rapid.SampledFrom([]string{"no", "1", "01", "~", "null", "yes: 1", "- a", "#", "'", `"`, "{a}", "é ß", " a ", "=", "<<", "a\nb", "2024-01-01"}),
		rapid.StringMatching(`[a-z0-9:{}\[\],&*#?|<>=!%@\\ -]{1,12}`))
	line := text.Filter(func(s string) bool { return !strings.ContainsAny(s, "\n") })
	words := rapid.Custom(func(t *rapid.T) Words {
		var w Words
		for _, name := range rapid.SliceOfNDistinct(text, 0, 4, rapid.ID[string]).Draw(t, "names") {
			w = append(w, NamedTexts{name, rapid.SliceOfN(text, 1, 3).Draw(t, "texts")})
		}
		return w
	})
	rapid.Check(t, func(t *rapid.T) {
		d := &Definition{
			Name: line.Draw(t, "name"), Description: line.Draw(t, "description"), Folder: text.Draw(t, "folder"),
			Files:  map[Split]string{Train: text.Draw(t, "train"), Test: text.Draw(t, "test")},
			Format: text.Draw(t, "format"), Template: Template(text.Draw(t, "template")),
			Fields: rapid.SliceOfN(text, 1, 3).Draw(t, "fields"),
			Label:  text.Draw(t, "label"), Labels: words.Draw(t, "labels"), Words: words.Draw(t, "words"),
			Metrics: rapid.SliceOfN(text, 1, 3).Draw(t, "metrics"), HeldOut: rapid.Float64Range(0, 1).Draw(t, "held out"),
			Shots: Whole(rapid.IntRange(0, 99).Draw(t, "shots")), Balance: rapid.Bool().Draw(t, "balance"), Cut: text.Draw(t, "cut"),
		}
		yaml, err := d.YAML()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseDefinition(yaml)
		if err != nil {
			t.Fatalf("%v in\n%s", err, yaml)
		}
		if diff := cmp.Diff(d, again); diff != "" {
			t.Fatalf("%s\n%s", yaml, diff)
		}
	})
}

// What is left out is not written either, and one text is no list.
func TestDefinitionYAMLIsShort(t *testing.T) {
	d := &Definition{
		Files: map[Split]string{Train: "a.tsv"}, Template: "{a}: {b}", Metrics: Texts{"f1"},
		Labels: Words{{"no", Texts{"0", "1"}}, {"yes", Texts{"2"}}},
	}
	got, err := d.YAML()
	want := `files:
  train: a.tsv
template: '{a}: {b}'
labels:
  "no": ["0", "1"]
  "yes": "2"
metrics: "f1"
`
	if diff := cmp.Diff(want, string(got)); diff != "" || err != nil {
		t.Error(err, diff)
	}
}

// A definition that is handed on tells nothing of the folders it came from.
func TestPortable(t *testing.T) {
	root, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	d := &Definition{Name: "x", Folder: root, Files: map[Split]string{
		Train: filepath.Join(root, "private", "train.tsv"), Validation: filepath.Join("..", "home", "dev.tsv"), Test: filepath.Join("sub", "test.tsv"),
	}}
	want := &Definition{Name: "x", Files: map[Split]string{
		Train: "train.tsv", Validation: "dev.tsv", Test: filepath.Join("sub", "test.tsv"),
	}}
	if diff := cmp.Diff(want, d.Portable()); diff != "" {
		t.Error(diff)
	}
	if d.Folder != root || !filepath.IsAbs(d.Files[Train]) {
		t.Errorf("the definition itself changed: %+v", d)
	}
}

// FuzzParseDefinition feeds the parser anything: no panic, and what it takes is
// the same once it was written.
func FuzzParseDefinition(f *testing.F) {
	for _, seed := range []string{
		"files: {train: a.tsv}\n", "files: {train: a.tsv}\nlabels: {a: [1, 2], b: x}\nwords: {a: [c, d]}\n",
		"files: &f {train: a.tsv}\n", "files: {train: a.tsv}\nanswer: a\nmetrics: [em, f1]\nheld_out: 0.5\n",
		"files: {train: a.tsv}\nlabels: [a, b]\ncut: text\nbalance: yes\n", "", "---\n", "- a\n", "files: {train: \"\\0\"}\n",
		"files: {train: a}\nlabels: {? [a] : b}\n", "files: {train: a}\nlabels: {<<: {a: b}}\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := ParseDefinition(data)
		if err != nil {
			return
		}
		once, err := d.YAML()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseDefinition(once)
		if err != nil {
			t.Fatalf("%v in\n%s", err, once)
		}
		if twice, err := again.YAML(); err != nil || !bytes.Equal(once, twice) {
			t.Errorf("%v: written\n%s and then\n%s", err, once, twice)
		}
	})
}
