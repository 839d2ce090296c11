package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// thing is a definition as small as one can be.
const thing = "syntax = \"proto2\";\n\npackage onnx;\n\n// A thing.\nmessage Thing {\n  optional int32 size = 1;\n  repeated string name = 5;\n  enum Kind { NONE = 0; SOME = 3; }\n  optional Kind kind = 2;\n}\n"

// The package's name is all that changes, on its own line alone, and a file
// that does not say it once in a line is not taken for ONNX's.
func TestRename(t *testing.T) {
	for name, c := range map[string]struct{ source, want string }{
		"one line":             {thing, strings.Replace(thing, "package onnx;", "package softprompt.onnx;", 1)},
		"also in a comment":    {"// package onnx;\npackage onnx;\n// see package onnx; above\n", "// package onnx;\npackage softprompt.onnx;\n// see package onnx; above\n"},
		"no line end after it": {"syntax = \"proto2\";\npackage onnx;", ""},
		"on the first line":    {"package onnx;\n", ""},
		"twice":                {"\npackage onnx;\n\npackage onnx;\n", ""},
		"indented":             {"\n package onnx;\n", ""},
		"of Windows":           {"\r\npackage onnx;\r\n", ""},
		"of ONNX-ML":           {"\npackage onnx.ml;\n", ""},
		"nothing":              {"", ""},
	} {
		got, err := rename([]byte(c.source))
		if string(got) != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: %q, %v; want %q", name, got, err, c.want)
		}
		if err != nil && !strings.Contains(err.Error(), "no single line `package onnx;`") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// What a model's bytes say stays as published: numbers, kinds and names of
// fields; and the same definition gives the same types.
func TestWireFormatIsKept(t *testing.T) {
	code, err := generate(t.Context(), []byte(thing))
	if err != nil {
		t.Fatal(err)
	}
	again, err := generate(t.Context(), []byte(thing))
	if err != nil || !bytes.Equal(code, again) {
		t.Errorf("a second time the types are others, %v", err)
	}
	for _, want := range []string{
		"`protobuf:\"varint,1,opt,name=size\"", "`protobuf:\"bytes,5,rep,name=name\"", "`protobuf:\"varint,2,opt,name=kind,enum=softprompt.onnx.Thing_Kind\"",
		"Thing_NONE Thing_Kind = 0", "Thing_SOME Thing_Kind = 3", "DO NOT EDIT",
	} {
		if !strings.Contains(string(code), want) {
			t.Errorf("no %q in:\n%s", want, code)
		}
	}
}

// The command writes the types beside the definition, byte for byte those
// that are committed; a definition that is broken leaves the old ones.
func TestRunWritesTheTypes(t *testing.T) {
	work := t.TempDir()
	target := filepath.Join(work, "onnx.pb.go")
	write := func(definition []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(work, "onnx-ml.proto"), definition, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(read(t, "onnx-ml.proto"))
	if err := run(work); err != nil {
		t.Fatal(err)
	}
	committed := read(t, "onnx.pb.go")
	if got, err := os.ReadFile(target); err != nil || !bytes.Equal(got, committed) {
		t.Errorf("wrote %d bytes, committed are %d, %v", len(got), len(committed), err)
	}
	for broken, want := range map[string]string{
		"": "compiling ONNX's protocol definition: ",
		strings.Replace(thing, "int32", "int33", 1):                  "int33",
		strings.Replace(thing, "package onnx;", "import \"x\";", 1):  "is it onnx-ml.proto?",
		strings.Replace(thing, "\n\n// A", "\nimport \"x\";\n//", 1): "x",
	} {
		write([]byte(broken))
		if err := run(work); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", broken, err, want)
		}
		if got, err := os.ReadFile(target); err != nil || !bytes.Equal(got, committed) {
			t.Errorf("%q: the types are now %d bytes, %v", broken, len(got), err)
		}
	}
	write([]byte(thing))
	if err := os.Remove(target); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(target, 0o755); err != nil { // so that it cannot be written
		t.Fatal(err)
	}
	if err := run(work); err == nil || !strings.HasPrefix(err.Error(), "writing the Go types: ") || !strings.Contains(err.Error(), target) {
		t.Errorf("error %v", err)
	}
	if err := run(filepath.Join(work, "gone")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

// A run that is stopped gives no types.
func TestGenerateStops(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if code, err := generate(ctx, read(t, "onnx-ml.proto")); !errors.Is(err, context.Canceled) || code != nil {
		t.Errorf("%d bytes, %v", len(code), err)
	}
}
