package tasks

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"softprompt/onnx/hint"
)

const twoRows = "sentence\tlabel\na fine film \t1\na dull film \t0\n"

// put writes a file below dir, with the folders on the way.
func put(t *testing.T, dir, name string, data []byte) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func pack(t *testing.T, text string) []byte {
	t.Helper()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

func load(t *testing.T, split Split, opts LoadOptions) ([]Example, error) {
	t.Helper()
	return lookup(t, "sst2").Load(context.Background(), split, opts)
}

func TestLoadFindsTheFolder(t *testing.T) {
	for _, name := range []string{
		"SST-2/train.tsv", "glue/SST-2/train.tsv", "train.tsv",
		"SST-2/train.tsv.gz", "glue/SST-2/train.tsv.gz", "train.tsv.gz",
	} {
		dir := t.TempDir()
		data := []byte(twoRows)
		if strings.HasSuffix(name, ".gz") {
			data = pack(t, twoRows)
		}
		put(t, dir, name, data)
		examples, err := load(t, Train, LoadOptions{Data: dir})
		if err != nil || len(examples) != 2 || examples[1].ID != "train:1" {
			t.Errorf("%s: %v, %v", name, examples, err)
		}
	}
	// A folder named for the task wins over a stray file beside it.
	dir := t.TempDir()
	put(t, dir, "SST-2/train.tsv", []byte(twoRows))
	put(t, dir, "train.tsv", []byte("sentence\tlabel\nstray\t1\n"))
	if examples, err := load(t, Train, LoadOptions{Data: dir}); err != nil || len(examples) != 2 {
		t.Errorf("read %v, %v", examples, err)
	}
}

func TestLoadMissing(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "file", nil)
	put(t, dir, "folder/train.tsv/x", nil)
	for name, c := range map[string]struct {
		split   Split
		data    string
		message string
		advice  string
	}{
		"empty folder":       {Train, dir, "no train.tsv in " + dir + ", nor below it in SST-2 or glue/SST-2", filepath.Join(dir, "SST-2", "train.tsv")},
		"no folder":          {Train, filepath.Join(dir, "none"), "opening the data folder", "https://gluebenchmark.com/tasks"},
		"a file":             {Train, filepath.Join(dir, "file"), "is not a folder", "the folder that holds train.tsv"},
		"a folder as a file": {Train, filepath.Join(dir, "folder"), "train.tsv: not a plain file", ""},
		"not embedded":       {Test, "", "test.tsv does not travel with the project", filepath.Join("DIR", "SST-2", "test.tsv")},
		"no such split":      {"dev", "", `no split "dev", want one of train, validation, test`, ""},
	} {
		examples, err := load(t, c.split, LoadOptions{Data: c.data})
		if err == nil || examples != nil || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s: error %v, want %q in it", name, err, c.message)
		} else if !strings.Contains(hint.Of(err), c.advice) {
			t.Errorf("%s: hint %q, want %q in it", name, hint.Of(err), c.advice)
		}
	}
	if _, err := load(t, Train, LoadOptions{Data: filepath.Join(dir, "none")}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v does not wrap the cause", err)
	}
}

func TestLoadBrokenPacked(t *testing.T) {
	packed := pack(t, twoRows+strings.Repeat("a film of some length \t1\n", 100))
	for name, data := range map[string][]byte{
		"cut short":    packed[:len(packed)-12],
		"not packed":   []byte(twoRows),
		"empty":        {},
		"bad checksum": append(bytes.Clone(packed[:len(packed)-8]), make([]byte, 8)...),
	} {
		dir := t.TempDir()
		put(t, dir, "train.tsv.gz", data)
		if examples, err := load(t, Train, LoadOptions{Data: dir}); err == nil || !strings.Contains(err.Error(), "train.tsv.gz") {
			t.Errorf("%s: %d examples, error %v", name, len(examples), err)
		}
	}
}

func TestLoadUnlabelled(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "test.tsv", []byte("index\tsentence\n0\tuneasy mishmash of styles and genres .\n"))
	examples, err := load(t, Test, LoadOptions{Data: dir})
	if err != nil || len(examples) != 1 {
		t.Fatal(examples, err)
	}
	want := Example{ID: "test:0", Input: "sentence: uneasy mishmash of styles and genres .", Label: -1}
	if !cmp.Equal(examples[0], want) {
		t.Errorf("%+v, want %+v", examples[0], want)
	}
}

func TestLoadLimit(t *testing.T) {
	all, err := load(t, Train, LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 17, len(all), len(all) + 1} {
		some, err := load(t, Train, LoadOptions{Limit: n})
		if err != nil || len(some) != min(n, len(all)) || !cmp.Equal(some[len(some)-1], all[len(some)-1]) {
			t.Errorf("limit %d: %d examples, %v", n, len(some), err)
		}
	}
	// Rows after the limit are not looked at.
	dir := t.TempDir()
	put(t, dir, "train.tsv", []byte(twoRows+"a bad row\n"))
	if some, err := load(t, Train, LoadOptions{Data: dir, Limit: 2}); err != nil || len(some) != 2 {
		t.Errorf("%d examples, %v", len(some), err)
	}
}

func TestLoadCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := lookup(t, "sst2").Load(ctx, Train, LoadOptions{})
	if !errors.Is(err, context.Canceled) || hint.Of(err) != "" {
		t.Errorf("error %v, hint %q", err, hint.Of(err))
	}
}

func TestLoadRefusesABadTask(t *testing.T) {
	task := *lookup(t, "sst2")
	task.Template = "{nothing}"
	if _, err := task.Load(context.Background(), Train, LoadOptions{}); err == nil {
		t.Error("loaded with a template that names no field of the task")
	}
}
