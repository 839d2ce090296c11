package models

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// onePt is a model file of one tensor w, whose storage has 16 bytes.
func onePt(t testing.TB, tensor string) []byte {
	return zipOf(t, zipFile{name: "archive/data.pkl", data: pkModel(tensor)}, zipFile{name: "archive/data/0", data: sixteen}, zipFile{name: "archive/version", data: "3\n"})
}

// goodTensor fits onePt.
func goodTensor() string {
	return pkTensor(pkStorage("FloatStorage", "0", 4), 0, []int64{2, 2}, []int64{2, 1})
}

func viewOf(offset int64, shape, stride []int64) string {
	return pkTensor(pkStorage("FloatStorage", "0", 4), offset, shape, stride)
}

// legacyOf is a file in the older format.
func legacyOf(version int64, machine, state, keys string, storages ...string) []byte {
	const proto = "\x80\x02"
	return []byte(proto + string(legacyMagic) + proto + pkInt(version) + "." + proto + machine + "." + proto + state + "." + proto + keys + "." + strings.Join(storages, ""))
}

func pkLegacyStorage(class, key string, numel int64) string {
	return pkTuple(pkText("storage"), pkGlobal("torch", class), pkText(key), pkText("cpu"), pkInt(numel), "N") + "Q"
}

func counted(n uint64, data string) string {
	return string(binary.LittleEndian.AppendUint64(nil, n)) + data
}

const (
	littleEndian = "}X\x0d\x00\x00\x00little_endian\x88s"
	sixteen      = "0123456789abcdef"
)

// patched replaces all of one text by another of the same length.
func patched(t testing.TB, file []byte, from, to string) []byte {
	t.Helper()
	if len(from) != len(to) || !bytes.Contains(file, []byte(from)) {
		t.Fatalf("cannot put %q for %q", to, from)
	}
	return bytes.ReplaceAll(file, []byte(from), []byte(to))
}

// overlapping has two entries in its directory that are the same bytes.
func overlapping(t testing.TB) []byte {
	t.Helper()
	file := zipOf(t, zipFile{name: "archive/data.pkl", data: pkModel(goodTensor())}, zipFile{name: "archive/data/0", data: sixteen}, zipFile{name: "archive/data/1", data: sixteen})
	var headers []int // of the directory
	for at := 0; ; {
		i := bytes.Index(file[at:], []byte("PK\x01\x02"))
		if i < 0 {
			break
		}
		headers, at = append(headers, at+i), at+i+4
	}
	copy(file[headers[2]+42:headers[2]+46], file[headers[1]+42:headers[1]+46]) // where the entry starts
	return file
}

// longer claims more bytes for an entry than the file has.
func longer(t testing.TB) []byte {
	t.Helper()
	file := onePt(t, goodTensor())
	i := bytes.LastIndex(file, []byte("PK\x01\x02"))
	for _, at := range []int{20, 24} { // compressed and uncompressed size
		binary.LittleEndian.PutUint32(file[i+at:], 1<<30)
	}
	return file
}

type hostileFile struct {
	name string
	file []byte
	want string
}

