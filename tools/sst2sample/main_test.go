package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// published writes a small SST-2 folder: every tenth training sentence is a
// repeat and one is in the development split too.
func published(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "SST-2")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	train := "sentence\tlabel\n"
	for i := range 200 {
		train += fmt.Sprintf("film %03d \t%d\n", i-i%10/9, i%2)
	}
	dev := "sentence\tlabel\nfilm 007 \t1\nfilm \"x\" \t0\n"
	for name, text := range map[string]string{"train.tsv": train, "dev.tsv": dev} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Dir(dir)
}

func unpack(t *testing.T, path string) string {
	t.Helper()
	packed, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestSample(t *testing.T) {
	in, out := published(t), t.TempDir()
	var log bytes.Buffer
	if err := sample(in, out, 50, 1, &log); err != nil {
		t.Fatal(err)
	}
	rows := strings.Split(strings.TrimSuffix(unpack(t, filepath.Join(out, "train.tsv.gz")), "\n"), "\n")
	if rows[0] != "sentence\tlabel" || len(rows) != 51 {
		t.Fatalf("header %q and %d rows, want 50", rows[0], len(rows)-1)
	}
	rows = rows[1:]
	if !slices.IsSorted(rows) {
		t.Error("the rows are not in file order")
	}
	if n := len(slices.Compact(slices.Clone(rows))); n != 50 {
		t.Errorf("%d distinct rows of 50", n)
	}
	for _, row := range rows {
		if strings.HasPrefix(row, "film 007") {
			t.Error("a sentence of the development split is in the sample")
		}
	}
	if got, want := unpack(t, filepath.Join(out, "dev.tsv.gz")), "sentence\tlabel\nfilm 007 \t1\nfilm \"x\" \t0\n"; got != want {
		t.Errorf("development split %q, want %q", got, want)
	}
	if !strings.Contains(log.String(), "50 rows") {
		t.Errorf("log %q", log.String())
	}
}

func TestSampleIsDeterministic(t *testing.T) {
	in := published(t)
	run := func(seed uint64) string {
		out := t.TempDir()
		if err := sample(in, out, 50, seed, io.Discard); err != nil {
			t.Fatal(err)
		}
		packed, err := os.ReadFile(filepath.Join(out, "train.tsv.gz"))
		if err != nil {
			t.Fatal(err)
		}
		return string(packed)
	}
	if first, again := run(1), run(1); first != again {
		t.Error("one seed gave two samples")
	}
	if run(1) == run(2) {
		t.Error("two seeds gave one sample")
	}
}

func TestSampleOfTooFewKeepsAll(t *testing.T) {
	in, out := published(t), t.TempDir()
	if err := sample(in, out, 1000, 1, io.Discard); err != nil {
		t.Fatal(err)
	}
	// 200 rows, 20 of them repeats, one in the development split.
	if n := strings.Count(unpack(t, filepath.Join(out, "train.tsv.gz")), "\n") - 1; n != 179 {
		t.Errorf("%d rows, want 179", n)
	}
}

func TestSampleWithoutFiles(t *testing.T) {
	out := t.TempDir()
	if err := sample(t.TempDir(), out, 10, 1, io.Discard); err == nil {
		t.Error("sampled an empty folder")
	}
	if entries, _ := os.ReadDir(out); len(entries) != 0 {
		t.Errorf("left %v behind", entries)
	}
}
