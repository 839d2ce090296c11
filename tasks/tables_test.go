package tasks

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// outcome is what a reader yields for one row: its cells by column, or what is
// wrong.
type outcome struct {
	Place string
	Cells map[string]string
	Err   string
}

// outcomes reads to the end, errors included.
func outcomes(read Reader, r io.Reader) (out []outcome) {
	for record, err := range read(r) {
		if err != nil {
			out = append(out, outcome{Err: err.Error()})
			continue
		}
		out = append(out, outcome{Place: record.place(), Cells: record.Fields})
	}
	return out
}

// row is a good row of the columns text and label.
func row(place, text, label string) outcome {
	return outcome{Place: place, Cells: map[string]string{"text": text, "label": label}}
}

func bad(format string, args ...any) outcome { return outcome{Err: fmt.Sprintf(format, args...)} }

// textLabel are the columns that a table without a YAML file has.
var textLabel = Columns{Names: []string{"text", "label"}}

const looksCut = "; the file ends here without a line end, so it looks cut short"

// Every format reads on after a bad row, and says of each where it is and what
// is wrong.
func TestTablesReadOnAfterBadRows(t *testing.T) {
	for _, c := range []struct {
		name, ending, text string
		want               []outcome
	}{
		{"tsv", ".tsv", "label\ttext\na\tone\nb\nc\ttwo\tx\nd\t\xff\ne\tthree\x00\n\nf\tfour\ng", []outcome{
			row("line 2", "one", "a"), bad("line 3: 1 columns, want 2 split by tabs, as in the header"),
			bad("line 4: 3 columns, want 2 split by tabs, as in the header"), bad("line 5: not valid UTF-8"),
			bad("line 6: a NUL byte in the text"), bad("line 7: a blank line between the rows"), row("line 8", "four", "f"),
			bad("line 9: 1 columns, want 2 split by tabs, as in the header" + looksCut),
		}},
		{"tsv takes quotes and commas for text", ".tsv", "\uFEFFtext\tlabel\r\n\"a\"\"b\", c\t\"\r\n  \t \r\n", []outcome{
			row("line 2", `"a""b", c`, `"`), row("line 3", "  ", " "),
		}},
		{"csv", ".csv", "text,label\none,a\ntwo\nthree,c,x\nfo\"ur,d\n\"fi\"ve,e\n\xff,f\nsix\x00,g\n\nseven,h\n", []outcome{
			row("line 2", "one", "a"), bad("line 3: another number of columns than 2"), bad("line 4: another number of columns than 2"),
			bad(`line 5: bare " in non-quoted-field, in column 3 of line 5`), bad(`line 6: extraneous or missing " in quoted-field, in column 4 of line 6`),
			bad("line 7: not valid UTF-8"), bad("line 8: a NUL byte in the text"), row("line 10", "seven", "h"),
		}},
		{"csv of rows over several lines", ".csv", "\uFEFFlabel,\"text\"\r\na,\"one\r\ntwo\"\r\nb,\"say \"\"x\"\", y\"\r\n\"c\",\"\"\n", []outcome{
			row("line 2", "one\ntwo", "a"), row("line 4", `say "x", y`, "b"), row("line 5", "", "c"),
		}},
		{"csv with a quote left open", ".csv", "text,label\none,a\n\"two,b\nthree,c\n", []outcome{
			row("line 2", "one", "a"), bad(`line 3: extraneous or missing " in quoted-field, in column 9 of line 4`),
		}},
		{"jsonl", ".jsonl", `{"text":"one","label":1}` + "\n" + `{"text":"two"}` + "\n" + `{"text":["x"],"label":"c"}` + "\n" + `[1]` + "\n" +
			`{"text":"a\u0000","label":"d"}` + "\n" + `{"text":null,"label":"e"}` + "\n" + `{"text":"f","text":"g","label":1}` + "\n" +
			`{"text":{},"label":1}` + "\n\n" + `{"text":true,"label":-1.50e+3}` + "\n" + `{"text":"cut`, []outcome{
			row("line 1", "one", "1"), bad(`line 2: no column "label"; there are text`), bad(`line 3: the text is ["x"], want a text, a number, true or false`),
			bad(`line 4: not a JSON object: it begins with "[1]"`), bad("line 5: a NUL character in the text"),
			bad("line 6: the text is null, want a text, a number, true or false"), bad(`line 7: not a JSON object: the key "text" is there twice`),
			bad("line 8: the text is {}, want a text, a number, true or false"), bad("line 9: a blank line between the rows"),
			row("line 10", "true", "-1.50e+3"), bad("line 11: not a JSON object: unexpected EOF" + looksCut),
		}},
		{"json", ".json", "\uFEFF \n[" + `{"text":"one","label":false}, 3, {"label":1}, {"text":"a` + "\xff" + `","label":1}, {"text":"\u0000","label":1},` + "\n" + `{"text":"","label":0}]` + "\n \n", []outcome{
			row("row 1", "one", "false"), bad(`row 2: not a JSON object: it begins with "3"`), bad(`row 3: no column "text"; there are label`),
			bad("row 4: not valid UTF-8"), bad("row 5: a NUL character in the text"), row("row 6", "", "0"),
		}},
		{"json that breaks off in a row", ".json", `[{"text":"one","label":1},{"text":"tw`, []outcome{
			row("row 1", "one", "1"), bad("row 2: unexpected EOF"),
		}},
		{"json that breaks off between rows", ".json", `[{"text":"one","label":1}`, []outcome{
			row("row 1", "one", "1"), bad("after row 1: unexpected EOF; the list is cut short"),
		}},
		{"json with a comma too many", ".json", `[{"text":"one","label":1},]`, []outcome{
			row("row 1", "one", "1"), bad("row 2: invalid character ']' looking for beginning of value"),
		}},
		{"json with a bracket too many", ".json", `[{"text":"one","label":1}]]`, []outcome{
			row("row 1", "one", "1"), bad("after row 1: something follows the list"),
		}},
		{"json of two lists", ".json", `[{"text":"one","label":1}]` + "\n" + `[{"text":"two","label":1}]`, []outcome{
			row("row 1", "one", "1"), bad("after row 1: something follows the list"),
		}},
		{"json of lines", ".json", "  " + `{"text":"one","label":1}` + "\n" + `{"text":"two","label":2}`, []outcome{
			row("line 1", "one", "1"), row("line 2", "two", "2"),
		}},
	} {
		for name, r := range map[string]io.Reader{"at once": strings.NewReader(c.text), "by bytes": iotest.OneByteReader(strings.NewReader(c.text))} {
			if diff := cmp.Diff(c.want, outcomes(formats[c.ending](textLabel), r)); diff != "" {
				t.Errorf("%s, %s:\n%s", c.name, name, diff)
			}
		}
	}
}

