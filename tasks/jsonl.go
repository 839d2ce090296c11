package tasks

import (
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strconv"
)

// JSONField is a key that every object of a JSON-lines file must have, and
// what its value must be.
type JSONField struct {
	Key  string
	Type JSONType
}

// JSONType is a kind of value and how it becomes the text of a [Record].
type JSONType struct {
	want string // for messages
	read func(raw json.RawMessage) (text string, ok bool)
}

// The types of a field. A label that is an integer or a truth value reads "1"
// or "true", which a task's LabelValues name.
var (
	JSONText    = JSONType{"a string", jsonText}
	JSONInteger = JSONType{"an integer", jsonInteger}
	JSONBool    = JSONType{"true or false", jsonBool}
)

// JSONL reads JSON lines, one object a line, and keeps the given fields of
// each; SuperGLUE and Hugging Face's data sets are published so. Other keys
// are ignored. A byte order mark, \r\n and blank lines at the end are
// tolerated. Errors are what [TSV] has for lines, an object that is none or
// has a key twice, a field that is missing or of another type, and a NUL in a
// text. Half of a surrogate pair becomes U+FFFD, as everywhere in Go.
func JSONL(fields ...JSONField) Reader {
	return jsonLines(func(object jsonObject) ([]Record, error) {
		record := Record{Fields: make(map[string]string, len(fields))}
		for _, f := range fields {
			text, err := object.field(f)
			if err != nil {
				return nil, err
			}
			record.Fields[f.Key] = text
		}
		return []Record{record}, nil
	})
}

// jsonLines reads files with an object a line, which is one record or several.
func jsonLines(records func(object jsonObject) ([]Record, error)) Reader {
	return func(r io.Reader) iter.Seq2[Record, error] {
		return func(yield func(Record, error) bool) {
			rows := 0
			for line, err := range lines(r) {
				var found []Record
				if err == nil {
					found, err = lineRecords(line, records)
				}
				if err != nil {
					yield(Record{}, fmt.Errorf("line %d: %w", line.number, err))
					return
				}
				for _, record := range found {
					rows++
					record.Line = line.number
					if !yield(record, nil) {
						return
					}
				}
			}
			if rows == 0 {
				yield(Record{}, errNoRows)
			}
		}
	}
}

// lineRecords reads one line.
func lineRecords(line textLine, records func(object jsonObject) ([]Record, error)) ([]Record, error) {
	object, err := parseObject(line.text)
	if err != nil {
		return nil, fmt.Errorf("not a JSON object: %w%s", err, line.cut())
	}
	return records(object)
}

func jsonText(raw json.RawMessage) (string, bool) {
	var text *string // nil for null
	err := json.Unmarshal(raw, &text)
	if err != nil || text == nil {
		return "", false
	}
	return *text, true
}

func jsonInteger(raw json.RawMessage) (string, bool) {
	n, err := strconv.ParseInt(string(raw), 10, 64)
	return strconv.FormatInt(n, 10), err == nil
}

func jsonBool(raw json.RawMessage) (string, bool) {
	text := string(raw)
	return text, text == "true" || text == "false"
}
