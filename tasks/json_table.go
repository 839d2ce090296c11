package tasks

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
)

// jsonlTable reads an object a line. Texts, numbers, true and false become the
// text of a field; a list, an object or null is an error where a field is
// wanted, but for the list of texts that [Columns] allows.
func jsonlTable(c Columns) Reader {
	return func(r io.Reader) iter.Seq2[Record, error] {
		return func(yield func(Record, error) bool) {
			rows := 0
			for line, err := range lines(r) {
				rows++
				record := Record{Line: line.number}
				if err == nil {
					if err = c.object(&record, line.text); err != nil {
						err = fmt.Errorf("%w%s", err, line.cut())
					}
				}
				if err != nil {
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

// jsonTable reads a list of objects, or JSON lines where the file does not
// begin with a bracket.
func jsonTable(c Columns) Reader {
	return func(r io.Reader) iter.Seq2[Record, error] {
		return func(yield func(Record, error) bool) {
			in := bufio.NewReader(withoutMark(r))
			if !beginsList(in) {
				jsonlTable(c)(in)(yield)
				return
			}
			d := json.NewDecoder(in)
			d.Token() // the bracket
			row := 0
			for d.More() {
				row++
				var raw json.RawMessage
				err := d.Decode(&raw)
				broken := err != nil
				if err == nil && len(raw) > maxLine {
					err = fmt.Errorf("longer than %d bytes, so no row of text", maxLine)
				}
				record := Record{Row: row}
				if err == nil {
					if err = checkText(string(raw)); err == nil {
						err = c.object(&record, string(raw))
					}
				}
				if err != nil {
					err = fmt.Errorf("row %d: %w", row, unexpected(err))
				}
				if !yield(record, err) || broken {
					return
				}
			}
			if _, err := d.Token(); err != nil {
				yield(Record{}, fmt.Errorf("after row %d: %w; the list is cut short", row, unexpected(err)))
			} else if _, err := d.Token(); err != io.EOF {
				yield(Record{}, fmt.Errorf("after row %d: something follows the list", row))
			} else if row == 0 {
				yield(Record{}, errNoRows)
			}
		}
	}
}

// beginsList tells whether the first character that is no space is a bracket.
func beginsList(in *bufio.Reader) bool {
	for n := 1; n <= in.Size(); n++ {
		head, err := in.Peek(n)
		if err != nil {
			return false
		}
		if c := head[n-1]; c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return c == '['
		}
	}
	return false
}

// object fills a record from the text of a JSON object.
func (c Columns) object(record *Record, text string) error {
	object, err := parseObject(text)
	if err != nil {
		return fmt.Errorf("not a JSON object: %w", err)
	}
	record.Fields = make(map[string]string, len(c.Names))
	for _, name := range c.Names {
		raw, ok := object[name]
		if !ok && slices.Contains(c.Maybe, name) {
			continue
		}
		if !ok {
			return noColumn(name, slices.Sorted(maps.Keys(object)))
		}
		if name == c.List && strings.HasPrefix(string(raw), "[") {
			if record.Answers, err = jsonTexts(raw); err != nil {
				return fmt.Errorf("the %s: %w", name, err)
			}
			record.Fields[name] = ""
			continue
		}
		value, ok := jsonAny(raw)
		switch {
		case !ok:
			return fmt.Errorf("the %s is %.40s, want a text, a number, true or false", name, raw)
		case strings.Contains(value, "\x00"):
			return fmt.Errorf("a NUL character in the %s", name)
		}
		record.Fields[name] = value
	}
	return nil
}

// jsonAny reads any plain value as text, a number as it is written.
func jsonAny(raw json.RawMessage) (string, bool) {
	if text, ok := jsonText(raw); ok {
		return text, true
	}
	text := string(raw)
	plain := text != "null" && !strings.ContainsAny(text[:min(1, len(text))], `[{"`)
	return text, plain
}

// jsonTexts reads a list of plain values with at least one in it.
func jsonTexts(raw json.RawMessage) ([]string, error) {
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, errors.New("the list is empty")
	}
	texts := make([]string, len(list))
	for i, item := range list {
		text, ok := jsonAny(item)
		if !ok || strings.Contains(text, "\x00") {
			return nil, fmt.Errorf("item %d is %.40s, want a text", i+1, item)
		}
		texts[i] = text
	}
	return texts, nil
}
