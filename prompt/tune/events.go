package tune

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// TensorBoard's event file is a TFRecord file of Event messages (tensorflow,
// core/util/event.proto and core/lib/io/record_writer.cc). Three fields of
// three messages are all a scalar needs, so they are written by hand here.

// castagnoli is the CRC-32C of TFRecord.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// masked is the checksum as TFRecord stores it.
func masked(data []byte) uint32 {
	c := crc32.Checksum(data, castagnoli)
	return (c>>15 | c<<17) + 0xa282ead8
}

// record frames one message: length, its checksum, data, its checksum.
func record(data []byte) []byte {
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(data)))
	out = binary.LittleEndian.AppendUint32(out, masked(out))
	out = append(out, data...)
	return binary.LittleEndian.AppendUint32(out, masked(data))
}

// event returns an Event message: wall_time (1), step (2), and one payload.
func event(at time.Time, step int64, field protowire.Number, payload []byte) []byte {
	out := protowire.AppendTag(nil, 1, protowire.Fixed64Type)
	out = protowire.AppendFixed64(out, math.Float64bits(float64(at.UnixNano())/1e9))
	out = protowire.AppendTag(out, 2, protowire.VarintType)
	out = protowire.AppendVarint(out, uint64(step))
	out = protowire.AppendTag(out, field, protowire.BytesType)
	return protowire.AppendBytes(out, payload)
}

// versionEvent is what an event file must begin with (Event.file_version, 3).
func versionEvent(at time.Time) []byte {
	return record(event(at, 0, 3, []byte("brain.Event:2")))
}

// scalarEvent is one point of one curve: Event.summary (5), Summary.value (1)
// with tag (1) and simple_value (2).
func scalarEvent(at time.Time, step int64, tag string, v float64) []byte {
	value := protowire.AppendTag(nil, 1, protowire.BytesType)
	value = protowire.AppendString(value, tag)
	value = protowire.AppendTag(value, 2, protowire.Fixed32Type)
	value = protowire.AppendFixed32(value, math.Float32bits(float32(v)))
	summary := protowire.AppendTag(nil, 1, protowire.BytesType)
	summary = protowire.AppendBytes(summary, value)
	return record(event(at, step, 5, summary))
}
