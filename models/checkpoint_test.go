package models

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCheckpointFloat32(t *testing.T) {
	values := []float32{0, 1, -2.5, 65504, 6.1035156e-05}
	for _, dtype := range []DType{F32, F16, BF16} {
		path := filepath.Join(t.TempDir(), "x.safetensors")
		if err := WriteSafetensors(path, []NamedTensor{{"v", dtype, []int64{5}, encodeFloats(values, dtype)}, {"i", I64, nil, make([]byte, 8)}}, nil); err != nil {
			t.Fatal(err)
		}
		c, err := OpenSafetensors(path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		got, err := c.Float32("v")
		want := values
		if dtype == BF16 {
			want = []float32{0, 1, -2.5, 65536, 6.1035156e-05}
		}
		if err != nil || !cmp.Equal(got, want) {
			t.Errorf("%s: %v, %v", dtype, got, err)
		}
		_, err = c.Float32("i")
		wantError(t, err, `"i"`, path, "I64", "hint:quantised")
		_, err = c.Bytes("none")
		wantError(t, err, path, `"none"`)
	}
}

// The hub's cache keeps weights behind symlinks; the runtime refuses those.
func TestCheckpointRealPath(t *testing.T) {
	dir := t.TempDir()
	blob := filepath.Join(dir, "blob")
	if err := WriteSafetensors(blob, []NamedTensor{{"v", F32, nil, make([]byte, 4)}}, nil); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "model.safetensors")
	if err := os.Symlink("blob", link); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	c, err := OpenSafetensors("model.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	info, _ := c.Lookup("v")
	want, err := filepath.EvalSymlinks(blob)
	if err != nil || info.File != want || !filepath.IsAbs(info.File) {
		t.Errorf("the file is %s, wanted %s, %v", info.File, want, err)
	}
	file := read(t, info.File)
	if int64(len(file)) != info.Offset+info.Length {
		t.Errorf("%+v in a file of %d", info, len(file))
	}
}

func TestCheckpointClosed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.safetensors")
	if err := WriteSafetensors(path, []NamedTensor{{"v", F32, nil, make([]byte, 4)}}, nil); err != nil {
		t.Fatal(err)
	}
	c, err := OpenSafetensors(path)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Bytes("v"); !errors.Is(err, errClosed) {
		t.Error(err)
	}
	if _, err := c.Float32("v"); !errors.Is(err, errClosed) {
		t.Error(err)
	}
}

func TestCheckpointMissingFile(t *testing.T) {
	dir := t.TempDir()
	_, err := OpenSafetensors(filepath.Join(dir, "none.safetensors"))
	wantError(t, err, "none.safetensors")
	if !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	_, err = OpenSafetensors(dir)
	wantError(t, err, "not a regular file")
}

// writeShards writes tensors over files by a map of tensor to file.
func writeShards(t *testing.T, files map[string][]NamedTensor, weightMap map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, tensors := range files {
		if err := WriteSafetensors(filepath.Join(dir, name), tensors, map[string]string{"format": "pt"}); err != nil {
			t.Fatal(err)
		}
	}
	index, err := json.Marshal(map[string]any{"metadata": map[string]any{"total_size": 12}, "weight_map": weightMap})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "model.safetensors.index.json")
	write(t, path, index)
	return path
}

func scalar(name string, v float32) NamedTensor {
	return NamedTensor{name, F32, nil, encodeFloats([]float32{v}, F32)}
}

func TestShards(t *testing.T) {
	files := map[string][]NamedTensor{"one.safetensors": {scalar("a", 1), scalar("b", 2)}, "two.safetensors": {scalar("c", 3)}}
	c, err := OpenSafetensors(writeShards(t, files, map[string]string{"a": "one.safetensors", "b": "one.safetensors", "c": "two.safetensors"}))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if diff := cmp.Diff([]string{"a", "b", "c"}, c.Names()); diff != "" {
		t.Error(diff)
	}
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for name, want := range map[string]float32{"a": 1, "b": 2, "c": 3} {
				if v, err := c.Float32(name); err != nil || len(v) != 1 || v[0] != want {
					t.Errorf("%s is %v, %v", name, v, err)
				}
			}
		})
	}
	wait.Wait()
	if c.Metadata["format"] != "pt" {
		t.Errorf("metadata %v", c.Metadata)
	}
}

func TestShardErrors(t *testing.T) {
	one := map[string][]NamedTensor{"one.safetensors": {scalar("a", 1)}}
	both := map[string][]NamedTensor{"one.safetensors": {scalar("a", 1)}, "two.safetensors": {scalar("a", 1), scalar("b", 2)}}
	for _, test := range []struct {
		files     map[string][]NamedTensor
		weightMap map[string]string
		want      []string
	}{
		{one, map[string]string{"a": "../one.safetensors"}, []string{"outside its folder"}},
		{one, map[string]string{"a": "/etc/passwd"}, []string{"outside its folder"}},
		{one, map[string]string{"a": ""}, []string{"outside its folder"}},
		{one, map[string]string{"a": "one.safetensors", "b": "two.safetensors"}, []string{"shard two.safetensors", "hint:beside it"}},
		{one, map[string]string{"a": "one.safetensors", "b": "one.safetensors"}, []string{`tensor "b" in one.safetensors, where it is not`}},
		{both, map[string]string{"a": "one.safetensors", "b": "two.safetensors"}, []string{`tensor "a" is also in`}},
		{one, map[string]string{}, []string{"no weight_map"}},
	} {
		path := writeShards(t, test.files, test.weightMap)
		_, err := OpenSafetensors(path)
		wantError(t, err, append(test.want, path)...)
	}
	path := filepath.Join(t.TempDir(), "model.safetensors.index.json")
	write(t, path, []byte("{"))
	_, err := OpenSafetensors(path)
	wantError(t, err, path, "no JSON")
}
