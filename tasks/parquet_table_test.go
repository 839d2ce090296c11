package tasks

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
)

// parquetOf writes rows of a Go structure as a Parquet file.
func parquetOf[T any](t *testing.T, rows []T, options ...parquet.WriterOption) []byte {
	t.Helper()
	var out bytes.Buffer
	w := parquet.NewGenericWriter[T](&out, options...)
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// A plain value of any type is the text that a person would write.
func TestParquetTexts(t *testing.T) {
	type row struct {
		Text  string  `parquet:"text"`
		Bytes []byte  `parquet:"bytes"`
		Bool  bool    `parquet:"bool"`
		Int8  int8    `parquet:"int8"`
		Int32 int32   `parquet:"int32"`
		Int64 int64   `parquet:"int64"`
		Float float32 `parquet:"float"`
		Wide  float64 `parquet:"wide"`
		Dict  string  `parquet:"dict,dict"`
		Delta int64   `parquet:"delta,delta"`
		Maybe *string `parquet:"maybe,optional"`
	}
	there := "there"
	file := parquetOf(t, []row{
		{"é\tß", []byte("b\n"), true, -3, math.MinInt32, math.MaxInt64, 0.1, 0.1, "d", 7, &there},
		{"", nil, false, 0, 0, math.MinInt64, 2.917, 1e21, "d", 8, &there},
	})
	columns := Columns{Names: []string{"text", "bytes", "bool", "int8", "int32", "int64", "float", "wide", "dict", "delta", "maybe"}}
	want := [][]string{
		{"é\tß", "b\n", "true", "-3", "-2147483648", "9223372036854775807", "0.1", "0.1", "d", "7", "there"},
		{"", "", "false", "0", "0", "-9223372036854775808", "2.917", "1e+21", "d", "8", "there"},
	}
	var got [][]string
	for r, err := range parquetTable(columns)(bytes.NewReader(file)) {
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprint("row ", len(got)+1); r.place() != want {
			t.Errorf("%s, want %s", r.place(), want)
		}
		var cells []string
		for _, name := range columns.Names {
			cells = append(cells, r.Fields[name])
		}
		got = append(got, cells)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A row with a null, bytes that are no text or too long a text is an error of
// its own, and the next one is read.
func TestParquetReadsOnAfterBadRows(t *testing.T) {
	type bare struct {
		Text  string  `parquet:"text"`
		Label *string `parquet:"label,optional"`
	}
	a, null := "a", (*string)(nil)
	file := parquetOf(t, []bare{{"one", &a}, {"two", null}, {"thr\xff", &a}, {"fo\x00ur", &a}, {strings.Repeat("x", maxLine+1), &a}, {"six", &a}})
	want := []outcome{
		row("row 1", "one", "a"), bad("row 2: the label is null"), bad("row 3: the text: not valid UTF-8"), bad("row 4: the text: a NUL byte in the text"),
		bad("row 5: the text is longer than 1048576 bytes, so no text"), row("row 6", "six", "a"),
	}
	if diff := cmp.Diff(want, outcomes(parquetTable(textLabel), bytes.NewReader(file))); diff != "" {
		t.Error(diff)
	}
	// What may be missing may be null.
	want[1] = outcome{Place: "row 2", Cells: map[string]string{"text": "two"}}
	maybe := Columns{Names: textLabel.Names, Maybe: []string{"label"}}
	if diff := cmp.Diff(want, outcomes(parquetTable(maybe), bytes.NewReader(file))); diff != "" {
		t.Error(diff)
	}
}

// Columns are found by their names, within structures too, and what is no
// plain value is refused before a row is read.
func TestParquetColumns(t *testing.T) {
	type inner struct {
		A string   `parquet:"a"`
		B []string `parquet:"b,list"`
	}
	type row struct {
		Text   string           `parquet:"text"`
		In     inner            `parquet:"in"`
		List   []string         `parquet:"list,list"`
		Bare   []string         `parquet:"bare"`
		Fixed  [16]byte         `parquet:"fixed,uuid"`
		Pairs  map[string]int32 `parquet:"pairs"`
		Dotted string           `parquet:"a.b"`
	}
	file := parquetOf(t, []row{{Text: "t", In: inner{"x", []string{"y", "z"}}, List: []string{"1", "2"}, Bare: []string{"3", "4"}, Dotted: "dot"}})
	for _, c := range []struct {
		columns Columns
		want    string // the cells, answers and choices, or the error
	}{
		{Columns{Names: []string{"text", "in.a"}}, "map[in.a:x text:t] [] []"},
		{Columns{Names: []string{"a.b"}}, "map[a.b:dot] [] []"},
		{Columns{Names: []string{"in.b"}, List: "in.b"}, "map[in.b:z] [y z] []"},
		{Columns{Names: []string{"list", "bare"}, List: "list", Choices: "bare"}, "map[bare:4 list:2] [1 2] [3 4]"},
		{Columns{Names: []string{"text"}, List: "text"}, "map[text:t] [t] []"},
		{Columns{Names: []string{"text", "none"}, Maybe: []string{"none"}}, "map[text:t] [] []"},
		{Columns{Names: []string{"none"}}, `the schema: no column "none"; there are text, in, list, bare, fixed, pairs, a.b`},
		{Columns{Names: []string{"in.c"}}, `the schema: no column "in.c"; there are text, in, list, bare, fixed, pairs, a.b`},
		{Columns{Names: []string{"in"}}, `the schema: the column "in" is nested, want plain values`},
		{Columns{Names: []string{"in"}, List: "in"}, `the schema: the column "in" is nested, want plain values`},
		{Columns{Names: []string{"list"}}, `the schema: the column "list" is nested, want plain values`},
		{Columns{Names: []string{"bare"}}, `the schema: the column "bare" is nested, want plain values`},
		{Columns{Names: []string{"pairs"}, List: "pairs"}, `the schema: the column "pairs" is nested, want plain values`},
		{Columns{Names: []string{"fixed"}}, `the schema: the column "fixed" is of type FIXED_LEN_BYTE_ARRAY, want text, integers, fractions or truth values`},
	} {
		var got []string
		for r, err := range parquetTable(c.columns)(bytes.NewReader(file)) {
			if err != nil {
				got = append(got, err.Error())
				continue
			}
			got = append(got, fmt.Sprint(r.Fields, r.Answers, r.Choices))
		}
		if diff := cmp.Diff([]string{c.want}, got); diff != "" {
			t.Errorf("%v:\n%s", c.columns.Names, diff)
		}
	}
}

// Rows are the same in whatever pages, groups and compression they lie, from a
// file or packed once more.
func TestParquetLayouts(t *testing.T) {
	type cells struct {
		Text  string `parquet:"text"`
		Label int64  `parquet:"label"`
	}
	var rows []cells
	var want []outcome
	for i := range 200 {
		rows = append(rows, cells{fmt.Sprintf("text %d", i), int64(i % 3)})
		want = append(want, row(fmt.Sprint("row ", i+1), rows[i].Text, fmt.Sprint(i%3)))
	}
	for name, options := range map[string][]parquet.WriterOption{
		"plain": nil, "small pages": {parquet.PageBufferSize(64)}, "groups of 7": {parquet.MaxRowsPerRowGroup(7)},
		"zstd": {parquet.Compression(&parquet.Zstd)}, "gzip": {parquet.Compression(&parquet.Gzip)}, "pages of version 1": {parquet.DataPageVersion(1)},
	} {
		file := parquetOf(t, rows, options...)
		dir := folder(t, map[string]string{"a.parquet": string(file), "b.parquet.gz": string(pack(t, string(file)))})
		for _, at := range []string{"a.parquet", "b.parquet.gz"} {
			in, err := openFile(os.DirFS(dir), at)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, outcomes(parquetTable(textLabel), in)); diff != "" {
				t.Errorf("%s, %s:\n%s", name, at, diff)
			}
			in.Close()
		}
	}
}

// A file without rows, or cut at any place, is an error and no panic.
func TestParquetCutShort(t *testing.T) {
	type cells struct {
		Text  string `parquet:"text"`
		Label string `parquet:"label"`
	}
	none := parquetOf(t, []cells{})
	if diff := cmp.Diff([]outcome{bad("the file has no rows")}, outcomes(parquetTable(textLabel), bytes.NewReader(none))); diff != "" {
		t.Error(diff)
	}
	file := parquetOf(t, []cells{{"one", "a"}, {"two", "b"}})
	for n := range file {
		got := outcomes(parquetTable(textLabel), bytes.NewReader(file[:n]))
		if len(got) != 1 || got[0].Err == "" {
			t.Fatalf("cut to %d of %d bytes: %+v", n, len(file), got)
		}
	}
	// No room is made for a footer that is claimed to be larger than the file.
	long := bytes.Clone(file)
	copy(long[len(long)-8:], "\xff\xff\xff\xff")
	want := []outcome{bad("not a Parquet file: its footer lies outside of it")}
	if diff := cmp.Diff(want, outcomes(parquetTable(textLabel), bytes.NewReader(long))); diff != "" {
		t.Error(diff)
	}
	dir := folder(t, map[string]string{"a.parquet": string(file[:len(file)-9])})
	if _, err := Open(filepath.Join(dir, "a.parquet"), ""); err == nil || !strings.Contains(err.Error(), "a.parquet: not a Parquet file: ") {
		t.Errorf("error %v", err)
	}
}

// A byte that is changed anywhere gives rows of clean text or an error, never a
// panic.
func TestParquetChanged(t *testing.T) {
	type cells struct {
		Text  string `parquet:"text"`
		Label string `parquet:"label,dict"`
	}
	file := parquetOf(t, []cells{{"one", "a"}, {"two", "b"}, {"three", "a"}})
	for at, was := range file {
		for _, b := range []byte{0, 0xff, was ^ 1} {
			file[at] = b
			n := 0
			for r, err := range parquetTable(textLabel)(bytes.NewReader(file)) {
				if n++; err != nil {
					continue
				}
				for name, value := range r.Fields {
					if Clean(value) != value {
						t.Fatalf("byte %d is %#x: row %d: %s is %q", at, b, r.Row, name, value)
					}
				}
			}
			if n == 0 {
				t.Fatalf("byte %d is %#x: neither a row nor an error", at, b)
			}
		}
		file[at] = was
	}
}
