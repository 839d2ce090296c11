package onnx

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"softprompt/onnx/hint"
)

// TestLoadAdvice checks what is said of files that are no model: what it is,
// which file, and what to do.
func TestLoadAdvice(t *testing.T) {
	sound, err := smallModel(t).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		data         []byte
		want, advice string
	}{
		"empty":       {nil, "is empty", ""},
		"lfs":         {[]byte("version https://git-lfs.github.com/spec/v1\n"), "the file is a Git LFS pointer, not the model", "git lfs pull"},
		"text":        {[]byte("<html>not found</html>"), "", "fetch it again"},
		"cut short":   {sound[:len(sound)-1], "", "fetch it again"},
		"only a head": {[]byte{8, 10}, "no graph: the file is no ONNX model, or empty", "fetch it again"},
	} {
		path := filepath.Join(t.TempDir(), name+".onnx")
		if err := os.WriteFile(path, c.data, 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := Load(context.Background(), path)
		checkError(t, name, err, c.want)
		if err != nil && (!strings.HasPrefix(err.Error(), "reading ONNX model "+path+": ") || !strings.Contains(hint.Of(err), c.advice)) {
			t.Errorf("%s: error %q, advice %q, want %q", name, err, hint.Of(err), c.advice)
		}
	}
}

// TestLoadValidates checks that what parses and is unsound is not loaded.
func TestLoadValidates(t *testing.T) {
	m := smallModel(t)
	m.Graph.Outputs[0].Name = "nowhere"
	path := filepath.Join(t.TempDir(), "m.onnx")
	if err := m.Save(path); err != nil {
		t.Fatal(err)
	}
	_, err := Load(context.Background(), path)
	checkError(t, "unsound", err, path+`: graph output 0 "nowhere": no node makes it`)
}

// TestLoadedTensorsAreMapped checks that the elements of a loaded model are
// those of its files: of one file the weights share one mapping.
func TestLoadedTensorsAreMapped(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.onnx")
	if err := smallModel(t).SaveExternal(path); err != nil {
		t.Fatal(err)
	}
	m, err := Load(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if len(m.files) != 2 {
		t.Fatalf("%d files are mapped, want the model and its weights", len(m.files))
	}
	weights := m.files[1]
	for i, offset := range []int{0, 2048} {
		if got := m.Graph.Initializers[i]; &got.Data[0] != &weights[offset] {
			t.Errorf("%s does not lie in the mapped file at %d", got.Name, offset)
		}
	}
}

// TestSaveKeepsTheModel checks that saving, in either way, changes nothing in
// the model that is saved.
func TestSaveKeepsTheModel(t *testing.T) {
	m, want := smallModel(t), smallModel(t)
	dir := t.TempDir()
	if err := m.Save(filepath.Join(dir, "one.onnx")); err != nil {
		t.Fatal(err)
	}
	if err := m.SaveExternal(filepath.Join(dir, "two.onnx")); err != nil {
		t.Fatal(err)
	}
	same(t, m, want)
	if m.Dir != "" || len(m.files) != 0 {
		t.Errorf("folder %q, %d files", m.Dir, len(m.files))
	}
}

// TestSaveWhereNothingCanBe checks that a failing write of the weights fails
// the save, and is reported with the model's path.
func TestSaveWhereNothingCanBe(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "m.onnx")
	if err := os.Mkdir(path+"_data", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(path+"_data", "in the way"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	checkError(t, "weights", smallModel(t).SaveExternal(path), "writing ONNX model "+path+": ")
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("a model without its weights was left: %v", err)
	}
}
