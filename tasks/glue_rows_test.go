package tasks

import (
	"bufio"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// Every file of GLUE has the header and the columns that it is published with,
// and what differs is named with its line.
func TestHostileGLUE(t *testing.T) {
	const mrpcHeader = "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
	for _, c := range []struct {
		task       *Task
		split      Split
		text, want string
	}{
		{cola, Train, "gj04\t1\t\n", "train.tsv: line 1: 3 columns, want 4 split by tabs (source, label, note, sentence)"},
		{cola, Train, "gj04\t1\t\tFine.\ngj04\t2\t*\tBad.\n", `train.tsv: line 2: the label is "2", want 0 or 1`},
		{cola, Validation, "gj04\t1\t\t \n", "dev.tsv: line 1: the sentence is empty"},
		{cola, Test, "sentence\tindex\nFine.\t0\n", `test.tsv: line 1: the header is "sentence\tindex", want "index\tsentence"`},
		{qqp, Train, "id\tquestion1\tquestion2\nx\ty\tz\n", `train.tsv: line 1: the header is "id\tquestion1\tquestion2", want in it once each: question1, question2, is_duplicate`},
		{qqp, Train, "question1\tquestion2\tis_duplicate\nx\ty\t1\t0\n", "train.tsv: line 2: 4 columns, want 3 split by tabs (question1, question2, is_duplicate)"},
		{qqp, Train, "question1\tquestion2\tis_duplicate\nbroken\n", "train.tsv: line 1: the file has no rows"},
		{qqp, Train, "question1\tquestion2\tis_duplicate\nbroken\nx\ty\tno\n", `train.tsv: line 3: the is_duplicate is "no", want 0 or 1`},
		{qqp, Test, "id\tquestion1\tquestion2\n0\tx\n", "test.tsv: line 2: 2 columns, want 3 split by tabs (id, question1, question2)"},
		{mnli, Validation, "sentence1\tsentence2\tgold_label\na\tb\t-\n", `dev_matched.tsv: line 2: the gold_label is "-", want entailment or neutral or contradiction`},
		{mnli, ValidationMismatched, "sentence1\tgold_label\na\tneutral\n", `dev_mismatched.tsv: line 1: the header is "sentence1\tgold_label", want in it once each: sentence1, sentence2, gold_label`},
		{mnli, Train, "sentence1\tsentence2\tsentence1\tgold_label\na\tb\tc\tneutral\n", `train.tsv: line 1: the header is "sentence1\tsentence2\tsentence1\tgold_label", want in it once each: sentence1, sentence2, gold_label`},
		{qnli, Train, "index\tquestion\tsentence\tlabel\n0\tq\ts\tentails\n", `train.tsv: line 2: the label is "entails", want entailment or not_entailment`},
		{qnli, Train, "index\tquestion\tsentence\tlabel\n0\t\ts\tentailment\n", "train.tsv: line 2: the question is empty"},
		{glueRTE, Train, "index\tsentence1\tsentence2\tlabel\n0\ta\tentailment", "train.tsv: line 2: 3 columns, want 4 split by tabs (index, sentence1, sentence2, label)" + looksCut},
		{glueRTE, Train, "index\tsentence1\tsentence2\n0\ta\tb\n", `train.tsv: line 1: the header is "index\tsentence1\tsentence2", want "index\tsentence1\tsentence2\tlabel"`},
		{wnli, Train, "index\tsentence1\tsentence2\tlabel\n0\ta\tb\t1.0\n", `train.tsv: line 2: the label is "1.0", want 0 or 1`},
		{mrpc, Train, mrpcHeader + "1\t2\t3\t\tb\n", "train.tsv: line 2: the sentence1 is empty"},
		{mrpc, Train, mrpcHeader + "\t2\t3\ta\tb\n", `train.tsv: line 2: the Quality is "", want 0 or 1`},
		{mrpc, Test, mrpcHeader + "1\t2\t3\ta\tb\n", `test.tsv: line 1: the header is "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String", want "index\t#1 ID\t#2 ID\t#1 String\t#2 String"`},
		{stsb, Train, "sentence1\tsentence2\tscore\na\tb\t5.01\n", `train.tsv: line 2: the score is "5.01", want a number from 0 to 5`},
		{stsb, Train, "sentence1\tsentence2\tscore\na\tb\t \n", `train.tsv: line 2: the score is " ", want a number from 0 to 5`},
		{stsb, Train, "sentence1\tsentence2\na\tb\n", `train.tsv: line 1: the header is "sentence1\tsentence2", want in it once each: sentence1, sentence2, score`},
	} {
		if got := rowError(t, c.task, c.split, c.text); got != "reading "+c.want {
			t.Errorf("%s, %.60q: error\n%s, want\nreading %s", c.task.Name, c.text, got, c.want)
		}
	}
}

// Columns are found by their names where a file has more of them, broken rows
// of QQP are left out, and what may be blank is.
func TestGLUERows(t *testing.T) {
	for _, c := range []struct {
		task  *Task
		split Split
		text  string
		want  []Example
	}{
		{qqp, Train, "id\tis_duplicate\tquestion2\tx\tquestion1\n7\t1\tb\t-\ta\n8\tbroken\n\n9\t0\t\t-\t\n", []Example{
			{ID: "train:0", Input: "question1: a question2: b", Label: 1, Target: "duplicate"},
			{ID: "train:1", Index: 1, Input: "question1:  question2: ", Label: 0, Target: "not_duplicate"},
		}},
		{mnli, TestMismatched, "genre\tsentence2\tsentence1\nx\th\tp\n", []Example{
			{ID: "test_mismatched:0", Input: "hypothesis: h premise: p", Label: -1},
		}},
		{mnli, ValidationMismatched, "gold_label\tsentence2\tsentence1\nneutral\t\tp\n", []Example{
			{ID: "validation_mismatched:0", Input: "hypothesis:  premise: p", Label: 1, Target: "neutral"},
		}},
		{cola, Train, "gj04\t0\t*\tThem is.\r\ngj04\t1\t\t\"Quoted.\r\n", []Example{
			{ID: "train:0", Input: "sentence: Them is.", Label: 0, Target: "unacceptable"},
			{ID: "train:1", Index: 1, Input: "sentence: \"Quoted.", Label: 1, Target: "acceptable"},
		}},
		{mrpc, Test, "\uFEFFindex\t#1 ID\t#2 ID\t#1 String\t#2 String\n0\t1\t2\ta\tb\n", []Example{
			{ID: "test:0", Input: "sentence1: a sentence2: b", Label: -1},
		}},
		{stsb, Validation, "score\tsentence2\tsentence1\n2.50\tb\ta\n", []Example{
			{ID: "validation:0", Input: "sentence1: a sentence2: b", Label: -1, Target: "2.4", Answers: []string{"2.50"}},
		}},
		{stsb, Test, "sentence2\tsentence1\nb\ta\n", []Example{{ID: "test:0", Input: "sentence1: a sentence2: b", Label: -1}}},
	} {
		dir := folder(t, map[string]string{c.task.Files[c.split].Name: c.text})
		got, err := c.task.Load(t.Context(), c.split, LoadOptions{Data: dir})
		if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
			t.Errorf("%s, %s: %v\n%s", c.task.Name, c.split, err, diff)
		}
	}
}

