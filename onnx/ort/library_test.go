package ort

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"softprompt/onnx/hint"
)

// tree makes empty files under a new folder.
func tree(t *testing.T, files ...string) string {
	t.Helper()
	root := t.TempDir()
	for _, f := range files {
		path := filepath.Join(root, f)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestFind(t *testing.T) {
	deps := func(v string) string { return filepath.Join(".deps", "onnxruntime", v, "lib", libraryName) }
	for _, c := range []struct {
		name              string
		files             []string
		variable, exe, wd string
		want              string // relative to the tree; "" means the bare name
	}{
		{"nothing", nil, "", "bin/softprompt", "work", ""},
		{"variable wins", []string{"my/lib.so", deps("1.31.1")}, "my/lib.so", "bin/softprompt", ".", "my/lib.so"},
		{"highest version by number", []string{deps("1.9.0"), deps("1.31.1"), deps("1.24.4")}, "", "", ".", deps("1.31.1")},
		{"version without a library", []string{deps("1.24.4"), ".deps/onnxruntime/1.99.0/lib/README"}, "", "", ".", deps("1.24.4")},
		{"folders that are no versions", []string{deps("1.24.4"), deps("new"), deps("1..5")}, "", "", ".", deps("1.24.4")},
		{"above the working directory", []string{deps("1.31.1")}, "", "", "a/b/c", deps("1.31.1")},
		{"above the executable", []string{"opt/" + deps("1.31.1")}, "", "opt/bin/softprompt", "work", "opt/" + deps("1.31.1")},
		{"executable before working directory", []string{"opt/" + deps("1.24.4"), "work/" + deps("1.31.1")}, "", "opt/bin/softprompt", "work", "opt/" + deps("1.24.4")},
		{"beside the executable", []string{"opt/bin/" + libraryName}, "", "opt/bin/softprompt", "work", "opt/bin/" + libraryName},
		{"lib beside the executable", []string{"opt/bin/lib/" + libraryName}, "", "opt/bin/softprompt", "work", "opt/bin/lib/" + libraryName},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := tree(t, c.files...)
			at := func(p string) string {
				if p == "" {
					return ""
				}
				return filepath.Join(root, p)
			}
			got, err := place{at(c.variable), at(c.exe), at(c.wd)}.find()
			if err != nil {
				t.Fatal(err)
			}
			want := libraryName
			if c.want != "" {
				want = at(c.want)
			}
			if got != want {
				t.Errorf("found %s, want %s", got, want)
			}
		})
	}
}

func TestFindVariable(t *testing.T) {
	root := tree(t, "x/file")
	for _, variable := range []string{filepath.Join(root, "missing.so"), filepath.Join(root, "x")} {
		_, err := place{variable: variable}.find()
		if err == nil || !strings.Contains(err.Error(), variable) || !strings.Contains(hint.Of(err), LibraryVariable) {
			t.Errorf("%s: error %v, hint %q", variable, err, hint.Of(err))
		}
	}
}

func TestVersions(t *testing.T) {
	for _, c := range []struct {
		a, b string
		less bool
	}{
		{"1.9.0", "1.31.1", true},
		{"1.31.1", "1.9.0", false},
		{"1.24", "1.24.0", false},
		{"1.24", "1.24.1", true},
		{"1.23.2", "1.24", true},
		{"2.0", "1.99", false},
		{"1.24.0-rc1", "1.24", false},
	} {
		if got := less(parseVersion(c.a), parseVersion(c.b)); got != c.less {
			t.Errorf("%s before %s: %v", c.a, c.b, got)
		}
	}
	for _, s := range []string{"", "new", "1.", "1.x", "-1.2", "1.-2"} {
		if v := parseVersion(s); v != nil {
			t.Errorf("%q read as %v", s, v)
		}
	}
}

// compile builds a C source of testdata as a shared library.
func compile(t testing.TB, source, name string, flags ...string) string {
	t.Helper()
	lib := filepath.Join(t.TempDir(), name)
	args := append([]string{"-shared", "-fPIC", "-o", lib, filepath.Join("testdata", source)}, flags...)
	if out, err := exec.Command("cc", args...).CombinedOutput(); err != nil {
		t.Fatalf("compiling %s: %v\n%s", source, err, out)
	}
	return lib
}

// TestLoad covers what cannot become the process's runtime.
func TestLoad(t *testing.T) {
	old := compile(t, "old.c", "libonnxruntime.so.1.10.0")
	empty := filepath.Join(tree(t, "libonnxruntime.so"), "libonnxruntime.so")
	other := compile(t, "old.c", "other.so", "-DOrtGetApiBase=SomethingElse")
	for _, c := range []struct {
		library string
		want    []string
		hint    string
	}{
		{old, []string{"ONNX library too old", old, "1.10.0", MinVersion}, LibraryVariable},
		{empty, []string{empty}, "must be ONNX Runtime"},
		{other, []string{"OrtGetApiBase"}, "must be ONNX Runtime"},
		{"libnot-there-at-all.so", []string{"libnot-there-at-all.so"}, "make deps"},
	} {
		_, err := load(c.library)
		if err == nil {
			t.Errorf("%s was loaded", c.library)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: error %q does not say %q", c.library, err, w)
			}
		}
		if h := hint.Of(err); !strings.Contains(h, c.hint) {
			t.Errorf("%s: hint %q does not say %q", c.library, h, c.hint)
		}
	}
}
