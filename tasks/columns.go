package tasks

import (
	"fmt"
	"io"
	"iter"
	"maps"
	"path"
	"slices"
	"strings"

	"softprompt/onnx/hint"
)

// Columns names what is read of a table whose header, keys or schema say what
// its columns are called. Others are ignored. Whatever type a value has, it is
// read as text.
type Columns struct {
	Names []string // must be there
	Maybe []string // of Names, those that may be missing: the label of a test split
	// List is a column of Names in which JSON may have a list of texts, which
	// goes to the record's Answers; "" is none.
	List string
	// Choices is a column of Names in which Parquet has a list of texts that goes
	// to the record's Choices.
	Choices string
	// Classes are the names of classes. Where a Parquet file of Hugging Face's
	// says that a column's integers stand for just these, the names are read.
	Classes []string
	// Bare is a CSV file without a header line: Names are all its columns in order.
	Bare bool
}

// formats are the file formats of tables by the ending of a file's name. Each
// reader goes on after a bad row when asked for the next one.
var formats = map[string]func(Columns) Reader{
	".tsv":     tsvTable,
	".csv":     csvTable,
	".jsonl":   jsonlTable,
	".json":    jsonTable,
	".parquet": parquetTable,
}

// formatOf returns the ending that says how a file is read: that of its name,
// .gz aside, or the given format in place of it ("" is none).
func formatOf(name, format string) (string, error) {
	ending := strings.ToLower(path.Ext(strings.TrimSuffix(name, ".gz")))
	if format != "" {
		ending = "." + strings.TrimPrefix(format, ".")
	}
	if formats[ending] == nil {
		return "", hint.Wrap(fmt.Errorf("%s: no format of the name %q", name, strings.TrimPrefix(ending, ".")),
			"formats are %s, each also as .gz", formatNames())
	}
	return ending, nil
}

// formatNames lists the formats, for messages.
func formatNames() string {
	names := slices.Sorted(maps.Keys(formats))
	for i := range names {
		names[i] = strings.TrimPrefix(names[i], ".")
	}
	return strings.Join(names, ", ")
}

// places returns where each wanted column is among those of a header, −1 for
// one that is missing and may be.
func (c Columns) places(header []string) ([]int, error) {
	at := make([]int, len(c.Names))
	for i, name := range c.Names {
		at[i] = slices.Index(header, name)
		switch {
		case at[i] >= 0 && slices.Contains(header[at[i]+1:], name):
			return nil, fmt.Errorf("the column %q is there twice", name)
		case at[i] < 0 && !slices.Contains(c.Maybe, name):
			return nil, noColumn(name, header)
		}
	}
	return at, nil
}

// noColumn is the error of a column that is not there.
func noColumn(name string, header []string) error {
	shown := header[:min(len(header), 20)]
	err := fmt.Errorf("no column %q; there are %.400s", name, strings.Join(shown, ", "))
	if near := nearest(name, header); near != "" {
		return hint.Wrap(err, "did you mean %.80s?", near)
	}
	return err
}

// record takes the wanted cells of a row.
func (c Columns) record(line int, at []int, cells []string) Record {
	r := Record{Line: line, Fields: make(map[string]string, len(at))}
	for i, name := range c.Names {
		if at[i] >= 0 {
			r.Fields[name] = cells[at[i]]
		}
	}
	return r
}

// tsvTable reads tab-separated values under a header line, in the flavour of
// [TSV]: no quoting, spaces kept.
func tsvTable(c Columns) Reader {
	return func(r io.Reader) iter.Seq2[Record, error] {
		return func(yield func(Record, error) bool) {
			var header []string
			var at []int
			rows := 0
			for line, err := range lines(r) {
				if header == nil && err == nil {
					header = strings.Split(line.text, "\t")
					if at, err = c.places(header); err == nil {
						continue
					}
				}
				if at == nil { // nothing can be read without a header
					yield(Record{}, fmt.Errorf("line %d: %w", line.number, err))
					return
				}
				rows++
				cells := strings.Split(line.text, "\t")
				if err == nil && len(cells) != len(header) {
					err = fmt.Errorf("%d columns, want %d split by tabs, as in the header%s", len(cells), len(header), line.cut())
				}
				record := Record{}
				if err == nil {
					record = c.record(line.number, at, cells)
				} else {
					err = fmt.Errorf("line %d: %w", line.number, err)
				}
				if !yield(record, err) {
					return
				}
			}
			if rows == 0 {
				yield(Record{}, errNoRows)
			}
		}
	}
}
