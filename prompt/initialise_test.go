package prompt

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"softprompt/onnx/hint"
)

const testWidth = 4

// testSource has a table whose row of id i is i, i+0.25, i+0.5, i+0.75, and a
// tokenizer for which a word is the id it spells; log takes the warnings.
func testSource(rows int, log *bytes.Buffer) Source {
	return Source{
		Embeddings: Embeddings{Rows: rows, Row: func(id int) []float32 {
			return []float32{float32(id), float32(id) + 0.25, float32(id) + 0.5, float32(id) + 0.75}
		}},
		Encode: func(text string) (ids []int64, err error) {
			for word := range strings.FieldsSeq(text) {
				var id int64
				if _, err := fmt.Sscan(word, &id); err != nil {
					return nil, err
				}
				ids = append(ids, id)
			}
			return ids, nil
		},
		Log: slog.New(slog.NewTextHandler(log, nil)),
	}
}

// firsts returns the first value of each row, which is its id.
func firsts(rows []float32) (ids []int) {
	for i := 0; i < len(rows); i += testWidth {
		ids = append(ids, int(rows[i]))
	}
	return ids
}

func initialise(t fataler, spec string, s Source, length int) []float32 {
	t.Helper()
	i, err := ParseInit(spec)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := i.From(s)(NewRand(1, StreamInit), length, testWidth)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != length*testWidth {
		t.Fatalf("%s gave %d values for %d rows", spec, len(rows), length)
	}
	return rows
}

type fataler interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

func TestUniform(t *testing.T) {
	for spec, want := range map[string][2]float32{
		"uniform-code":      {0, 0.5},
		"uniform-paper":     {-0.5, 0.5},
		"uniform:0.01":      {0, 0.01},
		"uniform: -2 , -1 ": {-2, -1},
	} {
		rows := initialise(t, spec, Source{}, 2500)
		low, high := slices.Min(rows), slices.Max(rows)
		spread := want[1] - want[0]
		if low < want[0] || high > want[1] || low > want[0]+spread/100 || high < want[1]-spread/100 {
			t.Errorf("%s: values from %v to %v, want %v to %v", spec, low, high, want[0], want[1])
		}
	}
}

func TestSampledVocabulary(t *testing.T) {
	for _, c := range []struct {
		spec         string
		rows, length int
		low, high    int
		distinct     bool
		warning      string
	}{
		{"vocab", 9000, 1000, 0, CommonWords - 1, true, ""},
		{"vocab", 20, 20, 0, 19, true, ""}, // a small model: its whole table, silently
		{"vocab:10", 9000, 10, 0, 9, true, ""},
		{"vocab:10", 9000, 30, 0, 9, false, "rows will repeat"},
		{"vocab:100", 20, 20, 0, 19, true, "larger than the model's"},
		{"vocab-words:23", 9000, 20, 3, 22, true, ""},
		{"vocab-words", 20, 17, 3, 19, true, ""},
	} {
		t.Run(fmt.Sprintf("%s of %d for %d", c.spec, c.rows, c.length), func(t *testing.T) {
			var log bytes.Buffer
			rows := initialise(t, c.spec, testSource(c.rows, &log), c.length)
			ids := firsts(rows)
			for i, id := range ids {
				if row := rows[i*testWidth : (i+1)*testWidth]; row[3] != float32(id)+0.75 {
					t.Fatalf("row %d is %v, no row of the table", i, row)
				}
			}
			slices.Sort(ids)
			if ids[0] < c.low || ids[len(ids)-1] > c.high {
				t.Errorf("ids from %d to %d, want %d to %d", ids[0], ids[len(ids)-1], c.low, c.high)
			}
			if distinct := len(slices.Compact(ids)) == c.length; distinct != c.distinct {
				t.Errorf("ids distinct: %v, want %v", distinct, c.distinct)
			}
			checkWarning(t, log.String(), c.warning)
		})
	}
}

func checkWarning(t *testing.T, log, want string) {
	t.Helper()
	if want == "" && log != "" || !strings.Contains(log, want) {
		t.Errorf("warned %q, want %q", log, want)
	}
}