// A table that has no rows, or whose header does not have what is wanted once,
// is one error.
func TestTablesWithoutRowsOrColumns(t *testing.T) {
	wide := make([]string, 30)
	for i := range wide {
		wide[i] = fmt.Sprint("column", i)
	}
	for _, c := range []struct{ ending, text, want string }{
		{".tsv", "", "line 1: the file has no rows"},
		{".tsv", "\uFEFF", "line 1: the file has no rows"},
		{".tsv", "\n\n\n", "line 1: the file has no rows"},
		{".tsv", "text\tlabel\n", "line 1: the file has no rows"},
		{".tsv", "\ntext\tlabel\na\tb\n", "line 1: a blank line between the rows"},
		{".tsv", "text\xff\tlabel\na\tb\n", "line 1: not valid UTF-8"},
		{".tsv", "text,label\na,b\n", `line 1: no column "text"; there are text,label`},
		{".tsv", "text\tlabel\ttext\na\tb\tc\n", `line 1: the column "text" is there twice`},
		{".tsv", "Text\tlabel\na\tb\n", `line 1: no column "text"; there are Text, label`},
		{".tsv", "text \tlabel\na\tb\n", `line 1: no column "text"; there are text , label`},
		{".tsv", strings.Join(wide, "\t") + "\n", `line 1: no column "text"; there are ` + strings.Join(wide[:20], ", ")},
		{".csv", "", "line 1: the file has no rows"},
		{".csv", "\uFEFF\n\n", "line 1: the file has no rows"},
		{".csv", "text,label\n", "line 1: the file has no rows"},
		{".csv", "text,label,label\na,b,c\n", `line 1: the column "label" is there twice`},
		{".csv", "text\tlabel\na\tb\n", "line 1: no column \"text\"; there are text\tlabel"},
		{".csv", "text;label\na;b\n", `line 1: no column "text"; there are text;label`},
		{".csv", "\"text,label\na,b\n", `line 1: extraneous or missing " in quoted-field, in column 5 of line 2`},
		{".jsonl", "", "line 1: the file has no rows"},
		{".jsonl", "\n", "line 1: the file has no rows"},
		{".json", "", "line 1: the file has no rows"},
		{".json", " \t\r\n", "line 1: not a JSON object: unexpected EOF"},
		{".json", "[]", "line 1: the file has no rows"},
		{".json", "[", "after row 0: unexpected EOF; the list is cut short"},
		{".json", "[] []", "after row 0: something follows the list"},
		{".json", `{"data": []}`, `line 1: no column "text"; there are data` + looksCut},
		{".json", `{"text": "a",` + "\n" + `"label": 1}`, "line 1: not a JSON object: unexpected EOF"},
		{".json", strings.Repeat(" ", 5000) + `[{"text": "a", "label": 1}]`, `line 1: not a JSON object: it begins with "          "` + looksCut},
		{".parquet", "", "the file is empty"},
		{".parquet", "PAR1", "not a Parquet file: "},
	} {
		got := outcomes(formats[c.ending](textLabel), strings.NewReader(c.text))
		if len(got) == 0 || !strings.HasPrefix(got[0].Err, c.want) || c.ending != ".parquet" && got[0].Err != c.want {
			t.Errorf("%s, %.60q: %+v, want the error\n%s", c.ending, c.text, got, c.want)
		}
	}
}

