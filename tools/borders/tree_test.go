package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// mainVariable makes this binary the command itself.
const mainVariable = "SOFTPROMPT_TEST_BORDERS"

func TestMain(m *testing.M) {
	if os.Getenv(mainVariable) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// tree writes files into a new folder and returns it.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// An import counts however it is written, in whichever file the compiler
// might read, and each by itself.
func TestEveryFormOfImport(t *testing.T) {
	const crossing = "softprompt/grad: onnx may import onnx/onnxpb"
	for name, c := range map[string]struct {
		file, text string
		want       []string // what is imported with the reason; none where all is well
	}{
		"in a group":          {"onnx/a.go", "package onnx\n\nimport (\n\t\"fmt\"\n\n\t\"softprompt/grad\"\n)\n", []string{crossing}},
		"blank":               {"onnx/a.go", "package onnx\n\nimport _ \"softprompt/grad\"\n", []string{crossing}},
		"under another name":  {"onnx/a.go", "package onnx\n\nimport fmt \"softprompt/grad\"\n", []string{crossing}},
		"with a dot":          {"onnx/a.go", "package onnx\n\nimport . \"softprompt/grad\"\n", []string{crossing}},
		"in back quotes":      {"onnx/a.go", "package onnx\n\nimport `softprompt/grad`\n", []string{crossing}},
		"escaped":             {"onnx/a.go", "package onnx\n\nimport \"softprompt\\x2fgrad\"\n", []string{crossing}},
		"of another system":   {"onnx/a_plan9.go", "//go:build plan9\n\npackage onnx\n\nimport \"softprompt/grad\"\n", []string{crossing}},
		"that is not built":   {"onnx/a.go", "//go:build ignore\n\npackage main\n\nimport \"softprompt/grad\"\n", []string{crossing}},
		"of several":          {"onnx/a.go", "package onnx\n\nimport \"softprompt/grad\"\nimport \"github.com/alecthomas/kong\"\n", []string{crossing, "github.com/alecthomas/kong: of other modules, onnx may import google.golang.org/protobuf, github.com/edsrzf/mmap-go"}},
		"of C":                {"onnx/a.go", "package onnx\n\n// int x;\nimport \"C\"\n", nil},
		"in a comment":        {"onnx/a.go", "package onnx\n\n// import \"softprompt/grad\"\n", nil},
		"in a string":         {"onnx/a.go", "package onnx\n\nconst text = `\nimport \"softprompt/grad\"\n`\n", nil},
		"in a test":           {"onnx/a_test.go", "package onnx\n\nimport \"softprompt/grad\"\n", nil},
		"below a broken rest": {"onnx/a.go", "package onnx\n\nimport \"softprompt/grad\"\n\nfunc (\n", []string{crossing}},
		"deep in a room":      {"onnx/a/b/c.go", "package c\n\nimport \"softprompt/grad\"\n", []string{crossing}},
		"beside the rooms":    {"attic/a.go", "package attic\n\nimport \"fmt\"\n", []string{"fmt: attic is no room: give it a line in tools/borders"}},
		"at the root":         {"doc.go", "package softprompt\n\nimport \"fmt\"\n", []string{"fmt: . is no room: give it a line in tools/borders"}},
	} {
		var want []string
		for _, w := range c.want {
			want = append(want, c.file+" imports "+w)
		}
		got, err := check(tree(t, map[string]string{c.file: c.text}))
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v; want %q", name, got, err, want)
		}
	}
}

// A file that is no Go, or a folder that is not there, ends the check with its
// name.
func TestCheckFails(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "expected 'package'",
		"package onnx\n\nimport fmt\n": "missing import path",
		"package onnx\n\nimport \"\n":  "string literal not terminated",
	} {
		root := tree(t, map[string]string{"onnx/odd name.go": text})
		broken, err := check(root)
		if file := filepath.Join(root, "onnx", "odd name.go"); err == nil || !strings.HasPrefix(err.Error(), "reading the imports of "+file) || !strings.Contains(err.Error(), want) || broken != nil {
			t.Errorf("%q: %v, %v, want %q", text, broken, err, want)
		}
	}
	gone := filepath.Join(t.TempDir(), "gone")
	if _, err := check(gone); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), gone) {
		t.Errorf("error %v", err)
	}
	if broken, err := check(t.TempDir()); err != nil || broken != nil {
		t.Errorf("an empty tree: %v, %v", broken, err)
	}
}

