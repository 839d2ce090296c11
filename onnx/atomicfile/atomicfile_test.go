package atomicfile_test

import (
	"os"
	"path/filepath"
	"testing"

	"softprompt/onnx/atomicfile"
)

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestWriteReplacesWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	for _, want := range []string{"first", "second, longer", ""} {
		if err := atomicfile.Write(path, []byte(want)); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != want {
			t.Fatalf("read %q, %v; want %q", got, err, want)
		}
	}
	if n := names(t, dir); len(n) != 1 {
		t.Errorf("left behind: %v", n)
	}
}

func TestCloseWithoutCommitLeavesTheOldFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	if err := atomicfile.Write(path, []byte("old")); err != nil {
		t.Fatal(err)
	}
	f, err := atomicfile.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("half")); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if err := f.Commit(); err == nil {
		t.Error("commit after close succeeded")
	}
	if got, _ := os.ReadFile(path); string(got) != "old" {
		t.Errorf("read %q, want the old file", got)
	}
	if n := names(t, dir); len(n) != 1 {
		t.Errorf("left behind: %v", n)
	}
}

func TestErrorsNameThePath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "missing", "a")
	err := atomicfile.Write(path, nil)
	if err == nil {
		t.Fatal("wrote into a folder that is not there")
	}
	if !os.IsNotExist(err) && !filepath.IsAbs(path) {
		t.Errorf("unexpected error %v", err)
	}
	// A folder in the file's place: the rename fails, nothing stays behind.
	dir := t.TempDir()
	os.MkdirAll(filepath.Join(dir, "a", "b"), 0o755)
	if err := atomicfile.Write(filepath.Join(dir, "a"), []byte("x")); err == nil {
		t.Error("replaced a folder that is not empty")
	}
	if n := names(t, dir); len(n) != 1 {
		t.Errorf("left behind: %v", n)
	}
}

// TestSweep: what was under way to a name goes, all else stays.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "run[1].json")
	f, err := atomicfile.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	f.File.Close() // and the process is killed
	for _, other := range []string{path, filepath.Join(dir, "run[1].json.tmp-1"), filepath.Join(dir, ".run[2].json.tmp-1")} {
		if err := os.WriteFile(other, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	atomicfile.Sweep(path)
	atomicfile.Sweep(filepath.Join(dir, "nowhere", "file"))
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != 3 {
		t.Errorf("left are %v", left)
	}
	if _, err := os.Stat(f.Name()); err == nil {
		t.Error("the temporary file is still there")
	}
}
