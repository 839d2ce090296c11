package tasks

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"softprompt/onnx/hint"
)

// reviews reads IMDB's form.
var reviews = JSONL(JSONField{"text", JSONText}, JSONField{"label", JSONInteger})

func TestGoodJSONLines(t *testing.T) {
	want := []Example{
		{ID: "validation:0", Index: 0, Input: "a fine film", Label: 1, Target: "positive"},
		{ID: "validation:1", Index: 1, Input: "a dull film", Label: 0, Target: "negative"},
	}
	for _, path := range files(t, "good", ".jsonl") {
		got, err := loadFile(t, "imdb", path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s:\n%s", path, diff)
		}
	}
}

var hostileJSON = map[string]string{
	"array_of_objects":      `line 1: not a JSON object: it begins with "[{\"text\": `,
	"blank_between":         "line 2: a blank line between the rows",
	"cut_in_a_pair":         "line 2: not a JSON object: unexpected EOF; the file ends here without a line end, so it looks cut short",
	"cut_short":             "line 2: not a JSON object: unexpected EOF; the file ends here without a line end, so it looks cut short",
	"deep":                  "line 1: not a JSON object: invalid character '[' exceeded max depth",
	"empty":                 "line 1: the file has no rows",
	"empty_object":          `line 2: the object has no "text", want a string`,
	"header":                "line 1: not a JSON object: invalid character",
	"invalid_utf8":          "line 2: not valid UTF-8",
	"key_in_capitals":       `line 2: the object has no "text", want a string`,
	"key_twice":             `line 2: not a JSON object: the key "label" is there twice`,
	"label_2":               `line 2: the label is "2", want 0 or 1`,
	"label_fraction":        "line 2: the label is 0.0, want an integer",
	"label_huge":            "line 2: the label is 1e999, want an integer",
	"label_missing":         `line 2: the object has no "label", want an integer`,
	"label_null":            "line 2: the label is null, want an integer",
	"label_text":            `line 2: the label is "0", want an integer`,
	"label_unknown":         `line 2: the label is "-1", want 0 or 1`,
	"line_break_in_text":    "line 1: not a JSON object: unexpected EOF",
	"nul":                   "line 2: a NUL byte in the text",
	"nul_escaped":           "line 2: a NUL character in the text",
	"number":                `line 1: not a JSON object: it begins with "1"`,
	"only_blank":            "line 1: the file has no rows",
	"packed_without_ending": "line 1: not valid UTF-8",
	"quotes_single":         `line 2: not a JSON object: invalid character '\''`,
	"text_blank":            "line 2: the text is empty",
	"text_list":             `line 2: the text is ["a dull film"], want a string`,
	"text_missing":          `line 2: the object has no "text", want a string`,
	"text_null":             "line 2: the text is null, want a string",
	"trailing_comma":        "line 2: not a JSON object: invalid character '}'",
	"two_objects":           "line 1: not a JSON object: something follows it on the line",
	"utf16":                 "line 1: not valid UTF-8",
}

// As TestHostileFiles, for JSON lines.
func TestHostileJSONLines(t *testing.T) {
	paths := files(t, "hostile", ".jsonl")
	if len(paths) != len(hostileJSON) {
		t.Errorf("%d files, %d messages", len(paths), len(hostileJSON))
	}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".jsonl")
		t.Run(name, func(t *testing.T) {
			want, ok := hostileJSON[name]
			if !ok {
				t.Fatal("no message is given for this file")
			}
			examples, err := loadFile(t, "imdb", path)
			if err == nil || examples != nil {
				t.Fatalf("%d examples, error %v", len(examples), err)
			}
			if !strings.Contains(err.Error(), "test.jsonl: "+want) {
				t.Errorf("error %q, want %q in it", err, want)
			}
			if len(err.Error()) > 400 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
			if !strings.Contains(hint.Of(err), "ai.stanford.edu") {
				t.Errorf("hint %q", hint.Of(err))
			}
		})
	}
}

