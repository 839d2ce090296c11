package main

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"softprompt/onnx/hint"
)

// noise returns bytes that do not compress.
func noise(n int, seed uint64) []byte {
	r, b := rand.New(rand.NewPCG(seed, 1)), make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// fakeWheel writes a wheel of the given members and returns its path.
func fakeWheel(t *testing.T, members map[string][]byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "onnxruntime_gpu.whl")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := zip.NewWriter(f)
	for name, data := range members {
		m, err := w.Create(name)
		if err == nil {
			_, err = m.Write(data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// content is a wheel like the real one: more in it than what is wanted.
var content = map[string][]byte{
	"onnxruntime/capi/libonnxruntime.so.1.31.1":              noise(30_000, 1),
	"onnxruntime/capi/libonnxruntime_providers_shared.so":    noise(100, 2),
	"onnxruntime/capi/libonnxruntime_providers_cuda.so":      noise(200_000, 3),
	"onnxruntime/capi/libonnxruntime_providers_tensorrt.so":  noise(500, 4),
	"onnxruntime/capi/onnxruntime_pybind11_state.cpython.so": noise(500, 5),
	"onnxruntime/__init__.py":                                []byte("import this\n"),
}

// bundled makes a bundle of pieces of 64 KiB and returns its folder and the
// program that is in it.
func bundled(t *testing.T) (dir string, program []byte, said string) {
	t.Helper()
	program = []byte("#!/bin/sh\necho \"$ONNXRUNTIME_SHARED_LIBRARY_PATH\"\n")
	binary := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(binary, program, 0o755); err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(t.TempDir(), "a folder") // with a blank
	var out bytes.Buffer
	if err := run(t.Context(), []string{"-out", dir, "-piece", "64KiB", "-wheel", fakeWheel(t, content), "-binary", binary}, &out, io.Discard); err != nil {
		t.Fatalf("%v (%s)", err, hint.Of(err))
	}
	return dir, program, out.String()
}

// join runs the script.
func join(t *testing.T, dir, to string) (string, error) {
	t.Helper()
	out, err := exec.Command("sh", filepath.Join(dir, joinScript), to).CombinedOutput()
	return string(out), err
}

func TestJoinRestores(t *testing.T) {
	dir, program, said := bundled(t)
	pieces, err := filepath.Glob(filepath.Join(dir, "bundle.*"))
	if err != nil || len(pieces) < 4 {
		t.Fatalf("%d pieces of 230 KB that do not compress, %v", len(pieces), err)
	}
	for i, p := range pieces {
		info, err := os.Stat(p)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > 64<<10 || i < len(pieces)-1 && info.Size() != 64<<10 {
			t.Errorf("%s has %d bytes", p, info.Size())
		}
		if order := fmt.Sprintf("%2d. %s", i+1, p); !strings.Contains(said, order) {
			t.Errorf("the order lacks %q:\n%s", order, said)
		}
	}
	to := filepath.Join(t.TempDir(), "it's here", "gpu")
	if out, err := join(t, dir, to); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want := map[string][]byte{
		"softprompt":                         program,
		"libonnxruntime.so":                  content["onnxruntime/capi/libonnxruntime.so.1.31.1"],
		"libonnxruntime_providers_shared.so": content["onnxruntime/capi/libonnxruntime_providers_shared.so"],
		"libonnxruntime_providers_cuda.so":   content["onnxruntime/capi/libonnxruntime_providers_cuda.so"],
	}
	for name, data := range want {
		if got, err := os.ReadFile(filepath.Join(to, name)); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: %d bytes, want %d, %v", name, len(got), len(data), err)
		}
	}
	if there, _ := os.ReadDir(to); len(there) != len(want)+1 {
		t.Errorf("the folder holds %v, want %d files and env.sh", there, len(want))
	}
	// The program is found by its name and finds the library.
	out, err := exec.Command("sh", "-euc", `. "$0/env.sh"; softprompt`, to).CombinedOutput()
	if got := strings.TrimSpace(string(out)); err != nil || got != filepath.Join(to, "libonnxruntime.so") {
		t.Errorf("env.sh: %q, %v", got, err)
	}
}

func TestJoinRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(dir string) error
		want  string
	}{
		"a bit that flipped": {func(dir string) error {
			path := filepath.Join(dir, "bundle.01")
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			data[1000] ^= 1
			return os.WriteFile(path, data, 0o644)
		}, "damaged"},
		"a piece cut short": {func(dir string) error { return os.Truncate(filepath.Join(dir, "bundle.02"), 10) }, "damaged"},
		"a missing piece":   {func(dir string) error { return os.Remove(filepath.Join(dir, "bundle.01")) }, "bundle.01 is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, _, _ := bundled(t)
			if err := c.spoil(dir); err != nil {
				t.Fatal(err)
			}
			to := filepath.Join(t.TempDir(), "gpu")
			out, err := join(t, dir, to)
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(out, c.want) {
				t.Errorf("error %v, output %q, want one with %q", err, out, c.want)
			}
			if _, err := os.Stat(to); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("something was unpacked: %v", err)
			}
		})
	}
}

func TestRefuses(t *testing.T) {
	half := fakeWheel(t, map[string][]byte{"onnxruntime/capi/libonnxruntime.so.1.31.1": {1}})
	good := fakeWheel(t, content)
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "bundle.00"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(binary, noise(10, 1), 0o755); err != nil {
		t.Fatal(err)
	}
	at := func(args ...string) []string {
		return append([]string{"-binary", binary, "-out", filepath.Join(t.TempDir(), "out")}, args...)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "no folder"},
		{at("-wheel", half), "no libonnxruntime_providers_shared.so"},
		{at("-wheel", binary), "opening " + binary},
		{at("-wheel", good, "-piece", "1KiB"), "more than 100 pieces"},
		{at("-wheel", good, "-piece", "64MB"), "not a size"},
		{at("-wheel", good, "-piece", "-1"), "not a size"},
		{at("-wheel", good, "-piece", "9999999999GiB"), "not a size"},
		{at("-wheel", good, "-beside", "/nowhere"), "listing the files of /nowhere"},
		{at("-wheel", good, "-piece", "64KiB", "-beside", "."), "no room"},
		{[]string{"-binary", binary, "-wheel", good, "-out", full}, "not empty"},
		{[]string{"-binary", "/nowhere/softprompt", "-wheel", good, "-out", filepath.Join(t.TempDir(), "out")}, "/nowhere/softprompt"},
	} {
		err := run(t.Context(), c.args, io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: error %v, want one with %q", c.args, err, c.want)
		}
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if err := run(stopped, at("-wheel", good), io.Discard, io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("after it was stopped: %v", err)
	}
}

// TestRoom takes this tree's files off the limit.
func TestRoom(t *testing.T) {
	whole, err := room(t.Context(), "1GiB", "")
	if err != nil || whole != 1<<30 {
		t.Fatal(whole, err)
	}
	left, err := room(t.Context(), "1GiB", ".")
	info, statErr := os.Stat("main.go")
	if err != nil || statErr != nil || left > whole-info.Size() || left < whole-(1<<21) {
		t.Errorf("beside this folder's files %d bytes are left of %d, %v", left, whole, err)
	}
}