// hostilePyTorch holds files that must be refused, with what the error says.
func hostilePyTorch(t testing.TB) []hostileFile {
	t.Helper()
	system := pkCall("posix", "system", pkText("touch ran"))
	pkl := func(text string) zipFile { return zipFile{name: "archive/data.pkl", data: text} }
	data := zipFile{name: "archive/data/0", data: sixteen}
	good := pkl(pkModel(goodTensor()))
	goodState := pkDict(pkText("w"), pkTensor(pkLegacyStorage("FloatStorage", "7", 4), 0, []int64{4}, []int64{1}))
	goodKeys := "](" + pkText("7") + "e"
	return []hostileFile{
		// Programs.
		{"os-system", zipOf(t, pkl("\x80\x02"+system+"."), data, zipFile{name: "archive/version", data: "3\n"}), `it names "posix.system", and nothing was run: wanted a state dict`},
		{"os-system-as-tensor", onePt(t, system), `names "posix.system"`},
		{"eval", onePt(t, pkCall("__builtin__", "eval", pkText("open('ran','w')"))), `names "__builtin__.eval"`},
		{"import", onePt(t, pkCall("builtins", "__import__", pkText("os"))), `names "builtins.__import__"`},
		{"torch-load", onePt(t, pkCall("torch", "load", pkText("/etc/passwd"))), `names "torch.load"`},
		{"runpy", onePt(t, pkCall("runpy", "_run_code", pkText("open('ran','w')"))), `names "runpy._run_code"`},
		{"numpy", onePt(t, pkCall("numpy.core.multiarray", "_reconstruct")), `names "numpy.core.multiarray._reconstruct"`},
		{"long-name", onePt(t, pkGlobal(strings.Repeat("a", 10_000), "b")), "and nothing was run"},
		{"name-with-newlines", onePt(t, pkGlobal("a\rb", "\x1b[31m")), `names "a\rb.\x1b[31m"`},
		{"instance-opcode", onePt(t, "(i__main__\nX\n"), "opcode 0x69"},
		{"new-object-opcode", onePt(t, ")\x81"), "opcode 0x81"},
		{"extension-opcode", onePt(t, "\x82\x01"), "opcode 0x82"},
		{"set-attributes-of-tensor", onePt(t, goodTensor()+"}b"), "setting attributes of a tensor"},
		// Bombs.
		{"deep", onePt(t, strings.Repeat("(", 20_000)+strings.Repeat("t", 20_000)), "holds no tensor"},
		{"deep-lists", onePt(t, strings.Repeat("]", 20_000)+strings.Repeat("a", 19_999)), "holds no tensor"},
		{"endless-list", onePt(t, "]q\x00h\x00a"), "holds no tensor"},
		{"endless-dict", zipOf(t, pkl("\x80\x02}q\x00"+pkText("w")+"h\x00s."), data), "holds no tensor"},
		{"memo-bomb", onePt(t, ")"+strings.Repeat("q\x00h\x00\x86", 5000)), "holds no tensor"},
		{"memo-bomb-as-shape", onePt(t, pkCall("torch._utils", "_rebuild_tensor", pkStorage("FloatStorage", "0", 4), pkInt(0), "("+strings.Repeat("K\x01", 1000)+"tq\x00", "h\x00")), "a tuple of 1000, wanted a tuple of at most 8"},
		{"text-of-gigabytes", onePt(t, "X\xff\xff\xff\xffw"), "cut off: 4294967295 bytes wanted"},
		{"bytes-of-exabytes", onePt(t, "\x8e\xff\xff\xff\xff\xff\xff\xff\x7f"), "opcode 0x8e"},
		{"zip-bomb", zipOf(t, good, zipFile{name: "archive/data/0", data: strings.Repeat("\x00", 10<<20), method: zip.Deflate}), "compressed or encrypted"},
		{"zip-bomb-pickle", zipOf(t, zipFile{name: "archive/data.pkl", data: strings.Repeat("N", 10<<20), method: zip.Deflate}, data), "compressed or encrypted"},
		{"tensor-from-nothing", onePt(t, viewOf(0, []int64{1 << 40}, []int64{0})), "shape [1099511627776] at element 0"},
		{"repeated-rows", onePt(t, viewOf(0, []int64{4, 4}, []int64{0, 1})), "shape [4 4] at element 0"},
		// Storages and views.
		{"storage-beyond-entry", onePt(t, pkTensor(pkStorage("FloatStorage", "0", 5), 0, []int64{5}, []int64{1})), "storage data/0 has 16 bytes, wanted 20"},
		{"storage-of-doubles", onePt(t, pkTensor(pkStorage("DoubleStorage", "0", 4), 0, []int64{4}, []int64{1})), "has 16 bytes, wanted 32"},
		{"storage-missing", onePt(t, pkTensor(pkStorage("FloatStorage", "1", 4), 0, []int64{4}, []int64{1})), "no storage data/1"},
		{"storage-path", onePt(t, pkTensor(pkStorage("FloatStorage", "../data.pkl", 1), 0, []int64{1}, []int64{1})), "no storage data/../data.pkl"},
		{"storage-negative", onePt(t, pkStorage("FloatStorage", "0", -4)), "has -4 elements"},
		{"storage-overflow", onePt(t, pkStorage("FloatStorage", "0", 1<<62)), "has 4611686018427387904 elements"},
		{"storage-class", onePt(t, pkStorage("QInt8Storage", "0", 4)), `names "torch.QInt8Storage"`},
		{"storage-twice", onePt(t, pkTuple(pkStorage("FloatStorage", "0", 4), pkStorage("HalfStorage", "0", 8))), `storage "0" is 4 of F32 and 8 of F16`},
		{"stride-negative", onePt(t, viewOf(3, []int64{4}, []int64{-1})), "the stride: -1 in it"},
		{"shape-negative", onePt(t, viewOf(0, []int64{-1, -4}, []int64{1, 1})), "the shape: -1 in it"},
		{"offset-negative", onePt(t, viewOf(-1, []int64{4}, []int64{1})), "at element -1"},
		{"offset-beyond", onePt(t, viewOf(5, []int64{0}, []int64{1})), "at element 5"},
		{"scalar-beyond", onePt(t, viewOf(4, nil, nil)), "shape [] with stride [] at element 4 leaves storage"},
		{"one-beyond", onePt(t, viewOf(4, []int64{1, 1}, []int64{1, 1})), "shape [1 1] with stride [1 1] at element 4 leaves storage"},
		{"offset-huge", onePt(t, viewOf(1<<62, []int64{4}, []int64{1})), "at element 4611686018427387904"},
		{"view-beyond", onePt(t, viewOf(1, []int64{2, 2}, []int64{2, 1})), `leaves storage "0", which has 4 elements`},
		{"stride-beyond", onePt(t, viewOf(0, []int64{2}, []int64{1 << 62})), "leaves storage"},
		{"strides-add-up", onePt(t, viewOf(0, []int64{2, 2}, []int64{2, 2})), "leaves storage"},
		{"shape-overflow", onePt(t, viewOf(0, []int64{1 << 32, 1 << 32}, []int64{1, 1})), "too large"},
		{"shape-without-stride", onePt(t, viewOf(0, []int64{2, 2}, []int64{1})), "shape [2 2] with stride [1]"},
		{"tensor-twice", zipOf(t, pkl("\x80\x02"+pkDict(pkText("w"), goodTensor(), pkText("w"), goodTensor())+"."), data), `tensor "w" comes twice`},
		// Zips.
		{"zip-parent-name", zipOf(t, good, data, zipFile{name: "../data/1", data: "x"}), `an entry "../data/1", wanted plain names`},
		{"zip-parent-inside", zipOf(t, good, data, zipFile{name: "archive/../../x", data: "x"}), "wanted plain names"},
		{"zip-absolute-name", zipOf(t, good, data, zipFile{name: "/etc/cron.d/x", data: "x"}), "wanted plain names"},
		{"zip-backslash-name", zipOf(t, good, data, zipFile{name: `archive\..\x`, data: "x"}), "wanted plain names"},
		{"zip-two-folders", zipOf(t, good, data, zipFile{name: "other/data/0", data: "x"}), `outside its folder "archive"`},
		{"zip-name-twice", zipOf(t, good, data, data), `has "archive/data/0" twice`},
		{"zip-overlap", overlapping(t), "overlap"},
		{"zip-longer", longer(t), "has 1073741824 bytes at byte"},
		{"zip-no-pickle", zipOf(t, data), "without the data.pkl"},
		{"zip-empty", zipOf(t), "without the data.pkl"},
		{"zip-no-directory", onePt(t, goodTensor())[:200], "zip's directory"},
		{"zip-no-header", patched(t, onePt(t, goodTensor()), "PK\x03\x04", "PK\x05\x04"), `entry "archive/data.pkl"`},
		{"zip-big-endian", zipOf(t, good, data, zipFile{name: "archive/byteorder", data: "big"}), `byte order is "big", wanted little`},
		{"zip-empty-pickle", zipOf(t, pkl(""), data), "cut off"},
		// The older format.
		{"legacy-os-system", legacyOf(1001, littleEndian, system, goodKeys), `names "posix.system"`},
		{"legacy-os-system-at-start", []byte("\x80\x02" + string(legacyMagic) + "\x80\x02" + system + "."), `names "posix.system"`},
		{"legacy-version", legacyOf(1000, littleEndian, goodState, goodKeys, counted(4, sixteen)), "another version"},
		{"legacy-big-endian", legacyOf(1001, "}"+pkText("little_endian")+"\x89s", goodState, goodKeys, counted(4, sixteen)), "big-endian"},
		{"legacy-no-byte-order", legacyOf(1001, "}", goodState, goodKeys, counted(4, sixteen)), "byte order is not said"},
		{"legacy-machine", legacyOf(1001, "N", goodState, goodKeys, counted(4, sixteen)), "None where the writer's machine"},
		{"legacy-keys", legacyOf(1001, littleEndian, goodState, "N", counted(4, sixteen)), "None where the list of storages"},
		{"legacy-key-unknown", legacyOf(1001, littleEndian, goodState, "]("+pkText("8")+"e", counted(4, sixteen)), `storage "8" follows, but belongs to no tensor`},
		{"legacy-key-number", legacyOf(1001, littleEndian, goodState, "](K\x07e", counted(4, sixteen)), "belongs to no tensor"},
		{"legacy-key-twice", legacyOf(1001, littleEndian, goodState, "]("+pkText("7")+pkText("7")+"e", counted(4, sixteen), counted(4, sixteen)), "follows twice"},
		{"legacy-key-missing", legacyOf(1001, littleEndian, goodState, "]"), `tensor "w" needs storage "7", which does not follow`},
		{"legacy-count", legacyOf(1001, littleEndian, goodState, goodKeys, counted(5, sixteen)), "has 5 elements, wanted 4"},
		{"legacy-count-huge", legacyOf(1001, littleEndian, goodState, goodKeys, counted(1<<63, sixteen)), "has 9223372036854775808 elements"},
		{"legacy-cut-count", legacyOf(1001, littleEndian, goodState, goodKeys, "1234567"), "cut off at byte"},
		{"legacy-cut-data", legacyOf(1001, littleEndian, goodState, goodKeys, counted(4, sixteen[1:])), "has 16 bytes at byte"},
		{"legacy-rest", legacyOf(1001, littleEndian, goodState, goodKeys, counted(4, sixteen), "x"), "1 bytes after the last storage"},
		{"legacy-view", legacyOf(1001, littleEndian, pkDict(pkText("w"), pkTuple(pkText("storage"), pkGlobal("torch", "FloatStorage"), pkText("7"), pkText("cpu"), pkInt(4), pkTuple(pkText("8"), pkInt(0), pkInt(4)))+"Q"), goodKeys, counted(4, sixteen)), "wanted a storage"},
		// Other files.
		{"nothing", nil, "not a PyTorch file"},
		{"pickle-alone", []byte(pkModel(goodTensor())), "not a PyTorch file"},
		{"tar", []byte("pickle\x00\x00\x00\x00"), `it starts with "pickle\x00\x00\x00\x00"`},
		{"page", []byte("<!DOCTYPE html><html><body>Not found</body></html>"), "not a PyTorch file"},
		{"pointer", []byte("version https://git-lfs.example/spec/v1\noid sha256:00\nsize 12\n"), "Git LFS pointer"},
	}
}

