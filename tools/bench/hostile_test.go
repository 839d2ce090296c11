package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"softprompt/models"
)

// A file of batches whose tensors do not fit each other, or hold no row, is
// refused by the tensor's name.
func TestBatchesThatDoNotFit(t *testing.T) {
	type tensors = []models.NamedTensor
	candidates := func(dtype models.DType, shape []int64, values ...int32) func(tensors) tensors {
		return func(l tensors) tensors {
			return append(l, models.NamedTensor{Name: "candidates", DType: dtype, Shape: shape, Data: int32s(values...)})
		}
	}
	for name, c := range map[string]struct {
		change func(l tensors) tensors
		want   string
	}{
		"no prompt":            {func(l tensors) tensors { return l[1:] }, "the batches have no tensor prompt"},
		"no inputs":            {func(l tensors) tensors { return append(l[:1:1], l[2]) }, "the batches have no tensor input_ids"},
		"a prompt of integers": {func(l tensors) tensors { l[0].DType = "I32"; return l }, "prompt"},
		"no batch":             {func(l tensors) tensors { l[1].Shape, l[1].Data = []int64{0, 2, 4}, nil; return l }, "input_ids has shape [0 2 4], want 3 sizes that are not 0"},
		"inputs of one batch":  {func(l tensors) tensors { l[1].Shape = []int64{4, 4}; return l }, "input_ids has shape [4 4], want 3 sizes"},
		"fewer labels": {func(l tensors) tensors {
			l[2].Shape, l[2].Data = []int64{1, 2, 2}, l[2].Data[:16]
			return l
		}, "input_ids [2 2 4] and labels [1 2 2] are not of the same batches"},
		"a row without labels": {func(l tensors) tensors { l[2].Data = int32s(20, 1, 21, 1, ignored, ignored, 23, 1); return l }, "sequence 2 of tensor labels is empty"},
		"labels of floats":     {func(l tensors) tensors { l[2].DType = models.F32; return l }, "tensor labels is F32, want I32"},
		"an empty candidate":   {candidates("I32", []int64{2, 2}, 5, 1, ignored, ignored), "sequence 1 of tensor candidates is empty"},
		"no candidates":        {candidates("I32", []int64{0, 2}), "candidates has shape [0 2], want 2 sizes that are not 0"},
		"unsigned candidates":  {candidates("U32", []int64{1, 2}, 5, 1), "tensor candidates is U32, want I32"},
	} {
		dir := t.TempDir()
		writeBatches(t, dir, c.change(testTensors(8)))
		b, err := readBatches(filepath.Join(dir, batchesFile))
		if err == nil || !strings.Contains(err.Error(), c.want) || b != nil && b.candidates != nil {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
	dir := t.TempDir()
	writeBatches(t, dir, testTensors(8))
	path := filepath.Join(dir, batchesFile)
	info, err := os.Stat(path)
	if err == nil {
		err = os.Truncate(path, info.Size()-1)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, broken := range []string{path, path + ".gone"} {
		if _, err := readBatches(broken); err == nil || !strings.Contains(err.Error(), broken) {
			t.Errorf("%s: error %v", broken, err)
		}
	}
}

// Padding is what stands at a row's end; the same number within it is kept,
// and a label of the input's padding is a label.
func TestPaddingAtTheEndAlone(t *testing.T) {
	dir, list := t.TempDir(), testTensors(8)
	list[1].Data = int32s(5, 0, 7, 0, 0, 0, 0, 1, 9, 0, 0, 0, 16, -1, ignored, 0)
	list[2].Data = int32s(0, 0, ignored, 4, 22, ignored, 0, 1)
	writeBatches(t, dir, list)
	b, err := readBatches(filepath.Join(dir, batchesFile))
	if err != nil {
		t.Fatal(err)
	}
	rows := slices.Concat(b.rows...)
	for i, want := range []string{"[5 0 7] [0 0] 0", "[0 0 0 1] [-100 4] 1", "[9] [22] 0", "[16 -1 -100] [0 1] 1"} {
		if got := fmt.Sprint(rows[i].IDs, rows[i].Target, rows[i].Key); got != want {
			t.Errorf("row %d is %s, want %s", i, got, want)
		}
	}
	if n := tokens(b.rows[0]); n != 4 {
		t.Errorf("the first batch has %d target tokens", n)
	}
}

// Every row of BoolQ counts: a file that is not rows to its end is refused by
// the first row that is none, and nothing behind a stray sign is passed over.
func TestBoolQToItsEnd(t *testing.T) {
	const row = `{"question": "q", "passage": "p", "label": false, "idx": 7}`
	for name, c := range map[string]struct {
		text string
		rows int    // or
		want string // the error, after the file's name
	}{
		"no line end at the end":  {row + "\n" + row, 2, ""},
		"blank lines":             {"\n" + row + "\n\n \t\r\n" + row + "\n\n", 2, ""},
		"rows in one line":        {row + row, 2, ""},
		"nothing":                 {"", 0, ""},
		"a stray bracket":         {row + "\n]\n" + row, 0, "reading row 2"},
		"a stray brace":           {row + "}\n" + row, 0, "reading row 2"},
		"a list of rows":          {"[" + row + "]", 0, "reading row 1"},
		"cut in the middle":       {row + "\n" + row[:30], 0, "reading row 2"},
		"an unknown label":        {row + "\n" + strings.Replace(row, "false", "null", 1), 0, "reading row 2"},
		"a label of text":         {strings.Replace(row, "false", `"false"`, 1), 0, "reading row 1"},
		"a question without text": {strings.Replace(row, `"q"`, `""`, 1), 0, "reading row 1"},
		"null":                    {row + "\nnull\n", 0, "reading row 2"},
	} {
		path := filepath.Join(t.TempDir(), "val.jsonl")
		if err := os.WriteFile(path, []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := readBoolQ(path)
		if c.want == "" && (err != nil || len(got) != c.rows) {
			t.Errorf("%s: %d rows, %v, want %d", name, len(got), err, c.rows)
		}
		if c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want+" of "+path+": ") || got != nil) {
			t.Errorf("%s: %d rows, error %v, want %q", name, len(got), err, c.want)
		}
	}
}

// A text has the rows' own lengths in its report, the middle of an even number
// being the upper of two.
func TestTextReport(t *testing.T) {
	rows := rowOf(1, 3, 2, 1)
	for i, n := range []int{9, 2, 4, 5} {
		rows[i].IDs = make([]int64, n)
		rows[i].Cut = n > 4
	}
	r := newTextReport(text{name: "SST-2"}, "small", rows, 2)
	if r.Text != "SST-2" || r.Size != "small" || r.Rows != 4 || r.Batch != 2 || r.Mean != 5 || r.Median != 5 || r.Longest != 9 || r.Targets != 3 || r.Cut != 2 {
		t.Errorf("%+v", r)
	}
}

// The sides train on a text as each does at home: softprompt on batches by
// length, PEFT twice on a random order, padded by the batch and by the text.
func TestTextRuns(t *testing.T) {
	rows := rowOf(make([]int, 4*window())...)
	for peers, want := range map[string]string{
		"softprompt":      "softprompt, batches by length, 1, []; ",
		"peft":            "peft, longest of the batch, 1, []; peft, max_length 77, 4, [--max-length 77]; ",
		"peft,softprompt": "softprompt, batches by length, 1, []; peft, longest of the batch, 1, []; peft, max_length 77, 4, [--max-length 77]; ",
		"peft-bf16":       "",
		"softprompt-int8": "",
	} {
		list, err := chosen(peers)
		if err != nil {
			t.Fatal(err)
		}
		b := &bench{options: options{peers: list, shape: shape{Batch: 4}}}
		var got bytes.Buffer
		for _, run := range b.textRuns(text{maxInput: 77}, rows) {
			fmt.Fprintf(&got, "%s, %s, %d, %v; ", run.Name, run.Padding, run.every, run.args)
			if len(run.batches) != window() || len(run.batches[0]) != 4 {
				t.Errorf("%s: %d batches", run.Name, len(run.batches))
			}
		}
		if got.String() != want {
			t.Errorf("%s: %s\nwant %s", peers, &got, want)
		}
	}
}
