package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"softprompt/models"
	"softprompt/prompt/tune"
	"softprompt/tasks"
)

// boolqFile has 20 rows as BoolQ has them, made up.
func boolqFile(t *testing.T) string {
	t.Helper()
	var lines strings.Builder
	for i := range 20 {
		label := []string{"true", "false"}[i%2]
		lines.WriteString(`{"question": "is water wet", "passage": "Water` + strings.Repeat(" and more water", i) + `.", "idx": 3, "label": ` + label + "}\n")
	}
	path := filepath.Join(t.TempDir(), "val.jsonl")
	if err := os.WriteFile(path, []byte(lines.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadBoolQ(t *testing.T) {
	examples, err := readBoolQ(boolqFile(t))
	if err != nil || len(examples) != 20 {
		t.Fatalf("%d examples, %v", len(examples), err)
	}
	for i, want := range []tasks.Example{
		{Index: 0, Input: "question: is water wet passage: Water.", Label: 1, Target: "True"},
		{Index: 1, Input: "question: is water wet passage: Water and more water.", Label: 0, Target: "False"},
	} {
		if !cmp.Equal(examples[i], want) {
			t.Errorf("example %d is %+v, want %+v", i, examples[i], want)
		}
	}
	for text, want := range map[string]string{
		`{"question": "q", "passage": "p"}`:                                "row 1",
		`{"question": "q", "passage": "p", "label": true} {"question": 1}`: "row 2",
		`question`: "row 1",
	} {
		path := filepath.Join(t.TempDir(), "bad.jsonl")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := readBoolQ(path); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v, want %q", text, err, want)
		}
	}
}

// TestLendTokenizer: the folder gets the first file that there is, and no
// other stays.
func TestLendTokenizer(t *testing.T) {
	dir := testModel(t)
	if err := os.WriteFile(filepath.Join(dir, "spiece.model"), []byte("of another run"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SOFTPROMPT_CACHE", t.TempDir())
	m, tok, err := lendTokenizer(t.Context(), dir, "tiny")
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if ids, cut, err := tok.EncodeEOS("a film", 8); err != nil || cut || len(ids) < 2 || ids[len(ids)-1] != 1 {
		t.Errorf("ids %v, %v", ids, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "spiece.model")); !os.IsNotExist(err) {
		t.Errorf("the other tokenizer is still there: %v", err)
	}
	broken := t.TempDir()
	if err := os.WriteFile(filepath.Join(broken, "tokenizer.json"), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := lendTokenizer(t.Context(), dir, broken); err == nil {
		t.Error("a broken tokenizer is taken")
	}
}

// TestEncode draws the same examples each time, cuts what is too long, and
// asks for no more than there are.
func TestEncode(t *testing.T) {
	dir := testModel(t)
	t.Setenv("SOFTPROMPT_CACHE", t.TempDir())
	m, tok, err := lendTokenizer(t.Context(), dir, "tiny")
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	examples, err := readBoolQ(boolqFile(t))
	if err != nil {
		t.Fatal(err)
	}
	x := text{"BoolQ", 16, examples}
	rows, err := x.encode(tok, 12)
	if err != nil || len(rows) != 12 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	keys := map[uint64]bool{}
	cut := 0
	for _, r := range rows {
		keys[r.Key] = true
		if r.Cut {
			cut++
		}
		if len(r.IDs) > 16 || r.IDs[len(r.IDs)-1] != 1 || r.Target[len(r.Target)-1] != 1 {
			t.Errorf("row %+v", r)
		}
	}
	if len(keys) != 12 || cut == 0 {
		t.Errorf("%d different rows, %d cut", len(keys), cut)
	}
	if _, err := x.encode(tok, 21); err == nil || !strings.Contains(err.Error(), "20 examples") {
		t.Errorf("more than there are: %v", err)
	}
	r := newTextReport(x, "mini", rows, 4)
	if r.Longest != 16 || r.Cut != cut || r.Mean <= 8 || r.Mean > 16 {
		t.Errorf("report %+v", r)
	}
}

// TestOrders: both sides train on each row once, softprompt with less padding.
func TestOrders(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		batch := rapid.IntRange(2, 5).Draw(t, "batch")
		rows := make([]tune.Row, batch*window()*rapid.IntRange(1, 3).Draw(t, "windows"))
		for i := range rows {
			rows[i] = tune.Row{Key: uint64(i), IDs: make([]int64, rapid.IntRange(1, 30).Draw(t, "length"))}
		}
		own, random := orders(rows, batch)
		padded := func(batches [][]tune.Row) (n int, keys []uint64) {
			for _, rows := range batches {
				longest := 0
				for _, r := range rows {
					longest, keys = max(longest, len(r.IDs)), append(keys, r.Key)
				}
				n += longest * len(rows)
			}
			slices.Sort(keys)
			return n, keys
		}
		a, ours := padded(own)
		b, theirs := padded(random)
		if len(own) != len(random) || !slices.Equal(ours, theirs) || len(slices.Compact(ours)) != len(rows) {
			t.Fatalf("softprompt trains on %v, PEFT on %v", ours, theirs)
		}
		if len(rows) == batch*window() && a > b { // within one window sorting cannot lose
			t.Fatalf("%d positions by length, %d at random", a, b)
		}
	})
}

// TestBatchesFile: what is written for both sides is what each reads.
func TestBatchesFile(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOfN(rapid.Int64Range(1, 32000), 1, 9)
		n, rows := rapid.IntRange(1, 3).Draw(t, "batches"), rapid.IntRange(1, 3).Draw(t, "rows")
		b := &batches{prompt: []int64{2, 3}, values: []float32{1, -2, 3.5, 0, 5, 6}}
		for range n {
			var batch []tune.Row
			for i := range rows {
				batch = append(batch, tune.Row{IDs: ids.Draw(t, "ids"), Target: ids.Draw(t, "target"), Label: -1, Key: uint64(i)})
			}
			b.rows = append(b.rows, batch)
		}
		if rapid.Bool().Draw(t, "with candidates") {
			b.candidates = rapid.SliceOfN(ids, 1, 3).Draw(t, "candidates")
		}
		path := filepath.Join(dir, "b.safetensors")
		if err := b.save(path); err != nil {
			t.Fatal(err)
		}
		back, err := readBatches(path)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.EqualFunc(b.candidates, back.candidates, slices.Equal) || !slices.Equal(b.values, back.values) || len(back.rows) != n {
			t.Fatalf("%+v is read as %+v", b, back)
		}
		for i, batch := range b.rows {
			for j, r := range batch {
				q := back.rows[i][j]
				if !slices.Equal(r.IDs, q.IDs) || !slices.Equal(r.Target, q.Target) || r.Key != q.Key {
					t.Fatalf("row %+v is read as %+v", r, q)
				}
			}
			if tokens(back.rows[i]) != tokens(batch) {
				t.Fatalf("%d tokens", tokens(batch))
			}
		}
	})
}

func TestBatchesEmptyRow(t *testing.T) {
	dir := t.TempDir()
	list := testTensors(8)
	list[1].Data = int32s(0, 0, 0, 0, 8, 9, 10, 1, 11, 12, 13, 1, 14, 15, 16, 1)
	writeBatches(t, dir, list)
	if _, err := readBatches(filepath.Join(dir, batchesFile)); err == nil || !strings.Contains(err.Error(), "sequence 0 of tensor input_ids is empty") {
		t.Errorf("got %v", err)
	}
	list = append(testTensors(8), models.NamedTensor{Name: "candidates", DType: "I32", Shape: []int64{2}, Data: int32s(3, 1)})
	writeBatches(t, dir, list)
	if _, err := readBatches(filepath.Join(dir, batchesFile)); err == nil || !strings.Contains(err.Error(), "want 2 sizes") {
		t.Errorf("flat candidates: %v", err)
	}
}
