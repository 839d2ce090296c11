package tasks

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
)

// csvTable reads comma-separated values under a header line, as RFC 4180 and
// encoding/csv have them: a field in double quotes may hold commas, line ends
// and doubled quotes, and a row has as many fields as the header. A byte order
// mark is taken off. A row may have 1 MiB.
func csvTable(c Columns) Reader {
	return func(r io.Reader) iter.Seq2[Record, error] {
		return func(yield func(Record, error) bool) {
			in := &bounded{r: withoutMark(r), left: maxLine}
			rows := csv.NewReader(in)
			rows.ReuseRecord = true
			header, at, err := c.csvHeader(rows)
			switch {
			case errors.Is(err, io.EOF):
				yield(Record{}, errNoRows)
				return
			case err != nil:
				yield(Record{}, fmt.Errorf("line 1: %w", plainCSV(err, len(header))))
				return
			}
			rows.FieldsPerRecord = len(header)
			none, line := true, 1
			for {
				in.left = maxLine
				cells, err := rows.Read()
				if err == io.EOF {
					break
				}
				none = false
				var parse *csv.ParseError
				broken := err != nil && !errors.As(err, &parse) // the file, not the row
				switch {
				case parse != nil:
					line = parse.StartLine
				case err == nil:
					line, _ = rows.FieldPos(0)
				}
				for i := 0; err == nil && i < len(cells); i++ {
					err = checkText(cells[i])
				}
				record := Record{}
				if err == nil {
					record = c.record(line, at, cells)
				} else {
					err = fmt.Errorf("line %d: %w", line, plainCSV(err, len(header)))
				}
				if !yield(record, err) || broken {
					return
				}
			}
			if none {
				yield(Record{}, errNoRows)
			}
		}
	}
}

// csvHeader returns the names of the columns and where the wanted ones are.
func (c Columns) csvHeader(rows *csv.Reader) (header []string, at []int, err error) {
	header = c.Names
	if !c.Bare {
		if header, err = rows.Read(); err != nil {
			return nil, nil, err
		}
		header = slices.Clone(header)
	}
	at, err = c.places(header)
	return header, at, err
}

// plainCSV says what encoding/csv found without its own line number.
func plainCSV(err error, columns int) error {
	var parse *csv.ParseError
	switch {
	case !errors.As(err, &parse):
		return err
	case errors.Is(err, csv.ErrFieldCount):
		return fmt.Errorf("another number of columns than %d", columns)
	}
	return fmt.Errorf("%w, in column %d of line %d", parse.Err, parse.Column, parse.Line)
}

// bounded reads on only while some of its allowance is left, so that a quote
// that is never closed does not fill the memory.
type bounded struct {
	r    io.Reader
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("a row of more than %d bytes; is a quote not closed?", maxLine)
	}
	n, err := b.r.Read(p)
	b.left -= n
	return n, err
}

// withoutMark takes a byte order mark off.
func withoutMark(r io.Reader) io.Reader {
	in := bufio.NewReader(r)
	if mark, _ := in.Peek(3); bytes.Equal(mark, []byte("\uFEFF")) {
		in.Discard(3)
	}
	return in
}
