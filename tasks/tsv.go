package tasks

import (
	"cmp"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
)

// Record is one row as a file holds it.
type Record struct {
	File   string            // its own file, where each row has one; else ""
	Line   int               // where the row begins, from 1; 0 in a file that has no lines
	Row    int               // its number from 1, where there are no lines
	Fields map[string]string // column name to text, valid UTF-8

	Answers []string // as in [Example]
	Choices []string
	Group   string
}

// place says where the row is, for messages.
func (r Record) place() string {
	switch {
	case r.File != "":
		return r.File
	case r.Row > 0:
		return fmt.Sprintf("row %d", r.Row)
	}
	return fmt.Sprintf("line %d", r.Line)
}

// Reader reads the rows of one file format in order. It stops at the first
// error, which names the line; the caller adds the file.
type Reader func(r io.Reader) iter.Seq2[Record, error]

// TSV reads tab-separated values with a header line that must name exactly
// these columns. There is no quoting: GLUE's files are written so, TFDS reads
// them with csv.QUOTE_NONE, and a " is a character of the text. Spaces are
// kept. A byte order mark, \r\n and blank lines at the end are tolerated;
// invalid UTF-8, a NUL, another number of columns, a blank line in the middle
// and a line of more than 1 MiB are errors.
func TSV(columns ...string) Reader { return TSVFile{Columns: columns}.Read }

// TSVFile is a tab-separated file that is less plain than what [TSV] reads.
// Its Read is a [Reader] with the rules of TSV but for what the fields say.
type TSVFile struct {
	Columns []string          // the columns that are kept
	Among   bool              // the header may name others beside them
	Bare    bool              // there is no header line: Columns are all columns in order
	Ragged  bool              // rows that lack columns and blank lines are left out
	As      map[string]string // what a column is called in a [Record], where that differs
}

// Read yields the rows of the file.
func (f TSVFile) Read(r io.Reader) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		header := f.Columns
		at := map[string]int{} // where each kept column lies
		for i, name := range f.Columns {
			at[name] = i
		}
		rows := 0
		for line, err := range linesOf(r, f.Ragged) {
			var fields map[string]string
			switch {
			case err != nil:
			case line.number == 1 && !f.Bare:
				if header, at, err = f.header(line.text); err == nil {
					continue
				}
			default:
				if fields, err = f.row(line, header, at); fields == nil && err == nil {
					continue
				}
			}
			if err != nil {
				yield(Record{}, fmt.Errorf("line %d: %w", line.number, err))
				return
			}
			rows++
			if !yield(Record{Line: line.number, Fields: fields}, nil) {
				return
			}
		}
		if rows == 0 {
			yield(Record{}, errNoRows)
		}
	}
}

// header finds the columns in the header line.
func (f TSVFile) header(text string) (header []string, at map[string]int, err error) {
	if want := strings.Join(f.Columns, "\t"); !f.Among && text != want {
		return nil, nil, fmt.Errorf("the header is %.80q, want %q", text, want)
	}
	header, at = strings.Split(text, "\t"), map[string]int{}
	for _, name := range f.Columns {
		i := slices.Index(header, name)
		if i < 0 || slices.Contains(header[i+1:], name) {
			return nil, nil, fmt.Errorf("the header is %.160q, want in it once each: %s", text, strings.Join(f.Columns, ", "))
		}
		at[name] = i
	}
	return header, at, nil
}

// row splits a line into the columns that are kept; nil is a row to leave out.
func (f TSVFile) row(line textLine, header []string, at map[string]int) (map[string]string, error) {
	cells := strings.Split(line.text, "\t")
	switch {
	case f.Ragged && len(cells) < len(header):
		return nil, nil
	case len(cells) != len(header):
		return nil, fmt.Errorf("%d columns, want %d split by tabs (%s)%s",
			len(cells), len(header), strings.Join(header, ", "), line.cut())
	}
	fields := make(map[string]string, len(at))
	for name, i := range at {
		fields[cmp.Or(f.As[name], name)] = cells[i]
	}
	return fields, nil
}