func TestClassLabels(t *testing.T) {
	for _, c := range []struct {
		name    string
		labels  []string
		want    []float32 // first column
		warning string
	}{
		{"one piece each", []string{"7", "11"}, []float32{7, 11}, ""},
		{"mean of pieces", []string{"1 2 6", "4 5"}, []float32{3, 4.5}, ""},
		{"dropped", []string{"1", "2", "3", "4"}, []float32{1, 2, 3}, "dropped"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var log bytes.Buffer
			s := testSource(100, &log)
			s.Labels = c.labels
			rows := initialise(t, "class-labels", s, 3)
			for i, want := range c.want {
				if got := rows[i*testWidth]; got != want {
					t.Errorf("row %d starts with %v, want %v", i, got, want)
				}
			}
			// The fallback drew all rows first, so those left over are its own.
			fallback := initialise(t, "vocab", s, 3)
			n := len(c.want) * testWidth
			if diff := cmp.Diff(fallback[n:], rows[n:]); diff != "" {
				t.Errorf("rows after the labels, vocab -:\n%s", diff)
			}
			checkWarning(t, log.String(), c.warning)
		})
	}
}

func TestFromText(t *testing.T) {
	var log bytes.Buffer
	s := testSource(100, &log)
	rows := initialise(t, "text:40 50", s, 3)
	if got := firsts(rows)[:2]; !slices.Equal(got, []int{40, 50}) {
		t.Errorf("rows of ids %v, want 40 50", got)
	}
	if diff := cmp.Diff(initialise(t, "vocab", s, 3)[2*testWidth:], rows[2*testWidth:]); diff != "" {
		t.Error(diff)
	}
	checkWarning(t, log.String(), "")
	if got := firsts(initialise(t, "text:1 2 3 4", s, 3)); !slices.Equal(got, []int{1, 2, 3}) {
		t.Errorf("rows of ids %v, want 1 2 3", got)
	}
	checkWarning(t, log.String(), "the rest is dropped")
}

func TestFromFile(t *testing.T) {
	dir := t.TempDir()
	rows := []float32{1, 2, 3, 4, 5, 6, 7, 8}
	npy, st := filepath.Join(dir, "p.npy"), filepath.Join(dir, "p.safetensors")
	if err := WriteNPY(npy, []int64{2, testWidth}, rows); err != nil {
		t.Fatal(err)
	}
	if err := Save(st, New(rows, 2, testWidth)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{npy, st} {
		if diff := cmp.Diff(rows, initialise(t, "file:"+path, Source{}, 2)); diff != "" {
			t.Errorf("%s:\n%s", path, diff)
		}
	}
	for _, c := range []struct {
		path          string
		length, width int
		want          string
	}{
		{npy, 3, testWidth, "2 vectors, want 3"},
		{st, 2, 5, "width 4, the model's 5"},
		{filepath.Join(dir, "absent"), 2, testWidth, "absent"},
	} {
		_, err := FromFile(c.path)(NewRand(1), c.length, c.width)
		if err == nil || !strings.Contains(err.Error(), c.want) || hint.Of(err) == "" {
			t.Errorf("error %v with hint %q, want one with %q", err, hint.Of(err), c.want)
		}
	}
}

// The same seed gives the same prompt, another seed another one.
func TestInitialisersAreReproducible(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := testSource(1000, &bytes.Buffer{})
		s.Labels = []string{"5"}
		spec := rapid.SampledFrom([]string{"uniform-code", "uniform-paper", "uniform:3", "vocab", "vocab:7", "vocab-words", "class-labels", "text:5"}).Draw(t, "spec")
		seed, length := rapid.Uint64().Draw(t, "seed"), rapid.IntRange(5, 40).Draw(t, "length")
		i, err := ParseInit(spec)
		if err != nil {
			t.Fatal(err)
		}
		draw := func(seed uint64) []float32 {
			rows, err := i.From(s)(NewRand(seed, StreamInit), length, testWidth)
			if err != nil {
				t.Fatal(err)
			}
			return rows
		}
		if !slices.Equal(draw(seed), draw(seed)) {
			t.Fatal("one seed gave two prompts")
		}
		// Even five rows of seven words agree by chance only once in 17,000;
		// three other seeds never do.
		if a := draw(seed); slices.Equal(a, draw(seed+1)) && slices.Equal(a, draw(seed+2)) && slices.Equal(a, draw(seed+3)) {
			t.Fatal("four seeds gave one prompt")
		}
	})
}

