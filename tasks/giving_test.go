package tasks

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"softprompt/onnx/hint"
)

// The field that gives way lies where the example says, where it stands first,
// whatever the template and the texts.
func TestGivingField(t *testing.T) {
	text := rapid.OneOf(rapid.StringMatching(`[ a{}é\x00]{0,6}`), rapid.StringN(0, 6, -1))
	rapid.Check(t, func(t *rapid.T) {
		before, after := text.Draw(t, "before"), text.Draw(t, "after")
		task := &Task{Name: "x", Fields: []string{"a", "b"}, Cut: "b", Tidy: func(field, text string) string { return field + text }}
		task.Template = EscapeTemplate(Clean(before)) + "{a}{b}" + EscapeTemplate(Clean(after)) + "{b}"
		fields := map[string]string{"a": text.Draw(t, "a"), "b": text.Draw(t, "b")}
		input, err := task.Cast(fields)
		if err != nil {
			t.Fatal(err)
		}
		from, to := task.giving(fields)
		if want := len(Clean(before)) + len("a"+Clean(fields["a"])); from != want || input[from:to] != "b"+Clean(fields["b"]) {
			t.Fatalf("%q gives way at %d, which is %q, want %d", input, from, input[from:to], want)
		}
		task.Cut = ""
		if from, to := task.giving(fields); from != 0 || to != 0 {
			t.Fatalf("nothing gives way, and %d to %d", from, to)
		}
	})
}

// A shortened input keeps all but the end of its field, ends within no
// character, and grows with the room it has.
func TestShortenProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before, field, after := rapid.String().Draw(t, "before"), rapid.StringMatching(`[a é🎬]{0,9}`).Draw(t, "field"), rapid.String().Draw(t, "after")
		ex := Example{Input: before + field + after, CutFrom: len(before), CutTo: len(before) + len(field)}
		last := -1
		for keep := -1; keep <= len(field)+1; keep++ {
			got := ex.Shorten(keep)
			kept := strings.TrimSuffix(strings.TrimPrefix(got, before), after)
			if !strings.HasPrefix(got, before) || !strings.HasSuffix(got, after) || !strings.HasPrefix(field, kept) ||
				len(kept) > max(keep, 0) || strings.HasSuffix(kept, " ") || !utf8.ValidString(got) || len(kept) < last {
				t.Fatalf("%d bytes of %q in %q: %q", keep, field, ex.Input, got)
			}
			// No more than a character and the spaces before it are lost.
			if lost := strings.TrimRight(field[:min(max(keep, 0), len(field))], " "); len(kept) < len(strings.TrimRight(lost[:max(0, len(lost)-3)], " ")) {
				t.Fatalf("%d bytes of %q are cut to %q", keep, field, kept)
			}
			last = len(kept)
		}
	})
}

// A character at the cut goes as a whole.
func TestShortenCharacters(t *testing.T) {
	ex := Example{Input: "<é 🎬x>", CutFrom: 1, CutTo: 9}
	for keep, want := range []string{"<>", "<>", "<é>", "<é>", "<é>", "<é>", "<é>", "<é 🎬>", "<é 🎬x>", "<é 🎬x>"} {
		if got := ex.Shorten(keep); got != want {
			t.Errorf("%d bytes: %q, want %q", keep, got, want)
		}
	}
}

// What a user gives to a task of several fields is a JSON object that has each
// of them, and to one of a single field any text.
func TestTextExamples(t *testing.T) {
	for _, c := range []struct {
		task       *Task
		text, want string // the input, or the error
	}{
		{sst2, `{"sentence": "x"}`, `sentence: {"sentence": "x"}`},
		{sst2, "a\x00b\xff", "sentence: a b\uFFFD"},
		{sst2, "", "sentence: "},
		{mnli, `{"premise": "p", "hypothesis": 3, "more": []}`, "hypothesis: 3 premise: p"},
		{mnli, `{"premise": true, "hypothesis": ""}`, "hypothesis:  premise: true"},
		{mnli, "p", "task mnli takes 2 fields, not a bare text: not a JSON object: invalid character 'p' looking for beginning of value"},
		{mnli, "", "task mnli takes 2 fields, not a bare text: not a JSON object: unexpected EOF"},
		{mnli, `{"premise": "p"}`, `task mnli takes 2 fields, not a bare text: no column "hypothesis"; there are premise`},
		{mnli, `{"premise": "p", "hypothesis": null}`, "task mnli takes 2 fields, not a bare text: the hypothesis is null, want a text, a number, true or false"},
		{mnli, `{"premise": "p", "premise": "q"}`, `task mnli takes 2 fields, not a bare text: not a JSON object: the key "premise" is there twice`},
		{mnli, `{"premise": "p", "hypothesis": "h"} x`, "task mnli takes 2 fields, not a bare text: not a JSON object: something follows it on the line"},
		{mnli, `{"premise": "p", "hypothesis": "a\u0000"}`, "task mnli takes 2 fields, not a bare text: a NUL character in the hypothesis"},
	} {
		ex, err := c.task.TextExample(c.text)
		want := Example{Input: c.want, Label: -1}
		if err != nil {
			ex, want = Example{Input: err.Error()}, Example{Input: c.want}
			if got := hint.Of(err); got != "give a JSON object with hypothesis, premise" {
				t.Errorf("%q: hint %q", c.text, got)
			}
		}
		if diff := cmp.Diff(want, ex); diff != "" {
			t.Errorf("%s, %q:\n%s", c.task.Name, c.text, diff)
		}
	}
}
