package main

import (
	"archive/tar"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is taken out of an archive is one regular file of the exact name, and
// it goes nowhere but where the caller says.
func TestExtract(t *testing.T) {
	long := strings.Repeat("library ", 1000)
	for name, c := range map[string]struct {
		extract func(archive, member, to string) error
		archive []byte
		want    string // content, or
		err     string // part of the error
	}{
		"zip":            {extractZip, zipOf(t, entry{"other", 0o644, "x"}, entry{"a/lib", 0o644, long}), long, ""},
		"zip, missing":   {extractZip, zipOf(t, entry{"a/lib2", 0o644, "x"}), "", "no a/lib in"},
		"zip, link":      {extractZip, zipOf(t, entry{"a/lib", os.ModeSymlink | 0o777, "/etc/passwd"}), "", "no regular file"},
		"zip, escaping":  {extractZip, zipOf(t, entry{"../a/lib", 0o644, "x"}, entry{"/a/lib", 0o644, "x"}), "", "no a/lib in"},
		"zip, cut":       {extractZip, cut(zipOf(t, entry{"a/lib", 0o644, long})), "", "opening"},
		"zip, damaged":   {extractZip, damaged(zipOf(t, entry{"a/lib", 0o644, long})), "", "a/lib"},
		"zip, none":      {extractZip, []byte("no archive"), "", "opening"},
		"tgz":            {extractTarGz, tarGzOf(t, tar.Header{Name: "a/lib", Typeflag: tar.TypeReg, Mode: 0o644}, long), long, ""},
		"tgz, missing":   {extractTarGz, tarGzOf(t, tar.Header{Name: "a/lib2", Typeflag: tar.TypeReg}, "x"), "", "no a/lib in"},
		"tgz, link":      {extractTarGz, tarGzOf(t, tar.Header{Name: "a/lib", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}, ""), "", "no regular file"},
		"tgz, hard link": {extractTarGz, tarGzOf(t, tar.Header{Name: "a/lib", Typeflag: tar.TypeLink, Linkname: "/etc/passwd"}, ""), "", "no regular file"},
		"tgz, escaping":  {extractTarGz, tarGzOf(t, tar.Header{Name: "../a/lib", Typeflag: tar.TypeReg}, "x"), "", "no a/lib in"},
		"tgz, cut":       {extractTarGz, cut(tarGzOf(t, tar.Header{Name: "a/lib", Typeflag: tar.TypeReg}, long)), "", "unexpected EOF"},
		"tgz, none":      {extractTarGz, []byte("no archive"), "", "opening"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			archive, to := filepath.Join(dir, "archive"), filepath.Join(dir, "library")
			write(t, archive, c.archive)
			err := c.extract(archive, "a/lib", to)
			if c.err == "" {
				if err != nil || read(t, to) != c.want {
					t.Errorf("error %v", err)
				}
				return
			}
			wantError(t, err, c.err)
			if entries, _ := os.ReadDir(dir); len(entries) != 1 {
				t.Errorf("left %v", entries)
			}
		})
	}
}

func cut(archive []byte) []byte { return archive[:len(archive)/2] }

// damaged flips a bit of the first member's content.
func damaged(archive []byte) []byte {
	archive[40] ^= 1
	return archive
}

func TestExtractLimit(t *testing.T) {
	to := filepath.Join(t.TempDir(), "library")
	wantError(t, writeMember(strings.NewReader("12345"), "archive", "lib", to, 4), "lib of archive", "larger than 4 bytes")
	if exists(to) {
		t.Error("a file is left")
	}
	if err := writeMember(strings.NewReader("1234"), "archive", "lib", to, 4); err != nil {
		t.Error(err)
	}
	// What stands is not written through: it may be a link.
	wantError(t, writeMember(strings.NewReader("x"), "archive", "lib", to, 4), "exists")
}

func TestVerify(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	write(t, path, []byte("abc"))
	const sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" // FIPS 180-2, B.1
	if err := verify(path, sum); err != nil {
		t.Error(err)
	}
	wantError(t, verify(path, strings.Repeat("0", 64)), "file is not what was pinned", sum)
	wantError(t, verify(path+".gone", sum), "no such file")
}
