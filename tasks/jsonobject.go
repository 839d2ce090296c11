package tasks

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// jsonObject is a JSON object, its values unread. Its methods read one, or say
// what is missing or of another type.
type jsonObject map[string]json.RawMessage

// parseObject splits the text of an object into its values. Unlike
// json.Unmarshal it refuses a key that comes twice: which value holds would be
// anyone's guess.
func parseObject(text string) (jsonObject, error) {
	d := json.NewDecoder(strings.NewReader(text))
	switch first, err := d.Token(); {
	case err != nil:
		return nil, unexpected(err)
	case first != json.Delim('{'):
		return nil, fmt.Errorf("it begins with %.10q", text)
	}
	object := jsonObject{}
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

// field reads a value as text.
func (o jsonObject) field(f JSONField) (string, error) {
	raw, err := o.value(f.Key, f.Type.want)
	if err != nil {
		return "", err
	}
	text, ok := f.Type.read(raw)
	switch {
	case !ok:
		return "", fmt.Errorf("the %s is %.40s, want %s", f.Key, raw, f.Type.want)
	case strings.Contains(text, "\x00"):
		return "", fmt.Errorf("a NUL character in the %s", f.Key)
	}
	return text, nil
}

// text reads a string.
func (o jsonObject) text(key string) (string, error) { return o.field(JSONField{key, JSONText}) }

// integer reads an integer that fits an int.
func (o jsonObject) integer(key string) (int, error) {
	text, err := o.field(JSONField{key, JSONInteger})
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("the %s is %s, which is too large", key, text)
	}
	return n, nil
}

// object reads an object within.
func (o jsonObject) object(key string) (jsonObject, error) {
	raw, err := o.value(key, "an object")
	if err != nil {
		return nil, err
	}
	inner, err := parseObject(string(raw))
	if err != nil {
		return nil, fmt.Errorf("the %s is no object: %w", key, err)
	}
	return inner, nil
}

// objects reads a list of objects. The errors of their values are for the
// caller to place.
func (o jsonObject) objects(key string) ([]jsonObject, error) {
	raw, err := o.value(key, "a list of objects")
	if err != nil {
		return nil, err
	}
	var items []json.RawMessage
	if err := json.Unmarshal(raw, &items); err != nil || items == nil {
		return nil, fmt.Errorf("the %s is %.40s, want a list of objects", key, raw)
	}
	out := make([]jsonObject, len(items))
	for i, item := range items {
		if out[i], err = parseObject(string(item)); err != nil {
			return nil, fmt.Errorf("%s %d is no object: %w", key, i, err)
		}
	}
	return out, nil
}

// value finds a value; want is for the message.
func (o jsonObject) value(key, want string) (json.RawMessage, error) {
	raw, ok := o[key]
	if !ok {
		return nil, fmt.Errorf("the object has no %q, want %s", key, want)
	}
	return raw, nil
}
