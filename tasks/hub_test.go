package tasks

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
)

// hubCell is a value of a row on the hub: a text, an integer, a fraction, a
// list of texts, or cells of a structure.
type hubCell struct {
	name  string
	value any
}

// structOf makes a Go structure of cells, which the Parquet library writes.
func structOf(cells []hubCell) any {
	var fields []reflect.StructField
	var values []reflect.Value
	for i, c := range cells {
		if inner, ok := c.value.([]hubCell); ok {
			c.value = structOf(inner)
		}
		tag := c.name
		if reflect.TypeOf(c.value).Kind() == reflect.Slice {
			tag += ",list"
		}
		fields = append(fields, reflect.StructField{
			Name: fmt.Sprintf("F%d", i), Type: reflect.TypeOf(c.value), Tag: reflect.StructTag(fmt.Sprintf(`parquet:%q`, tag)),
		})
		values = append(values, reflect.ValueOf(c.value))
	}
	out := reflect.New(reflect.StructOf(fields)).Elem()
	for i, v := range values {
		out.Field(i).Set(v)
	}
	return out.Interface()
}

// writeHub writes a Parquet file of rows; said is what it says of itself.
func writeHub(t *testing.T, path, said string, rows [][]hubCell) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	options := []parquet.WriterOption{parquet.SchemaOf(structOf(rows[0])), parquet.Compression(&parquet.Snappy)}
	if said != "" {
		options = append(options, parquet.KeyValueMetadata("huggingface", said))
	}
	w := parquet.NewWriter(f, options...)
	for _, row := range rows {
		if err := w.Write(structOf(row)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// hubForm writes a record of a task as the hub's data set has it, of which the
// reader is told in hubSets.
func hubForm(t *Task, r Record) (cells []hubCell) {
	label := int64(slices.Index(t.LabelValues, r.Fields[t.LabelField]))
	group, query, _ := strings.Cut(r.Group, ":")
	number := func(text string) int64 {
		n, _ := strconv.ParseInt(text, 10, 64)
		return n
	}
	idx := func(outer, inner string) hubCell {
		return hubCell{"idx", []hubCell{{outer, number(group)}, {inner, number(query)}, {"answer", int64(7)}}}
	}
	for _, f := range t.Fields {
		if f != "entities" {
			cells = append(cells, hubCell{f, r.Fields[f]})
		}
	}
	switch {
	case t == agNews:
		return []hubCell{{"text", r.Fields["title"] + " " + r.Fields["description"]}, {"label", label}}
	case t == trec:
		return append(cells, hubCell{"coarse_label", label}, hubCell{"fine_label", int64(40)})
	case t == stsb:
		score := float32(-1)
		if text, ok := r.Fields["score"]; ok {
			wide, _ := strconv.ParseFloat(text, 32)
			score = float32(wide)
		}
		return append(cells, hubCell{"label", score})
	case t == squad:
		return append(cells, hubCell{"answers", []hubCell{{"text", r.Answers}, {"answer_start", []int32{0, 1}}}})
	case strings.HasPrefix(t.Name, "mrqa-"):
		return append(cells, hubCell{"subset", hubSets[t.Name].Only + "-1"}, hubCell{"answers", r.Answers})
	case t == record:
		return append(cells, hubCell{"entities", r.Choices}, hubCell{"answers", r.Answers}, idx("passage", "query"))
	case t == multiRC:
		cells = append(cells, idx("paragraph", "question"))
	case t == wsc:
		for _, span := range []string{"span1", "span2"} {
			cells = append(cells, hubCell{span + "_text", r.Fields[span+"_text"]}, hubCell{span + "_index", int32(number(r.Fields[span+"_index"]))})
		}
	}
	return append(cells, hubCell{"idx_of_row", int32(r.Line)}, hubCell{"label", label})
}

// published reads the rows in testdata in the form in which a task is
// published: its records, the examples made of them, and the split.
func published(t *testing.T, task *Task) (records []Record, examples []Example, split Split) {
	t.Helper()
	data := filepath.Join("testdata", "casts")
	if task == imdb {
		data = "testdata"
	}
	for _, split = range []Split{Train, Test} {
		if _, ok := task.Files[split]; ok {
			break
		}
	}
	// The other sets of MRQA have the form of the two.
	if strings.HasPrefix(task.Name, "mrqa-") {
		copied := *task
		copied.Files, copied.Others = mrqaDROP.Files, nil
		task = &copied
	}
	examples, err := task.Load(t.Context(), split, LoadOptions{Data: data})
	if err != nil {
		t.Fatal(err)
	}
	rows, _, err := task.open(split, data)
	if err != nil {
		t.Fatal(err)
	}
	for r, err := range rows {
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, r)
	}
	return records, examples, split
}

// Every task reads from the hub's Parquet files what it reads from its own, in
// each folder and under each name that they can have.
func TestEveryTaskFromTheHub(t *testing.T) {
	for _, task := range All() {
		t.Run(task.Name, func(t *testing.T) {
			set, ok := hubSets[task.Name]
			if !ok {
				t.Fatal("the task is not in hubSets")
			}
			records, want, split := published(t, task)
			var rows [][]hubCell
			for _, r := range records {
				rows = append(rows, hubForm(task, r))
			}
			name := string(split)
			if other, ok := set.Splits[split]; ok {
				name = other
			}
			for _, folder := range set.places() {
				dir := t.TempDir()
				if half := len(rows) / 2; folder == "." { // in two parts
					writeHub(t, filepath.Join(dir, name+"-00000-of-00002.parquet"), "", rows[:half])
					writeHub(t, filepath.Join(dir, name+"-00001-of-00002.parquet"), "", rows[half:])
				} else if strings.HasSuffix(folder, "default") { // as the hub converts
					writeHub(t, filepath.Join(dir, folder, name, "0000.parquet"), "", rows)
				} else {
					writeHub(t, filepath.Join(dir, folder, name+"-00000-of-00001.parquet"), "", rows)
				}
				got, err := task.Load(t.Context(), split, LoadOptions{Data: dir})
				if err != nil {
					t.Fatalf("%s: %v", folder, err)
				}
				if diff := cmp.Diff(plainAnswers(task, want), plainAnswers(task, got)); diff != "" {
					t.Fatalf("%s:\n%s", folder, diff)
				}
			}
		})
	}
	if len(hubSets) != len(All()) {
		t.Errorf("%d sets of the hub for %d tasks", len(hubSets), len(All()))
	}
}

// plainAnswers writes STS-B's scores, of which the hub has the numbers, alike.
func plainAnswers(task *Task, examples []Example) []Example {
	if task != stsb {
		return examples
	}
	out := slices.Clone(examples)
	for i, ex := range out {
		score, _ := strconv.ParseFloat(ex.Answers[0], 32)
		out[i].Answers = []string{fmt.Sprint(float32(score))}
	}
	return out
}

// The splits whose names differ.
func TestHubSplits(t *testing.T) {
	row := func(hypothesis string, label int64) []hubCell {
		return []hubCell{{"premise", "p"}, {"hypothesis", hypothesis}, {"label", label}}
	}
	dir := t.TempDir()
	for split, name := range map[Split]string{
		Validation: "validation_matched", ValidationMismatched: "validation_mismatched",
		Test: "test_matched", TestMismatched: "test_mismatched",
	} {
		label := int64(2)
		if strings.HasPrefix(name, "test") {
			label = -1 // as the hub says that there is none
		}
		writeHub(t, filepath.Join(dir, "glue", "mnli", name+"-00000-of-00001.parquet"), "", [][]hubCell{row(name, label)})
		got, err := mnli.Load(t.Context(), split, LoadOptions{Data: dir})
		if err != nil || len(got) != 1 || !strings.Contains(got[0].Input, name) || got[0].Label != int(label) {
			t.Errorf("%s: %+v, %v", split, got, err)
		}
	}
	if _, err := mnli.Load(t.Context(), Train, LoadOptions{Data: dir}); err == nil || !strings.Contains(err.Error(), "no train.tsv in") {
		t.Errorf("a split that is not there: %v", err)
	}
}

// Rows without answers, of test splits.
func TestHubWithoutAnswers(t *testing.T) {
	dir := t.TempDir()
	writeHub(t, filepath.Join(dir, "record", "test-00000-of-00001.parquet"), "", [][]hubCell{{
		{"query", "q @placeholder"},
		{"passage", "p"},
		{"entities", []string{"B", "A", "B"}},
		{"answers", []string{}},
		{"idx", []hubCell{{"passage", int32(1)}, {"query", int32(2)}}},
	}})
	got, err := record.Load(t.Context(), Test, LoadOptions{Data: dir})
	want := []Example{{ID: "test:0", Input: "query: q @placeholder entities: A, B passage: p", Label: -1, Choices: []string{"A", "B"}, Group: "1:2"}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	writeHub(t, filepath.Join(dir, "stsb", "test-00000-of-00001.parquet"), "",
		[][]hubCell{{{"sentence1", "a"}, {"sentence2", "b"}, {"label", float32(-1)}}})
	if got, err := stsb.Load(t.Context(), Test, LoadOptions{Data: dir}); err != nil || len(got[0].Answers) > 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

// A file can say what its integers stand for, which then holds.
func TestHubClassNames(t *testing.T) {
	rows := [][]hubCell{{{"text", "Oil fell."}, {"label", int64(1)}}, {{"text", "They won."}, {"label", int64(3)}}}
	for _, c := range []struct {
		names string
		want  []int
	}{
		{`["Sci/Tech", "World", "Business", "Sports"]`, []int{0, 1}},
		{`["World", "Sports", "Business", "Sci/Tech"]`, []int{1, 3}},
		{`["a", "b", "c", "d"]`, []int{1, 3}}, // other names for the same
	} {
		dir := t.TempDir()
		said := `{"info": {"features": {"text": {"dtype": "string"}, "list": [1], "label": {"names": ` + c.names + `, "_type": "ClassLabel"}}}}`
		writeHub(t, filepath.Join(dir, "train-00000-of-00001.parquet"), said, rows)
		got, err := agNews.Load(t.Context(), Train, LoadOptions{Data: dir})
		if err != nil {
			t.Fatal(err)
		}
		if labels := []int{got[0].Label, got[1].Label}; !slices.Equal(labels, c.want) {
			t.Errorf("%s: %v, want %v", c.names, labels, c.want)
		}
	}
}

func TestHostileHub(t *testing.T) {
	for name, c := range map[string]struct {
		task *Task
		file string
		row  []hubCell
		want string
	}{
		"label out of range": {superRTE, "train-00000-of-00001.parquet", []hubCell{{"premise", "p"}, {"hypothesis", "h"}, {"label", int64(2)}}, `row 1: the label is "2", want 0 to 1`},
		"label below":        {superRTE, "train-00000-of-00001.parquet", []hubCell{{"premise", "p"}, {"hypothesis", "h"}, {"label", int64(-2)}}, `row 1: the label is "-2", want 0 to 1`},
		"another task's":     {superRTE, "train-00000-of-00001.parquet", []hubCell{{"sentence1", "p"}, {"sentence2", "h"}, {"label", int64(1)}}, `no column "hypothesis"`},
		"a part missing":     {superRTE, "train-00001-of-00002.parquet", []hubCell{{"premise", "p"}, {"hypothesis", "h"}, {"label", int64(1)}}, "there is no train-00000-of-00001.parquet"},
		"span outside":       {wsc, "train/0000.parquet", []hubCell{{"text", "Ann left ."}, {"span1_text", "Ann"}, {"span1_index", int32(9)}, {"span2_text", "Ann"}, {"span2_index", int32(0)}, {"label", int64(1)}}, "row 1: word 9 of a text of 3 words"},
		"a score too high":   {stsb, "train/0000.parquet", []hubCell{{"sentence1", "a"}, {"sentence2", "b"}, {"label", float32(7)}}, `the score is "7"`},
		"not the subset":     {mrqaDROP, "test/0000.parquet", []hubCell{{"subset", "RACE"}, {"question", "q"}, {"context", "c"}, {"answers", []string{"a"}}}, "no row has the subset DROP"},
		"no answers":         {squad, "train/0000.parquet", []hubCell{{"question", "q"}, {"context", "c"}, {"answers", []hubCell{{"text", []string{}}}}}, "row 1: the question has no answer"},
	} {
		dir := t.TempDir()
		writeHub(t, filepath.Join(dir, c.file), "", [][]hubCell{c.row})
		split := Train
		if c.task == mrqaDROP {
			split = Test
		}
		if _, err := c.task.Load(t.Context(), split, LoadOptions{Data: dir}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q in it", name, err, c.want)
		}
	}
	if _, _, err := (&Task{Name: "x"}).openHub(Train, t.TempDir()); err != fs.ErrNotExist {
		t.Errorf("%v for a task that the hub does not have", err)
	}
}
