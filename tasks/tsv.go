package tasks

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"unicode/utf8"
)

// maxLine bounds a line of a text file. The longest in a published set has a
// few kilobytes, so what is longer is no such file.
const maxLine = 1 << 20

// Record is one row as a file holds it.
type Record struct {
	Line   int               // where the row begins, from 1
	Fields map[string]string // column name to text, valid UTF-8
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
			blank, rows := 0, 0 // line number of the last blank line; rows so far
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
				case line.text == "":
					blank = n
					continue
				case blank != 0:
					fail(blank, "a blank line between the rows")
					return
				}
				cells := strings.Split(line.text, "\t")
				if len(cells) != len(columns) {
					cut := ""
					if !line.complete {
						cut = "; the file ends here without a line end, so it looks cut short"
					}
					fail(n, "%d columns, want %d split by tabs (%s)%s",
						len(cells), len(columns), strings.Join(columns, ", "), cut)
					return
				}
				fields := make(map[string]string, len(columns))
				for i, name := range columns {
					fields[name] = cells[i]
				}
				rows++
				if !yield(Record{n, fields}, nil) {
					return
				}
			}
			if rows == 0 {
				fail(1, "the file has no rows")
			}
		}
	}
}

// textLine is one line without its end.
type textLine struct {
	number   int
	text     string // valid UTF-8 without NUL
	complete bool   // a line end followed
}

// lines yields the lines of a text file, the byte order mark and the line
// ends taken off. After an error it stops.
func lines(r io.Reader) iter.Seq2[textLine, error] {
	return func(yield func(textLine, error) bool) {
		in := bufio.NewReaderSize(r, 64<<10)
		for n := 1; ; n++ {
			raw, err := readLine(in)
			if err != nil && err != io.EOF {
				yield(textLine{number: n}, err)
				return
			}
			if err == io.EOF && len(raw) == 0 {
				return
			}
			if n == 1 {
				raw = bytes.TrimPrefix(raw, []byte("\uFEFF"))
			}
			text, complete := bytes.CutSuffix(raw, []byte("\n"))
			text = bytes.TrimSuffix(text, []byte("\r"))
			line := textLine{n, string(text), complete}
			switch {
			case !utf8.ValidString(line.text):
				yield(line, errors.New("not valid UTF-8"))
				return
			case strings.Contains(line.text, "\x00"):
				yield(line, errors.New("a NUL byte in the text"))
				return
			}
			if !yield(line, nil) || err == io.EOF {
				return
			}
		}
	}
}

// readLine reads up to and with the next \n, but never more than maxLine.
func readLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > maxLine {
			return nil, fmt.Errorf("longer than %d bytes, so no row of text", maxLine)
		}
		if err != bufio.ErrBufferFull {
			return line, err
		}
	}
}
