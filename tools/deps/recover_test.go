package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"softprompt/onnx/hint"
)

// What failed once is tried again, from the beginning, and then stands.
func TestNextRunRepairs(t *testing.T) {
	w := newWorld(t)
	good := read(t, filepath.Join(w.bin, "python3"))
	w.program("python3", `case "$*" in *--version*) ;; *) echo 'a proxy says no' > ort.whl;; esac`)
	_, err := w.run(t.Context(), "")
	wantError(t, err, "ONNX Runtime 9.9.9: ort.whl is not what was pinned: its SHA-256 is ", w.releases[0].sources["linux/amd64"][0].sha256)
	cached, err := filepath.Glob(filepath.Join(w.cache, "onnxruntime*"))
	if err != nil || len(cached) > 0 {
		t.Errorf("the cache holds %v, %v", cached, err)
	}
	if err := os.WriteFile(filepath.Join(w.bin, "python3"), []byte(good), 0o755); err != nil {
		t.Fatal(err)
	}
	w.called()
	if _, content := w.mustRun(""); content != "from pip" {
		t.Errorf("library holds %q", content)
	}
	if calls := w.called(); strings.Contains(calls, "cargo") || !strings.Contains(calls, "python3") {
		t.Errorf("the second run called\n%s", calls)
	}
}

// A file that a full disk left empty, in the tree or in the cache, is made
// anew, and one that stands is replaced at once, not written over.
func TestEmptyFilesAreMadeAnew(t *testing.T) {
	w := newWorld(t)
	library, _ := w.mustRun("")
	cached, err := filepath.Glob(filepath.Join(w.cache, "onnxruntime-9.9.9-*.so"))
	if err != nil || len(cached) != 1 {
		t.Fatalf("the cache holds %v, %v", cached, err)
	}
	for _, empty := range [][]string{{library}, {library, cached[0]}} {
		w.called()
		other := filepath.Join(t.TempDir(), "linked")
		if err := os.Truncate(library, 0); err != nil {
			t.Fatal(err)
		}
		if err := os.Link(library, other); err != nil {
			t.Fatal(err)
		}
		for _, path := range empty {
			if err := os.Truncate(path, 0); err != nil {
				t.Fatal(err)
			}
		}
		if _, content := w.mustRun(""); content != "from pip" {
			t.Errorf("library holds %q", content)
		}
		if fetched := strings.Contains(w.called(), "download"); fetched != (len(empty) == 2) {
			t.Errorf("%v empty: fetched again: %v", empty, fetched)
		}
		if got := read(t, other); got != "" {
			t.Errorf("who had the old file open sees %q", got)
		}
	}
}

// What cannot be put where it belongs is named, and no half of it is left.
func TestCopyFile(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	write(t, from, []byte("new"))
	write(t, to, []byte("old"))
	wantError(t, copyFile(to, filepath.Join(dir, "gone")), "gone")
	wantError(t, copyFile(to, dir), "copying "+dir+" to "+to)
	if got := read(t, to); got != "old" {
		t.Errorf("after two failures it holds %q", got)
	}
	wantError(t, copyFile(filepath.Join(dir, "none", "to"), from), "none")
	if err := copyFile(to, from); err != nil || read(t, to) != "new" {
		t.Errorf("it holds %q, %v", read(t, to), err)
	}
	if there, err := os.ReadDir(dir); err != nil || len(there) != 2 {
		t.Errorf("the folder holds %v, %v", there, err)
	}

	w := newWorld(t)
	write(t, filepath.Join(w.root, ".deps"), []byte("a file where the folder should be"))
	_, err := w.run(t.Context(), "")
	wantError(t, err, "libtokenizers.a v1.2.3: ", ".deps")
}

// Only scratch folders are swept, however old what lies beside them is.
func TestSweepLeavesTheRest(t *testing.T) {
	cache := t.TempDir()
	year := time.Now().AddDate(-1, 0, 0)
	for _, name := range []string{"making-7", "tokenizers-v1-linux-amd64.a", "making", "not-making-1"} {
		path := filepath.Join(cache, name)
		write(t, path, []byte("x"))
		if err := os.Chtimes(path, year, year); err != nil {
			t.Fatal(err)
		}
	}
	(&setup{cache: cache}).sweep()
	(&setup{cache: filepath.Join(cache, "gone")}).sweep()
	left, err := filepath.Glob(filepath.Join(cache, "*"))
	if err != nil || len(left) != 3 || exists(filepath.Join(cache, "making-7")) {
		t.Errorf("left %v, %v", left, err)
	}
}

// The end of what a program said are its last lines, without the blank ones
// after them.
func TestLastLines(t *testing.T) {
	for _, c := range []struct {
		text string
		n    int
		want string
	}{
		{"", 3, ""},
		{"\n\n", 3, ""},
		{"one", 3, "one"},
		{"one\ntwo\nthree\n\n", 3, "one\ntwo\nthree"},
		{"one\ntwo\nthree\nfour", 2, "three\nfour"},
		{"one\n\nthree", 2, "\nthree"},
	} {
		if got := lastLines(c.text, c.n); got != c.want {
			t.Errorf("the last %d of %q are %q, want %q", c.n, c.text, got, c.want)
		}
	}
}

// The command finds all it needs in a tree that is furnished, from any folder
// of it, and -path alone makes it print where the runtime lies.
func TestPathIsPrinted(t *testing.T) {
	platform := runtime.GOOS + "/" + runtime.GOARCH
	sources := releases[1].sources[platform]
	if len(sources) == 0 {
		t.Skip("no pinned runtime for " + platform)
	}
	w := newWorld(t)
	w.without("python3", "npm", "cargo", "go")
	root, err := filepath.EvalSymlinks(w.root)
	if err != nil {
		t.Fatal(err)
	}
	all, err := (&setup{root: root, platform: platform, releases: releases}).runtimes("1.24.4")
	if err != nil {
		t.Fatal(err)
	}
	library, archive := all[0].tree, filepath.Join(root, ".deps", "lib", "libtokenizers.a")
	deep := filepath.Join(root, "models", "hub")
	for _, dir := range []string{filepath.Dir(library), filepath.Dir(archive), deep} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, library, []byte("library"))
	write(t, archive, []byte("archive"))
	write(t, archive+".stamp", []byte("tokenizers-v1.2.3-"+strings.ReplaceAll(platform, "/", "-")))
	t.Setenv("HOME", t.TempDir())
	t.Setenv("XDG_CACHE_HOME", "")
	t.Chdir(deep)
	for _, c := range []struct {
		args []string
		want string
	}{{[]string{"-ort", "1.24.4", "-path"}, library + "\n"}, {[]string{"-ort", "1.24.4"}, ""}} {
		var stdout, stderr bytes.Buffer
		if err := run(t.Context(), c.args, &stdout, &stderr); err != nil || stdout.String() != c.want || stderr.Len() > 0 {
			t.Errorf("%q prints %q, says %q, %v; want %q", c.args, &stdout, &stderr, err, c.want)
		}
	}
	// Another version is not there, and no client is to bring it.
	err = run(t.Context(), []string{"-ort", "1.31.1", "-path"}, io.Discard, io.Discard)
	wantError(t, err, "no pip or npm: install Python 3 with pip", libraryVariable)
	if hint.Of(err) != "" {
		t.Errorf("the lines say what to install, the hint says %q", hint.Of(err))
	}
}
