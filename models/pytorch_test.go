package models

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// ptFile names a file that tools/reference/pytorch_files.py made with torch.
func ptFile(name string) string { return filepath.Join("testdata", "pytorch", name) }

func openPyTorch(t testing.TB, path string) *Checkpoint {
	t.Helper()
	c, err := OpenPyTorch(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// sameAsTwin holds every tensor of a checkpoint to its safetensors twin's.
func sameAsTwin(t *testing.T, got *Checkpoint, twin string) {
	t.Helper()
	want, err := OpenSafetensors(twin)
	if err != nil {
		t.Fatal(err)
	}
	defer want.Close()
	for _, name := range want.Names() {
		w, _ := want.Lookup(name)
		g, ok := got.Lookup(name)
		if !ok || g.DType != w.DType || g.Length != w.Length || !cmp.Equal(g.Shape, w.Shape) {
			t.Errorf("%s is %+v, wanted %+v", name, g, w)
			continue
		}
		wantBytes, _ := want.Bytes(name)
		if b, err := got.Bytes(name); err != nil || !bytes.Equal(b, wantBytes) {
			t.Errorf("%s has other bytes, %v", name, err)
		}
		if isFloat(g.DType) {
			wantFloats, _ := want.Float32(name)
			if f, err := got.Float32(name); err != nil || !cmp.Equal(f, wantFloats) {
				t.Errorf("%s is %v, wanted %v, %v", name, f, wantFloats, err)
			}
		}
	}
}

// TestPyTorchViews: every type and every way through a storage, in both
// formats, read as PyTorch reads them.
func TestPyTorchViews(t *testing.T) {
	for _, file := range []string{"views.bin", "views_legacy.bin"} {
		c := openPyTorch(t, ptFile(file))
		sameAsTwin(t, c, ptFile("views.safetensors"))
		if n := len(c.Names()); n != 23 {
			t.Errorf("%s has %d tensors", file, n)
		}
		// What lies row by row can be found in the file; the rest says so.
		raw := read(t, ptFile(file))
		for _, name := range c.Names() {
			info, _ := c.Lookup(name)
			scattered := map[string]bool{"column": true, "corner": true, "transposed": true, "turned": true, "every_other": true}[name]
			if scattered != (info.Offset == Scattered) {
				t.Errorf("%s: %s is at %d", file, name, info.Offset)
			}
			if b, _ := c.Bytes(name); !scattered && !bytes.Equal(b, raw[info.Offset:info.Offset+info.Length]) {
				t.Errorf("%s: %s is not at %d", file, name, info.Offset)
			}
		}
		if a, b := c.tensors["f32"], c.tensors["again"]; !a.samePlace(b) || a.samePlace(c.tensors["row"]) || a.samePlace(c.tensors["half"]) {
			t.Errorf("%s: tied tensors do not share their place", file)
		}
		_, err := c.Float32("double")
		wantError(t, err, `"double"`, file, "F64, wanted F32", "hint:convert the model to float32")
	}
}

func TestPyTorchShards(t *testing.T) {
	c := openPyTorch(t, ptFile("pytorch_model.bin.index.json"))
	sameAsTwin(t, c, ptFile("t5.safetensors"))
	files := map[string]bool{}
	for _, name := range c.Names() {
		info, _ := c.Lookup(name)
		files[filepath.Base(info.File)] = true
	}
	if len(files) != 2 {
		t.Errorf("tensors in %v", files)
	}

	dir := t.TempDir()
	index := filepath.Join(dir, "pytorch_model.bin.index.json")
	write(t, index, read(t, ptFile("pytorch_model.bin.index.json")))
	write(t, filepath.Join(dir, "pytorch_model-00001-of-00002.bin"), read(t, ptFile("pytorch_model-00001-of-00002.bin")))
	_, err := OpenPyTorch(index)
	wantError(t, err, index, "pytorch_model-00002-of-00002.bin", "hint:beside it")
	write(t, filepath.Join(dir, "pytorch_model-00002-of-00002.bin"), read(t, ptFile("no_training.bin")))
	_, err = OpenPyTorch(index)
	wantError(t, err, "shard pytorch_model-00002-of-00002.bin", "training checkpoint", "hint:state_dict")
}

// TestPyTorchOthers: what torch.save writes too, but is no state dict.
func TestPyTorchOthers(t *testing.T) {
	for file, want := range map[string][]string{
		"no_training.bin": {`training checkpoint, with the tensors under "state_dict"`, `hint:torch.load(file)["state_dict"]`},
		"no_module.bin":   {`names "torch.nn.modules.linear.Linear", and nothing was run`, "hint:model.state_dict()"},
		"no_tensor.bin":   {"the pickle is a tensor, wanted a state dict", "hint:model.state_dict()"},
		"no_weights.bin":  {"holds no tensor", "hint:model.state_dict()"},
		"no_sparse.bin":   {`names "torch._utils._rebuild_sparse_tensor"`, "hint:safetensors"},
		"no_script.bin":   {"TorchScript program, wanted a state dict"},
	} {
		_, err := OpenPyTorch(ptFile(file))
		wantError(t, err, append(want, file)...)
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: more than one line: %q", file, err)
		}
	}
}

// ptModel makes a model's folder from one of the files.
func ptModel(t *testing.T, file, as string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "config.json"), read(t, ptFile("t5_config.json")))
	write(t, filepath.Join(dir, as), read(t, ptFile(file)))
	return dir
}