// TestHostilePyTorch: each file is refused with one line, and what it asks for
// does not happen.
func TestHostilePyTorch(t *testing.T) {
	dir, err := filepath.Abs(filepath.Join("testdata", "hostile"))
	if err != nil {
		t.Fatal(err)
	}
	files := hostilePyTorch(t)
	if *update {
		for _, h := range files {
			write(t, filepath.Join(dir, h.name+".bin"), h.file)
		}
	}
	if there, _ := filepath.Glob(filepath.Join(dir, "*.bin")); len(there) != len(files) {
		t.Errorf("%d files in %s for %d cases: run with -update", len(there), dir, len(files))
	}
	t.Chdir(t.TempDir()) // where a command would leave its file
	for _, h := range files {
		t.Run(h.name, func(t *testing.T) {
			path := filepath.Join(dir, h.name+".bin")
			if !bytes.Equal(read(t, path), h.file) {
				t.Fatalf("%s is not what the test describes: run with -update", path)
			}
			_, err := OpenPyTorch(path)
			wantError(t, err, path, h.want, "hint:")
			if strings.Contains(err.Error(), "\n") || len(err.Error())-len(path) > 400 {
				t.Errorf("more than a line: %q", err)
			}
		})
	}
	if left, _ := os.ReadDir("."); len(left) != 0 {
		t.Errorf("something ran and left %v", left)
	}
}

