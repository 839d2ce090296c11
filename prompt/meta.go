package prompt

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"strconv"
	"strings"

	"softprompt/onnx/hint"
)

// FormatVersion is the version of the file format that [Save] writes. Files of
// a later version are refused.
const FormatVersion = 1

// Meta is what a prompt says about itself: enough to predict with it alone,
// and where it came from. Nothing in it depends on the clock or the machine.
// Zero values mean that it does not say.
type Meta struct {
	Length int            // P, vectors before the input
	DModel int            // d, their width
	Sizes  map[string]int // what else a method needs to know, by name

	Placement  string // of the vectors, one of [Placements]; "" is before the input
	Visibility string // what they see, one of [Visibilities]; "" is all

	Task       string
	Definition string   // what defines the task, in YAML, where it is the user's own
	Template   string   // the cast of a row to the model's input
	Verbalizer string   // label words, in the string form of package tasks
	Labels     []string // the closed set, in the task's order
	MaxInput   int      // pieces of an input, the end-of-sequence included
	MaxTarget  int
	// Calibration is added to the labels' log-probabilities, in their order.
	Calibration []float64

	BaseModel     string
	Revision      string
	Fingerprint   string // models.Fingerprint in string form
	TokenizerHash string

	Step      int64 // updates made
	Score     float64
	ScoreName string // the metric and split that Score is of
	Version   string // of the softprompt that made it
	Seed      uint64
	Init      string // as [ParseInit] reads it

	// Extra is all other metadata of the file, kept as it was.
	Extra map[string]string
}

// Keys of the metadata in a file.
const (
	keyPrefix = "softprompt."
	keyFormat = keyPrefix + "format"
	keyMethod = keyPrefix + "method"
	keySizes  = keyPrefix + "size."
)

// field is one line of metadata: its key and the variable that it is kept in.
type field struct {
	key   string
	value any // *string, *int, *int64, *uint64, *float64, *[]string or *[]float64
}

// fields is the one list that reading and writing share.
func (m *Meta) fields() []field {
	return []field{
		{"length", &m.Length},
		{"d_model", &m.DModel},
		{"placement", &m.Placement},
		{"visibility", &m.Visibility},
		{"task", &m.Task},
		{"task_definition", &m.Definition},
		{"template", &m.Template},
		{"verbalizer", &m.Verbalizer},
		{"labels", &m.Labels},
		{"max_input", &m.MaxInput},
		{"max_target", &m.MaxTarget},
		{"calibration", &m.Calibration},
		{"base_model", &m.BaseModel},
		{"revision", &m.Revision},
		{"fingerprint", &m.Fingerprint},
		{"tokenizer", &m.TokenizerHash},
		{"step", &m.Step},
		{"score", &m.Score},
		{"score_name", &m.ScoreName},
		{"version", &m.Version},
		{"seed", &m.Seed},
		{"init", &m.Init},
	}
}

func (m *Meta) check() error {
	for name, n := range map[string]int{"length": m.Length, "d_model": m.DModel, "max_input": m.MaxInput, "max_target": m.MaxTarget} {
		if n < 0 || n > math.MaxInt32 {
			return fmt.Errorf("%s is %d", name, n)
		}
	}
	if m.Step < 0 {
		return fmt.Errorf("step is %d", m.Step)
	}
	if n := len(m.Calibration); n > 0 && n != len(m.Labels) {
		return fmt.Errorf("%d calibration values for %d labels", n, len(m.Labels))
	}
	for i, c := range m.Calibration {
		if math.IsNaN(c) || math.IsInf(c, 0) {
			return fmt.Errorf("calibration of label %q is %v", m.Labels[i], c)
		}
	}
	for key := range m.Extra {
		if strings.HasPrefix(key, keyPrefix) {
			return fmt.Errorf("extra metadata %q has the prefix that is softprompt's own", key)
		}
	}
	return nil
}

// encode writes the metadata as strings. Zero values are left out.
func (m *Meta) encode(method string) map[string]string {
	out := maps.Clone(m.Extra)
	if out == nil {
		out = map[string]string{}
	}
	out[keyFormat] = strconv.Itoa(FormatVersion)
	out[keyMethod] = method
	for name, n := range m.Sizes {
		out[keySizes+name] = strconv.Itoa(n)
	}
	for _, f := range m.fields() {
		if text := format(f.value); text != "" {
			out[keyPrefix+f.key] = text
		}
	}
	return out
}

