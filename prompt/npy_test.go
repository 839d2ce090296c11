package prompt

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// A prompt of the reference's own test data, float64 as NumPy wrote it.
func TestReadNPYOfReference(t *testing.T) {
	shape, values, err := ReadNPY("testdata/prompt_5x256.npy")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int64{5, 256}, shape); diff != "" {
		t.Fatal(diff)
	}
	// The first and last values as numpy.load shows them, rounded to float32.
	got := []float32{values[0], values[1], values[255], values[256], values[1279]}
	want := []float32{0.295940518, 0.0773320496, 0.0955312997, 0.824089766, 0.162528068}
	if !slices.Equal(got, want) {
		t.Errorf("values %v, want %v", got, want)
	}
}

// The header of (100, 768), a released prompt, is known to the byte.
func TestMarshalNPYHeader(t *testing.T) {
	data, err := MarshalNPY([]int64{100, 768}, make([]float32, 100*768))
	if err != nil {
		t.Fatal(err)
	}
	header := "\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (100, 768), }"
	header += strings.Repeat(" ", 127-len(header)) + "\n"
	if !bytes.Equal(data[:128], []byte(header)) {
		t.Errorf("header %q, want %q", data[:128], header)
	}
	if len(data) != 307328 {
		t.Errorf("%d bytes, a released prompt has 307328", len(data))
	}
}

func TestNPYRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shape := rapid.SliceOfN(rapid.Int64Range(1, 9), 1, 4).Draw(t, "shape")
		n, err := elements(shape)
		if err != nil {
			t.Fatal(err)
		}
		values := rapid.SliceOfN(rapid.Float32(), n, n).Draw(t, "values")
		data, err := MarshalNPY(shape, values)
		if err != nil {
			t.Fatal(err)
		}
		if (len(data)-4*n)%64 != 0 {
			t.Fatalf("data starts at %d, not a multiple of 64", len(data)-4*n)
		}
		gotShape, got, err := ParseNPY(data)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(gotShape, shape) || !slices.EqualFunc(got, values, sameBits) {
			t.Fatalf("wrote %v %v, read %v %v", shape, values, gotShape, got)
		}
	})
}

func sameBits(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }

// Versions 2 and 3 differ by a longer length field; Python 2 wrote longs.
func TestParseNPYVariants(t *testing.T) {
	body := "\x00\x00\x80\x3f\x00\x00\x00\x40"
	for name, data := range map[string]string{
		"version 2":   "\x93NUMPY\x02\x00\x3c\x00\x00\x00" + pad("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", 59) + "\n" + body,
		"version 3":   "\x93NUMPY\x03\x00\x3c\x00\x00\x00" + pad("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", 59) + "\n" + body,
		"python 2":    "\x93NUMPY\x01\x00\x3c\x00" + pad("{'descr': '<f4', 'fortran_order': False, 'shape': (2L,), }", 59) + "\n" + body,
		"no trailing": "\x93NUMPY\x01\x00\x3c\x00" + pad("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", 60) + body,
	} {
		t.Run(name, func(t *testing.T) {
			shape, values, err := ParseNPY([]byte(data))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(shape, []int64{2}) || !slices.Equal(values, []float32{1, 2}) {
				t.Errorf("read %v %v", shape, values)
			}
		})
	}
}

func pad(s string, n int) string { return fmt.Sprintf("%-*s", n, s) }

func TestMarshalNPYRefusals(t *testing.T) {
	for _, shape := range [][]int64{nil, {2}, {0}, {-1, -3}, {1 << 40, 1 << 40}} {
		if _, err := MarshalNPY(shape, make([]float32, 3)); err == nil {
			t.Errorf("shape %v of 3 values is written", shape)
		}
	}
}

func TestWriteNPY(t *testing.T) {
	path := filepath.Join(t.TempDir(), "encoder.prompt.prompt.prompt")
	if err := WriteNPY(path, []int64{2, 1}, []float32{1, 2}); err != nil {
		t.Fatal(err)
	}
	p, err := LoadFile(path) // by content: the reference gives no suffix
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(New([]float32{1, 2}, 2, 1), p); diff != "" {
		t.Error(diff)
	}
	if err := WriteNPY(path, []int64{3}, nil); err == nil {
		t.Error("no error for missing values")
	}
	if _, err := os.Stat(path); err != nil {
		t.Error("the refused write took the old file away:", err)
	}
}

func FuzzParseNPY(f *testing.F) {
	addHostile(f, ".npy")
	good, err := MarshalNPY([]int64{2, 3}, []float32{1, 2, 3, 4, 5, 6})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, data []byte) {
		shape, values, err := ParseNPY(data)
		if err != nil {
			return
		}
		if n, err := elements(shape); err != nil || n != len(values) || 4*n > len(data) {
			t.Fatalf("shape %v, %d values from %d bytes", shape, len(values), len(data))
		}
		again, err := MarshalNPY(shape, values)
		if err != nil {
			t.Fatal(err)
		}
		if _, got, err := ParseNPY(again); err != nil || !slices.EqualFunc(got, values, sameBits) {
			t.Fatalf("not what was written: %v", err)
		}
	})
}
