//go:build !windows

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The whole visit ends well with a side that fills the cache as softprompt
// does, and what it fills is the committed cache that huggingface_hub made.
func TestRun(t *testing.T) {
	quick(t, 200*time.Millisecond)
	python, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(habitVariable, "")
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	t.Chdir("../..")
	said, err := printed(t, func() error { return run(t.Context(), python, false) })
	// 2 references, 7 files in 2 snapshots, the 6 contents that they lead to with a
	// lock each, 2 lists of files and the tag that says what the folder is.
	if err != nil || !strings.HasSuffix(said, "both caches are the same: 24 files and symlinks\n") {
		t.Errorf("%v, printed\n%s", err, said)
	}
	if left, err := filepath.Glob(filepath.Join(tmp, "softprompt-hub-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind %v, %v", left, err)
	}
}

// An interpreter that is none ends the visit with its name, and nothing is
// left behind.
func TestRunWithoutPython(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	_, err := printed(t, func() error { return run(t.Context(), "/nowhere/python", false) })
	if err == nil || !strings.Contains(err.Error(), "/nowhere/python") {
		t.Errorf("error %v", err)
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) > 1 { // what was printed
		t.Errorf("left behind %v, %v", left, err)
	}
}

// furnish writes a cache: the content of files, or " -> " and where a symlink
// leads.
func furnish(t *testing.T, home string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(home, "hub", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, ok := strings.CutPrefix(content, " -> "); ok {
			err = os.Symlink(target, path)
		} else {
			err = os.WriteFile(path, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Caches are compared with each other, then with the committed one, which
// -update alone writes.
func TestKeep(t *testing.T) {
	cache := map[string]string{"m/blobs/abc": "content\n", "m/refs/main": "123", "m/snapshots/123/config.json": " -> ../../blobs/abc"}
	const text = comment + "\n\n-- m/blobs/abc --\ncontent\n-- m/refs/main (no newline) --\n123\n-- m/snapshots/123/config.json -> ../../blobs/abc --\n"
	for _, c := range []struct {
		name         string
		python, ours map[string]string // beside the cache
		committed    string
		update       bool
		want         string // the error, or "" where it passes
		kept         string // what is committed after
	}{
		{"as committed", nil, nil, text, false, "", text},
		{"written anew", nil, nil, "old\n", true, "", text},
		{"another is committed", nil, nil, strings.Replace(text, "content", "of old", 1), false, "is not what huggingface_hub makes; run again with -update", strings.Replace(text, "content", "of old", 1)},
		{"a file more in Python's", map[string]string{"m/.no_exist/x": ""}, nil, text, false, "the caches differ (-huggingface_hub +softprompt)", text},
		{"a file more in ours", nil, map[string]string{"m/part": "x"}, text, true, "the caches differ (-huggingface_hub +softprompt)", text},
		{"a copy, not a symlink", map[string]string{"m/s": " -> blobs/abc"}, map[string]string{"m/s": "content\n"}, text, true, "the caches differ", text},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			t.Chdir(dir)
			v := &visit{homes: map[string]string{"python": filepath.Join(dir, "p"), "softprompt": filepath.Join(dir, "s")}}
			for who, more := range map[string]map[string]string{"python": c.python, "softprompt": c.ours} {
				furnish(t, v.homes[who], cache)
				furnish(t, v.homes[who], more)
			}
			if err := os.MkdirAll(filepath.Dir(fixture), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(fixture, []byte(c.committed), 0o644); err != nil {
				t.Fatal(err)
			}
			said, err := printed(t, func() error { return v.keep(c.update) })
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if same := strings.HasPrefix(said, "both caches are the same: 3 files"); same == strings.Contains(c.want, "differ") {
				t.Errorf("printed %q", said)
			}
			if kept, err := os.ReadFile(fixture); err != nil || string(kept) != c.kept {
				t.Errorf("committed is now %q, %v", kept, err)
			}
		})
	}
}

// A cache or a committed file that is not there is named.
func TestKeepMissing(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	v := &visit{homes: map[string]string{"python": filepath.Join(dir, "p"), "softprompt": filepath.Join(dir, "s")}}
	for _, missing := range []string{filepath.Join("p", "hub"), filepath.Join("s", "hub"), fixture} {
		_, err := printed(t, func() error { return v.keep(false) })
		if err == nil || !strings.Contains(err.Error(), missing) {
			t.Errorf("without %s: error %v", missing, err)
		}
		furnish(t, filepath.Join(dir, filepath.Dir(missing)), map[string]string{"f": "x\n"})
	}
}
