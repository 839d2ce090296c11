package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"softprompt/onnx/hint"
)

// member is one of a wheel's, with what a fake wheel gets beside its content.
type member struct {
	name    string
	mode    fs.FileMode
	content string
}

// wheelOf writes a wheel of members in their order.
func wheelOf(t *testing.T, members ...member) string {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, m := range members {
		header := &zip.FileHeader{Name: m.name, Method: zip.Store}
		header.SetMode(m.mode)
		f, err := w.CreateHeader(header)
		if err == nil {
			_, err = io.WriteString(f, m.content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "w.whl")
	if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// capi are the three libraries, each with a content of its own.
func capi() []member {
	return []member{
		{"onnxruntime/capi/libonnxruntime_providers_cuda.so", 0o755, "the CUDA provider"},
		{"onnxruntime/capi/libonnxruntime_providers_shared.so", 0o755, "what providers share"},
		{"onnxruntime/capi/libonnxruntime.so.1.31.1", 0o755, "the runtime"},
	}
}

// programOf writes a program to bundle.
func programOf(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The archive holds the program first and then the runtime before its
// providers, whatever the wheel's order, with nothing of the machine in it.
func TestArchiveHolds(t *testing.T) {
	var out bytes.Buffer
	if err := archive(t.Context(), &out, programOf(t, "softprompt's code"), wheelOf(t, capi()...)); err != nil {
		t.Fatal(err)
	}
	unpacked, err := gzip.NewReader(&out)
	if err != nil || unpacked.Name != "" || !unpacked.ModTime.IsZero() {
		t.Fatalf("compressed as %+v, %v", unpacked.Header, err)
	}
	files := tar.NewReader(unpacked)
	for _, want := range []member{
		{"softprompt", 0o755, "softprompt's code"},
		{"libonnxruntime.so", 0o644, "the runtime"},
		{"libonnxruntime_providers_shared.so", 0o644, "what providers share"},
		{"libonnxruntime_providers_cuda.so", 0o644, "the CUDA provider"},
	} {
		h, err := files.Next()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(files)
		if err != nil || h.Name != want.name || fs.FileMode(h.Mode) != want.mode || string(content) != want.content {
			t.Errorf("%s with mode %o holds %q, %v; want %+v", h.Name, h.Mode, content, err, want)
		}
		if h.Uid != 0 || h.Uname != "" || !h.ModTime.Equal(time.Unix(0, 0)) {
			t.Errorf("%s says whose it is: %+v", h.Name, h)
		}
	}
	if h, err := files.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("also in it: %+v, %v", h, err)
	}
}

// The same files give the same pieces, whose sum is the one that the script
// asks for and that is told.
func TestPackTwice(t *testing.T) {
	binary, wheel := programOf(t, string(noise(5000, 9))), wheelOf(t, capi()...)
	var sums []string
	for range 2 {
		dir := filepath.Join(t.TempDir(), "deep", "out")
		b, err := pack(t.Context(), dir, binary, wheel, 1000)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.New()
		for _, piece := range b.pieces {
			data, err := os.ReadFile(filepath.Join(dir, piece))
			if err != nil {
				t.Fatal(err)
			}
			sum.Write(data)
		}
		script, err := os.ReadFile(filepath.Join(dir, joinScript))
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%x", sum.Sum(nil)); got != b.sum || strings.Count(string(script), got) != 2 {
			t.Errorf("the pieces' sum is %s, told is %s, the script is\n%s", got, b.sum, script)
		}
		if there, err := os.ReadDir(dir); err != nil || len(there) != len(b.pieces)+1 || len(b.pieces) < 6 {
			t.Errorf("the folder holds %v for %d pieces, %v", there, len(b.pieces), err)
		}
		sums = append(sums, b.sum)
	}
	if sums[0] != sums[1] {
		t.Errorf("the same files have sums %v", sums)
	}
}

// Libraries are regular files of a folder capi, by their whole name; what is
// missing is named, and no name of the wheel becomes a path.
func TestMembers(t *testing.T) {
	const runtime = "no libonnxruntime.so in it"
	for name, c := range map[string]struct {
		change func(m []member) []member
		want   string // part of the error, or of the runtime's name in the wheel
	}{
		"as published":          {func(m []member) []member { return m }, "capi/libonnxruntime.so.1.31.1"},
		"without a version":     {func(m []member) []member { m[2].name = "o/capi/libonnxruntime.so"; return m }, "o/capi/libonnxruntime.so"},
		"deep in the wheel":     {func(m []member) []member { m[2].name = "x/y/z/capi/libonnxruntime.so.1"; return m }, "x/y/z/capi/"},
		"a name that leads out": {func(m []member) []member { m[2].name = "../../capi/libonnxruntime.so"; return m }, "../../capi/"},
		"another folder":        {func(m []member) []member { m[2].name = "onnxruntime/lib/libonnxruntime.so"; return m }, runtime},
		"no folder":             {func(m []member) []member { m[2].name = "libonnxruntime.so"; return m }, runtime},
		"a folder of the name":  {func(m []member) []member { m[2].name += "/"; m[2].mode |= fs.ModeDir; m[2].content = ""; return m }, runtime},
		"a symlink":             {func(m []member) []member { m[2].mode |= fs.ModeSymlink; return m }, runtime},
		"a longer name":         {func(m []member) []member { m[2].name += ".bak"; return m }, runtime},
		"capital letters":       {func(m []member) []member { m[2].name = strings.ToUpper(m[2].name); return m }, runtime},
		"of macOS":              {func(m []member) []member { m[2].name = "onnxruntime/capi/libonnxruntime.1.31.1.dylib"; return m }, runtime},
		"of the CPU":            {func(m []member) []member { return m[1:] }, "no libonnxruntime_providers_cuda.so in it"},
		"nothing":               {func(m []member) []member { return nil }, runtime},
	} {
		t.Run(name, func(t *testing.T) {
			opened, err := zip.OpenReader(wheelOf(t, c.change(capi())...))
			if err != nil {
				t.Fatal(err)
			}
			defer opened.Close()
			found, err := members(&opened.Reader)
			if strings.HasPrefix(c.want, "no ") {
				if err == nil || err.Error() != "there is "+c.want || hint.Of(err) != "it must be a Linux wheel of onnxruntime-gpu" {
					t.Errorf("found %v, error %v, hint %q", found, err, hint.Of(err))
				}
				return
			}
			if err != nil || len(found) != 3 || !strings.Contains(found[0].Name, c.want) {
				t.Errorf("found %v, %v", found, err)
			}
		})
	}
}

// A damaged member, or one that is another size than it says, ends the work
// with its name: there is no script that would join what is not whole.
func TestPackDamagedWheel(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(wheel []byte) []byte
		want  string
	}{
		"a bit of the content flipped": {func(b []byte) []byte {
			return bytes.Replace(b, []byte("what providers share"), []byte("what providers Share"), 1)
		}, "libonnxruntime_providers_shared.so in "},
		"a size too large": {func(b []byte) []byte { // of "the runtime", in its entry of the directory
			at := bytes.LastIndex(b, []byte("onnxruntime/capi/libonnxruntime.so.1.31.1")) - 46
			b[at+20], b[at+24] = 200, 200
			return b
		}, "libonnxruntime.so.1.31.1 in "},
		"cut in half": {func(b []byte) []byte { return b[:len(b)/2] }, "opening "},
	} {
		t.Run(name, func(t *testing.T) {
			wheel := wheelOf(t, capi()...)
			data, err := os.ReadFile(wheel)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(wheel, c.spoil(data), 0o644); err != nil {
				t.Fatal(err)
			}
			out := filepath.Join(t.TempDir(), "out")
			_, err = pack(t.Context(), out, programOf(t, "x"), wheel, 1<<20)
			if err == nil || !strings.Contains(err.Error(), "writing the bundle to "+out+": ") || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), wheel) {
				t.Errorf("error %v, want %q and the wheel's name", err, c.want)
			}
			if left, err := os.ReadDir(out); err != nil || len(left) > 0 {
				t.Errorf("left %v, %v", left, err)
			}
		})
	}
}
