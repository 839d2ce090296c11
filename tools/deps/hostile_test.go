package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tarred is an entry of a tar file.
type tarred struct {
	name    string
	kind    byte
	content string
}

// tarGzOfAll is a compressed tar file of several entries.
func tarGzOfAll(t testing.TB, entries ...tarred) []byte {
	t.Helper()
	var out bytes.Buffer
	packed := gzip.NewWriter(&out)
	w := tar.NewWriter(packed)
	for _, e := range entries {
		if err := w.WriteHeader(&tar.Header{Name: e.name, Typeflag: e.kind, Mode: 0o644, Size: int64(len(e.content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(e.content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := packed.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// Among many entries the first of the exact name is taken: no other name that
// a path would clean to it, no folder, and none of what lies beside it.
func TestExtractAmongOthers(t *testing.T) {
	file := func(name, content string) tarred { return tarred{name, tar.TypeReg, content} }
	long := strings.Repeat("deep/", 40) + "lib"
	for name, c := range map[string]struct {
		entries []tarred
		member  string
		want    string // content, or
		err     string
	}{
		"last of many":           {[]tarred{file("a", "1"), file("a/lib.so", "2"), file("a/lib", "3")}, "a/lib", "3", ""},
		"there twice":            {[]tarred{file("a/lib", "first"), file("a/lib", "second")}, "a/lib", "first", ""},
		"a long name":            {[]tarred{file(long+"2", "1"), file(long, "2")}, long, "2", ""},
		"names that clean to it": {[]tarred{file("./a/lib", "1"), file("a//lib", "2"), file("b/../a/lib", "3")}, "a/lib", "", "no a/lib in"},
		"a folder":               {[]tarred{{"a/lib/", tar.TypeDir, ""}, file("a/lib/x", "1")}, "a/lib", "", "no a/lib in"},
		"a device":               {[]tarred{{"a/lib", tar.TypeChar, ""}, file("a/lib", "1")}, "a/lib", "", "no regular file"},
		"a pipe":                 {[]tarred{{"a/lib", tar.TypeFifo, ""}}, "a/lib", "", "no regular file"},
		"nothing in it":          {nil, "a/lib", "", "no a/lib in"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			archive, to := filepath.Join(dir, "archive"), filepath.Join(dir, "library")
			write(t, archive, tarGzOfAll(t, c.entries...))
			err := extractTarGz(archive, c.member, to)
			if c.err != "" {
				wantError(t, err, c.err)
			} else if err != nil || read(t, to) != c.want {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if there, err := os.ReadDir(dir); err != nil || (len(there) == 2) != (c.err == "") {
				t.Errorf("the folder holds %v, %v", there, err)
			}
		})
	}
	wantError(t, extractTarGz(filepath.Join(t.TempDir(), "gone"), "a/lib", "x"), "gone")
}

// A zip member that is another size than the directory says, or is packed in
// a way that is not known, leaves nothing.
func TestExtractZipHostile(t *testing.T) {
	made := zipOf(t, entry{"a/lib", 0o644, strings.Repeat("library ", 100)})
	directory := bytes.LastIndex(made, []byte("PK\x01\x02"))
	for name, spoil := range map[string]func(b []byte){
		"a smaller size":   func(b []byte) { b[directory+24], b[directory+25] = 1, 0 },
		"a larger size":    func(b []byte) { b[directory+24], b[directory+25] = 255, 255 },
		"another sum":      func(b []byte) { b[directory+16] ^= 1 },
		"an unknown way":   func(b []byte) { b[directory+10] = 77 },
		"an offset beyond": func(b []byte) { b[directory+44] = 200 },
	} {
		dir := t.TempDir()
		archive := filepath.Join(dir, "archive")
		spoiled := bytes.Clone(made)
		spoil(spoiled)
		write(t, archive, spoiled)
		if err := extractZip(archive, "a/lib", filepath.Join(dir, "library")); err == nil || !strings.Contains(err.Error(), archive) {
			t.Errorf("%s: error %v", name, err)
		}
		if there, err := os.ReadDir(dir); err != nil || len(there) != 1 {
			t.Errorf("%s: the folder holds %v, %v", name, there, err)
		}
	}
}

// FuzzExtract: whatever an archive holds, what comes out is one file where it
// was asked for, or none and an error that names the archive.
func FuzzExtract(f *testing.F) {
	var zipped bytes.Buffer
	w := zip.NewWriter(&zipped)
	if m, err := w.Create("a/lib"); err == nil {
		m.Write([]byte("library"))
	}
	w.Close()
	packed := tarGzOfAll(f, tarred{"a/lib", tar.TypeReg, "library"})
	for _, seed := range [][]byte{zipped.Bytes(), packed, zipped.Bytes()[:40], packed[:len(packed)-9], {0x1f, 0x8b}, nil} {
		f.Add(seed)
	}
	dir := f.TempDir()
	archive, to := filepath.Join(dir, "archive"), filepath.Join(dir, "library")
	f.Fuzz(func(t *testing.T, data []byte) {
		write(t, archive, data)
		for _, extract := range []func(archive, member, to string) error{extractZip, extractTarGz} {
			err := extract(archive, "a/lib", to)
			there, _ := os.ReadDir(dir)
			if exists(to) != (err == nil) || len(there) > 2 || err != nil && !strings.Contains(err.Error(), archive) {
				t.Errorf("%v, the folder holds %v", err, there)
			}
			os.Remove(to)
		}
	})
}
