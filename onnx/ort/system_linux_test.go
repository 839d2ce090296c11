package ort

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
)

func TestCountCores(t *testing.T) {
	root := t.TempDir()
	for cpu, siblings := range []string{"0,2", "1,3", "0,2", "1,3"} {
		dir := filepath.Join(root, "cpu"+strconv.Itoa(cpu), "topology")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "thread_siblings_list"), []byte(siblings+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if n := countCores(root); n != 2 {
		t.Errorf("%d cores of 2 with two threads each", n)
	}
	if n := countCores(t.TempDir()); n != 0 {
		t.Errorf("%d cores in an empty folder", n)
	}
	if n := Threads(); n < 1 || n > runtime.GOMAXPROCS(0) {
		t.Errorf("%d threads", n)
	}
}