func TestInitialiserErrors(t *testing.T) {
	boom := errors.New("boom")
	for name, c := range map[string]struct {
		spec  string
		spoil func(*Source)
		want  string
	}{
		"no labels":      {"class-labels", func(s *Source) {}, "the task has none"},
		"empty label":    {"class-labels", func(s *Source) { s.Labels = []string{"1", ""} }, `label "": it has no pieces`},
		"label id":       {"class-labels", func(s *Source) { s.Labels = []string{"100"} }, "id 100 is outside"},
		"label encoding": {"class-labels", func(s *Source) { s.Labels = []string{"1"}; s.Encode = fail(boom) }, "boom"},
		"text id":        {"text:1 -1", func(s *Source) {}, "id -1 is outside"},
		"text encoding":  {"text:1", func(s *Source) { s.Encode = fail(boom) }, "boom"},
		"text nothing":   {"text:1", func(s *Source) { s.Encode = fail(nil) }, "no pieces"},
		"width":          {"vocab", func(s *Source) { s.Row = func(int) []float32 { return make([]float32, 3) } }, "has width 3, want 4"},
		"no words":       {"vocab-words", func(s *Source) { s.Rows = 3 }, "no ids from 3 below 3"},
		"empty table":    {"vocab", func(s *Source) { s.Rows = 0 }, "no ids"},
	} {
		t.Run(name, func(t *testing.T) {
			s := testSource(100, &bytes.Buffer{})
			c.spoil(&s)
			i, err := ParseInit(c.spec)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := i.From(s)(NewRand(1), 5, testWidth); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

func fail(err error) func(string) ([]int64, error) {
	return func(string) ([]int64, error) { return nil, err }
}

func TestParseInit(t *testing.T) {
	for _, text := range []string{
		"class-labels", "vocab", "vocab:5000", "vocab-words", "vocab-words:4", "uniform-code", "uniform-paper",
		"uniform:0.5", "uniform:-1,1", "text:Classify this: good or bad?", "file:runs/a:b/prompt.npy",
	} {
		i, err := ParseInit(text)
		if err != nil {
			t.Error(err)
		} else if i.String() != text {
			t.Errorf("%q is written %q", text, i)
		}
	}
	for text, want := range map[string]string{
		"":                           "unknown initialiser",
		"labels":                     "unknown initialiser",
		"Vocab":                      "unknown initialiser",
		"class-labels:5":             "takes no argument",
		"uniform-code:":              "takes no argument",
		"uniform":                    "wants a range",
		"uniform:":                   "not a range",
		"uniform:-1":                 "not a range",
		"uniform:1,1":                "not a range",
		"uniform:NaN":                "not a range",
		"uniform:-3e38,3e38":         "not a range",
		"uniform:0,1,2":              "not a range",
		"vocab:":                     "not a number of ids",
		"vocab:0":                    "not a number of ids",
		"vocab:-5":                   "not a number of ids",
		"vocab-words:3":              "above 3",
		"vocab:99999999999999999999": "not a number of ids",
		"text:":                      "text is missing",
		"text":                       "text is missing",
		"text:  ":                    "text is missing",
		"file:":                      "path is missing",
	} {
		_, err := ParseInit(text)
		if err == nil || !strings.Contains(err.Error(), want) || hint.Of(err) == "" {
			t.Errorf("%q: error %v with hint %q, want one with %q", text, err, hint.Of(err), want)
		}
	}
	if got := len(InitForms()); got != len(initForms) {
		t.Errorf("%d forms listed, want %d", got, len(initForms))
	}
}

func FuzzParseInit(f *testing.F) {
	for _, form := range InitForms() {
		f.Add(form.Form)
	}
	f.Add("uniform:-1,1")
	f.Fuzz(func(t *testing.T, text string) {
		i, err := ParseInit(text)
		if err != nil || strings.HasPrefix(text, "file:") {
			return // files are not the fuzzer's to open
		}
		s := testSource(50, &bytes.Buffer{})
		s.Labels = []string{"3"}
		s.Encode = func(text string) ([]int64, error) { return []int64{int64(len(text) % 50)}, nil }
		rows, err := i.From(s)(NewRand(1), 6, testWidth)
		if err != nil || len(rows) != 6*testWidth {
			t.Fatalf("%q gives %d values, %v", text, len(rows), err)
		}
		if err := New(rows, 6, testWidth).Check(); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
	})
}