// The root is read whatever it is called and although it has a go.mod, which
// shuts the folders below.
func TestRootIsOpen(t *testing.T) {
	const bad = "package x\n\nimport \"softprompt/grad\"\n"
	root := filepath.Join(tree(t, map[string]string{
		"_root/go.mod": "module softprompt\n", "_root/onnx/a.go": bad, "_root/tasks/go.mod": "module other\n", "_root/tasks/a.go": bad,
		"_root/grad/testdata/a.go": bad, "_root/tasks.go/b.go": bad,
	}), "_root")
	got, err := check(root)
	want := []string{"onnx/a.go imports softprompt/grad: onnx may import onnx/onnxpb", "tasks.go/b.go imports softprompt/grad: tasks.go is no room: give it a line in tools/borders"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v", got, err)
	}
}

// A folder lies in the innermost room that holds it, and in none by the mere
// beginning of its name.
func TestRoomOf(t *testing.T) {
	for folder, want := range map[string]string{
		"onnx": "onnx", "onnx/x": "onnx", "onnx/ort": "onnx/ort", "onnx/ort/x/y": "onnx/ort", "onnx/ort/orttest": "onnx/ort/orttest",
		"onnx/orttest": "onnx", "onnx/hint/x": "onnx/hint", "prompt/tune/x": "prompt/tune", "prompt/tuner": "prompt", "cmd/softprompt": "cmd",
		"onnx2": "", "on": "", "": "", ".": "", "/onnx": "", "internal/onnx": "", "ONNX": "",
	} {
		if got, ok := roomOf(folder); got.folder != want || ok != (want != "") {
			t.Errorf("%q lies in %q, %v, want %q", folder, got.folder, ok, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.SampledFrom([]string{"onnx", "ort", "orttest", "hint", "prompt", "tune", "x"})
		folder := strings.Join(rapid.SliceOfN(part, 1, 5).Draw(t, "parts"), "/")
		want := "" // the longest beginning that is a line of the table
		for parts := strings.Split(folder, "/"); len(parts) > 0; parts = parts[:len(parts)-1] {
			above := strings.Join(parts, "/")
			if slices.ContainsFunc(rooms, func(r room) bool { return r.folder == above }) {
				want = above
				break
			}
		}
		if got, _ := roomOf(folder); got.folder != want {
			t.Fatalf("%q lies in %q, want %q", folder, got.folder, want)
		}
	})
}

// Every room may use the standard library, itself and the leaves, a leaf
// nothing of the house but itself, and only the owner goes through a door.
func TestRoomRights(t *testing.T) {
	for _, r := range rooms {
		for _, free := range []string{"fmt", "net/http", "softprompt/" + r.folder, "softprompt/" + r.folder + "/below", "softprompt/onnx/hint", "softprompt/onnx/atomicfile"} {
			if why := crosses(r.folder+"/below", free); why != "" {
				t.Errorf("%s may not import %s: %s", r.folder, free, why)
			}
		}
		for door, owner := range doors {
			for _, imported := range []string{door, door + "/v2"} {
				want := owner + " alone may import it"
				if r.folder == owner {
					want = ""
				}
				if why := crosses(r.folder, imported); why != want {
					t.Errorf("%s imports %s: %q, want %q", r.folder, imported, why, want)
				}
			}
		}
		if slices.Contains(leaves, r.folder) {
			for _, other := range rooms {
				if why := crosses(r.folder, "softprompt/"+other.folder); why == "" && !slices.Contains(leaves, other.folder) {
					t.Errorf("%s may import %s", r.folder, other.folder)
				}
			}
		}
	}
}

// The command says each crossing on a line of its own and fails; without any
// it says nothing.
func TestCommand(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bad := map[string]string{"grad/b.go": "package grad\n\nimport \"softprompt/export\"\n", "onnx/a.go": "package onnx\n\nimport \"softprompt/grad\"\n"}
	for name, c := range map[string]struct {
		files map[string]string
		code  int
		want  string
	}{
		"all is well":   {map[string]string{"grad/b.go": "package grad\n\nimport \"softprompt/onnx\"\n"}, 0, ""},
		"two crossings": {bad, 1, "borders: grad/b.go imports softprompt/export: grad may import onnx\nborders: onnx/a.go imports softprompt/grad: onnx may import onnx/onnxpb\n"},
		"no Go":         {map[string]string{"onnx/a.go": "x"}, 1, "borders: error: reading the imports of onnx/a.go: onnx/a.go:1:1: expected 'package', found x\n"},
	} {
		cmd := exec.CommandContext(t.Context(), self)
		cmd.Dir, cmd.Env = tree(t, c.files), append(os.Environ(), mainVariable+"=1")
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		err := cmd.Run()
		if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != c.code || stderr.String() != c.want || stdout.Len() > 0 {
			t.Errorf("%s: %s", name, fmt.Sprint(err, ", says ", stderr.String(), ", prints ", stdout.String()))
		}
	}
}
