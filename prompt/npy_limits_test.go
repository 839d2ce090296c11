package prompt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"softprompt/onnx/hint"
)

// numpy writes a .npy file of version 1 by hand.
func numpy(descr, order, shape string, data []byte) []byte {
	header := fmt.Sprintf("{'descr': '%s', 'fortran_order': %s, 'shape': %s, }\n", descr, order, shape)
	out := binary.LittleEndian.AppendUint16([]byte("\x93NUMPY\x01\x00"), uint16(len(header)))
	return append(append(out, header...), data...)
}

// TestParseNPYDoubles: a float64 is rounded to the nearest float32, of two as near
// to the even one, and becomes infinite only beyond the largest.
func TestParseNPYDoubles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.OneOf(rapid.Float64Range(-1e39, 1e39), rapid.Float64Range(-1e-44, 1e-44), rapid.Float64Range(-2, 2)).Draw(t, "value")
		_, values, err := ParseNPY(numpy("<f8", "False", "(1,)", binary.LittleEndian.AppendUint64(nil, math.Float64bits(v))))
		if err != nil || len(values) != 1 {
			t.Fatal(values, err)
		}
		got := values[0]
		largest := math.MaxFloat32 + math.Exp2(127-24)
		if math.IsInf(float64(got), 0) {
			if math.Abs(v) < largest || math.Signbit(v) != math.Signbit(float64(got)) {
				t.Fatalf("%v became %v", v, got)
			}
			return
		}
		off := math.Abs(float64(got) - v)
		for _, next := range []float32{math.Nextafter32(got, float32(math.Inf(-1))), math.Nextafter32(got, float32(math.Inf(1)))} {
			if other := math.Abs(float64(next) - v); other < off || other == off && math.Float32bits(got)&1 == 1 {
				t.Fatalf("%v became %v, and %v is nearer", v, got, next)
			}
		}
	})
}

// TestParseNPYTexts: what a .npy file may have wrong is told in full, with what
// NumPy does about it.
func TestParseNPYTexts(t *testing.T) {
	eight := make([]byte, 8)
	for _, c := range []struct {
		data       []byte
		want, hint string
	}{
		{nil, "not a .npy file", ""},
		{[]byte("PK\x03\x04"), "not a .npy file", ""}, // .npz
		{[]byte("\x93NUMPY"), "unknown .npy version ", ""},
		{[]byte("\x93NUMPY\x04\x00\x00\x00\x00\x00"), "unknown .npy version 04 00", ""},
		{[]byte("\x93NUMPY\x01\x00\x05"), "the .npy header is cut off", ""},
		{[]byte("\x93NUMPY\x02\x00\x05\x00\x00"), "the .npy header is cut off", ""},
		{[]byte("\x93NUMPY\x01\x00\x05\x00{'de"), "the .npy header is cut off", ""},
		{numpy("<f2", "False", "(4,)", eight), `elements of type "<f2", want <f4 or <f8`, "convert it with NumPy: numpy.save(file, array.astype('<f4'))"},
		{numpy("|V"+strings.Repeat("9", 40), "False", "(4,)", eight), `elements of type "|V999999999999999999", want <f4 or <f8`, "convert it with NumPy: numpy.save(file, array.astype('<f4'))"},
		{numpy("<f4", "True", "(2,)", eight), "the array is in Fortran order", "convert it with NumPy: numpy.save(file, numpy.ascontiguousarray(array))"},
		{numpy("<f4", "False", "()", eight), "the array has no axes", ""},
		{numpy("<f4", "False", "(,)", eight), "unreadable .npy shape (,)", ""},
		{numpy("<f4", "False", "(2, , 1)", eight), "unreadable .npy shape (2, , 1)", ""},
		{numpy("<f4", "False", "(2, 0)", eight), "impossible shape [2 0]", ""},
		{numpy("<f4", "False", "(65536, 65536)", eight), "impossible shape [65536 65536]", ""},
		{numpy("<f4", "False", "(9223372036854775807, 3)", eight), "impossible shape [9223372036854775807 3]", ""},
		{numpy("<f4", "False", "(3,)", eight), "shape [3] of <f4 does not fit the 8 bytes of data", ""},
		{numpy("<f4", "False", "(2,)", append(eight, 0)), "shape [2] of <f4 does not fit the 9 bytes of data", ""},
		{numpy("<f8", "False", "(2,)", eight), "shape [2] of <f8 does not fit the 8 bytes of data", ""},
		{numpy("<f4", "Maybe", "(2,)", eight), `unreadable .npy header "{'descr': '<f4', 'fortran_order': Maybe, 'shape': (2,), }\n"`, ""},
	} {
		shape, values, err := ParseNPY(c.data)
		if err == nil || err.Error() != c.want || hint.Of(err) != c.hint || values != nil {
			t.Errorf("%.80q: %v %v, %v, hint %q\nwant %s", c.data, shape, values, err, hint.Of(err), c.want)
		}
	}
}

// TestMarshalNPYAxes: as many axes as the header has room for are written and
// read, one more is refused.
func TestMarshalNPYAxes(t *testing.T) {
	most := 0
	for _, axes := range []int{1, 2, 32, 21700, 21824, 21825, 30000} {
		shape := slices.Repeat([]int64{1}, axes)
		data, err := MarshalNPY(shape, []float32{7})
		if err != nil {
			if want := fmt.Sprintf("making a .npy file: %d axes", axes); err.Error() != want {
				t.Errorf("%v, want %s", err, want)
			}
			continue
		}
		if most = axes; len(data)%64 != 4 {
			t.Errorf("%d axes: the data starts at %d", axes, len(data)-4)
		}
		if got, values, err := ParseNPY(data); err != nil || !slices.Equal(got, shape) || values[0] != 7 {
			t.Errorf("%d axes are read as %d, %v", axes, len(got), err)
		}
	}
	// The file's first 65,536 bytes, the last multiple of 64 whose header's size
	// has 16 bits: 10 before the header, 56 of its text and each "1, " of 3 but the
	// last one's comma and space.
	if want := (65536 - 10 - 56 + 2) / 3; most != want {
		t.Errorf("%d axes were written, want at most %d", most, want)
	}
}

// TestReadNPYFiles: a file that is not there, a folder and one that is too large
// are named, the last without reading it.
func TestReadNPYFiles(t *testing.T) {
	dir := t.TempDir()
	if _, _, err := ReadNPY(filepath.Join(dir, "none.npy")); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "none.npy") {
		t.Error(err)
	}
	if _, _, err := ReadNPY(dir); err == nil || !strings.Contains(err.Error(), dir) {
		t.Error(err)
	}
	huge := filepath.Join(dir, "huge.npy")
	if err := os.WriteFile(huge, npyMagic, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(huge, npyLimit+1); err != nil { // a hole, no bytes on the disk
		t.Skip("no files with holes here: ", err)
	}
	want := "reading " + huge + ": 2147483649 bytes are more than the 2147483648 that a .npy file may have"
	if _, _, err := ReadNPY(huge); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if _, err := LoadFile(huge); err == nil || err.Error() != "loading a prompt: "+want {
		t.Error(err)
	}
}
