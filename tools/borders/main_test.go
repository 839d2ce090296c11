package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestThisTree(t *testing.T) {
	broken, err := check("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range broken {
		t.Error(line)
	}
}

func TestCrosses(t *testing.T) {
	for _, c := range []struct {
		folder, imported string
		want             string // part of the reason, "" where it is allowed
	}{
		{"onnx", "fmt", ""},
		{"onnx", "softprompt/onnx/onnxpb", ""},
		{"onnx/deep/down", "softprompt/onnx", ""},
		{"onnx", "google.golang.org/protobuf/proto", ""},
		{"onnx", "softprompt/onnx/hint", ""},
		{"onnx", "softprompt/grad", "onnx may import onnx/onnxpb"},
		{"onnx", "softprompt/onnx/ort", "onnx may import"},
		{"onnx", "google.golang.org/protobufs", "of other modules, onnx may import"},
		{"onnx/hint", "softprompt/onnx", "onnx/hint may import none"},
		{"onnx/ort", "github.com/yalue/onnxruntime_go", ""},
		{"tools/bench", "github.com/yalue/onnxruntime_go", "onnx/ort alone"},
		{"cmd/softprompt", "github.com/daulet/tokenizers", "models alone"},
		{"cmd/softprompt", "github.com/alecthomas/kong", ""},
		{"cmd/softprompt", "softprompt/prompt/tune", ""},
		{"prompt", "softprompt/prompt/tune", "prompt may import"},
		{"prompt", "softprompt/export", "prompt may import"},
		{"prompt/tune", "softprompt/export", ""},
		{"prompt/tune", "softprompt/cmd/softprompt", "prompt/tune may import"},
		{"tasks", "softprompt/models", "tasks may import none"},
		{"tasks", "softprompt/onnx/atomicfile", ""},
		{"models", "google.golang.org/protobuf/encoding/protowire", ""},
		{"models", "google.golang.org/protobuf/proto", "of other modules, models"},
		{"grad", "gonum.org/v1/gonum/floats", ""},
		{"grad", "softprompt/export", "grad may import onnx"},
		{"attic", "fmt", "attic is no room"},
		{"export", "softprompt/attic", "attic is no room"},
	} {
		got := crosses(c.folder, c.imported)
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s imports %s: %q, want %q", c.folder, c.imported, got, c.want)
		}
	}
}

// The table has no cycle, and names only rooms that it has.
func TestTableIsOrdered(t *testing.T) {
	done := map[string]bool{}
	for _, leaf := range leaves {
		done[leaf] = true
	}
	for range rooms {
		for _, r := range rooms {
			ready := true
			for _, needed := range r.rooms {
				if needed == "*" {
					continue
				}
				if found, ok := roomOf(needed); !ok || found.folder != needed {
					t.Fatalf("%s may import %s, which is no room", r.folder, needed)
				}
				ready = ready && done[needed]
			}
			done[r.folder] = done[r.folder] || ready
		}
	}
	for _, r := range rooms {
		if !done[r.folder] {
			t.Errorf("%s lies on a cycle", r.folder)
		}
	}
}

func TestCheck(t *testing.T) {
	root := t.TempDir()
	for name, imported := range map[string]string{
		"onnx/bad.go":               "softprompt/grad",
		"onnx/bad_test.go":          "softprompt/grad",
		"onnx/good.go":              "fmt",
		"onnx/testdata/bad.go":      "softprompt/grad",
		"grad/_attic/bad.go":        "softprompt/cmd",
		".cache/bad.go":             "softprompt/cmd",
		"tools/nested/go.mod":       "",
		"tools/nested/sub/bad.go":   "github.com/daulet/tokenizers",
		"tools/unnested/sub/bad.go": "github.com/daulet/tokenizers",
		"onnx/README.md":            "",
	} {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, fmt.Appendf(nil, "package x\n\nimport _ %q\n", imported), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	broken, err := check(root)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(broken, "\n")
	want := "onnx/bad.go imports softprompt/grad: onnx may import onnx/onnxpb\n" +
		"tools/unnested/sub/bad.go imports github.com/daulet/tokenizers: models alone may import it"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}

	if err := os.WriteFile(filepath.Join(root, "onnx", "bad.go"), []byte("no Go"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := check(root); err == nil || !strings.Contains(err.Error(), "bad.go") {
		t.Errorf("error %v", err)
	}
}
