package models

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestTinyRevision(t *testing.T) {
	sum := sha256.Sum256(read(t, "tiny/model.safetensors"))
	if got := hex.EncodeToString(sum[:6]); got != tinyRevision {
		t.Errorf("tinyRevision is %s, wanted %s", tinyRevision, got)
	}
}

func TestOpenTiny(t *testing.T) {
	cache := t.TempDir()
	m, err := Open(t.Context(), "tiny", Options{CacheDir: cache})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if m.Name != "tiny" || m.Revision != tinyRevision || !strings.HasPrefix(m.Dir, cache) || m.Config.HeadName() != "lm_head.weight" || m.Config.ScaleDecoderOutputs {
		t.Errorf("%+v", m)
	}
	tok, err := m.Tokenizer()
	if err != nil {
		t.Fatal(err)
	}
	if tok.VocabSize() != 8100 {
		t.Errorf("%d ids", tok.VocabSize())
	}
	card := string(read(t, filepath.Join(m.Dir, "README.md")))
	for _, want := range []string{"license:", "11.3 M parameters", "chance"} {
		if !strings.Contains(card, want) {
			t.Errorf("the card lacks %q", want)
		}
	}
}

// However a cached file is damaged, the next use replaces it; files that are
// whole are left alone.
func TestTinyDamaged(t *testing.T) {
	cache := t.TempDir()
	openTiny := func() {
		t.Helper()
		m, err := Open(t.Context(), "tiny", Options{CacheDir: cache})
		if err != nil {
			t.Fatal(err)
		}
		m.Close()
	}
	openTiny()
	dir := filepath.Join(cache, "models", "tiny-"+tinyRevision)
	path := filepath.Join(dir, "model.safetensors")
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	openTiny()
	if after, err := os.Stat(path); err != nil || !os.SameFile(before, after) {
		t.Errorf("a whole file was written again, %v", err)
	}
	want := read(t, "tiny/model.safetensors")
	flipped := append([]byte{}, want...)
	flipped[len(flipped)-1] ^= 1
	for name, damage := range map[string]func() error{
		"flipped bit": func() error { return os.WriteFile(path, flipped, 0o644) },
		"cut":         func() error { return os.Truncate(path, 1000) },
		"empty":       func() error { return os.Truncate(path, 0) },
		"longer":      func() error { return os.WriteFile(path, append(flipped, 0), 0o644) },
		"gone":        func() error { return os.Remove(path) },
		"a link":      func() error { os.Remove(path); return os.Symlink("config.json", path) },
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		openTiny()
		if got := read(t, path); string(got) != string(want) {
			t.Errorf("%s: not repaired", name)
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 6 {
		t.Errorf("%v in the cache, %v", left, err)
	}
}

func TestTinyConcurrent(t *testing.T) {
	cache := t.TempDir()
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			m, err := Open(t.Context(), "tiny", Options{CacheDir: cache})
			if err != nil {
				t.Error(err)
				return
			}
			defer m.Close()
			if _, err := m.Fingerprint(); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
}

func TestTinyCacheUnusable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, nil)
	_, err := Open(t.Context(), "tiny", Options{CacheDir: file})
	wantError(t, err, "unpacking the embedded model", file, "hint:SOFTPROMPT_CACHE")

	cache := t.TempDir() // a folder stands where a file belongs
	if err := os.MkdirAll(filepath.Join(cache, "models", "tiny-"+tinyRevision, "config.json", "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), "tiny", Options{CacheDir: cache})
	wantError(t, err, "config.json", "hint:SOFTPROMPT_CACHE")
}
