package main

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFlags(t *testing.T) {
	var help bytes.Buffer
	if err := run(t.Context(), []string{"-h"}, io.Discard, &help); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("error %v", err)
	}
	if !strings.Contains(help.String(), "1.31.1 or 1.24.4") {
		t.Errorf("help lacks the versions:\n%s", &help)
	}
	err := run(t.Context(), []string{"-ort", "0.1"}, io.Discard, io.Discard)
	wantError(t, err, "no pinned ONNX Runtime 0.1")
}

func TestModuleRoot(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	deep := filepath.Join(dir, "a", "b")
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(deep)
	_, err = moduleRoot()
	wantError(t, err, "no go.mod in "+deep)
	write(t, filepath.Join(dir, "go.mod"), []byte("module x\n"))
	if got, err := moduleRoot(); got != dir || err != nil {
		t.Errorf("root %s, %v, want %s", got, err, dir)
	}
}

func TestCacheFolder(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CACHE_HOME", "")
	if got := cacheFolder("/tree"); !strings.HasPrefix(got, home) || !strings.HasSuffix(got, "/softprompt/deps") {
		t.Errorf("cache in %s", got)
	}
	t.Setenv("HOME", "")
	if got := cacheFolder("/tree"); got != "/tree/.deps/cache" {
		t.Errorf("cache in %s", got)
	}
}