// The types that label columns have: SuperGLUE's BoolQ, CB and COPA.
func TestJSONTypes(t *testing.T) {
	for _, c := range []struct {
		kind      JSONType
		raw, want string // "" where it is refused
	}{
		{JSONText, `"entailment"`, "entailment"},
		{JSONText, `"\ud83c\udfac \u00e9"`, "🎬 é"},
		{JSONText, `"half \ud83c"`, "half \uFFFD"},
		{JSONText, `1`, ""},
		{JSONText, `null`, ""},
		{JSONText, `{}`, ""},
		{JSONInteger, `0`, "0"},
		{JSONInteger, `-12`, "-12"},
		{JSONInteger, `-0`, "0"},
		{JSONInteger, `1.0`, ""},
		{JSONInteger, `1e2`, ""},
		{JSONInteger, `9223372036854775808`, ""},
		{JSONInteger, `"1"`, ""},
		{JSONInteger, `true`, ""},
		{JSONBool, `true`, "true"},
		{JSONBool, `false`, "false"},
		{JSONBool, `0`, ""},
		{JSONBool, `"true"`, ""},
		{JSONBool, `null`, ""},
	} {
		read := JSONL(JSONField{"label", c.kind})
		records, err := collect(read, strings.NewReader(`{"label": `+c.raw+`}`))
		switch {
		case c.want == "" && (err == nil || !strings.Contains(err.Error(), "the label is "+c.raw+", want "+c.kind.want)):
			t.Errorf("%s as %s: %v", c.raw, c.kind.want, err)
		case c.want != "" && (err != nil || records[0].Fields["label"] != c.want):
			t.Errorf("%s as %s: %v, %v", c.raw, c.kind.want, records, err)
		}
	}
}

func TestLongJSONLines(t *testing.T) {
	long := strings.Repeat("film ", 100_000) // longer than any buffer
	records, err := collect(reviews, strings.NewReader(`{"label": 1, "text": "`+long+`"}`))
	if err != nil || len(records) != 1 || records[0].Fields["text"] != long {
		t.Errorf("%d records, %v", len(records), err)
	}
	endless := io.MultiReader(strings.NewReader(`{"label": 1, "text": "fine"}`+"\n"+`{"text": "`), iotestEndless{})
	if records, err := collect(reviews, endless); len(records) != 1 || err == nil || !strings.Contains(err.Error(), "line 2: longer than 1048576 bytes") {
		t.Errorf("an endless line gave %v", err)
	}
	broken := errors.New("the disk is gone")
	r := io.MultiReader(strings.NewReader(`{"label": 1, "text": "fine"}`+"\n"+`{"text": "`), iotest.ErrReader(broken))
	if records, err := collect(reviews, r); !errors.Is(err, broken) || len(records) != 1 {
		t.Errorf("%d records, error %v", len(records), err)
	}
}

// What the reader hands out is what encoding/json wrote, whatever the text.
func TestJSONLRoundTrip(t *testing.T) {
	type row struct {
		Text  string `json:"text"`
		Label int64  `json:"label"`
	}
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) row {
			return row{rapid.StringMatching(`[^\x00]{0,20}`).Draw(t, "text"), rapid.Int64().Draw(t, "label")}
		}), 1, 10).Draw(t, "rows")
		var text bytes.Buffer
		e := json.NewEncoder(&text)
		e.SetEscapeHTML(rapid.Bool().Draw(t, "escaped"))
		for _, r := range rows {
			if err := e.Encode(r); err != nil {
				t.Fatal(err)
			}
		}
		records, err := collect(reviews, iotest.OneByteReader(&text))
		if err != nil {
			t.Fatal(err)
		}
		var got []row
		for i, r := range records {
			if r.Line != i+1 {
				t.Fatalf("row %d on line %d", i, r.Line)
			}
			var label int64
			if err := json.Unmarshal([]byte(r.Fields["label"]), &label); err != nil {
				t.Fatal(err)
			}
			got = append(got, row{r.Fields["text"], label})
		}
		if diff := cmp.Diff(rows, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func FuzzJSONL(f *testing.F) {
	for _, folder := range []string{"good", "hostile"} {
		for _, path := range files(f, folder, ".jsonl") {
			text, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		records, err := collect(reviews, bytes.NewReader(text))
		if err == nil && len(records) == 0 {
			t.Error("neither a row nor an error")
		}
		raw := bytes.Split(bytes.TrimPrefix(text, []byte("\uFEFF")), []byte("\n"))
		for i, r := range records {
			if r.Line != i+1 || r.Line > len(raw) {
				t.Fatalf("row %d on line %d of %d", i, r.Line, len(raw))
			}
			if !json.Valid(raw[i]) {
				t.Errorf("line %d was read, and is no JSON: %q", r.Line, raw[i])
			}
			if got := r.Fields["text"]; !utf8.ValidString(got) || strings.Contains(got, "\x00") {
				t.Errorf("line %d: the text is %q", r.Line, got)
			}
			if len(r.Fields) != 2 {
				t.Errorf("line %d has %d fields", r.Line, len(r.Fields))
			}
		}
	})
}
