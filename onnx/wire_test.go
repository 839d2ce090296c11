package onnx

import (
	"bytes"
	"errors"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"pgregory.net/rapid"
)

// TestCarve cuts a field out of messages of all wire types, and checks that
// its pieces and the rest are all there, in order.
func TestCarve(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var message, rest []byte
		var pieces [][]byte
		for range rapid.IntRange(0, 8).Draw(t, "fields") {
			num := protowire.Number(rapid.IntRange(1, 9).Draw(t, "number"))
			data := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "data")
			var field []byte
			kind := rapid.IntRange(0, 4).Draw(t, "kind")
			switch kind {
			case 0:
				field = protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.VarintType), rapid.Uint64().Draw(t, "varint"))
			case 1:
				field = protowire.AppendFixed32(protowire.AppendTag(nil, num, protowire.Fixed32Type), 7)
			case 2:
				field = protowire.AppendFixed64(protowire.AppendTag(nil, num, protowire.Fixed64Type), 7)
			case 3:
				field = protowire.AppendGroup(protowire.AppendTag(nil, num, protowire.StartGroupType), num, nil)
			case 4:
				field = protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), data)
			}
			message = append(message, field...)
			if num == 7 && kind == 4 {
				pieces = append(pieces, data)
			} else {
				rest = append(rest, field...)
			}
		}
		gotPieces, gotRest, err := carve(message, 7)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(gotRest, rest) || len(gotPieces) != len(pieces) {
			t.Fatalf("%d pieces and %x, want %d and %x", len(gotPieces), gotRest, len(pieces), rest)
		}
		for i := range pieces {
			if !bytes.Equal(gotPieces[i], pieces[i]) {
				t.Fatalf("piece %d is %x, want %x", i, gotPieces[i], pieces[i])
			}
		}
		// No field has one byte alone, so a cut of one is always inside of one.
		if len(message) > 0 {
			if _, _, err := carve(message[:len(message)-1], 7); err == nil {
				t.Fatalf("a cut message was read: %x", message)
			}
		}
	})
}

// TestParts checks that sizes foretell what is written, and that the library
// reads it back.
func TestParts(t *testing.T) {
	long := bytes.Repeat([]byte("x"), 300) // its length takes two bytes
	parts := []part{
		{bytes: []byte{8, 10}},
		{field: modelGraph, inner: []part{
			{bytes: protowire.AppendBytes(protowire.AppendTag(nil, 2, protowire.BytesType), []byte("name"))},
			{field: graphInitializer, inner: []part{{field: tensorRaw, inner: []part{{bytes: long}}}}},
			{field: graphInitializer},
		}},
	}
	var b bytes.Buffer
	if err := writeParts(&b, parts); err != nil {
		t.Fatal(err)
	}
	if int64(b.Len()) != sizeOf(parts) {
		t.Errorf("%d bytes, foretold %d", b.Len(), sizeOf(parts))
	}
	graphs, rest, err := carve(b.Bytes(), modelGraph)
	if err != nil || len(graphs) != 1 || !bytes.Equal(rest, []byte{8, 10}) {
		t.Fatalf("%d graphs, %x, %v", len(graphs), rest, err)
	}
	tensors, _, err := carve(graphs[0], graphInitializer)
	if err != nil || len(tensors) != 2 || len(tensors[1]) != 0 {
		t.Fatalf("%d tensors, %v", len(tensors), err)
	}
	raw, _, err := carve(tensors[0], tensorRaw)
	if err != nil || len(raw) != 1 || !bytes.Equal(raw[0], long) {
		t.Fatalf("%d raw, %v", len(raw), err)
	}
	if &raw[0][0] != &b.Bytes()[bytes.Index(b.Bytes(), long)] {
		t.Error("the elements were copied")
	}
}

// TestWriteErrorsSurface checks that a full disk is seen wherever it strikes.
func TestWriteErrorsSurface(t *testing.T) {
	parts, err := smallModel(t).encode()
	if err != nil {
		t.Fatal(err)
	}
	for room := int64(0); room < sizeOf(parts); room += 97 {
		if err := writeParts(&fullDisk{room}, parts); !errors.Is(err, errFull) {
			t.Fatalf("with room for %d of %d bytes: %v", room, sizeOf(parts), err)
		}
	}
}

var errFull = errors.New("disk full")

// fullDisk takes so many bytes.
type fullDisk struct{ room int64 }

func (d *fullDisk) Write(b []byte) (int, error) {
	if d.room -= int64(len(b)); d.room < 0 {
		return 0, errFull
	}
	return len(b), nil
}