// decodeMeta reads what encode wrote. Unknown keys of softprompt's own are
// errors, since what they mean may matter.
func decodeMeta(data map[string]string) (method string, m Meta, err error) {
	version, err := strconv.Atoi(data[keyFormat])
	switch {
	case data[keyFormat] == "":
		return "", m, hint.Wrap(errors.New("not a softprompt prompt: its metadata lacks "+keyFormat),
			"only prompts that softprompt wrote can be read from .safetensors; a bare matrix can be read from .npy")
	case err != nil || version < 1:
		return "", m, fmt.Errorf("metadata %s is %.40q, want a version", keyFormat, data[keyFormat])
	case version > FormatVersion:
		return "", m, hint.Wrap(fmt.Errorf("the prompt is of format %d, this softprompt reads up to %d", version, FormatVersion),
			"use the softprompt that wrote it, or a newer one")
	}
	left := maps.Clone(data)
	delete(left, keyFormat)
	delete(left, keyMethod)
	for _, f := range m.fields() {
		key := keyPrefix + f.key
		if text, ok := left[key]; ok {
			if err := parse(f.value, text); err != nil {
				return "", m, fmt.Errorf("metadata %s is %.40q: %w", key, text, err)
			}
			delete(left, key)
		}
	}
	for key, text := range left {
		if name, ok := strings.CutPrefix(key, keySizes); ok {
			n, err := strconv.Atoi(text)
			if err != nil {
				return "", m, fmt.Errorf("metadata %.80s is %.40q, want a number", key, text)
			}
			if m.Sizes == nil {
				m.Sizes = map[string]int{}
			}
			m.Sizes[name] = n
			delete(left, key)
		} else if strings.HasPrefix(key, keyPrefix) {
			return "", m, fmt.Errorf("unknown metadata %.80q", key)
		}
	}
	if len(left) > 0 {
		m.Extra = left
	}
	return data[keyMethod], m, nil
}

// format writes a field's value; zero values are "".
func format(value any) string {
	switch v := value.(type) {
	case *string:
		return *v
	case *int:
		return formatNonZero(*v, strconv.Itoa)
	case *int64:
		return formatNonZero(*v, func(n int64) string { return strconv.FormatInt(n, 10) })
	case *uint64:
		return formatNonZero(*v, func(n uint64) string { return strconv.FormatUint(n, 10) })
	case *float64:
		return formatNonZero(*v, formatFloat)
	case *[]string:
		if len(*v) > 0 {
			b, _ := json.Marshal(*v) // strings always marshal
			return string(b)
		}
	case *[]float64:
		var parts []string
		for _, x := range *v {
			parts = append(parts, formatFloat(x))
		}
		return strings.Join(parts, " ")
	}
	return ""
}

func formatNonZero[T comparable](v T, format func(T) string) string {
	var zero T
	if v == zero {
		return ""
	}
	return format(v)
}

// formatFloat writes the shortest text that reads back the same.
func formatFloat(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }

// parse reads what format wrote into a field.
func parse(value any, text string) (err error) {
	switch v := value.(type) {
	case *string:
		*v = text
	case *int:
		*v, err = strconv.Atoi(text)
	case *int64:
		*v, err = strconv.ParseInt(text, 10, 64)
	case *uint64:
		*v, err = strconv.ParseUint(text, 10, 64)
	case *float64:
		*v, err = strconv.ParseFloat(text, 64)
	case *[]string:
		err = json.Unmarshal([]byte(text), v)
	case *[]float64:
		for part := range strings.FieldsSeq(text) {
			x, err := strconv.ParseFloat(part, 64)
			if err != nil {
				return errors.New("want numbers between spaces")
			}
			*v = append(*v, x)
		}
	}
	if err != nil {
		return fmt.Errorf("want a value of type %s", strings.TrimPrefix(fmt.Sprintf("%T", value), "*"))
	}
	return nil
}