// What follows SQuAD's object, or comes before it, is not dropped.
func TestSQuADFileEnds(t *testing.T) {
	file := `{"data": [{"paragraphs": [{"context": "c", "qas": [{"question": "q?", "answers": [{"text": "c"}]}]}]}]}`
	for text, want := range map[string]string{
		file + "}":  "after row 1: something follows the object",
		file + file: "after row 1: something follows the object",
		file + " x": "after row 1: something follows the object",
		"x" + file:  `after row 0: not a JSON object with "data" in it: invalid character 'x' looking for beginning of value`,
		strings.Replace(file, `"data"`, `"x": 1`, 1): "after row 0: invalid character ':' after object key:value pair",
	} {
		if got := rowError(t, squad, Validation, text); got != "reading dev-v1.1.json: "+want {
			t.Errorf("%.40q: error\n%s, want\n%s", text, got, want)
		}
	}
	for _, around := range [][2]string{{"", "\n"}, {"\uFEFF \n", " \r\n\t"}} {
		dir := folder(t, map[string]string{"dev-v1.1.json": around[0] + file + around[1]})
		if got, err := squad.Load(t.Context(), Validation, LoadOptions{Data: dir}); err != nil || len(got) != 1 {
			t.Errorf("%q: %+v, %v", around, got, err)
		}
	}
}

// TREC's files are Latin-1, whose letters are read as such, and the one byte
// that stands for a space is one.
func TestTRECLatin1(t *testing.T) {
	text := "LOC:city Where is Bogot\xe1 ?\nENTY:sport  Is pe\xf0lota one ? \nABBR:exp " + strings.Repeat("\xe9", 5000) + "\n"
	dir := folder(t, map[string]string{"TREC_10.label": text})
	got, err := trec.Load(t.Context(), Test, LoadOptions{Data: dir})
	want := []Example{
		{ID: "test:0", Input: "question: Where is Bogotá ?", Label: 4, Target: "location"},
		{ID: "test:1", Index: 1, Input: "question: Is pe lota one ?", Label: 1, Target: "entity"},
		{ID: "test:2", Index: 2, Input: "question: " + strings.Repeat("é", 5000), Label: 0, Target: "abbreviation"},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	// What a small buffer has no room for is there at the next reading, though
	// the file's end came with the last bytes.
	small := bufio.NewReaderSize(&latin1{r: iotest.DataErrReader(strings.NewReader(strings.Repeat("\xfc", 96)))}, 16)
	if all, err := io.ReadAll(iotest.OneByteReader(small)); string(all) != strings.Repeat("ü", 96) || err != nil {
		t.Errorf("%q, %v", all, err)
	}
	if got := rowError(t, trec, Test, "LOC:city x\nNUM what\n"); got != `reading TREC_10.label: line 2: it begins with "NUM", want a label as DESC:manner` {
		t.Errorf("error %s", got)
	}
}

// AG's title and description are one text, and the quotes of its CSV are not
// of it.
func TestAGNewsRows(t *testing.T) {
	dir := folder(t, map[string]string{"train.csv": "\"3\",\"Oil \"\"up\"\"\",\"It rose, again\"\n\"4\",\"\",\"Two\nlines\"\n"})
	got, err := agNews.Load(t.Context(), Train, LoadOptions{Data: dir})
	want := []Example{
		{ID: "train:0", Input: `Oil "up" It rose, again`, Label: 2, Target: "Business"},
		{ID: "train:1", Index: 1, Input: " Two\nlines", Label: 3, Target: "Sci/Tech"},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	for text, want := range map[string]string{
		"\"1\",\"a\",\"b\"\n\"0\",\"a\",\"b\"\n": `line 2: the label is "0", want 1 or 2 or 3 or 4`,
		"\"1\",\" \",\" \"\n":                    "line 1: the text is empty",
		"1,a,b\n2,\"a\nb\",c,d\n":                "line 2: another number of columns than 3",
	} {
		if got := rowError(t, agNews, Train, text); got != "reading train.csv: "+want {
			t.Errorf("%q: error %s, want %s", text, got, want)
		}
	}
}
