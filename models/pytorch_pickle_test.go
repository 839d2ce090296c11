package models

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
	"os"
	"strings"
	"testing"
)

// Pieces of pickles, as programs for the machine.

func pkGlobal(module, name string) string { return "c" + module + "\n" + name + "\n" }

func pkText(s string) string {
	return "X" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(s)))) + s
}

func pkInt(n int64) string {
	return "\x8a\x08" + string(binary.LittleEndian.AppendUint64(nil, uint64(n)))
}

func pkTuple(items ...string) string { return "(" + strings.Join(items, "") + "t" }

func pkInts(list []int64) string {
	var items []string
	for _, n := range list {
		items = append(items, pkInt(n))
	}
	return pkTuple(items...)
}

func pkDict(items ...string) string { return "}(" + strings.Join(items, "") + "u" }

func pkCall(module, name string, args ...string) string {
	return pkGlobal(module, name) + pkTuple(args...) + "R"
}

func pkStorage(class, key string, numel int64) string {
	return pkTuple(pkText("storage"), pkGlobal("torch", class), pkText(key), pkText("cpu"), pkInt(numel)) + "Q"
}

func pkTensor(storage string, offset int64, shape, stride []int64) string {
	return pkCall("torch._utils", "_rebuild_tensor_v2", storage, pkInt(offset), pkInts(shape), pkInts(stride), "\x89", pkCall("collections", "OrderedDict"))
}

// pkModel is a pickle of one tensor w.
func pkModel(tensor string) string { return "\x80\x02" + pkDict(pkText("w"), tensor) + "." }

// zipFile is an entry for zipBytes: data, or size bytes that are left out.
type zipFile struct {
	name   string
	data   string
	size   int64
	method uint16
}

// pieces are parts of a file at their offsets.
type pieces []struct {
	at   int64
	data []byte
}

func (p pieces) writeTo(f *os.File) error {
	for _, piece := range p {
		if _, err := f.WriteAt(piece.data, piece.at); err != nil {
			return err
		}
	}
	return nil
}

// counter counts what is written and keeps it up to a limit; the rest is the
// zeros of an entry that has only a size.
type counter struct {
	n    int64
	kept pieces
	skip bool
}

func (c *counter) Write(p []byte) (int, error) {
	if !c.skip {
		c.kept = append(c.kept, struct {
			at   int64
			data []byte
		}{c.n, bytes.Clone(p)})
	}
	c.n += int64(len(p))
	return len(p), nil
}

