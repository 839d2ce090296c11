package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"softprompt/onnx/hint"
)

// cutterInto makes a cutter of pieces of a size.
func cutterInto(dir string, size int64) *cutter {
	return &cutter{dir: dir, size: size, hash: sha256.New()}
}

// Whatever portions a stream is written in, its pieces are full but for the
// last, none is empty, and together they are the stream.
func TestCutterKeepsTheStream(t *testing.T) {
	for seed := range uint64(12) {
		dir, r := t.TempDir(), rand.New(rand.NewPCG(seed, 2))
		size := 1 + r.IntN(9)
		stream := noise(size*r.IntN(5)+r.IntN(2), seed) // every other one ends with a full piece, or is empty
		w := cutterInto(dir, int64(size))
		for rest := stream; len(rest) > 0; {
			part := rest[:r.IntN(len(rest)+1)]
			if n, err := w.Write(part); err != nil || n != len(part) {
				t.Fatalf("%d of %d bytes, %v", n, len(part), err)
			}
			rest = rest[len(part):]
		}
		if err := w.cut(); err != nil {
			t.Fatal(err)
		}
		var joined []byte
		for i, name := range w.pieces {
			data, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if name != fmt.Sprintf("bundle.%02d", i) || len(data) == 0 || len(data) > size || i < len(w.pieces)-1 && len(data) != size || w.sizes[i] != int64(len(data)) {
				t.Errorf("seed %d: piece %d is %s with %d bytes of %d, said to be %d", seed, i, name, len(data), size, w.sizes[i])
			}
			joined = append(joined, data...)
		}
		if pieces := (len(stream) + size - 1) / size; !bytes.Equal(joined, stream) || len(w.pieces) != pieces {
			t.Errorf("seed %d: %d pieces with %d bytes, want %d with %d", seed, len(w.pieces), len(joined), pieces, len(stream))
		}
		if sum := sha256.Sum256(stream); !bytes.Equal(w.hash.Sum(nil), sum[:]) {
			t.Errorf("seed %d: the sum is not the stream's", seed)
		}
	}
}

// A hundred pieces are the most that two digits count: the byte after them is
// refused, with what to do.
func TestCutterCountsToAHundred(t *testing.T) {
	dir := t.TempDir()
	w := cutterInto(dir, 3)
	if n, err := w.Write(make([]byte, 300)); n != 300 || err != nil {
		t.Fatalf("%d bytes, %v", n, err)
	}
	if err := w.cut(); err != nil || len(w.pieces) != 100 || w.pieces[99] != "bundle.99" {
		t.Fatalf("%d pieces, %v", len(w.pieces), err)
	}
	n, err := w.Write([]byte{1})
	if n != 0 || err == nil || err.Error() != "more than 100 pieces" || hint.Of(err) != "give a larger -piece" {
		t.Errorf("%d bytes, error %v, hint %q", n, err, hint.Of(err))
	}
	if there, err := os.ReadDir(dir); err != nil || len(there) != 100 {
		t.Errorf("the folder holds %d files, %v", len(there), err)
	}
}

// A piece that is not finished is not there, under no name.
func TestCutterAbandons(t *testing.T) {
	dir := t.TempDir()
	w := cutterInto(dir, 4)
	if _, err := w.Write([]byte("123456")); err != nil {
		t.Fatal(err)
	}
	w.abandon()
	there, err := os.ReadDir(dir)
	if err != nil || len(there) != 1 || there[0].Name() != "bundle.00" {
		t.Errorf("the folder holds %v, %v", there, err)
	}
	gone := cutterInto(filepath.Join(dir, "gone"), 4)
	if n, err := gone.Write([]byte("1")); n != 0 || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a folder: %d bytes, %v", n, err)
	}
	gone.abandon()
}

// The order of the pieces is told with their sizes, the script after them and
// the sum at the end.
func TestExplain(t *testing.T) {
	b := bundle{pieces: []string{"bundle.00", "bundle.01"}, sizes: []int64{64 << 20, 3 << 19}, sum: "abc"}
	var out strings.Builder
	b.explain(&out, "DIR")
	lines := strings.Split(out.String(), "\n")
	want := []string{
		"DIR: carry these to one folder of the machine, one after another, without a pause that would lose it:",
		"   1. DIR/bundle.00 (64.0 MiB)",
		"   2. DIR/bundle.01 (1.5 MiB)",
		"   3. DIR/join.sh, and there: sh join.sh FOLDER && . FOLDER/env.sh && softprompt doctor --device cuda",
		"SHA-256 of the whole: abc", "",
	}
	if !slices.Equal(lines, want) {
		t.Errorf("got\n%s\nwant\n%s", out.String(), strings.Join(want, "\n"))
	}
}

// A size is read back from each unit that it is a multiple of.
func TestParseSize(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shift := rapid.SampledFrom([]int{0, 10, 20, 30}).Draw(t, "shift")
		n := rapid.Int64Range(1, 1<<20).Draw(t, "number")
		unit := map[int]string{0: "", 10: "KiB", 20: "MiB", 30: "GiB"}[shift]
		if got, err := parseSize(fmt.Sprint(n, unit)); err != nil || got != n<<shift {
			t.Fatalf("%d%s is %d, %v", n, unit, got, err)
		}
	})
	for _, s := range []string{"", "MiB", "0", "0KiB", "1.5MiB", "1 MiB", "1mib", "1MiB ", "0x10", "1e6", "-4KiB", "1125899906842625", "1048577GiB", "9223372036854775807KiB", "99999999999999999999"} {
		if got, err := parseSize(s); err == nil || err.Error() != fmt.Sprintf("%q is not a size", s) || hint.Of(err) == "" {
			t.Errorf("%q is %d, %v", s, got, err)
		}
	}
	if got, err := parseSize("1048576GiB"); err != nil || got != 1<<50 {
		t.Errorf("the largest is %d, %v", got, err)
	}
}