// TestOpenPyTorchModel: a model is the same one whatever its file, and float32
// is used where it lies.
func TestOpenPyTorchModel(t *testing.T) {
	twin := open(t, ptModel(t, "t5.safetensors", "model.safetensors"))
	want, err := twin.Fingerprint()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		file    string
		inPlace bool
		exact   bool
	}{
		{"t5.bin", true, true},
		{"t5_legacy.bin", false, true}, // at odd addresses
		{"t5_transposed.bin", false, true},
		{"t5_f16.bin", false, false},
		{"t5_bf16.bin", false, false},
	} {
		t.Run(test.file, func(t *testing.T) {
			m := open(t, ptModel(t, test.file, "pytorch_model.bin"))
			if m.Files.Format != PyTorch || !m.Config.TieWordEmbeddings || m.Config.HeadName() != sharedName || !m.Config.ScaleDecoderOutputs {
				t.Errorf("%v %+v", m.Files, m.Config)
			}
			got, err := m.Fingerprint()
			if err != nil || want.Matches(got) != nil || test.exact && got != want {
				t.Errorf("another fingerprint: %v, %v", want.Matches(got), err)
			}
			wide, err := m.Float32File(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if (wide == m.Checkpoint) != test.inPlace {
				t.Errorf("float32 weights in %s", wide.Path)
			}
			for _, w := range WeightShapes(m.Config)[:len(WeightShapes(m.Config))-1] {
				info, ok := wide.Lookup(w.Name)
				if !ok || info.DType != F32 || info.Offset < 0 || info.Offset%4 != 0 {
					t.Fatalf("%+v %v", info, ok)
				}
				lies, values := read(t, info.File)[info.Offset:info.Offset+info.Length], make([]float32, info.Elements())
				widen(values, lies, F32)
				direct, err := m.Checkpoint.Float32(w.Name)
				if err != nil || !cmp.Equal(values, direct) {
					t.Errorf("%s lies otherwise than it reads, %v", w.Name, err)
				}
				if exact, _ := twin.Checkpoint.Float32(w.Name); test.exact && !cmp.Equal(values, exact) {
					t.Errorf("%s differs from the twin's", w.Name)
				}
			}
			row, _, err := m.Embedding()
			if err != nil {
				t.Fatal(err)
			}
			all, _ := m.Checkpoint.Float32(sharedName)
			if !cmp.Equal(row(7), all[7*8:8*8]) {
				t.Errorf("row 7 is %v", row(7))
			}
		})
	}
}

// TestOpenPyTorchErrors: models whose file is good, but not for this.
func TestOpenPyTorchErrors(t *testing.T) {
	for file, want := range map[string][]string{
		"views.bin":         {`has no tensor "shared.weight"`, "hint:of one model"},
		"no_training.bin":   {"training checkpoint", "hint:state_dict"},
		"views.safetensors": {"not a PyTorch file", "hint:again"},
	} {
		dir := ptModel(t, file, "pytorch_model.bin")
		_, err := Open(t.Context(), dir, Options{CacheDir: t.TempDir()})
		wantError(t, err, append(want, filepath.Join(dir, "pytorch_model.bin"))...)
	}
	dir := ptModel(t, "t5.bin", "pytorch_model.bin")
	write(t, filepath.Join(dir, "pytorch_model.bin"), patched(t, read(t, ptFile("t5.bin")), "FloatStorage", "ShortStorage"))
	_, err := Open(t.Context(), dir, Options{CacheDir: t.TempDir()})
	wantError(t, err, dir, `"shared.weight"`, "is I16, wanted F32, F16 or BF16", "hint:float32")
}

// TestPyTorchBehindLink: the hub's cache keeps files behind links, under names
// without an extension; the runtime wants the file itself.
func TestPyTorchBehindLink(t *testing.T) {
	dir := ptModel(t, "t5.bin", "blob")
	if err := os.Symlink("blob", filepath.Join(dir, "pytorch_model.bin")); err != nil {
		t.Fatal(err)
	}
	m := open(t, dir)
	info, ok := m.Checkpoint.Lookup(sharedName)
	if !ok || filepath.Base(info.File) != "blob" || m.Files.Format != PyTorch {
		t.Errorf("%+v %v", info, m.Files)
	}
	if wide, err := m.Float32File(t.Context()); err != nil || wide != m.Checkpoint {
		t.Errorf("not used where it lies, %v", err)
	}
}

// TestPyTorchIsMapped: opening a large file costs no memory to speak of.
func TestPyTorchIsMapped(t *testing.T) {
	const size = 4<<30 + 64 // so the zip is a zip64
	path := filepath.Join(t.TempDir(), "pytorch_model.bin")
	// Sparse on disk: the storage's bytes are never written.
	head := zipBytes(t, zipFile{name: "a/data.pkl", data: "\x80\x02" + pkDict(pkText("w"), pkTensor(pkStorage("FloatStorage", "0", size/4), 0, []int64{size / 4}, []int64{1})) + "."}, zipFile{name: "a/data/0", size: size})
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := head.writeTo(f); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c := openPyTorch(t, path)
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
		t.Errorf("opening %d bytes allocated %d", size, grown)
	}
	if info, ok := c.Lookup("w"); !ok || info.Length != size {
		t.Errorf("%+v", info)
	}
}
