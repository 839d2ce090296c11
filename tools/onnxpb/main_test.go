package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

const dir = "../../onnx/onnxpb/"

func read(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(dir + name)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// The committed types are what the committed definition gives.
func TestCommittedTypesAreCurrent(t *testing.T) {
	code, err := generate(t.Context(), read(t, "onnx-ml.proto"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(code, read(t, "onnx.pb.go")) {
		t.Error("onnx/onnxpb/onnx.pb.go is out of date: run make generate")
	}
}

// Comments of the definition are the documentation of the types.
func TestCommentsAreKept(t *testing.T) {
	code, err := generate(t.Context(), []byte("syntax = \"proto2\";\npackage onnx;\n\n// A thing.\nmessage Thing { optional int32 size = 1; }\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"// A thing.\ntype Thing struct", "package onnxpb", "source: " + protoPath, protoPackage + ".Thing"} {
		if !strings.Contains(string(code), want) {
			t.Errorf("no %q in:\n%s", want, code)
		}
	}
}

func TestBadDefinitions(t *testing.T) {
	for name, c := range map[string]struct{ source, want string }{
		"not ONNX":    {"syntax = \"proto2\";\npackage other;\n", "package onnx;"},
		"bad syntax":  {"syntax = \"proto2\";\npackage onnx;\nmessage {", protoPath + ":3:9"},
		"bad type":    {"syntax = \"proto2\";\npackage onnx;\nmessage M { optional Gone g = 1; }", "Gone"},
		"two numbers": {"syntax = \"proto2\";\npackage onnx;\nmessage M { optional int32 a = 1; optional int32 b = 1; }", "both have the same tag"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := generate(t.Context(), []byte(c.source))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestRunNamesTheMissingFile(t *testing.T) {
	if err := run(t.TempDir()); err == nil || !strings.Contains(err.Error(), "onnx-ml.proto") {
		t.Errorf("error %v", err)
	}
}
