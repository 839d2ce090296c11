package onnx

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
)

// cached saves the small model in the layout of the Hugging Face hub's cache,
// where a snapshot's files are links to blobs, and returns the cache's folder
// and the snapshot's graph.
func cached(t *testing.T, blobs string) (cache, path string) {
	t.Helper()
	cache = t.TempDir()
	snapshot := filepath.Join(cache, "models--a--b", "snapshots", "0123")
	if !filepath.IsAbs(blobs) {
		blobs = filepath.Join(snapshot, blobs)
	}
	for _, dir := range []string{snapshot, blobs} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	m := smallModel(t)
	if err := m.SaveExternal(filepath.Join(blobs, "m.onnx")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"m.onnx", "m.onnx_data"} {
		to, err := filepath.Rel(snapshot, filepath.Join(blobs, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(blobs, name), filepath.Join(blobs, "blob-"+name)); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join(filepath.Dir(to), "blob-"+name), filepath.Join(snapshot, name)); err != nil {
			t.Skipf("no links here: %v", err)
		}
	}
	return cache, filepath.Join(snapshot, "m.onnx")
}

// TestLoadWithin follows links inside a cache, and says where weights lie.
func TestLoadWithin(t *testing.T) {
	cache, path := cached(t, "../../blobs")
	_, err := Load(context.Background(), path)
	checkError(t, "without the cache's folder", err, "path escapes from parent")

	m, err := LoadWithin(context.Background(), path, cache)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	want := smallModel(t)
	found := 0
	for i, w := range m.Graph.Initializers {
		if !bytes.Equal(w.Data, want.Graph.Initializers[i].Data) {
			t.Errorf("%s has other elements", w.Name)
		}
		file, offset, ok := m.Beside(w)
		if !ok {
			continue
		}
		found++
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Lstat(file); err != nil || !info.Mode().IsRegular() {
			t.Errorf("%s is a link: %v", file, err)
		}
		if !bytes.Equal(data[offset:offset+int64(len(w.Data))], w.Data) {
			t.Errorf("%s does not lie at %d of %s", w.Name, offset, file)
		}
	}
	if found < 2 {
		t.Errorf("%d tensors lie beside the model", found)
	}
	if _, _, ok := m.Beside(Floats("new", []int64{300}, make([]float32, 300))); ok {
		t.Error("a tensor made here lies in a file")
	}
	if _, _, ok := m.Beside(&Tensor{Name: "none", Type: Float32, Dims: []int64{0}}); ok {
		t.Error("an empty tensor lies in a file")
	}
}

// TestLoadWithinStaysInside refuses links out of the cache, and models that
// are not in it.
func TestLoadWithinStaysInside(t *testing.T) {
	cache, path := cached(t, t.TempDir())
	_, err := LoadWithin(context.Background(), path, cache)
	checkError(t, "link out", err, "opening external data m.onnx_data")
	_, err = LoadWithin(context.Background(), path, t.TempDir())
	checkError(t, "elsewhere", err, "it is not inside")
}

// TestBesideInline: what the model's own file holds lies beside nothing.
func TestBesideInline(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.onnx")
	if err := smallModel(t).Save(path); err != nil {
		t.Fatal(err)
	}
	m, err := Load(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for _, w := range m.Graph.Initializers {
		if file, _, ok := m.Beside(w); ok {
			t.Errorf("%s lies in %s", w.Name, file)
		}
	}
}
