package onnx

import (
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// A model file is one protobuf message in which the weights, nearly all of its
// bytes, lie three levels down. The protobuf library would copy them on the
// way in and again on the way out, and cannot write a message above 2 GiB. So
// the weights are carved out of the message before the library sees it and
// laid in again behind its back: read, they stay in the mapped file; written,
// they go straight from there to the new one.

// The fields on the way to the weights, numbered as in onnx.proto.
const (
	modelGraph       = protowire.Number(7)
	graphInitializer = protowire.Number(5)
	tensorRaw        = protowire.Number(9)
)

// carve cuts every occurrence of a field out of a message. The pieces alias
// the message; the rest is a copy.
func carve(message []byte, field protowire.Number) (pieces [][]byte, rest []byte, err error) {
	for len(message) > 0 {
		num, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return nil, nil, protowire.ParseError(n)
		}
		size := protowire.ConsumeFieldValue(num, kind, message[n:])
		if size < 0 {
			return nil, nil, protowire.ParseError(size)
		}
		if num == field && kind == protowire.BytesType {
			piece, _ := protowire.ConsumeBytes(message[n:])
			pieces = append(pieces, piece)
		} else {
			rest = append(rest, message[:n+size]...)
		}
		message = message[n+size:]
	}
	return pieces, rest, nil
}

// part is a stretch of a message under way: bytes, or a field that holds
// further parts.
type part struct {
	bytes []byte
	field protowire.Number
	inner []part
}

// size returns the bytes that the part takes.
func (p part) size() int64 {
	if p.field == 0 {
		return int64(len(p.bytes))
	}
	n := sizeOf(p.inner)
	return int64(protowire.SizeTag(p.field)) + int64(protowire.SizeVarint(uint64(n))) + n
}

func sizeOf(parts []part) (n int64) {
	for _, p := range parts {
		n += p.size()
	}
	return n
}

// writeParts writes parts one after the other.
func writeParts(w io.Writer, parts []part) error {
	for _, p := range parts {
		b := p.bytes
		if p.field != 0 {
			b = protowire.AppendTag(nil, p.field, protowire.BytesType)
			b = protowire.AppendVarint(b, uint64(sizeOf(p.inner)))
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
		if err := writeParts(w, p.inner); err != nil {
			return err
		}
	}
	return nil
}

// marshal returns the message's bytes, the same each time.
func marshal(p proto.Message) ([]byte, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("encoding: %w", err)
	}
	return b, nil
}

// leftover returns what a message holds after the fields that this package
// keeps itself were cleared, nil if nothing.
func leftover(p proto.Message) ([]byte, error) {
	if proto.Size(p) == 0 {
		return nil, nil
	}
	return marshal(p)
}

// withRaw lays kept fields into a message.
func withRaw(raw []byte, p proto.Message) error {
	if len(raw) == 0 {
		return nil
	}
	return proto.UnmarshalOptions{Merge: true, AllowPartial: true}.Unmarshal(raw, p)
}