// What is optional may be missing from a header or an object, and only that.
func TestTablesMayLackTheLabel(t *testing.T) {
	test := Columns{Names: []string{"text", "label"}, Maybe: []string{"label"}}
	want := []outcome{{Cells: map[string]string{"text": "one"}}}
	for ending, text := range map[string]string{
		".tsv": "note\ttext\nx\tone\n", ".csv": "note,text\nx,one\n", ".jsonl": `{"text": "one"}`, ".json": `[{"text": "one", "note": null}]`,
	} {
		got := outcomes(formats[ending](test), strings.NewReader(text))
		for i := range got {
			got[i].Place = ""
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s:\n%s", ending, diff)
		}
	}
	if got := outcomes(tsvTable(test), strings.NewReader("label\na\n")); len(got) != 1 || got[0].Err != `line 1: no column "text"; there are label` {
		t.Errorf("without the text: %+v", got)
	}
}

// A row that is too long for text is an error of that row, and in JSON the next
// one is read; an error of the disk ends the reading and is kept.
func TestTablesBounds(t *testing.T) {
	long := strings.Repeat("x", maxLine)
	for _, c := range []struct {
		ending, text, want string
		rows               int // with the error
	}{
		{".tsv", "text\tlabel\na\tb\n" + long + "\tc\nd\te\n", "line 3: longer than 1048576 bytes, so no row of text", 2},
		{".csv", "text,label\na,b\n\"" + long + long + "\",c\nd,e\n", "line 2: a row of more than 1048576 bytes; is a quote not closed?", 2},
		{".jsonl", `{"text":"a","label":1}` + "\n" + `{"text":"` + long + `","label":1}` + "\n", "line 2: longer than 1048576 bytes, so no row of text", 2},
		{".json", `[{"text":"a","label":1},{"text":"` + long + `","label":1},{"text":"b","label":1}]`, "row 2: longer than 1048576 bytes, so no row of text", 3},
	} {
		got := outcomes(formats[c.ending](textLabel), strings.NewReader(c.text))
		if len(got) != c.rows || !strings.HasSuffix(got[1].Err, c.want[strings.Index(c.want, ":"):]) || got[0].Err != "" {
			t.Errorf("%s: %d rows, error %q, want %q", c.ending, len(got), got[min(1, len(got)-1)].Err, c.want)
		}
	}
	// The bound is one of a row, not of the file.
	part := long[:maxLine/3]
	for ending, text := range map[string]string{
		".tsv": "text\tlabel\n" + strings.Repeat(part+"\tc\n", 5), ".csv": "text,label\n" + strings.Repeat("\""+part+"\",c\n", 5),
		".jsonl": strings.Repeat(`{"text":"`+part+`","label":"c"}`+"\n", 5), ".json": "[" + strings.Repeat(`{"text":"`+part+`","label":"c"},`, 4) + `{"text":"` + part + `","label":"c"}]`,
	} {
		got := outcomes(formats[ending](textLabel), strings.NewReader(text))
		if len(got) != 5 || got[4].Err != "" || got[4].Cells["text"] != part {
			t.Errorf("%s: %d rows of a file of more than a row may have, the last with the error %q", ending, len(got), got[len(got)-1].Err)
		}
	}
	gone := errors.New("the disk is gone")
	for ending, text := range map[string]string{
		".tsv": "text\tlabel\na\tb\nc", ".csv": "text,label\na,b\n\"c", ".jsonl": `{"text":"a","label":1}` + "\n{", ".json": `[{"text":"a","label":1},{"te`,
	} {
		var errs []error
		for _, err := range formats[ending](textLabel)(io.MultiReader(strings.NewReader(text), iotest.ErrReader(gone))) {
			errs = append(errs, err)
		}
		if len(errs) != 2 || errs[0] != nil || !errors.Is(errs[1], gone) {
			t.Errorf("%s: %v", ending, errs)
		}
	}
}

