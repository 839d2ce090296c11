package models

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the files under testdata that tests make")

// rawFile builds a file from a header as text and a number of data bytes.
func rawFile(header string, data int) []byte {
	return append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...), make([]byte, data)...)
}

func entry(name, dtype, shape string, from, to int) string {
	return fmt.Sprintf(`%q:{"dtype":%q,"shape":%s,"data_offsets":[%d,%d]}`, name, dtype, shape, from, to)
}

// hostile holds files that must be refused, with what the error must say.
var hostile = []struct {
	name string
	file []byte
	want string
}{
	{"empty", nil, "0 bytes are too few"},
	{"seven", []byte("1234567"), "7 bytes are too few"},
	{"header-longer-than-file", append(binary.LittleEndian.AppendUint64(nil, 1000), "{}"...), "a header of 1000 bytes in a file of 10"},
	{"header-huge", append(binary.LittleEndian.AppendUint64(nil, 1<<63), "{}"...), "a header of 9223372036854775808 bytes, limit 100000000"},
	{"header-all-ones", bytes.Repeat([]byte{0xff}, 64), "a header of 18446744073709551615 bytes"},
	{"header-zero", make([]byte, 16), "no JSON object"},
	{"header-array", rawFile(`[]`, 0), "no JSON object"},
	{"header-text", rawFile(`{"a"`, 0), "the header"},
	{"header-not-utf8", rawFile("{\"\xff\":1}", 0), "not UTF-8"},
	{"header-two-objects", rawFile(`{}{}`, 0), "text after"},
	{"header-deep", rawFile(`{"a":`+strings.Repeat(`[`, 20000)+strings.Repeat(`]`, 20000)+`}`, 0), "the header"},
	{"lfs-pointer", []byte("version https://git-lfs.example/spec/v1\noid sha256:00\nsize 12\n"), "Git LFS pointer"},
	{"html", []byte("<!DOCTYPE html><html><body>Not found</body></html>"), "not a safetensors file"},
	{"metadata-number", rawFile(`{"__metadata__":{"a":1}}`, 0), "__metadata__ must map strings"},
	{"metadata-twice", rawFile(`{"__metadata__":{},"__metadata__":{}}`, 0), `"__metadata__" comes twice`},
	{"name-twice", rawFile(`{`+entry("a", "F32", "[1]", 0, 4)+`,`+entry("a", "F32", "[1]", 4, 8)+`}`, 8), `"a" comes twice`},
	{"entry-null", rawFile(`{"a":null}`, 0), `tensor "a"`},
	{"dtype-unknown", rawFile(`{`+entry("a", "F33", "[1]", 0, 4)+`}`, 4), `dtype "F33" is none of BF16, BOOL`},
	{"dtype-missing", rawFile(`{"a":{"shape":[1],"data_offsets":[0,4]}}`, 4), `dtype ""`},
	{"shape-missing", rawFile(`{"a":{"dtype":"F32","data_offsets":[0,4]}}`, 4), "no shape"},
	{"shape-negative", rawFile(`{`+entry("a", "F32", "[-1,-1]", 0, 4)+`}`, 4), "negative size"},
	{"shape-overflow", rawFile(`{`+entry("a", "F32", "[4294967296,4294967296]", 0, 0)+`}`, 0), "too large"},
	{"shape-fraction", rawFile(`{`+entry("a", "F32", "[1.5]", 0, 4)+`}`, 4), `tensor "a"`},
	{"shape-beyond-int64", rawFile(`{`+entry("a", "F32", "[18446744073709551615]", 0, 4)+`}`, 4), `tensor "a"`},
	{"size-wrong", rawFile(`{`+entry("a", "F32", "[2]", 0, 4)+`}`, 4), "4 bytes for shape [2] of F32, wanted 8"},
	{"size-wrong-half", rawFile(`{`+entry("a", "BF16", "[2]", 0, 8)+`}`, 8), "8 bytes for shape [2] of BF16, wanted 4"},
	{"offsets-missing", rawFile(`{"a":{"dtype":"F32","shape":[1]}}`, 4), "data_offsets []"},
	{"offsets-three", rawFile(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}}`, 8), "data_offsets [0 4 8]"},
	{"offsets-negative", rawFile(`{`+entry("a", "F32", "[1]", -4, 0)+`}`, 4), "data_offsets [-4 0]"},
	{"offsets-backwards", rawFile(`{`+entry("a", "F32", "[1]", 8, 4)+`}`, 8), "data_offsets [8 4]"},
	{"offsets-beyond", rawFile(`{`+entry("a", "F32", "[2]", 0, 8)+`}`, 4), "ends at byte 8 of the data, of which there are 4"},
	{"offsets-far", rawFile(`{`+entry("a", "F32", "[1]", 9223372036854775803-4, 9223372036854775803)+`}`, 4), "overlap or hole"},
	{"overlap", rawFile(`{`+entry("a", "F32", "[2]", 0, 8)+`,`+entry("b", "F32", "[2]", 4, 12)+`}`, 12), `tensor "b" starts at byte 4 of the data, wanted 8`},
	{"same-place", rawFile(`{`+entry("a", "F32", "[1]", 0, 4)+`,`+entry("b", "F32", "[1]", 0, 4)+`}`, 4), "overlap or hole"},
	{"hole", rawFile(`{`+entry("a", "F32", "[1]", 0, 4)+`,`+entry("b", "F32", "[1]", 8, 12)+`}`, 12), "overlap or hole"},
	{"hole-at-start", rawFile(`{`+entry("a", "F32", "[1]", 4, 8)+`}`, 8), "overlap or hole"},
	{"rest", rawFile(`{`+entry("a", "F32", "[1]", 0, 4)+`}`, 100), "96 bytes after the last tensor"},
}

func TestHostileSafetensors(t *testing.T) {
	dir := filepath.Join("testdata", "hostile")
	if *update {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, h := range hostile {
			write(t, filepath.Join(dir, h.name+".safetensors"), h.file)
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.safetensors"))
	if err != nil || len(files) != len(hostile) {
		t.Errorf("%d files in %s for %d cases, %v: run with -update", len(files), dir, len(hostile), err)
	}
	for _, h := range hostile {
		t.Run(h.name, func(t *testing.T) {
			path := filepath.Join(dir, h.name+".safetensors")
			if !bytes.Equal(read(t, path), h.file) {
				t.Fatalf("%s is not what the test describes: run with -update", path)
			}
			_, err := OpenSafetensors(path)
			wantError(t, err, path, h.want, "hint:")
		})
	}
}

// Cut anywhere, a file is refused.
func TestTruncatedSafetensors(t *testing.T) {
	whole, err := MarshalSafetensors([]NamedTensor{{"a", F32, []int64{3}, make([]byte, 12)}, {"b", U8, []int64{5}, make([]byte, 5)}}, map[string]string{"k": "v"})
	if err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		if _, _, err := parseSafetensors(whole[:n]); err == nil {
			t.Fatalf("the first %d of %d bytes were accepted", n, len(whole))
		}
	}
	if _, _, err := parseSafetensors(whole); err != nil {
		t.Fatal(err)
	}
}

// The bytes are those of Hugging Face's library; see testdata/README.md.
func TestSafetensorsLikeHuggingFace(t *testing.T) {
	f32 := encodeFloats([]float32{1, -2, 3.5, 0, 5, 6}, F32)
	for file, want := range map[string]struct {
		tensors  []NamedTensor
		metadata map[string]string
	}{
		"hf_mixed.safetensors": {[]NamedTensor{
			{"b.weight", F32, []int64{2, 3}, f32},
			{"a.half", F16, []int64{2}, encodeFloats([]float32{1, 2}, F16)},
			{"z.brain", BF16, []int64{3}, encodeFloats([]float32{1, 2, 3}, BF16)},
			{"a.weight", F32, []int64{3, 2}, f32},
			{"count", I64, []int64{1}, []byte{7, 0, 0, 0, 0, 0, 0, 0}},
			{"bytes <&> é \" \\", U8, []int64{3}, []byte{1, 2, 3}},
		}, map[string]string{"format": "pt"}},
		"hf_plain.safetensors": {[]NamedTensor{{"prompt", F32, []int64{2, 3}, f32}}, nil},
	} {
		got, err := MarshalSafetensors(want.tensors, want.metadata)
		if err != nil {
			t.Fatal(err)
		}
		if golden := read(t, filepath.Join("testdata", file)); !bytes.Equal(got, golden) {
			t.Errorf("%s:\n got %q\nwant %q", file, got, golden)
		}
	}
}

func TestWriteSafetensorsErrors(t *testing.T) {
	for _, test := range []struct {
		tensors  []NamedTensor
		metadata map[string]string
		want     string
	}{
		{[]NamedTensor{{"a", F32, []int64{2}, make([]byte, 4)}}, nil, `tensor "a": 4 bytes for shape [2] of F32, wanted 8`},
		{[]NamedTensor{{"a", "F31", []int64{1}, make([]byte, 4)}}, nil, `dtype "F31"`},
		{[]NamedTensor{{"a", F32, nil, make([]byte, 4)}, {"a", F32, nil, make([]byte, 4)}}, nil, "comes twice"},
		{[]NamedTensor{{"__metadata__", F32, nil, make([]byte, 4)}}, nil, "reserved"},
		{[]NamedTensor{{"\xff", F32, nil, make([]byte, 4)}}, nil, "not UTF-8"},
		{[]NamedTensor{{"a", F32, []int64{-1}, nil}}, nil, "negative"},
		{nil, map[string]string{"k": "\xff"}, "not UTF-8"},
	} {
		path := filepath.Join(t.TempDir(), "x.safetensors")
		wantError(t, WriteSafetensors(path, test.tensors, test.metadata), path, test.want)
		if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 0 {
			t.Errorf("%v was left behind", left)
		}
	}
}

func genTensor(t *rapid.T) NamedTensor {
	dtype := rapid.SampledFrom(dtypeOrder).Draw(t, "dtype")
	shape := rapid.SliceOfN(rapid.Int64Range(0, 5), 0, 4).Draw(t, "shape")
	n, _ := byteLength(shape, dtypeSizes[dtype])
	return NamedTensor{rapid.String().Draw(t, "name"), dtype, shape, rapid.SliceOfN(rapid.Byte(), int(n), int(n)).Draw(t, "data")}
}

// What is written is read back, whatever the names, types and shapes.
func TestSafetensorsRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.safetensors")
	rapid.Check(t, func(t *rapid.T) {
		tensors := rapid.SliceOfNDistinct(rapid.Custom(genTensor), 0, 6, func(n NamedTensor) string { return n.Name }).
			Filter(func(l []NamedTensor) bool {
				for _, n := range l {
					if n.Name == "__metadata__" {
						return false
					}
				}
				return true
			}).Draw(t, "tensors")
		metadata := rapid.MapOf(rapid.String(), rapid.String()).Draw(t, "metadata")
		if err := WriteSafetensors(path, tensors, metadata); err != nil {
			t.Fatal(err)
		}
		c, err := OpenSafetensors(path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if diff := cmp.Diff(metadata, c.Metadata); diff != "" {
			t.Fatal(diff)
		}
		if len(c.Names()) != len(tensors) {
			t.Fatalf("%d names for %d tensors", len(c.Names()), len(tensors))
		}
		for _, want := range tensors {
			info, ok := c.Lookup(want.Name)
			got, err := c.Bytes(want.Name)
			if !ok || err != nil || !bytes.Equal(got, want.Data) || info.DType != want.DType || !cmp.Equal(append([]int64{}, want.Shape...), info.Shape) {
				t.Fatalf("%+v came back as %+v %v, %v", want, info, got, err)
			}
		}
		again, err := MarshalSafetensors(tensors, metadata)
		file, rerr := os.ReadFile(path)
		if err != nil || rerr != nil || !bytes.Equal(again, file) {
			t.Fatal("the same tensors gave other bytes")
		}
	})
}

func FuzzSafetensors(f *testing.F) {
	for _, h := range hostile {
		f.Add(h.file)
	}
	for _, name := range []string{"hf_mixed", "hf_plain"} {
		data, err := os.ReadFile(filepath.Join("testdata", name+".safetensors"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		tensors, _, err := parseSafetensors(file)
		if err != nil {
			return
		}
		end := int64(0)
		for _, x := range tensors {
			n, err := byteLength(x.Shape, dtypeSizes[x.DType])
			if err != nil || n != x.Length || x.Offset < end || x.Offset+x.Length > int64(len(file)) {
				t.Fatalf("accepted %+v in %d bytes", x, len(file))
			}
			end = x.Offset + x.Length
		}
	})
}