// zipBytes writes a zip as torch.save does: stored, with raw headers.
func zipBytes(t testing.TB, files ...zipFile) pieces {
	t.Helper()
	c := &counter{}
	w := zip.NewWriter(c)
	for _, f := range files {
		size := max(f.size, int64(len(f.data)))
		h := &zip.FileHeader{Name: f.name, Method: f.method, CRC32: crc32.ChecksumIEEE([]byte(f.data)), UncompressedSize64: uint64(size), CompressedSize64: uint64(size)}
		create := w.CreateRaw
		if f.method != zip.Store {
			create = w.CreateHeader
		}
		part, err := create(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(part, f.data); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		c.skip = true
		if n := f.size - int64(len(f.data)); n > 0 {
			if _, err := io.CopyN(part, zeroReader{}, n); err != nil {
				t.Fatal(err)
			}
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		c.skip = false
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return c.kept
}

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// zipOf is a whole zip in memory.
func zipOf(t testing.TB, files ...zipFile) []byte {
	t.Helper()
	var out []byte
	for _, p := range zipBytes(t, files...) {
		out = append(out, make([]byte, max(0, p.at+int64(len(p.data))-int64(len(out))))...)
		copy(out[p.at:], p.data)
	}
	return out
}

// TestUnpickle runs programs for values and for errors.
func TestUnpickle(t *testing.T) {
	deep := "\x80\x02" + strings.Repeat("(", 100_000) + strings.Repeat("t", 100_000) + "."
	for _, test := range []struct{ program, want string }{
		{"N.", "None"},
		{"\x88.", "a number"},
		{"K\x05.", "a number"},
		{"G\x40\x00\x00\x00\x00\x00\x00\x00.", "a number"},
		{"U\x01a.", "a text"},
		{"K\x01K\x02K\x03\x87.", "a tuple of 3"},
		{"](K\x01K\x02e.", "a list of 2"},
		{"]K\x01a.", "a list of 1"},
		{"}K\x01Ns.", "a dictionary of 1"},
		{pkCall("collections", "OrderedDict") + "}" + pkText("_metadata") + "Nsb.", "a dictionary of 0"},
		{pkCall("torch", "Size", pkInts([]int64{2, 3})) + ".", "a tuple of 2"},
		{pkStorage("FloatStorage", "0", 4) + ".", "a storage"},
		{pkTensor(pkStorage("FloatStorage", "0", 4), 0, []int64{4}, []int64{1}) + ".", "a tensor"},
		{pkGlobal("torch", "HalfStorage") + ".", "torch.HalfStorage"},
		{"]q\x07h\x07a.", "a list of 1"}, // which holds itself
		{"]r\x00\x01\x00\x00j\x00\x01\x00\x00a.", "a list of 1"},
		{")" + strings.Repeat("q\x00h\x00\x86", 60) + ".", "a tuple of 2"}, // 2^60 leaves, were it walked
		{deep, "a tuple of 1"},

		{"", "cut off: 1 bytes wanted at byte 0 of 0"},
		{"N", "cut off"},
		{".", "too few values"},
		{"(N.", ""},
		{"N(.", "too few values"},
		{"t.", "no mark"},
		{"(N\x85(\x85.", "too few values"},
		{"K", "cut off: 1 bytes wanted at byte 1 of 1"},
		{"X\xff\xff\xff\xffab.", "cut off: 4294967295 bytes wanted at byte 5 of 8"},
		{"X\x01\x00\x00\x00\xff.", "not UTF-8"},
		{"\x8a\xffabc.", "a number of 255 bytes"},
		{"\x8a\x08abc.", "cut off"},
		{"Gabc", "cut off"},
		{"h\x05.", "value 5 was never remembered"},
		{"q\x05.", "too few values"},
		{"NK\x01a.", "appending to None, wanted a list"},
		{"]K\x01Ns.", "setting items of a list of 0, wanted a dictionary"},
		{"}(Nu.", "a key without a value"},
		{"NNb.", "setting attributes of None"},
		{"NNR.", "calling None with None"},
		{pkGlobal("torch", "FloatStorage") + ")R.", "calling torch.FloatStorage"},
		{pkGlobal("collections", "OrderedDict") + "NR.", "calling collections.OrderedDict with None"},
		{pkCall("collections", "OrderedDict", "N") + ".", "collections.OrderedDict: 1 arguments, wanted none"},
		{pkCall("torch", "Size", "N") + ".", "torch.Size: None, wanted a tuple"},
		{pkCall("torch", "Size") + ".", "0 arguments, wanted a tuple"},
		{pkCall("torch._utils", "_rebuild_parameter", "N", "N", "N") + ".", "None, wanted a tensor"},
		{pkCall("torch._utils", "_rebuild_parameter") + ".", "0 arguments"},
		{pkCall("torch._utils", "_rebuild_tensor", "N") + ".", "1 arguments"},
		{pkCall("torch._utils", "_rebuild_tensor", "N", "N", "N", "N") + ".", "None and None, wanted a storage"},
		{"cposix", "a name without end"},
		{"cposix\nsystem", "a name without end"},
		{"NQ.", "a reference to None, wanted a storage"},
		{pkTuple(pkText("module"), "N", "N", "N", "N") + "Q.", "wanted a storage"},
		{pkTuple(pkText("storage"), "N", "N", "N", "N") + "Q.", "a storage without class, key or size"},
		{pkTuple(pkText("storage"), pkGlobal("torch", "FloatStorage"), pkText("0"), pkText("cpu"), pkInt(1), pkTuple()) + "Q.", "wanted a storage"},
		{"\x80\x05N.", "protocol 5"},
		{"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f", "opcode 0x8e at byte 0"},
		{"\x95\xff\xff\xff\xff\xff\xff\xff\x7f", "opcode 0x95"},
		{"(S'id'\nios\nsystem\n.", "opcode 0x53"},
		{"N" + strings.Repeat("0", 10), "opcode 0x30"},
		{strings.Repeat("N", pickleLimit+1) + ".", "longer than 4194304 bytes"},
	} {
		v, _, n, err := unpickle([]byte(test.program))
		if err == nil {
			if got := kind(v); got != test.want && test.want != "" || n != len(test.program) {
				t.Errorf("%.40q gave %s after %d bytes, wanted %s", test.program, got, n, test.want)
			}
			continue
		}
		wantError(t, err, "the pickle", test.want)
		if len(err.Error()) > 300 || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.40q: %q", test.program, err)
		}
	}
}

// FuzzUnpickle runs programs alone and as the state dict of a file.
func FuzzUnpickle(f *testing.F) {
	f.Add([]byte(pkModel(goodTensor())))
	f.Add([]byte(pkModel(viewOf(1, nil, nil))))
	f.Add([]byte(pkModel(pkTensor(pkStorage("FloatStorage", "0", 4), 1, []int64{1, 3}, []int64{3, 1}))))
	f.Add([]byte("\x80\x02]q\x07h\x07a."))
	f.Add([]byte("(" + pkGlobal("torch", "Size") + pkInts([]int64{1}) + "R\x86}K\x01Ns\x87t."))
	f.Fuzz(func(t *testing.T, program []byte) {
		v, storages, n, err := unpickle(program)
		if err != nil {
			return
		}
		if n < 2 || n > len(program) || program[n-1] != '.' {
			t.Fatalf("%d of %d bytes read", n, len(program))
		}
		for _, s := range storages {
			if s.numel < 0 || s.bytes() < 0 {
				t.Fatalf("%+v", s)
			}
		}
		_ = kind(v)
		checkPyTorch(t, zipOf(t, zipFile{name: "a/data.pkl", data: string(program)}, zipFile{name: "a/data/0", data: sixteen}))
	})
}
