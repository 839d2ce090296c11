package onnx

import (
	"fmt"
	"strings"
	"unicode"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// unmarshal decodes a message and refuses names with control characters in it.
// Names are printed, in errors of one line among others: what comes from a file
// must not break that line, nor command a terminal.
func unmarshal(data []byte, m proto.Message) error {
	if err := proto.Unmarshal(data, m); err != nil {
		return err
	}
	return checkNames(m.ProtoReflect())
}

// prose are the fields whose text is for people and may have lines: docs, and
// the entries of metadata.
func prose(f protoreflect.FieldDescriptor) bool {
	return f.Name() == "doc_string" || f.ContainingMessage().Name() == "StringStringEntryProto"
}

// checkNames looks at every text in a message but prose.
func checkNames(m protoreflect.Message) (err error) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Kind() == protoreflect.StringKind && !prose(f):
			err = eachOf(f, v, func(v protoreflect.Value) error {
				if s := v.String(); strings.ContainsFunc(s, unicode.IsControl) {
					return fmt.Errorf("%s %q has control characters", strings.ReplaceAll(string(f.Name()), "_", " "), s)
				}
				return nil
			})
		case f.Message() != nil && !f.IsMap():
			err = eachOf(f, v, func(v protoreflect.Value) error { return checkNames(v.Message()) })
		}
		return err == nil
	})
	return err
}

// eachOf calls check for a field's value, or for each of its values.
func eachOf(f protoreflect.FieldDescriptor, v protoreflect.Value, check func(protoreflect.Value) error) error {
	if !f.IsList() {
		return check(v)
	}
	for i := range v.List().Len() {
		if err := check(v.List().Get(i)); err != nil {
			return err
		}
	}
	return nil
}
