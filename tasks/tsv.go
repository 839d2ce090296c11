package tasks

import (
	"fmt"
	"io"
	"iter"
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
func TSV(columns ...string) Reader {
	header := strings.Join(columns, "\t")
	return func(r io.Reader) iter.Seq2[Record, error] {
		return func(yield func(Record, error) bool) {
			fail := func(line int, format string, args ...any) {
				yield(Record{}, fmt.Errorf("line %d: %w", line, fmt.Errorf(format, args...)))
			}
			rows := 0
			for line, err := range lines(r) {
				n := line.number
				switch {
				case err != nil:
					fail(n, "%w", err)
					return
				case n == 1:
					if line.text != header {
						fail(n, "the header is %.80q, want %q", line.text, header)
						return
					}
					continue
				}
				cells := strings.Split(line.text, "\t")
				if len(cells) != len(columns) {
					fail(n, "%d columns, want %d split by tabs (%s)%s",
						len(cells), len(columns), strings.Join(columns, ", "), line.cut())
					return
				}
				fields := make(map[string]string, len(columns))
				for i, name := range columns {
					fields[name] = cells[i]
				}
				rows++
				if !yield(Record{Line: n, Fields: fields}, nil) {
					return
				}
			}
			if rows == 0 {
				yield(Record{}, errNoRows)
			}
		}
	}
}