// The files that the hostile ones are made from are good.
func TestHostileStartsGood(t *testing.T) {
	state := pkDict(pkText("w"), pkTensor(pkLegacyStorage("FloatStorage", "7", 4), 0, []int64{4}, []int64{1}))
	for _, file := range [][]byte{onePt(t, goodTensor()), legacyOf(1001, littleEndian, state, "]("+pkText("7")+"e", counted(4, sixteen))} {
		tensors, _, err := readPyTorch(file)
		if err != nil || len(tensors) != 1 || string(tensors[0].all()) != sixteen {
			t.Errorf("%v, %v", tensors, err)
		}
	}
}

// TestZipOfManyEntries: a directory that would fill the memory is not read to
// its end, and the entries of the largest models are no trouble.
func TestZipOfManyEntries(t *testing.T) {
	entries := func(n int) []byte {
		files := []zipFile{{name: "archive/data.pkl", data: pkModel(goodTensor())}, {name: "archive/data/0", data: sixteen}}
		for i := range n {
			files = append(files, zipFile{name: fmt.Sprintf("archive/data/%d", i+1)})
		}
		return zipOf(t, files...)
	}
	if _, _, err := readPyTorch(entries(10_000)); err != nil {
		t.Error(err)
	}
	_, _, err := readPyTorch(entries(300_000))
	wantError(t, err, "zip's directory", "more than 16777216 bytes", "hint:")
}

