package tasks

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"softprompt/onnx/hint"
)

// rowError loads a text as the file of a split and returns the error, with the
// name of the file alone for its path.
func rowError(t *testing.T, task *Task, split Split, text string) string {
	t.Helper()
	place := task.Folders[0] + "/" + task.Files[split].Name
	dir := folder(t, map[string]string{place: text})
	rows, err := task.Load(t.Context(), split, LoadOptions{Data: dir})
	if err == nil {
		t.Errorf("%s took %q as %+v", task.Name, text, rows)
		return ""
	}
	if rows != nil || !strings.Contains(hint.Of(err), "get the file again from "+task.Source) {
		t.Errorf("%s: %d rows, hint %q", task.Name, len(rows), hint.Of(err))
	}
	return strings.ReplaceAll(err.Error(), filepath.Join(dir, filepath.FromSlash(place)), task.Files[split].Name)
}

// A row of SuperGLUE's flat tasks has each of its keys once, of the type that
// is published.
func TestHostileSuperGLUE(t *testing.T) {
	for _, c := range []struct {
		task       *Task
		row, error string
	}{
		{boolQ, `{"passage": "p", "question": "q"}`, `the object has no "label", want true or false`},
		{boolQ, `{"passage": "p", "question": "q", "label": 1}`, "the label is 1, want true or false"},
		{boolQ, `{"passage": "p", "question": "q", "label": "true"}`, `the label is "true", want true or false`},
		{boolQ, `{"passage": "p", "question": null, "label": true}`, "the question is null, want a string"},
		{boolQ, `{"passage": " \n", "question": "q", "label": true}`, "the passage is empty"},
		{boolQ, `{"question": "q", "label": true}`, `the object has no "passage", want a string`},
		{cb, `{"premise": "p", "hypothesis": "h", "label": "neither"}`, `the label is "neither", want entailment or contradiction or neutral`},
		{cb, `{"premise": "p", "hypothesis": "h", "label": 0}`, "the label is 0, want a string"},
		{cb, `{"premise": "p", "hypothesis": "", "label": "neutral"}`, "the hypothesis is empty"},
		{copa, `{"premise": "p", "choice1": "a", "choice2": "b", "question": "cause", "label": 2}`, `the label is "2", want 0 or 1`},
		{copa, `{"premise": "p", "choice1": "a", "choice2": "b", "question": "cause", "label": true}`, "the label is true, want an integer"},
		{copa, `{"premise": "p", "choice1": "a", "question": "cause", "label": 0}`, `the object has no "choice2", want a string`},
		{superRTE, `{"premise": "p", "hypothesis": "h", "label": "Entailment"}`, `the label is "Entailment", want entailment or not_entailment`},
		{superRTE, `{"sentence1": "p", "sentence2": "h", "label": "entailment"}`, `the object has no "hypothesis", want a string`},
		{wic, `{"sentence1": "a", "sentence2": "b", "word": ["c"], "label": false}`, `the word is ["c"], want a string`},
		{wic, `{"sentence1": "a", "sentence2": "b", "word": "", "label": false}`, "the word is empty"},
	} {
		want := "reading val.jsonl: line 1: " + c.error
		if got := rowError(t, c.task, Validation, c.row+"\n"); got != want {
			t.Errorf("%s, %s: error\n%s, want\n%s", c.task.Name, c.row, got, want)
		}
	}
}

