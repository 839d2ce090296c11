package prompt

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// leftover is what a process leaves that was killed while it saved a prompt.
func leftover(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "."+FileName+".tmp-123")
	if err := os.WriteFile(path, []byte("half a pro"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// listed are the names in a folder.
func listed(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestSaveAfterKill: what a killed process left half written is never taken for
// the prompt, neither where there is one nor where there is none.
func TestSaveAfterKill(t *testing.T) {
	dir := t.TempDir()
	leftover(t, dir)
	if _, err := LoadFile(dir); err == nil || !strings.Contains(err.Error(), "no prompt.safetensors in this folder") {
		t.Errorf("half a prompt alone: %v", err)
	}
	path := filepath.Join(dir, FileName)
	for _, length := range []int{1, 3} {
		if err := Save(path, New(make([]float32, 2*length), length, 2)); err != nil {
			t.Fatal(err)
		}
		leftover(t, dir)
		if p, err := LoadFile(dir); err != nil || p.Meta.Length != length {
			t.Errorf("beside half a prompt: %+v, %v", p, err)
		}
	}
}

// TestSaveWhole: who reads while prompts are saved always finds one of them,
// whole, and nothing else is left in the folder.
func TestSaveWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, FileName)
	prompts := []*Prompt{New(make([]float32, 8), 4, 2), New(make([]float32, 6000), 2000, 3)}
	if err := Save(path, prompts[0]); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				p, err := LoadFile(dir)
				if err != nil || p.Meta.Length != 4 && p.Meta.Length != 2000 {
					t.Errorf("read %+v, %v", p, err)
					return
				}
			}
		})
	}
	for i := range 10 {
		if err := Save(path, prompts[i%2]); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	readers.Wait()
	if names := listed(t, dir); len(names) != 1 || names[0] != FileName {
		t.Errorf("the folder has %v", names)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&0o444 != 0o444 {
		t.Errorf("others cannot read it: %v, %v", info.Mode(), err)
	}
}

// TestSaveNowhere: a place that cannot be written is named, and nothing half
// written stays there.
func TestSaveNowhere(t *testing.T) {
	dir := t.TempDir()
	taken := filepath.Join(dir, "taken.safetensors") // a folder that holds something
	if err := os.MkdirAll(filepath.Join(taken, "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	p := New([]float32{1, 2}, 1, 2)
	for path, save := range map[string]func(string) error{
		taken: func(path string) error { return Save(path, p) },
		filepath.Join(dir, "no", "p.safetensors"): func(path string) error { return Save(path, p) },
		filepath.Join(dir, "no", "p.npy"):         func(path string) error { return WriteNPY(path, []int64{1, 2}, []float32{1, 2}) },
	} {
		err := save(path)
		if err == nil || !strings.Contains(err.Error(), path) || strings.Contains(path, "no") != errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if names := listed(t, dir); len(names) != 1 {
		t.Errorf("left behind: %v", names)
	}
	p.Tensors[0].Data = p.Tensors[0].Data[:1]
	path := filepath.Join(dir, "bad.safetensors")
	if err := Save(path, p); err == nil || err.Error() != "saving a prompt to "+path+`: tensor "prompt": shape [1 2], but 1 values` {
		t.Error(err)
	}
	if names := listed(t, dir); len(names) != 1 {
		t.Errorf("a refused prompt left %v", names)
	}
}
