package tune

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// TestRecordBytes holds an event against its bytes worked out by hand from
// event.proto and summary.proto: wall_time 1 (09 …), step 2 (10 02), a summary
// (2a) of a value (0a) with tag "a" (0a 01 61) and simple_value 0.5 (15 …).
func TestRecordBytes(t *testing.T) {
	data, err := hex.DecodeString("09000000000000f03f10022a0a0a080a0161150000003f")
	if err != nil {
		t.Fatal(err)
	}
	got := scalarEvent(time.Unix(1, 0), 2, "a", 0.5)
	if !bytes.Equal(got[12:12+len(data)], data) {
		t.Errorf("event %x, want %x", got[12:12+len(data)], data)
	}
	if n := binary.LittleEndian.Uint64(got); int(n) != len(data) || len(got) != 12+len(data)+4 {
		t.Errorf("a record of %d bytes says that it holds %d, want %d", len(got), n, len(data))
	}
}

// TestMaskedChecksum: CRC-32C's check value is fixed by its definition, and
// the mask by record_writer.cc.
func TestMaskedChecksum(t *testing.T) {
	if c := crc32.Checksum([]byte("123456789"), castagnoli); c != 0xe3069283 {
		t.Fatalf("CRC-32C of the check string is %#x", c)
	}
	c := uint32(0xe3069283)
	if got, want := masked([]byte("123456789")), (c>>15|c<<17)+0xa282ead8; got != want {
		t.Errorf("masked %#x, want %#x", got, want)
	}
}

// scalar is a point as an independent reader finds it.
type scalar struct {
	step  int64
	tag   string
	value float32
}

// readEvents walks an event file, checking both sums of every record.
func readEvents(t *testing.T, data []byte) (version string, out []scalar) {
	t.Helper()
	for len(data) > 0 {
		n := int(binary.LittleEndian.Uint64(data))
		if got := binary.LittleEndian.Uint32(data[8:]); got != masked(data[:8]) {
			t.Fatalf("checksum of a length is %#x", got)
		}
		body := data[12 : 12+n]
		if got := binary.LittleEndian.Uint32(data[12+n:]); got != masked(body) {
			t.Fatalf("checksum of a record is %#x", got)
		}
		data = data[16+n:]
		fields := message(t, body)
		if v, ok := fields[3]; ok {
			version = string(v)
			continue
		}
		value := message(t, message(t, fields[5])[1])
		out = append(out, scalar{
			step: int64(binary.LittleEndian.Uint64(fields[2])), tag: string(value[1]),
			value: math.Float32frombits(binary.LittleEndian.Uint32(value[2])),
		})
	}
	return version, out
}

// message splits a protobuf message into its fields; a varint becomes eight
// bytes.
func message(t *testing.T, b []byte) map[protowire.Number][]byte {
	t.Helper()
	out := map[protowire.Number][]byte{}
	for len(b) > 0 {
		num, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		b = b[n:]
		switch kind {
		case protowire.VarintType:
			v, n := protowire.ConsumeVarint(b)
			out[num], b = binary.LittleEndian.AppendUint64(nil, v), b[n:]
		case protowire.BytesType:
			v, n := protowire.ConsumeBytes(b)
			out[num], b = v, b[n:]
		default:
			n := protowire.ConsumeFieldValue(num, kind, b)
			out[num], b = b[:n], b[n:]
		}
	}
	return out
}

// TestLogs writes, cuts back and goes on, as a resumed run does.
func TestLogs(t *testing.T) {
	dir := t.TempDir()
	l, err := openLogs(dir, logSizes{})
	if err != nil {
		t.Fatal(err)
	}
	add := func(step int) {
		t.Helper()
		if err := l.scalars(step, map[string]float64{"loss": float64(step) / 2}); err != nil {
			t.Fatal(err)
		}
		if err := l.metrics.add(stepLine{Step: step}); err != nil {
			t.Fatal(err)
		}
	}
	add(1)
	kept := l.sizes()
	add(2) // lost: the state does not know of it
	l.close()
	if l, err = openLogs(dir, kept); err != nil {
		t.Fatal(err)
	}
	add(3)
	if err := l.sync(); err != nil {
		t.Fatal(err)
	}
	l.close()
	found, err := filepath.Glob(filepath.Join(dir, eventsGlob))
	if err != nil || len(found) != 1 {
		t.Fatalf("event files %v, %v", found, err)
	}
	data, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	version, got := readEvents(t, data)
	if version != "brain.Event:2" || len(got) != 2 || got[0] != (scalar{1, "loss", 0.5}) || got[1] != (scalar{3, "loss", 1.5}) {
		t.Errorf("version %q, points %+v", version, got)
	}
	if _, err := openLogs(filepath.Join(dir, "missing"), logSizes{}); err == nil {
		t.Error("logs were opened in a folder that is not there")
	}
	if _, err := openJournal(found[0], int64(len(data))+1); err == nil {
		t.Error("a journal that lost bytes was opened")
	}
}
