package models

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// classOf has the class that torch.save names for each type.
var classOf = func() map[DType]string {
	classes := map[DType]string{}
	for class, dtype := range storageTypes {
		classes[dtype] = strings.TrimPrefix(string(class), "torch.")
	}
	return classes
}()

// randomState is a state dict as torch.save could write it: tensors that look
// into a few storages, some into the same one.
type randomState struct {
	storages []storage
	bytes    [][]byte
	names    []string
	views    []*view
}

func genState(t *rapid.T) randomState {
	var s randomState
	types := rapid.SampledFrom([]DType{F32, F16, BF16, "F64", I64, I32, "I16", "I8", U8, "BOOL"})
	names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z.]{1,12}`), 0, 8, rapid.ID[string]).Draw(t, "names")
	for i, name := range names {
		v := genView(t)
		if len(s.storages) > 0 && rapid.Bool().Draw(t, "tied") {
			v.storage = rapid.SampledFrom(s.storages).Draw(t, "storage")
			if v.check() != nil {
				continue // it would not fit
			}
		} else {
			v.storage.key, v.storage.dtype = fmt.Sprint(100+i), types.Draw(t, "dtype")
			data := make([]byte, v.storage.bytes())
			for j := range data {
				data[j] = byte(7*i + j)
			}
			s.storages, s.bytes = append(s.storages, v.storage), append(s.bytes, data)
			if err := v.check(); err != nil {
				t.Fatal(err)
			}
		}
		s.names, s.views = append(s.names, name), append(s.views, v)
	}
	return s
}

// pickle writes the state dict, with storages as the format names them.
func (s randomState) pickle(named func(class, key string, numel int64) string) string {
	var items []string
	for i, v := range s.views {
		tensor := pkTensor(named(classOf[v.storage.dtype], v.storage.key, v.storage.numel), v.offset, v.shape, v.stride)
		if i%3 == 2 {
			tensor = pkCall("torch._utils", "_rebuild_parameter", tensor, "\x88", pkCall("collections", "OrderedDict"))
		}
		items = append(items, pkText(s.names[i]), tensor)
	}
	return pkCall("collections", "OrderedDict") + "(" + strings.Join(items, "") + pkText("epoch") + "K\x03u}" + pkText("_metadata") + "}sb"
}

func (s randomState) zip(t testing.TB) []byte {
	files := []zipFile{{name: "m/data.pkl", data: "\x80\x02" + s.pickle(pkStorage) + "."}, {name: "m/byteorder", data: "little"}}
	for i, st := range s.storages {
		files = append(files, zipFile{name: "m/data/" + st.key, data: string(s.bytes[i])})
	}
	return zipOf(t, append(files, zipFile{name: "m/version", data: "3\n"})...)
}

func (s randomState) legacy() []byte {
	keys, data := "](", make([]string, len(s.storages))
	for i, st := range s.storages {
		keys += pkText(st.key)
		data[i] = counted(uint64(st.numel), string(s.bytes[i]))
	}
	return legacyOf(legacyVersion, littleEndian, s.pickle(pkLegacyStorage), keys+"e", data...)
}

// want is a tensor's bytes by definition.
func (s randomState) want(i int) []byte {
	v := s.views[i]
	data := s.bytes[slices.IndexFunc(s.storages, func(st storage) bool { return st.key == v.storage.key })]
	size := dtypeSizes[v.storage.dtype]
	var out []byte
	for k := range v.length {
		at := v.at(k) * size
		out = append(out, data[at:at+size]...)
	}
	return out
}

// Whatever a state dict holds, both formats give it back.
func TestPyTorchRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := genState(rt)
		for format, file := range map[string][]byte{"zip": s.zip(t), "legacy": s.legacy()} {
			got, _, err := readPyTorch(file)
			if len(s.views) == 0 {
				wantError(t, err, "holds no tensor")
				continue
			}
			if err != nil || len(got) != len(s.views) {
				rt.Fatalf("%s: %d tensors of %d, %v", format, len(got), len(s.views), err)
			}
			for i, x := range got {
				v := s.views[i]
				if x.Name != s.names[i] || x.DType != v.storage.dtype || !slices.Equal(x.Shape, v.shape) {
					rt.Fatalf("%s: %+v, wanted %s %+v", format, x.TensorInfo, s.names[i], v)
				}
				if b := x.all(); string(b) != string(s.want(i)) {
					rt.Fatalf("%s: %s is % x, wanted % x", format, x.Name, b, s.want(i))
				}
			}
		}
	})
}

// A byte that is changed anywhere in a file is met by an error or by tensors
// that lie in it, never by a panic.
func TestPyTorchFlippedBytes(t *testing.T) {
	for _, name := range []string{"views.bin", "views_legacy.bin"} {
		file := read(t, ptFile(name))
		for i := range file {
			for _, flip := range []byte{1, 0xff} {
				file[i] ^= flip
				checkPyTorch(t, file)
				file[i] ^= flip
			}
		}
	}
}

// Numbers as the opcodes hold them.
func TestUnpickleNumbers(t *testing.T) {
	for program, want := range map[string]any{
		"K\xff.":                             int64(255),
		"M\xff\xff.":                         int64(65535),
		"J\xff\xff\xff\xff.":                 int64(-1),
		"J\x00\x00\x00\x80.":                 int64(-1 << 31),
		"\x8a\x00.":                          int64(0),
		"\x8a\x01\xff.":                      int64(-1),
		"\x8a\x02\xff\x00.":                  int64(255),
		"\x8a\x05\x00\x00\x00\x00\x01.":      int64(1 << 32),
		pkInt(-1<<63) + ".":                  int64(-1 << 63),
		"G\xbf\xf0\x00\x00\x00\x00\x00\x00.": -1.0,
		"\x88.":                              true,
		"\x89.":                              false,
		"U\x03abc.":                          "abc",
		"X\x02\x00\x00\x00\xc3\xa9.":         "é",
	} {
		if got, _, _, err := unpickle([]byte(program)); err != nil || got != want {
			t.Errorf("%q gave %v, %v, wanted %v", program, got, err, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64().Draw(t, "n")
		bytes := binary.LittleEndian.AppendUint64(nil, uint64(n))
		for len(bytes) > 1 && bytes[len(bytes)-1] == byte(int8(bytes[len(bytes)-2])>>7) { // as Python shortens it
			bytes = bytes[:len(bytes)-1]
		}
		program := append([]byte{0x8a, byte(len(bytes))}, bytes...)
		if got, _, _, err := unpickle(append(program, '.')); err != nil || got != n {
			t.Fatalf("% x gave %v, %v, wanted %d", program, got, err, n)
		}
	})
}