// Cut anywhere, a file is refused.
func TestTruncatedPyTorch(t *testing.T) {
	for _, name := range []string{"views.bin", "views_legacy.bin"} {
		whole := read(t, ptFile(name))
		for n := range whole {
			if _, _, err := readPyTorch(whole[:n:n]); err == nil {
				t.Fatalf("the first %d of %d bytes of %s were accepted", n, len(whole), name)
			}
		}
		if _, _, err := readPyTorch(whole); err != nil {
			t.Fatal(err)
		}
	}
}

func fuzzPyTorch(f *testing.F, is func([]byte) bool) {
	for _, h := range hostilePyTorch(f) {
		if is(h.file) && len(h.file) < 1<<16 {
			f.Add(h.file)
		}
	}
	real, err := filepath.Glob(ptFile("*.bin"))
	if err != nil || len(real) == 0 {
		f.Fatal(real, err)
	}
	for _, path := range real {
		if data := read(f, path); is(data) {
			f.Add(data)
		}
	}
	f.Fuzz(checkPyTorch)
}

// checkPyTorch reads a file and, if it is taken, every tensor in it.
func checkPyTorch(t *testing.T, file []byte) {
	tensors, _, err := readPyTorch(file)
	if err != nil {
		return
	}
	for _, x := range tensors {
		n, err := byteLength(x.Shape, dtypeSizes[x.DType])
		if err != nil || n != x.Length || n > int64(len(file)) {
			t.Fatalf("accepted %+v in %d bytes", x.TensorInfo, len(file))
		}
		got := x.all()
		if int64(len(got)) != n {
			t.Fatalf("%d bytes of %+v", len(got), x.TensorInfo)
		}
		if x.Offset != Scattered && !bytes.Equal(got, file[x.Offset:x.Offset+n]) {
			t.Fatalf("%+v lies elsewhere", x.TensorInfo)
		}
	}
}

func FuzzPyTorchZip(f *testing.F) {
	fuzzPyTorch(f, func(b []byte) bool { return bytes.HasPrefix(b, []byte("PK")) })
}

func FuzzPyTorchLegacy(f *testing.F) { fuzzPyTorch(f, isPyTorchLegacy) }