// Rows are the same whatever format they were written in by others' writers.
func TestTablesAgree(t *testing.T) {
	cell := rapid.StringMatching(`[^\x00\t\r\n]{0,8}|[,"' ]{1,4}|-?[0-9.e]{1,5}`).Filter(utf8.ValidString)
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOfN(rapid.SliceOfN(cell, 3, 3), 1, 6).Draw(t, "rows")
		end := rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(t, "end")
		mark := rapid.SampledFrom([]string{"", "\uFEFF"}).Draw(t, "mark")
		header := []string{"label", "more", "text"}
		written := map[string]string{".tsv": strings.Join(header, "\t") + end}
		var commas, jsonl bytes.Buffer
		w := csv.NewWriter(&commas)
		w.UseCRLF = end == "\r\n"
		w.Write(header)
		var list []map[string]string
		var want []map[string]string
		for _, cells := range rows {
			written[".tsv"] += strings.Join(cells, "\t") + end
			w.Write(cells)
			object := map[string]string{"label": cells[0], "more": cells[1], "text": cells[2]}
			text, err := json.Marshal(object)
			if err != nil {
				t.Fatal(err)
			}
			jsonl.WriteString(string(text) + end)
			list = append(list, object)
			want = append(want, map[string]string{"label": cells[0], "text": cells[2]})
		}
		w.Flush()
		whole, err := json.MarshalIndent(list, "", rapid.SampledFrom([]string{"", " "}).Draw(t, "indent"))
		if err != nil {
			t.Fatal(err)
		}
		written[".csv"], written[".jsonl"], written[".json"] = commas.String(), jsonl.String(), string(whole)
		for ending, text := range written {
			records, err := collect(formats[ending](textLabel), strings.NewReader(mark+text))
			if err != nil {
				t.Fatalf("%s: %v", ending, err)
			}
			var got []map[string]string
			for _, r := range records {
				got = append(got, r.Fields)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%s:\n%s", ending, diff)
			}
		}
	})
}

