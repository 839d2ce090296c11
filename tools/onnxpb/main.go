// Command onnxpb writes the Go types of an ONNX file, onnx/onnxpb/onnx.pb.go,
// from ONNX's own protocol definition, onnx/onnxpb/onnx-ml.proto. It needs no
// protoc: the definition is compiled here and handed to the code that stands
// behind protoc-gen-go.
//
// Run it after the definition changed:
//
//	make generate
//
// It is a module of its own, so that the program it serves does not depend on
// a compiler of protocol definitions.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/cmd/protoc-gen-go/internal_gengo"
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

// The protobuf runtime keeps one registry a process, by file path and by full
// type name, and panics when either is there twice. A program that links
// softprompt beside another user of onnx.proto would not start, so both names
// are ours. Neither is in the bytes of a model: files stay the same.
const (
	protoPath    = "softprompt/onnx/onnx.proto"
	protoPackage = "softprompt.onnx"
	goPackage    = "softprompt/onnx/onnxpb"
)

func main() {
	if err := run("../../onnx/onnxpb"); err != nil {
		fmt.Fprintln(os.Stderr, "onnxpb: error:", err)
		os.Exit(1)
	}
}

// run reads onnx-ml.proto in dir and writes onnx.pb.go beside it.
func run(dir string) error {
	source, err := os.ReadFile(filepath.Join(dir, "onnx-ml.proto"))
	if err != nil {
		return fmt.Errorf("reading ONNX's protocol definition: %w", err)
	}
	code, err := generate(context.Background(), source)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "onnx.pb.go"), code, 0o644); err != nil {
		return fmt.Errorf("writing the Go types: %w", err)
	}
	return nil
}

// generate turns the text of ONNX's protocol definition into Go source.
func generate(ctx context.Context, source []byte) ([]byte, error) {
	file, err := compile(ctx, source)
	if err != nil {
		return nil, fmt.Errorf("compiling ONNX's protocol definition: %w", err)
	}
	mapping := "M" + protoPath + "=" + goPackage
	plugin, err := protogen.Options{}.New(&pluginpb.CodeGeneratorRequest{
		FileToGenerate: []string{protoPath},
		ProtoFile:      []*descriptorpb.FileDescriptorProto{file},
		Parameter:      &mapping,
	})
	if err != nil {
		return nil, fmt.Errorf("preparing the generator: %w", err)
	}
	internal_gengo.GenerateFile(plugin, plugin.FilesByPath[protoPath])
	response := plugin.Response()
	if response.Error != nil {
		return nil, fmt.Errorf("generating Go: %s", response.GetError())
	}
	if len(response.File) != 1 {
		return nil, fmt.Errorf("generating Go: %d files, want 1", len(response.File))
	}
	return []byte(response.File[0].GetContent()), nil
}

// compile parses and links source under our own path and package name.
func compile(ctx context.Context, source []byte) (*descriptorpb.FileDescriptorProto, error) {
	source, err := rename(source)
	if err != nil {
		return nil, err
	}
	compiler := protocompile.Compiler{
		Resolver: &protocompile.SourceResolver{
			Accessor: protocompile.SourceAccessorFromMap(map[string]string{protoPath: string(source)}),
		},
		SourceInfoMode: protocompile.SourceInfoStandard, // keeps the comments
	}
	files, err := compiler.Compile(ctx, protoPath)
	if err != nil {
		return nil, err
	}
	return protodesc.ToFileDescriptorProto(files[0]), nil
}

// rename puts our package name in the place of ONNX's. The file is otherwise
// kept as published, so that a newer one can be laid over it.
func rename(source []byte) ([]byte, error) {
	old := []byte("\npackage onnx;\n")
	if bytes.Count(source, old) != 1 {
		return nil, errors.New("no single line `package onnx;`: is it onnx-ml.proto?")
	}
	return bytes.Replace(source, old, []byte("\npackage "+protoPackage+";\n"), 1), nil
}
