package tasks

import (
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
)

// hubSet is a published task as a data set on the Hugging Face hub has it: Parquet
// files whose columns are those of the published files.
type hubSet struct {
	Columns []string
	Folders []string         // where the files may lie below a data folder
	Splits  map[Split]string // what a split is called, where that differs
}

// hubSets has a line for each task that the hub has in this form. A new line
// is all that another task needs.
var hubSets = map[string]hubSet{
	"sst2": {Columns: []string{"sentence", "label"}, Folders: []string{"sst2", "glue/sst2", "sst2/data", "data", "."}},
	"imdb": {Columns: []string{"text", "label"}, Folders: []string{"imdb", "imdb/plain_text", "plain_text", "."}, Splits: map[Split]string{Validation: "test"}},
}

// openHub finds a split of the task as the hub's Parquet file in a data
// folder. It returns fs.ErrNotExist where there is none.
func (t *Task) openHub(split Split, data string) (iter.Seq2[Record, error], string, error) {
	set := hubSets[t.Name]
	name := string(split)
	if other, ok := set.Splits[split]; ok {
		name = other
	}
	fsys := os.DirFS(data)
	for _, folder := range set.Folders {
		parts, err := fs.Glob(fsys, path.Join(folder, name+"-[0-9][0-9][0-9][0-9][0-9]-of-[0-9][0-9][0-9][0-9][0-9].parquet"))
		if err != nil || len(parts) == 0 {
			continue
		}
		where := filepath.Join(data, filepath.FromSlash(parts[0]))
		if len(parts) > 1 {
			where = filepath.Join(data, filepath.FromSlash(path.Dir(parts[0])))
		}
		if err := wholeSet(name, parts); err != nil {
			return nil, where, err
		}
		return t.hubRows(set, fsys, parts), where, nil
	}
	return nil, "", fs.ErrNotExist
}

// wholeSet reports a part that is missing.
func wholeSet(split string, parts []string) error {
	for i, part := range parts {
		if want := fmt.Sprintf("%s-%05d-of-%05d.parquet", split, i, len(parts)); path.Base(part) != want {
			return fmt.Errorf("there is no %s beside %s", want, parts[0])
		}
	}
	return nil
}

// hubRows reads the parts one after the other. The hub gives rows without a
// label the label −1.
func (t *Task) hubRows(set hubSet, fsys fs.FS, parts []string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for _, part := range parts {
			file := File{Read: parquetTable(Columns{Names: set.Columns})}
			rows, err := file.rows(fsys, part)
			if err != nil {
				yield(Record{}, err)
				return
			}
			for record, err := range rows {
				if err != nil && len(parts) > 1 {
					err = fmt.Errorf("%s: %w", path.Base(part), err)
				}
				if record.Fields[t.LabelField] == "-1" {
					delete(record.Fields, t.LabelField)
				}
				if !yield(record, err) {
					return
				}
			}
		}
	}
}
