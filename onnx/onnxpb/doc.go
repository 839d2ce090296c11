// Package onnxpb holds the Go types of the bytes of an ONNX file, one struct a
// protobuf message. Start at [ModelProto]; proto.Unmarshal of
// google.golang.org/protobuf/proto fills it from a file's content. Most callers
// want package onnx instead, which checks what it reads and keeps large tensors
// out of memory.
//
// onnx-ml.proto is ONNX's own definition as published with the Python package
// onnx 1.23.2 (Apache-2.0), and onnx.pb.go is generated from it by tools/onnxpb
// (make generate). The types are registered under a file and package name of
// our own, softprompt.onnx, so that a program may link another copy of them:
// the protobuf runtime panics when one name is registered twice.
package onnxpb
