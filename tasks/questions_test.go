package tasks

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// What T5's own tests say of its cast (t5/data/preprocessors_test.py,
// test_pad_punctuation, test_pad_punctuation_i18n and test_squad).
func TestSQuADCastLikeT5(t *testing.T) {
	for text, want := range map[string]string{
		`"This  is a string with "punctuation (1845-1986) ".`: ` " This is a string with " punctuation ( 1845 - 1986 ) " . `,
		`"Introducción (la vídeo)".`:                          ` " Introducción ( la vídeo ) " . `,
	} {
		if got := padded(text); got != want {
			t.Errorf("%q is padded to %q, want %q", text, got, want)
		}
	}
	file := `{"data": [{"paragraphs": [{"context": "Some context.", "qas": [{"question": "A question?",
		"answers": [{"text": "The answer."}, {"text": "Another answer."}]}]}]}]}`
	got, err := loadText(t, "squad", file)
	want := []Example{{
		ID: "validation:0", Input: "question: A question ? context: Some context . ", Label: -1,
		Target: "The answer . ", Answers: []string{"The answer . ", "Another answer . "},
	}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
}

// loadText loads a text as the file of a task's validation split.
func loadText(t *testing.T, task, text string) ([]Example, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return loadFile(t, task, path)
}

// The casts of rows that T5 has no code for, as read by a person. Only
// go test ./tasks -run Questions -update changes them.
func TestQuestionsGolden(t *testing.T) {
	for _, task := range []string{"ag-news", "trec"} {
		examples, err := lookup(t, task).Load(t.Context(), Train, LoadOptions{Data: filepath.Join("testdata", "casts")})
		if err != nil {
			t.Fatal(err)
		}
		if len(examples) < 5 {
			t.Errorf("%s: %d rows", task, len(examples))
		}
		var got strings.Builder
		for _, ex := range examples {
			fmt.Fprintf(&got, "%q -> %q\n", ex.Input, ex.Target)
		}
		path := filepath.Join("testdata", "golden", task+"_cast.txt")
		if *update {
			if err := os.WriteFile(path, []byte(got.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got.String()); diff != "" {
			t.Errorf("%s:\n%s", task, diff)
		}
	}
}

// All sets of MRQA are read alike, DuoRC under both of its names.
func TestMRQA(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "casts", "mrqa", "DROP.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := lookup(t, "mrqa-drop").Load(t.Context(), Test, LoadOptions{Data: filepath.Join("testdata", "casts")})
	if err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string]string{
		"mrqa-textbookqa": "mrqa/TextbookQA.jsonl", "mrqa-bioasq": "BioASQ.jsonl", "mrqa-race": "MRQA/RACE.jsonl",
		"mrqa-re": "mrqa/RelationExtraction.jsonl", "mrqa-duorc": "mrqa/DuoRC.ParaphraseRC.jsonl", "mrqa-drop": "mrqa/DROP.jsonl",
	} {
		files := []string{file}
		if name == "mrqa-duorc" {
			files = append(files, "mrqa/DuoRC.jsonl")
		}
		for _, file := range files {
			dir := t.TempDir()
			path := filepath.Join(dir, file)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, text, 0o644); err != nil {
				t.Fatal(err)
			}
			got, err := lookup(t, name).Load(t.Context(), Test, LoadOptions{Data: dir})
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("%s: %v\n%s", file, err, diff)
			}
		}
		if _, err := lookup(t, name).Load(t.Context(), Train, LoadOptions{Data: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "no split") {
			t.Errorf("%s: %v for the rows to train on", name, err)
		}
	}
}

// What a user gives is cast as a row is.
func TestTidyTexts(t *testing.T) {
	ex, err := lookup(t, "squad").TextExample(`{"question": "Who's there? ", "context": "Ann (again)."}`)
	if want := "question: Who ' s there ? context: Ann ( again ) . "; ex.Input != want || err != nil {
		t.Errorf("%q, %v", ex.Input, err)
	}
	ex, err = lookup(t, "multirc").TextExample(`{"question": "<b>Who</b>?", "answer": "Ann", "paragraph": "One.<br>Two."}`)
	if want := "question: Who? answer: Ann paragraph: One. Two."; ex.Input != want || err != nil {
		t.Errorf("%q, %v", ex.Input, err)
	}
	cut := *lookup(t, "squad")
	cut.Cut = "context"
	ex, err = cut.TextExample(`{"question": "Who?", "context": "Ann, Bob."}`)
	if got := ex.Shorten(3); got != "question: Who ? context: Ann" || err != nil {
		t.Errorf("shortened to %q, %v", got, err)
	}
}

// Files that are broken in one way each, and what is said of them.
func TestHostileQuestions(t *testing.T) {
	squadOf := func(qa string) string {
		return `{"version": "1.1", "data": [{"title": "x", "paragraphs": [{"context": "c", "qas": [` + qa + `]}]}]}`
	}
	good := `{"question": "q?", "answers": [{"text": "c", "answer_start": 0}]}`
	mrqaOf := func(line string) string { return `{"header": {"dataset": "DROP"}}` + "\n" + line }
	for _, c := range []struct{ task, text, want string }{
		{"squad", "", `not a JSON object with "data" in it: unexpected EOF`},
		{"squad", "[]", `not a JSON object with "data" in it: it begins otherwise`},
		{"squad", "{}", `the object has no "data"`},
		{"squad", `{"data": {}}`, `"data": want one list`},
		{"squad", `{"data": []}`, "the file has no rows"},
		{"squad", `{"data": [3]}`, "article 1: not a JSON object"},
		{"squad", `{"data": [{"paragraphs": 1}]}`, "article 1: the paragraphs is 1, want a list of objects"},
		{"squad", `{"data": [{"paragraphs": [{"qas": []}]}]}`, `paragraph 1: the object has no "context"`},
		{"squad", squadOf(good)[:90], "the file has no rows|unexpected EOF"},
		{"squad", squadOf(good + "," + `{"answers": []}`), `question 2: the object has no "question"`},
		{"squad", squadOf(`{"question": 1, "answers": []}`), "question 1: the question is 1, want a string"},
		{"squad", squadOf(`{"question": " ", "answers": [{"text": "c"}]}`), "row 1: the question is empty"},
		{"squad", squadOf(`{"question": "q"}`), `question 1: the object has no "answers"`},
		{"squad", squadOf(`{"question": "q", "answers": ["c"]}`), "answers 0 is no object"},
		{"squad", squadOf(`{"question": "q", "answers": [{"text": null}]}`), "answer 1: the text is null"},
		{"squad", squadOf(`{"question": "q", "answers": [{"text": " "}]}`), "row 1: answer 0 is empty"},
		{"squad", squadOf(`{"question": "q", "is_impossible": true, "answers": []}`), "row 1: the question has no answer; SQuAD 2.0 has such"},
		{"squad", squadOf("{\"question\": \"q\xff\", \"answers\": []}"), "article 1: not valid UTF-8"},
		{"squad", squadOf(`{"question": "q\u0000", "answers": []}`), "a NUL character in the question"},
		{"squad", `{"data": [], "data": []}`, `"data": want one list`},
		{"squad", strings.TrimSuffix(squadOf(good), "}"), "the file is cut short"},
		{"mrqa-drop", mrqaOf(""), "the file has no rows"},
		{"mrqa-drop", mrqaOf(`{"qas": []}`), `line 2: the object has no "context"`},
		{"mrqa-drop", mrqaOf(`{"context": "c", "qas": [{"question": "q", "answers": []}]}`), "line 2: question 1: the answers are []: the list is empty"},
		{"mrqa-drop", mrqaOf(`{"context": "c", "qas": [{"question": "q", "answers": "c"}]}`), `question 1: the answers are "c"`},
		{"mrqa-drop", mrqaOf(`{"context": "c", "qas": [{"question": "q", "answers": [[]]}]}`), "item 1 is [], want a text"},
		{"mrqa-drop", mrqaOf(`{"context": "c", "qas": [`), "line 2: not a JSON object: unexpected EOF"},
		{"ag-news", `"1","a"` + "\n", "line 1: another number of columns"},
		{"ag-news", `"5","a","b"` + "\n", `the label is "5", want 1 or 2 or 3 or 4`},
		{"ag-news", "Class Index,Title,Description\n", `the label is "Class Index"`},
		{"ag-news", `"1","a` + strings.Repeat("x", maxLine+1), "is a quote not closed?"},
		{"ag-news", "", "the file has no rows"},
		{"trec", "DESC How ?\n", `line 1: it begins with "DESC", want a label as DESC:manner`},
		{"trec", "\nDESC:manner How ?\n", "a blank line between the rows"},
		{"trec", "WORD:x What ?\n", `the label is "WORD", want ABBR or`},
		{"trec", "DESC:manner \n", "the text is empty"},
		{"trec", "", "the file has no rows"},
	} {
		rows, err := loadText(t, c.task, c.text)
		if err == nil || !containsOne(err.Error(), c.want) {
			t.Errorf("%s, %.60q: %d rows, error %v, want %q in it", c.task, c.text, len(rows), err, c.want)
		}
	}
}

// containsOne tells whether a text has one of some parts, split by bars.
func containsOne(text, parts string) bool {
	for part := range strings.SplitSeq(parts, "|") {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

// FuzzQuestions feeds the readers anything: no panic, and what they take is
// text that can be cast.
func FuzzQuestions(f *testing.F) {
	for _, pattern := range []string{"squad/*", "mrqa/*", "trec/*", "ag_news/*"} {
		paths, err := filepath.Glob(filepath.Join("testdata", "casts", filepath.FromSlash(pattern)))
		if err != nil || len(paths) == 0 {
			f.Fatalf("%s: %d files, %v", pattern, len(paths), err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
	f.Add([]byte(`{"data": [{"paragraphs": [{"context": "", "qas": [{"question": "\ud800", "answers": [{"text": "\u0000"}]}]}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, task := range []*Task{squad, mrqaDROP, trec, agNews} {
			for r, err := range task.Files[Validation].Read(bytes.NewReader(data)) {
				if err != nil {
					continue
				}
				ex, err := task.example(Validation, 0, r)
				if err == nil && (!utf8.ValidString(ex.Input) || strings.Contains(ex.Input, "\x00") || ex.Target == "") {
					t.Errorf("%s takes %+v as %+v", task.Name, r, ex)
				}
			}
		}
	})
}