// A line of MultiRC is a passage with its questions and their answers, and
// what is wrong in it is placed by its number there.
func TestHostileMultiRC(t *testing.T) {
	question := func(q string) string {
		return `{"idx": 0, "passage": {"text": "p", "questions": [{"question": "first", "answers": [], "idx": 0}, ` + q + `]}}`
	}
	answer := func(a string) string {
		return question(`{"question": "q", "idx": 1, "answers": [{"text": "good", "label": 1}, ` + a + `]}`)
	}
	for line, want := range map[string]string{
		`{"passage": {}}`:                                         `the object has no "idx", want an integer`,
		`{"idx": "0", "passage": {}}`:                             `the idx is "0", want an integer`,
		`{"idx": 1.5, "passage": {}}`:                             "the idx is 1.5, want an integer",
		`{"idx": 0}`:                                              `the object has no "passage", want an object`,
		`{"idx": 0, "passage": "p"}`:                              `the passage is no object: it begins with "\"p\""`,
		`{"idx": 0, "passage": {"text": "a", "text": ""}}`:        `the passage is no object: the key "text" is there twice`,
		`{"idx": 0, "passage": {"questions": []}}`:                `in the passage: the object has no "text", want a string`,
		`{"idx": 0, "passage": {"text": 1}}`:                      "in the passage: the text is 1, want a string",
		`{"idx": 0, "passage": {"text": "p"}}`:                    `in the passage: the object has no "questions", want a list of objects`,
		`{"idx": 0, "passage": {"text": "p", "questions": null}}`: "in the passage: the questions is null, want a list of objects",
		question(`7`):                                             `in the passage: questions 1 is no object: it begins with "7"`,
		question(`{"question": "q", "answers": []}`):              `in question 1: the object has no "idx", want an integer`,
		question(`{"idx": 1, "answers": []}`):                     `in question 1: the object has no "question", want a string`,
		question(`{"idx": 1, "question": "q"}`):                   `in question 1: the object has no "answers", want a list of objects`,
		answer(`"text"`):                                          `in question 1: answers 1 is no object: it begins with "\"text\""`,
		answer(`{"label": 1}`):                                    `in question 1: in answer 1: the object has no "text", want a string`,
		answer(`{"text": "t"}`):                                   `in question 1: in answer 1: the object has no "label", want an integer`,
		answer(`{"text": "t", "label": true}`):                    "in question 1: in answer 1: the label is true, want an integer",
		answer(`{"text": "t", "label": 2}`):                       `the label is "2", want 0 or 1`,
		question(`{"idx": 1, "question": " ", "answers": [{"text": "t", "label": 1}]}`): "the question is empty",
	} {
		if got := rowError(t, multiRC, Validation, line+"\n"); got != "reading val.jsonl: line 1: "+want {
			t.Errorf("%s: error\n%s, want\n%s", line, got, want)
		}
	}
	// A passage without questions has no rows, which is no error of its own.
	if got := rowError(t, multiRC, Validation, `{"idx": 0, "passage": {"text": "p", "questions": []}}`+"\n"); got != "reading val.jsonl: line 1: the file has no rows" {
		t.Errorf("no questions: error %s", got)
	}
}