// The ending of a name says how a file is read, unless the YAML does.
func TestFormatOf(t *testing.T) {
	for _, c := range []struct{ name, format, want string }{
		{"a.tsv", "", ".tsv"},
		{"a.CSV", "", ".csv"},
		{"d.x/a.json.gz", "", ".json"},
		{"a.b.parquet", "", ".parquet"},
		{"a.txt", "tsv", ".tsv"},
		{"a", ".jsonl", ".jsonl"},
		{"a.csv", "tsv", ".tsv"},
		{"a.txt", "", `a.txt: no format of the name "txt"`},
		{"a.gz", "", `a.gz: no format of the name ""`},
		{"a.tsv", "xls", `a.tsv: no format of the name "xls"`},
		{"a.tsv", "TSV", `a.tsv: no format of the name "TSV"`},
		{"a.tsv.zip", "", `a.tsv.zip: no format of the name "zip"`},
	} {
		got, err := formatOf(c.name, c.format)
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s as %q: %q, want %q", c.name, c.format, got, c.want)
		}
	}
}

// A consumer that has enough stops every reader at once, and the file is
// closed.
func TestTablesStop(t *testing.T) {
	dir := t.TempDir()
	writeHub(t, filepath.Join(dir, "a.parquet"), "", [][]hubCell{{{"text", "a"}, {"label", "b"}}, {{"text", "c"}, {"label", "d"}}})
	for ending, text := range map[string]string{
		".tsv": "text\tlabel\na\tb\nc\td\n", ".csv": "text,label\na,b\nc,d\n",
		".jsonl": `{"text":"a","label":1}` + "\n" + `{"text":"c","label":1}`, ".json": `[{"text":"a","label":1},{"text":"c","label":1}]`, ".parquet": "",
	} {
		if text != "" {
			put(t, dir, "a"+ending, []byte(text))
		}
		fsys := &countingFS{dir: dir}
		rows, err := File{Read: formats[ending](textLabel)}.rows(fsys, "a"+ending)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for r, err := range rows {
			if n++; err != nil || r.Fields["text"] != "a" {
				t.Errorf("%s: %+v, %v", ending, r, err)
			}
			break
		}
		if n != 1 || fsys.opened != 1 || fsys.closed != 1 {
			t.Errorf("%s: %d rows, %d files opened and %d closed", ending, n, fsys.opened, fsys.closed)
		}
	}
}

// FuzzTables feeds every reader of tables anything: no panic, rows are clean
// text in order, and a file without a row is an error.
func FuzzTables(f *testing.F) {
	for _, seed := range []string{
		"text\tlabel\na\tb\n", "text,label\n\"a\nb\",c\n", `{"text":"a","label":1}`, `[{"text":"a","label":[1,"b"]}]`, "", "\uFEFF[", "text,label\n\"", "[]",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for ending, format := range formats {
			n, last := 0, 0
			for r, err := range format(Columns{Names: []string{"text", "label"}, List: "label"})(bytes.NewReader(data)) {
				if n++; err != nil {
					continue
				}
				if at := r.Line + r.Row; at <= last || r.Line > 0 && r.Row > 0 {
					t.Errorf("%s: %s after %d", ending, r.place(), last)
				} else {
					last = at
				}
				for name, value := range r.Fields {
					if !utf8.ValidString(value) || strings.Contains(value, "\x00") || name != "text" && name != "label" {
						t.Errorf("%s: %s is %q", ending, name, value)
					}
				}
			}
			if n == 0 {
				t.Errorf("%s: neither a row nor an error", ending)
			}
		}
	})
}
