package models

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func float32File(t *testing.T, dir, cache string) (*Model, *Checkpoint) {
	t.Helper()
	m, err := Open(t.Context(), dir, Options{CacheDir: cache})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	c, err := m.Float32File(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return m, c
}

func TestFloat32FileInPlace(t *testing.T) {
	dir, cache := randomModel(t, nil, 1, F32), t.TempDir()
	m, c := float32File(t, dir, cache)
	if c != m.Checkpoint {
		t.Error("float32 weights were copied")
	}
	if left, _ := os.ReadDir(cache); len(left) != 0 {
		t.Errorf("%v in the cache", left)
	}
}

func TestFloat32FileWidened(t *testing.T) {
	for _, dtype := range []DType{F16, BF16} {
		// 3 heads make tables and 6 wide d_model rows that end off the grid.
		dir, cache := randomModel(t, map[string]any{"d_model": 6, "d_ff": 5}, 1, dtype), t.TempDir()
		m, wide := float32File(t, dir, cache)
		if diff := cmp.Diff(m.Checkpoint.Names(), wide.Names()); diff != "" {
			t.Error(diff)
		}
		for _, name := range wide.Names() {
			info, _ := wide.Lookup(name)
			if info.DType != F32 || info.Offset%wideAlign != 0 || !strings.HasPrefix(info.File, mustReal(t, cache)) {
				t.Errorf("%+v", info)
			}
			want, err := m.Checkpoint.Float32(name)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := wide.Float32(name); err != nil || !cmp.Equal(got, want) {
				t.Errorf("%s %s differs, %v", dtype, name, err)
			}
		}
		if again, err := m.Float32File(t.Context()); err != nil || again != wide {
			t.Errorf("a second checkpoint, %v", err)
		}
	}
}

func mustReal(t *testing.T, path string) string {
	t.Helper()
	real, err := realPath(path)
	if err != nil {
		t.Fatal(err)
	}
	return real
}

// One tensor of another type among float32 ones, as mixed checkpoints have.
func TestFloat32FileMixed(t *testing.T) {
	config := smallConfig(nil)
	c := mustConfig(t, config)
	l := namedTensors(c, randomWeights(c, 1), F32)
	l[1].DType, l[1].Data = BF16, l[1].Data[:32]
	dir := t.TempDir()
	write(t, filepath.Join(dir, "config.json"), config)
	if err := WriteSafetensors(filepath.Join(dir, "model.safetensors"), l, nil); err != nil {
		t.Fatal(err)
	}
	m, wide := float32File(t, dir, t.TempDir())
	if wide == m.Checkpoint {
		t.Error("bfloat16 passed for float32")
	}
}

// What is cached is used again as long as it is whole and of these weights.
func TestFloat32FileCache(t *testing.T) {
	dir, cache := randomModel(t, nil, 1, BF16), t.TempDir()
	stat := func() os.FileInfo {
		t.Helper()
		m, wide := float32File(t, dir, cache)
		info, err := os.Stat(wide.tensors[sharedName].File)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range wide.Names() {
			want, _ := m.Checkpoint.Float32(name)
			if got, err := wide.Float32(name); err != nil || !cmp.Equal(got, want) {
				t.Errorf("%s differs, %v", name, err)
			}
		}
		m.Close()
		return info
	}
	first := stat()
	path := filepath.Join(cache, "float32", first.Name())
	if !os.SameFile(first, stat()) {
		t.Error("widened twice")
	}
	whole := read(t, path)
	for name, damage := range map[string]func(){
		"cut":    func() { os.Truncate(path, 5000) },
		"empty":  func() { os.Truncate(path, 0) },
		"zeroed": func() { write(t, path, append(whole[:len(whole)-64:len(whole)-64], make([]byte, 64)...)) },
		"gone":   func() { os.Remove(path) },
	} {
		damage()
		stat()
		if got := read(t, path); string(got) != string(whole) {
			t.Errorf("%s: not made anew", name)
		}
	}

	// Other weights of the same sizes, written over the model.
	config := smallConfig(nil)
	c := mustConfig(t, config)
	weights := filepath.Join(dir, "model.safetensors")
	if err := WriteSafetensors(weights, namedTensors(c, randomWeights(c, 2), BF16), map[string]string{"format": "pt"}); err != nil {
		t.Fatal(err)
	}
	if second := stat(); second.Name() == first.Name() {
		t.Error("other weights have the same key")
	}

	// An edit that no span sees changes the file's time.
	second := stat()
	if err := os.Chtimes(weights, time.Time{}, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if third := stat(); third.Name() == second.Name() {
		t.Error("a file of another time has the same key")
	}
}

func TestFloat32FileFails(t *testing.T) {
	dir := randomModel(t, nil, 1, BF16)
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, nil)
	m, err := Open(t.Context(), dir, Options{CacheDir: file})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	_, err = m.Float32File(t.Context())
	wantError(t, err, "widening the weights of", file, "hint:SOFTPROMPT_CACHE")

	cache := t.TempDir()
	m, err = Open(t.Context(), dir, Options{CacheDir: cache})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = m.Float32File(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if left, _ := os.ReadDir(filepath.Join(cache, "float32")); len(left) != 0 {
		t.Errorf("%v was left behind", left)
	}
	if _, err = m.Float32File(t.Context()); err != nil {
		t.Errorf("after a cancelled try: %v", err)
	}
}

func TestSpans(t *testing.T) {
	for n, want := range map[int64][][2]int64{0: {{0, 0}}, 12: {{0, 12}}, 13: {{0, 4}, {4, 8}, {9, 13}}, 100: {{0, 4}, {48, 52}, {96, 100}}} {
		if diff := cmp.Diff(want, spans(n, 4)); diff != "" {
			t.Error(n, diff)
		}
	}
}
