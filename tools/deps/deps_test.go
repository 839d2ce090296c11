package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A world is a tree, a cache and a PATH with the programs that a test puts
// there, and no others. The programs are shell scripts that note their call.
type world struct {
	*setup
	t     *testing.T
	bin   string
	calls string   // the file that calls are noted in
	told  []string // progress
}

const (
	wheelMember = "onnxruntime/capi/libonnxruntime.so.9.9.9"
	npmMember   = "package/bin/napi-v6/linux/x64/libonnxruntime.so.1"
)

func newWorld(t *testing.T) *world {
	dir := t.TempDir()
	w := &world{t: t, bin: filepath.Join(dir, "bin"), calls: filepath.Join(dir, "calls")}
	for _, folder := range []string{"bin", "tree", "module"} {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	wheel, pack := filepath.Join(dir, "ort.whl"), filepath.Join(dir, "ort.tgz")
	write(t, wheel, zipOf(t, entry{wheelMember, 0o644, "from pip"}))
	write(t, pack, tarGzOf(t, tar.Header{Name: npmMember, Typeflag: tar.TypeReg, Mode: 0o644}, "from npm"))
	write(t, filepath.Join(dir, "tree", "go.mod"), []byte("module x\n\nrequire (\n\t"+tokenizersModule+" v1.2.3 // indirect\n)\n"))
	write(t, filepath.Join(dir, "module", "Cargo.toml"), []byte("the source"))

	w.setup = &setup{
		root: filepath.Join(dir, "tree"), cache: filepath.Join(dir, "cache"), platform: "linux/amd64",
		releases: []release{{"9.9.9", map[string][]source{"linux/amd64": {
			{pip, "9.9.9", "manylinux_9_x86_64", sumOf(t, wheel), wheelMember},
			{npm, "9.9.0", "", sumOf(t, pack), npmMember},
		}}}},
		progress: func(format string, args ...any) { w.told = append(w.told, fmt.Sprintf(format, args...)) },
	}
	t.Setenv("PATH", w.bin)
	for _, name := range []string{libraryVariable, "CC", "CXX", "CGO_ENABLED"} {
		t.Setenv(name, "")
	}
	for _, name := range []string{"gcc", "clang", "cc", "c++"} {
		w.program(name, "")
	}
	w.program("go", fmt.Sprintf(`echo '{"Dir": "%s"}'`, filepath.Join(dir, "module")))
	w.program("cargo", `read line < Cargo.toml || :; /bin/mkdir -p "$CARGO_TARGET_DIR/release"; echo "built from $line" > "$CARGO_TARGET_DIR/release/libtokenizers.a"`)
	w.program("python3", `case "$*" in *--version*) ;; *) /bin/cp `+wheel+` .;; esac`)
	w.program("npm", `case "$*" in *--version*) ;; *) /bin/cp `+pack+` .;; esac`)
	return w
}

// program puts a shell script onto the PATH; it says when it was called, but
// not for a mere --version.
func (w *world) program(name, script string) {
	script = "#!/bin/sh\ncase \"$*\" in *--version*) ;; *) echo " + name + " \"$@\" >> " + w.calls + ";; esac\n" + script + "\n"
	if err := os.WriteFile(filepath.Join(w.bin, name), []byte(script), 0o755); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) without(names ...string) {
	for _, name := range names {
		if err := os.Remove(filepath.Join(w.bin, name)); err != nil {
			w.t.Fatal(err)
		}
	}
}

// called is what programs were called with, a line a call, since the last time.
func (w *world) called() string {
	calls, _ := os.ReadFile(w.calls)
	os.Remove(w.calls)
	return string(calls)
}

// mustRun furnishes the tree and returns what the runtime's library holds.
func (w *world) mustRun(version string) (library, content string) {
	w.t.Helper()
	library, err := w.run(w.t.Context(), version)
	if err != nil {
		w.t.Fatal(err)
	}
	return library, read(w.t, library)
}

type entry struct {
	name    string
	mode    os.FileMode
	content string
}

func zipOf(t *testing.T, entries ...entry) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, e := range entries {
		header := &zip.FileHeader{Name: e.name, Method: zip.Deflate}
		header.SetMode(e.mode)
		f, err := w.CreateHeader(header)
		if err != nil {
			t.Fatal(err)
		}
		f.Write([]byte(e.content))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func tarGzOf(t *testing.T, header tar.Header, content string) []byte {
	t.Helper()
	var out bytes.Buffer
	packed := gzip.NewWriter(&out)
	w := tar.NewWriter(packed)
	header.Size = int64(len(content))
	if err := w.WriteHeader(&header); err != nil {
		t.Fatal(err)
	}
	w.Write([]byte(content))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	packed.Close()
	return out.Bytes()
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func sumOf(t *testing.T, path string) string {
	sum := sha256.Sum256([]byte(read(t, path)))
	return hex.EncodeToString(sum[:])
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q lacks %q", err, part)
		}
	}
}