// A line of ReCoRD cuts its entities out of the text by characters, and has an
// answer to each query where it is labelled.
func TestHostileReCoRD(t *testing.T) {
	line := func(entities, qas string) string {
		return `{"idx": 4, "passage": {"text": "Zoë met Bob", "entities": [` + entities + `]}, "qas": [` + qas + `]}`
	}
	const zoe, query = `{"start": 0, "end": 2}`, `{"idx": 1, "query": "@placeholder came", "answers": [{"text": "Zoë"}]}`
	for text, want := range map[string]string{
		`{"idx": 4, "passage": {"text": "x"}, "qas": []}`:                     `in the passage: the object has no "entities", want a list of objects`,
		`{"idx": 4, "passage": {"text": "x", "entities": []}}`:                `the object has no "qas", want a list of objects`,
		line(`{"end": 2}`, query):                                             `in the passage: in entity 0: the object has no "start", want an integer`,
		line(zoe+`, {"start": 0}`, query):                                     `in the passage: in entity 1: the object has no "end", want an integer`,
		line(`{"start": -1, "end": 2}`, query):                                "in the passage: entity 0 is from -1 to 2 of a text of 11 characters",
		line(`{"start": 3, "end": 2}`, query):                                 "in the passage: entity 0 is from 3 to 2 of a text of 11 characters",
		line(zoe+`, {"start": 8, "end": 11}`, query):                          "in the passage: entity 1 is from 8 to 11 of a text of 11 characters",
		line(`{"start": 1e1, "end": 10}`, query):                              "in the passage: in entity 0: the start is 1e1, want an integer",
		line(zoe, query+`, {"query": "q"}`):                                   `in query 1: the object has no "idx", want an integer`,
		line(zoe, `{"idx": 1, "query": 3}`):                                   "in query 0: the query is 3, want a string",
		line(zoe, `{"idx": 1, "query": "q"}`):                                 `in query 0: the object has no "answers", want a list of objects`,
		line(zoe, `{"idx": 1, "query": "q", "answers": []}`):                  "in query 0: it has no answer",
		line(zoe, `{"idx": 1, "query": "q", "answers": [{"text": "a"}, {}]}`): `in query 0: in answer 1: the object has no "text", want a string`,
		line(``, query): "the entities is empty",
		line(zoe, strings.Replace(query, "@p", "\\u0000p", 1)): "in query 0: a NUL character in the query",
	} {
		if got := rowError(t, record, Train, text+"\n"); got != "reading train.jsonl: line 1: "+want {
			t.Errorf("%s: error\n%s, want\n%s", text, got, want)
		}
	}
	// Entities are sorted and there once, and the end of a span is within it.
	dir := folder(t, map[string]string{"train.jsonl": line(`{"start": 8, "end": 10}, {"start": 8, "end": 10}, `+zoe, query)})
	got, err := record.Load(t.Context(), Train, LoadOptions{Data: dir})
	want := []Example{{
		ID: "train:0", Input: "query: @placeholder came entities: Bob, Zoë passage: Zoë met Bob", Label: -1, Target: "Zoë",
		Answers: []string{"Zoë"}, Choices: []string{"Bob", "Zoë"}, Group: "4:1",
	}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
}

// A row of WSC names two spans by a word's number and its text, which have to
// fit.
func TestHostileWSC(t *testing.T) {
	row := func(target string) string {
		return `{"text": "Ann told Bea that she won.", "target": {` + target + `}, "label": true}`
	}
	const span1, span2 = `"span1_text": "Ann", "span1_index": 0`, `"span2_text": "she", "span2_index": 4`
	for text, want := range map[string]string{
		`{"target": {}, "label": true}`: `the object has no "text", want a string`,
		`{"text": "a", "label": true}`:  `the object has no "target", want an object`,
		row(``):                         `in the target: the object has no "span1_text", want a string`,
		row(`"span1_text": "Ann"`):      `in the target: the object has no "span1_index", want an integer`,
		row(span1):                      `in the target: the object has no "span2_text", want a string`,
		row(span1 + `, "span2_text": "she", "span2_index": 6`):                            "in the target: word 6 of a text of 6 words",
		row(span1 + `, "span2_text": "she", "span2_index": -1`):                           "in the target: word -1 of a text of 6 words",
		row(span1 + `, "span2_text": "she", "span2_index": "4"`):                          `in the target: the span2_index is "4", want an integer`,
		row(`"span1_text": "Eve", "span1_index": 0, ` + span2):                            `in the target: "Eve" is not in the text`,
		row(span1 + `, "span2_text": "she", "span2_index": 3`):                            `word 3 of the text is not "she"`,
		strings.Replace(row(span1+", "+span2), "true", `"True"`, 1):                       `the label is "True", want true or false`,
		strings.Replace(row(span1+", "+span2), `, "label": true`, "", 1):                  `the object has no "label", want true or false`,
		strings.Replace(row(span1+", "+span2), "Ann told Bea that she won.", `\u0000`, 1): "a NUL character in the text",
	} {
		if got := rowError(t, wsc, Train, text+"\n"); got != "reading train.jsonl: line 1: "+want {
			t.Errorf("%s: error\n%s, want\n%s", text, got, want)
		}
	}
}

// A span is written as the text has it where only a capital, a line break or
// full stops at its end differ.
func TestFixSpan(t *testing.T) {
	for _, c := range []struct {
		text, span string
		at         int
		want       string // "" where it is refused
	}{
		{"The cat sat.", "The cat", 0, "The cat"},
		{"The cat sat.", "the cat", 0, "The cat"},
		{"We saw the cat.", "The cat", 2, "the cat"},
		{"We saw the cat", "the cat..", 2, "the cat"},
		{"We saw the cat", "The\ncat.", 2, "the cat"},
		{"We saw the cat", "cat the", 2, ""},
		{"We saw \u00e9clairs", "\u00c9clairs", 2, "\u00e9clairs"},
		{"", "x", 0, ""},
		{"He met Kamenev there and Zinoviev here", "Kamenev and Zinoviev", 2, "Kamenev and Zinoviev"},
	} {
		got, err := fixSpan(c.text, c.span, c.at)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%q in %q at %d: %q, %v, want %q", c.span, c.text, c.at, got, err, c.want)
		}
	}
}

// The test splits have no labels, and what their files lack is not asked for.
func TestSuperGLUETestSplits(t *testing.T) {
	for _, c := range []struct {
		task *Task
		row  string
		want Example
	}{
		{boolQ, `{"passage": "p", "question": "q", "idx": 3}`, Example{Input: "passage: p question: q"}},
		{
			multiRC, `{"idx": 2, "passage": {"text": "p", "questions": [{"idx": 5, "question": "q", "answers": [{"text": ""}]}]}}`,
			Example{Input: "question: q answer:  paragraph: p", Group: "2:5"},
		},
		{
			record, `{"idx": 2, "passage": {"text": "Bob", "entities": [{"start": 0, "end": 2}]}, "qas": [{"idx": 6, "query": "q"}]}`,
			Example{Input: "query: q entities: Bob passage: Bob", Group: "2:6", Choices: []string{"Bob"}},
		},
		{
			wsc, `{"text": "Ann won as she ran", "target": {"span1_text": "ann", "span1_index": 0, "span2_text": "she", "span2_index": 3}}`,
			Example{Input: "Ann won as *she* ran", Answers: []string{"Ann"}},
		},
	} {
		dir := folder(t, map[string]string{"test.jsonl": c.row})
		got, err := c.task.Load(t.Context(), Test, LoadOptions{Data: dir})
		c.want.ID, c.want.Label = "test:0", -1
		if diff := cmp.Diff([]Example{c.want}, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", c.task.Name, err, diff)
		}
	}
}
