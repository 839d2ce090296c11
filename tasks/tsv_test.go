package tasks

import (
	"bytes"
	"context"
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

// loadFile loads a file as a task's validation split.
func loadFile(t testing.TB, task, path string) ([]Example, error) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, lookup(t, task).Files[Validation].Name), text, 0o644); err != nil {
		t.Fatal(err)
	}
	return lookup(t, task).Load(context.Background(), Validation, LoadOptions{Data: dir})
}

// files lists what lies in a folder of testdata under an ending.
func files(t testing.TB, folder, ending string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", folder, "*"+ending))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no files in testdata/%s: %v", folder, err)
	}
	return paths
}

func TestGoodFiles(t *testing.T) {
	plain := []Example{
		{ID: "validation:0", Index: 0, Input: "sentence: a fine film ", Label: 1, Target: "positive"},
		{ID: "validation:1", Index: 1, Input: "sentence: a dull film ", Label: 0, Target: "negative"},
	}
	for _, path := range files(t, "good", ".tsv") {
		want := plain
		if filepath.Base(path) == "quotes_are_text.tsv" {
			want = append([]Example{}, plain...)
			want[0].Input, want[1].Input = `sentence: "a fine film `, `sentence: a "dull" film `
		}
		got, err := loadFile(t, "sst2", path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s:\n%s", path, diff)
		}
	}
}

var hostile = map[string]string{
	"blank_between":         "line 3: a blank line between the rows",
	"comma_separated":       `line 1: the header is "sentence,label", want "sentence\tlabel"`,
	"cut_short":             "line 3: 1 columns, want 2 split by tabs (sentence, label); the file ends here without a line end, so it looks cut short",
	"empty":                 "line 1: the file has no rows",
	"header_only":           "line 1: the file has no rows",
	"invalid_utf8":          "line 2: not valid UTF-8",
	"label_2":               `line 3: the label is "2", want 0 or 1`,
	"label_empty":           `line 2: the label is "", want 0 or 1`,
	"label_minus":           `line 3: the label is "-1", want 0 or 1`,
	"label_space":           `line 2: the label is "1 ", want 0 or 1`,
	"label_word":            `line 2: the label is "positive", want 0 or 1`,
	"mac_line_ends":         "line 1: the header is",
	"no_header":             `line 1: the header is "a fine film \t1", want "sentence\tlabel"`,
	"nul":                   "line 2: a NUL byte in the text",
	"one_column":            "line 3: 1 columns, want 2 split by tabs (sentence, label)",
	"packed_without_ending": "line 1: not valid UTF-8",
	"quoted_header":         "line 1: the header is",
	"sentence_blank":        "line 2: the sentence is empty",
	"sentence_empty":        "line 3: the sentence is empty",
	"swapped_columns":       "line 1: the header is",
	"three_columns":         "line 3: 3 columns, want 2",
	"utf16":                 "line 1: not valid UTF-8",
}

// Every hostile file is one error that names the file, the line and what was
// wanted, and no file is without its message here.
func TestHostileFiles(t *testing.T) {
	paths := files(t, "hostile", ".tsv")
	if len(paths) != len(hostile) {
		t.Errorf("%d files, %d messages", len(paths), len(hostile))
	}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".tsv")
		t.Run(name, func(t *testing.T) {
			want, ok := hostile[name]
			if !ok {
				t.Fatal("no message is given for this file")
			}
			examples, err := loadFile(t, "sst2", path)
			if err == nil || examples != nil {
				t.Fatalf("%d examples, error %v", len(examples), err)
			}
			if !strings.Contains(err.Error(), "dev.tsv: "+want) {
				t.Errorf("error %q, want %q in it", err, want)
			}
			if !strings.Contains(hint.Of(err), "gluebenchmark.com") {
				t.Errorf("hint %q", hint.Of(err))
			}
		})
	}
}

// collect reads everything, at most up to the error.
func collect(read Reader, r io.Reader) (records []Record, err error) {
	for record, err := range read(r) {
		if err != nil {
			return records, err
		}
		records = append(records, record)
	}
	return records, nil
}

func TestLongLines(t *testing.T) {
	read := TSV("sentence", "label")
	long := strings.Repeat("film ", 100_000) // longer than any buffer
	records, err := collect(read, strings.NewReader("sentence\tlabel\n"+long+"\t1\n"))
	if err != nil || len(records) != 1 || records[0].Fields["sentence"] != long {
		t.Errorf("%d records, %v", len(records), err)
	}
	endless := io.MultiReader(strings.NewReader("sentence\tlabel\n"), iotestEndless{})
	if _, err := collect(read, endless); err == nil || !strings.Contains(err.Error(), "line 2: longer than 1048576 bytes") {
		t.Errorf("an endless line gave %v", err)
	}
}

// iotestEndless is a line that never ends.
type iotestEndless struct{}

func (iotestEndless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'a'
	}
	return len(p), nil
}

func TestReadErrorsAreKept(t *testing.T) {
	broken := errors.New("the disk is gone")
	r := io.MultiReader(strings.NewReader("sentence\tlabel\nfine\t1\nhalf a ro"), iotest.ErrReader(broken))
	records, err := collect(TSV("sentence", "label"), r)
	if !errors.Is(err, broken) || len(records) != 1 {
		t.Errorf("%d records, error %v", len(records), err)
	}
}

// What the reader hands out is what was written, whatever the text.
func TestTSVRoundTrip(t *testing.T) {
	cell := rapid.StringMatching(`[^\x00\t\r\n]{1,20}`)
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOfN(rapid.SliceOfN(cell, 2, 2), 1, 20).Draw(t, "rows")
		end := rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(t, "end")
		text := "sentence\tlabel" + end
		for _, row := range rows {
			text += strings.Join(row, "\t") + end
		}
		if rapid.Bool().Draw(t, "without the last line end") {
			text = strings.TrimSuffix(text, end)
		}
		records, err := collect(TSV("sentence", "label"), iotest.OneByteReader(strings.NewReader(text)))
		if err != nil {
			t.Fatal(err)
		}
		var got [][]string
		for i, r := range records {
			if r.Line != i+2 {
				t.Fatalf("row %d on line %d", i, r.Line)
			}
			got = append(got, []string{r.Fields["sentence"], r.Fields["label"]})
		}
		if diff := cmp.Diff(rows, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func FuzzTSV(f *testing.F) {
	for _, folder := range []string{"good", "hostile"} {
		for _, path := range files(f, folder, ".tsv") {
			text, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		records, err := collect(TSV("sentence", "label"), bytes.NewReader(text))
		if err == nil && len(records) == 0 {
			t.Error("neither a row nor an error")
		}
		if len(records) > bytes.Count(text, []byte("\n")) {
			t.Errorf("%d rows of %d lines", len(records), bytes.Count(text, []byte("\n")))
		}
		line := 1
		for _, r := range records {
			if r.Line <= line {
				t.Errorf("line %d after line %d", r.Line, line)
			}
			line = r.Line
			if len(r.Fields) != 2 {
				t.Errorf("line %d has %d fields", r.Line, len(r.Fields))
			}
			for name, value := range r.Fields {
				if !utf8.ValidString(value) || strings.ContainsAny(value, "\x00\t\n") {
					t.Errorf("line %d: %s is %q", r.Line, name, value)
				}
			}
		}
	})
}
