package tasks

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
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
	return func(r io.Reader) iter.Seq2[Record, error] {
		return func(yield func(Record, error) bool) {
			rows := 0
			for line, err := range lines(r) {
				var record Record
				if err == nil {
					record, err = jsonRecord(line, fields)
				}
				if err != nil {
					yield(Record{}, fmt.Errorf("line %d: %w", line.number, err))
					return
				}
				rows++
				if !yield(record, nil) {
					return
				}
			}
			if rows == 0 {
				yield(Record{}, errNoRows)
			}
		}
	}
}

// jsonRecord reads one line.
func jsonRecord(line textLine, fields []JSONField) (Record, error) {
	object, err := jsonObject(line.text)
	if err != nil {
		return Record{}, fmt.Errorf("not a JSON object: %w%s", err, line.cut())
	}
	record := Record{Line: line.number, Fields: make(map[string]string, len(fields))}
	for _, f := range fields {
		raw, ok := object[f.Key]
		if !ok {
			return Record{}, fmt.Errorf("the object has no %q, want %s", f.Key, f.Type.want)
		}
		text, ok := f.Type.read(raw)
		switch {
		case !ok:
			return Record{}, fmt.Errorf("the %s is %.40s, want %s", f.Key, raw, f.Type.want)
		case strings.Contains(text, "\x00"):
			return Record{}, fmt.Errorf("a NUL character in the %s", f.Key)
		}
		record.Fields[f.Key] = text
	}
	return record, nil
}

// jsonObject splits the text of an object into its values. Unlike
// json.Unmarshal it refuses a key that comes twice: which value holds would be
// anyone's guess.
func jsonObject(text string) (map[string]json.RawMessage, error) {
	d := json.NewDecoder(strings.NewReader(text))
	switch first, err := d.Token(); {
	case err != nil:
		return nil, unexpected(err)
	case first != json.Delim('{'):
		return nil, fmt.Errorf("it begins with %.10q", text)
	}
	object := map[string]json.RawMessage{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, unexpected(err)
		}
		name := key.(string) // within an object the decoder takes nothing else
		if _, twice := object[name]; twice {
			return nil, fmt.Errorf("the key %.40q is there twice", name)
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return nil, unexpected(err)
		}
		object[name] = raw
	}
	if _, err := d.Token(); err != nil { // the closing brace
		return nil, unexpected(err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("something follows it on the line")
	}
	return object, nil
}

// unexpected is the error of an object, which must not end within.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
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
