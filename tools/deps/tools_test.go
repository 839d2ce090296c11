package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestMissingToolsAreNamed(t *testing.T) {
	compiler := "gcc"
	if runtime.GOOS == "darwin" {
		compiler = "clang"
	}
	for name, c := range map[string]struct {
		without []string
		want    []string // one a line
	}{
		"cargo":        {[]string{"cargo"}, []string{"no cargo: install Rust"}},
		"C":            {[]string{compiler}, []string{"no C compiler: install gcc"}},
		"cc":           {[]string{"cc"}, []string{"no C compiler named cc: install gcc"}},
		"C++":          {[]string{"c++"}, []string{"no C++ compiler: install g++"}},
		"both clients": {[]string{"python3", "npm"}, []string{"no pip or npm: install Python 3 with pip"}},
		"all": {
			[]string{compiler, "cc", "c++", "cargo", "python3", "npm"},
			[]string{"no C compiler", "no C++ compiler", "no C compiler named cc", "no cargo", "no pip or npm"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.without(c.without...)
			_, err := w.run(t.Context(), "")
			wantError(t, err, c.want...)
			if lines := strings.Split(err.Error(), "\n"); len(lines) != len(c.want) {
				t.Errorf("%d lines, want %d:\n%s", len(lines), len(c.want), err)
			}
			if calls := w.called(); calls != "" {
				t.Errorf("work began all the same: %s", calls)
			}
		})
	}
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

func TestCompilerVariables(t *testing.T) {
	w := newWorld(t)
	w.program("my-cc", "")
	w.program("my-c++", "")
	w.without("gcc", "clang", "c++")
	t.Setenv("CC", "my-cc -m64")
	t.Setenv("CXX", "my-c++")
	w.mustRun("")
	t.Setenv("CC", "other-cc")
	_, err := w.run(t.Context(), "")
	wantError(t, err, "no C compiler")
}

func TestCgoSwitchedOff(t *testing.T) {
	w := newWorld(t)
	t.Setenv("CGO_ENABLED", "0")
	_, err := w.run(t.Context(), "")
	wantError(t, err, "unset CGO_ENABLED")
}

func TestCommandShowsTheEndOfWhatWasSaid(t *testing.T) {
	w := newWorld(t)
	w.program("chatty", "i=0; while [ $i -lt 100 ]; do echo line $i; i=$((i+1)); done; exit 3")
	_, err := command(t.Context(), w.root, nil, "chatty", "now")
	wantError(t, err, "chatty now: exit status 3", "line 80\n", "line 99")
	if strings.Contains(err.Error(), "line 79\n") {
		t.Errorf("error is long:\n%s", err)
	}
}

func TestRequiredVersion(t *testing.T) {
	path := filepath.Join(t.TempDir(), "go.mod")
	for text, want := range map[string]string{
		"module x\nrequire a.b/c v1.2.3\n":                    "v1.2.3",
		"module x\nrequire (\n\tz v9\n\ta.b/c v1.2.3 // x\n)": "v1.2.3",
		"module x\r\nrequire (\r\n\ta.b/c v1.2.3\r\n)\r\n":    "v1.2.3",
		"module x\nrequire (\n\ta.b/c/v2 v2.0.0\n)":           "",
		"module x\nrequire (\n\ta-b/c v2.0.0\n)":              "",
		"module x\n// a.b/c v1.2.3\n":                         "",
		"module x\nrequire (\n\tother.a.b/c v3.0.0\n)":        "",
	} {
		write(t, path, []byte(text))
		got, err := requiredVersion(path, "a.b/c")
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v, want %q", text, got, err, want)
		}
	}
	if _, err := requiredVersion(path+".gone", "a"); err == nil {
		t.Error("no error for a missing file")
	}
}
