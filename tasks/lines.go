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

// errNoRows is what a file without a row is.
var errNoRows = errors.New("line 1: the file has no rows")

// textLine is one line without its end.
type textLine struct {
	number   int
	text     string // valid UTF-8 without NUL
	complete bool   // a line end followed
}

// cut is a remark for messages on a line that the file's end may have cut.
func (l textLine) cut() string {
	if l.complete {
		return ""
	}
	return "; the file ends here without a line end, so it looks cut short"
}

// lines yields the lines of a text file, the byte order mark, the line ends
// and blank lines at the end taken off. A blank line before another line, bytes
// that are not UTF-8 and a NUL are errors of one line: who asks for the next
// one gets it.
func lines(r io.Reader) iter.Seq2[textLine, error] { return linesOf(r, false) }

// linesOf is lines, and leaves out blank lines anywhere if it may.
func linesOf(r io.Reader, skipBlank bool) iter.Seq2[textLine, error] {
	return func(yield func(textLine, error) bool) {
		in := bufio.NewReaderSize(r, 64<<10)
		blank := 0 // number of the last blank line
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
			case line.text == "":
				blank = n
				continue
			case blank != 0 && !skipBlank:
				if !yield(textLine{number: blank}, errors.New("a blank line between the rows")) {
					return
				}
				blank = 0
			}
			if !yield(line, checkText(line.text)) || !complete {
				return
			}
		}
	}
}

// checkText refuses what no row of text holds.
func checkText(text string) error {
	switch {
	case !utf8.ValidString(text):
		return errors.New("not valid UTF-8")
	case strings.Contains(text, "\x00"):
		return errors.New("a NUL byte in the text")
	}
	return nil
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
