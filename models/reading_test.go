package models

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"softprompt/onnx/hint"
)

// TestEmbeddingTypes reads rows of every floating-point type, and no others.
func TestEmbeddingTypes(t *testing.T) {
	values := []float32{1, -2, 0.5, 4, 0, -0.25} // exact in all types
	for _, dtype := range []DType{F32, F16, BF16} {
		path := filepath.Join(t.TempDir(), "w.safetensors")
		tensor := NamedTensor{sharedName, dtype, []int64{3, 2}, encodeFloats(values, dtype)}
		if err := WriteSafetensors(path, []NamedTensor{tensor}, nil); err != nil {
			t.Fatal(err)
		}
		ck, err := OpenSafetensors(path)
		if err != nil {
			t.Fatal(err)
		}
		defer ck.Close()
		row, rows, err := (&Model{Checkpoint: ck}).Embedding()
		if err != nil || rows != 3 {
			t.Fatalf("%s: %d rows, %v", dtype, rows, err)
		}
		for id := range rows {
			if got := row(id); !slices.Equal(got, values[2*id:2*id+2]) {
				t.Errorf("%s: row %d is %v", dtype, id, got)
			}
		}
		row(1)[0] = 99
		if row(1)[0] == 99 {
			t.Errorf("%s: a row can be changed from outside", dtype)
		}
	}
	for _, c := range []struct {
		tensor NamedTensor
		want   string
	}{
		{NamedTensor{"other", F32, []int64{1}, make([]byte, 4)}, sharedName},
		{NamedTensor{sharedName, F32, []int64{4}, make([]byte, 16)}, "F32 [4], wanted a matrix of floats"},
		{NamedTensor{sharedName, I64, []int64{1, 2}, make([]byte, 16)}, "I64 [1 2], wanted a matrix of floats"},
	} {
		path := filepath.Join(t.TempDir(), "w.safetensors")
		if err := WriteSafetensors(path, []NamedTensor{c.tensor}, nil); err != nil {
			t.Fatal(err)
		}
		ck, err := OpenSafetensors(path)
		if err != nil {
			t.Fatal(err)
		}
		defer ck.Close()
		if _, _, err := (&Model{Checkpoint: ck}).Embedding(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want %q", c.tensor, err, c.want)
		}
	}
}

// TestTiedParameters counts a head that is the embedding once.
func TestTiedParameters(t *testing.T) {
	own := mustConfig(t, smallConfig(nil)).Parameters()
	tied := mustConfig(t, smallConfig(map[string]any{"tie_word_embeddings": true})).Parameters()
	if own-tied != 8192*16 {
		t.Errorf("%d parameters, tied %d: the head has %d", own, tied, own-tied)
	}
}

// TestReadWhole takes regular files up to a limit.
func TestReadWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	write(t, path, []byte("12345"))
	for _, limit := range []int64{5, 6, 1 << 40} {
		if data, err := readWhole(path, limit); err != nil || string(data) != "12345" {
			t.Errorf("limit %d: %q, %v", limit, data, err)
		}
	}
	for _, c := range []struct {
		path  string
		limit int64
		want  string
	}{
		{path, 4, "larger than 4 bytes"},
		{path, 0, "larger than 0 bytes"},
		{dir, 100, "not a regular file"},
		{os.DevNull, 100, "not a regular file"},
		{filepath.Join(dir, "nowhere"), 100, "nowhere"},
	} {
		if data, err := readWhole(c.path, c.limit); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %q, error %v, want %q", c.path, data, err, c.want)
		}
	}
}

// TestIndexOfOthers: an index that is no JSON object of names, or whose shard
// is no file.
func TestIndexOfOthers(t *testing.T) {
	for text, want := range map[string]string{
		`[]`:                           "the index is no JSON",
		`{"weight_map": []}`:           "the index is no JSON",
		`{"weight_map": {"a": 5}}`:     "the index is no JSON",
		`{"weight_map": {"a": "sub"}}`: "shard sub: ",
		`{"weight_map": {"a": "."}}`:   "shard .: ",
		`{}`:                           "the index has no weight_map",
	} {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "sub"), 0o755); err != nil {
			t.Fatal(err)
		}
		index := filepath.Join(dir, "model.safetensors.index.json")
		write(t, index, []byte(text))
		_, err := OpenSafetensors(index)
		wantError(t, err, index, want)
	}
	index := filepath.Join(t.TempDir(), "model.safetensors.index.json")
	if err := os.Mkdir(index, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenSafetensors(index); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a folder for an index: %v", err)
	}
}

// TestNoCacheFolder says which variable gives one.
func TestNoCacheFolder(t *testing.T) {
	for _, name := range []string{"SOFTPROMPT_CACHE", "XDG_CACHE_HOME", "HOME"} {
		t.Setenv(name, "")
	}
	_, err := Open(context.Background(), "tiny", Options{})
	if err == nil || !strings.Contains(err.Error(), "finding a cache folder") || !strings.Contains(hint.Of(err), "SOFTPROMPT_CACHE") {
		t.Errorf("error %v, hint %q", err, hint.Of(err))
	}
}

// TestMapFile maps what is a file.
func TestMapFile(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	write(t, empty, nil)
	if m, err := mapFile(empty); err != nil || len(m) != 0 {
		t.Errorf("an empty file: %d bytes, %v", len(m), err)
	}
	if _, err := mapFile(dir); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a folder: %v", err)
	}
	full := filepath.Join(dir, "full")
	write(t, full, []byte("abc"))
	link := filepath.Join(dir, "link")
	if err := os.Symlink(full, link); err != nil {
		t.Fatal(err)
	}
	m, err := mapFile(link)
	if err != nil || string(m) != "abc" {
		t.Fatalf("%q, %v", m, err)
	}
	if err := m.Unmap(); err != nil {
		t.Error(err)
	}
	real, err := realPath(link)
	if want, _ := filepath.EvalSymlinks(full); err != nil || real != want {
		t.Errorf("the real path is %s, %v, want %s", real, err, want)
	}
	if _, err := realPath(filepath.Join(dir, "nowhere")); err == nil {
		t.Error("a path that is not there is real")
	}
}
