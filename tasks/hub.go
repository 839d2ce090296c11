package tasks

import (
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// hubSet is a published task as a data set on the Hugging Face hub has it:
// Parquet files with a column for each of the task's fields and one for the
// label, but for what is said here.
type hubSet struct {
	Folders []string          // where the files may lie below a data folder, but for the folder itself
	Columns []string          // those that are read; none is the task's fields and label
	As      map[string]string // the field that a column is, where that has another name
	Answers string            // the column with the list of right texts
	Choices string            // the column with the list of texts to choose from
	Splits  map[Split]string  // what a split is called, where that differs
	Only    string            // how the column subset begins, where a file has several sets
	Row     func(r *Record) error
}

// hubSets has a line for each task. Their columns are as in nyu-mll/glue,
// aps/super_glue, stanfordnlp/imdb, fancyzhx/ag_news, CogComp/trec,
// rajpurkar/squad and mrqa-workshop/mrqa. A new line is all that another task
// needs.
var hubSets = map[string]hubSet{
	"boolq":    superGLUEHub("boolq"),
	"cb":       superGLUEHub("cb"),
	"copa":     superGLUEHub("copa"),
	"multirc":  superGLUEHub("multirc").with(hubSet{Columns: []string{"question", "answer", "paragraph", "idx.paragraph", "idx.question", "label"}, Row: hubMultiRC}),
	"record":   superGLUEHub("record").with(hubSet{Columns: []string{"query", "passage", "entities", "answers", "idx.passage", "idx.query"}, Answers: "answers", Choices: "entities", Row: hubReCoRD}),
	"rte":      superGLUEHub("rte"),
	"wic":      superGLUEHub("wic"),
	"wsc":      superGLUEHub("wsc.fixed", "wsc").with(hubSet{Columns: []string{"text", "span1_text", "span1_index", "span2_text", "span2_index", "label"}, Row: hubWSC}),
	"axb":      superGLUEHub("axb"),
	"axg":      superGLUEHub("axg"),
	"cola":     glueHub("cola"),
	"sst2":     glueHub("sst2"),
	"mrpc":     glueHub("mrpc"),
	"qqp":      glueHub("qqp"),
	"stsb":     glueHub("stsb").with(hubSet{Columns: []string{"sentence1", "sentence2", "label"}, As: map[string]string{"label": "score"}, Row: hubSTSB}),
	"mnli":     glueHub("mnli").with(hubSet{Splits: map[Split]string{Validation: "validation_matched", Test: "test_matched"}}),
	"qnli":     glueHub("qnli"),
	"glue-rte": glueHub("rte"),
	"wnli":     glueHub("wnli"),
	"imdb":     {Folders: []string{"imdb"}, Splits: map[Split]string{Validation: "test"}},
	"ag-news":  {Folders: []string{"ag_news"}, Splits: map[Split]string{Validation: "test"}},
	"trec":     {Folders: []string{"trec"}, Columns: []string{"text", "coarse_label"}, As: map[string]string{"coarse_label": "label"}, Splits: map[Split]string{Validation: "test"}},
	"squad":    {Folders: []string{"squad"}, Columns: []string{"question", "context", "answers.text"}, Answers: "answers.text"},

	"mrqa-textbookqa": mrqaHub("TextbookQA"),
	"mrqa-bioasq":     mrqaHub("BioASQ"),
	"mrqa-race":       mrqaHub("RACE"),
	"mrqa-re":         mrqaHub("RelationExtraction"),
	"mrqa-duorc":      mrqaHub("DuoRC"),
	"mrqa-drop":       mrqaHub("DROP"),
}

func glueHub(config string) hubSet { return hubSet{Folders: []string{"glue/" + config, config}} }

func superGLUEHub(configs ...string) (set hubSet) {
	for _, config := range configs {
		set.Folders = append(set.Folders, "super_glue/"+config, "superglue/"+config, config)
	}
	return set
}

func mrqaHub(subset string) hubSet {
	return hubSet{
		Folders: []string{"mrqa"}, Columns: []string{"subset", "question", "context", "answers"}, Answers: "answers",
		Splits: map[Split]string{Validation: "test"}, Only: subset,
	}
}

// with returns the set in the folders of another.
func (s hubSet) with(other hubSet) hubSet {
	other.Folders = s.Folders
	return other
}

// places lists the folders that may hold the files: a configuration's own, or
// what the hub calls the only configuration in it.
func (s hubSet) places() (all []string) {
	for _, folder := range append(slices.Clone(s.Folders), ".") {
		for _, inner := range []string{"", "data", "plain_text", "default"} {
			all = append(all, path.Join(folder, inner))
		}
	}
	return all
}

// columns says what is read.
func (s hubSet) columns(t *Task) Columns {
	c := Columns{Names: s.Columns, List: s.Answers, Choices: s.Choices, Classes: t.Labels}
	if len(c.Names) == 0 {
		c.Names = append(slices.Clone(t.Fields), "label")
	}
	for _, list := range []string{s.Answers, s.Choices} {
		if list != "" {
			c.Maybe = append(c.Maybe, list) // an empty list is there in rows without answers
		}
	}
	return c
}

// openHub finds a split of the task as the hub's Parquet file in a data
// folder: split-00000-of-00001.parquet, as data sets are published, or
// split/0000.parquet, as the hub converts those of other forms. It returns
// fs.ErrNotExist where there is none.
func (t *Task) openHub(split Split, data string) (iter.Seq2[Record, error], string, error) {
	set, ok := hubSets[t.Name]
	if !ok {
		return nil, "", fs.ErrNotExist
	}
	name := string(split)
	if other, ok := set.Splits[split]; ok {
		name = other
	}
	fsys := os.DirFS(data)
	for _, folder := range set.places() {
		for _, form := range []struct{ glob, part string }{
			{name + "-[0-9][0-9][0-9][0-9][0-9]-of-[0-9][0-9][0-9][0-9][0-9].parquet", name + "-%05d-of-%05d.parquet"},
			{name + "/[0-9][0-9][0-9][0-9].parquet", "%04d.parquet"},
		} {
			parts, err := fs.Glob(fsys, path.Join(folder, form.glob))
			if err != nil || len(parts) == 0 {
				continue
			}
			where := filepath.Join(data, filepath.FromSlash(parts[0]))
			if len(parts) > 1 {
				where = filepath.Dir(where)
			}
			if err := wholeSet(form.part, parts); err != nil {
				return nil, where, err
			}
			return t.hubRows(set, fsys, parts), where, nil
		}
	}
	return nil, "", fs.ErrNotExist
}

// wholeSet reports a part that is missing. Parts are named by their number
// and, some, by how many there are.
func wholeSet(form string, parts []string) error {
	for i, part := range parts {
		numbers := []any{i, len(parts)}
		want := fmt.Sprintf(form, numbers[:strings.Count(form, "%")]...)
		if path.Base(part) != want {
			return fmt.Errorf("there is no %s beside %s", want, parts[0])
		}
	}
	return nil
}

// hubRows reads the parts one after the other.
func (t *Task) hubRows(set hubSet, fsys fs.FS, parts []string) iter.Seq2[Record, error] {
	read := File{Read: parquetTable(set.columns(t))}
	return func(yield func(Record, error) bool) {
		none := true
		for _, part := range parts {
			rows, err := read.rows(fsys, part)
			if err != nil {
				yield(Record{}, err)
				return
			}
			for record, err := range rows {
				if err == nil && !strings.HasPrefix(record.Fields["subset"], set.Only) {
					continue
				}
				if err == nil {
					if err = t.fromHub(set, &record); err != nil {
						err = fmt.Errorf("%s: %w", record.place(), err)
					}
				}
				if err != nil && len(parts) > 1 {
					err = fmt.Errorf("%s: %w", path.Base(part), err)
				}
				none = false
				if !yield(record, err) {
					return
				}
			}
		}
		if none {
			yield(Record{}, fmt.Errorf("no row has the subset %s", set.Only))
		}
	}
}

// fromHub turns a row into one as the task's own files have it. The hub
// numbers the classes in the task's order, and gives rows without a label −1.
func (t *Task) fromHub(set hubSet, r *Record) error {
	for column, field := range set.As {
		r.Fields[field] = r.Fields[column]
		delete(r.Fields, column)
	}
	if set.Row != nil {
		if err := set.Row(r); err != nil {
			return err
		}
	}
	label, ok := r.Fields["label"]
	if !ok {
		return nil
	}
	delete(r.Fields, "label")
	class := slices.Index(t.Labels, label)
	if n, err := strconv.Atoi(label); err == nil && class < 0 {
		class = n
	}
	switch {
	case class == -1:
	case class < 0 || class >= len(t.Labels):
		return fmt.Errorf("the label is %.40q, want 0 to %d", label, len(t.Labels)-1)
	default:
		r.Fields[t.LabelField] = t.LabelValues[class]
	}
	return nil
}

// hubMultiRC groups the answers by question.
func hubMultiRC(r *Record) error {
	r.Group = r.Fields["idx.paragraph"] + ":" + r.Fields["idx.question"]
	return nil
}

// hubReCoRD orders entities and answers as TFDS does.
func hubReCoRD(r *Record) error {
	r.Group = r.Fields["idx.passage"] + ":" + r.Fields["idx.query"]
	r.Choices, r.Answers = sortedOnce(r.Choices), sortedOnce(r.Answers)
	return nil
}

// hubWSC mends the spans, which one of two sets has as published.
func hubWSC(r *Record) error {
	for _, span := range []string{"span1", "span2"} {
		at, err := strconv.Atoi(r.Fields[span+"_index"])
		if err != nil {
			return fmt.Errorf("the %s_index is %.40q, want an integer", span, r.Fields[span+"_index"])
		}
		if r.Fields[span+"_text"], err = fixSpan(r.Fields["text"], r.Fields[span+"_text"], at); err != nil {
			return err
		}
	}
	r.Answers = []string{r.Fields["span1_text"]}
	return nil
}

// hubSTSB takes away the score of rows that have none.
func hubSTSB(r *Record) error {
	if r.Fields["score"] == "-1" {
		delete(r.Fields, "score")
	}
	return nil
}
