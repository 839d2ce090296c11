package models

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"softprompt/models/hub"
	"softprompt/models/hub/hubtest"
)

func TestOpenFolder(t *testing.T) {
	dir := randomModel(t, nil, 1, F32)
	m := open(t, dir)
	if m.Ref != dir || m.Name != filepath.Base(dir) || m.Revision != "" || m.Config.DModel != 16 {
		t.Errorf("%+v", m)
	}
	tok, err := m.Tokenizer()
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := m.Tokenizer(); again != tok {
		t.Error("a second tokenizer was loaded")
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if _, err := m.Fingerprint(); !errors.Is(err, errClosed) {
		t.Errorf("fingerprint of a closed model: %v", err)
	}
	if _, err := m.Float32File(t.Context()); !errors.Is(err, errClosed) {
		t.Errorf("weights of a closed model: %v", err)
	}
	if _, err := tok.Encode("x"); err == nil {
		t.Error("a closed tokenizer encoded")
	}
}

func TestOpenSharded(t *testing.T) {
	config := smallConfig(nil)
	c := mustConfig(t, config)
	all := namedTensors(c, randomWeights(c, 1), F32)
	files := map[string][]NamedTensor{"model-00001-of-00002.safetensors": all[:7], "model-00002-of-00002.safetensors": all[7:]}
	weightMap := map[string]string{}
	for file, list := range files {
		for _, n := range list {
			weightMap[n.Name] = file
		}
	}
	dir := filepath.Dir(writeShards(t, files, weightMap))
	write(t, filepath.Join(dir, "config.json"), config)
	whole, shards := open(t, writeModel(t, config, randomWeights(c, 1), F32)), open(t, dir)
	want, err := whole.Fingerprint()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := shards.Fingerprint(); err != nil || got != want {
		t.Errorf("the same weights in two files have another fingerprint, %v", err)
	}
}

func TestOpenReferenceErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, nil)
	served := hubtest.New()
	defer served.Close()
	for _, test := range []struct {
		ref  string
		want []string
	}{
		{"google/no-such-t5", []string{"no folder google/no-such-t5", "on the hub", "no such model", "hint:check the name"}},
		{"org/name@refs/pr/2", []string{"org/name@refs/pr/2", "no such model"}},
		{"t5-small@main", []string{"t5-small", "no such model"}}, // a name without org that the hub knows
		{"t5-tiny", []string{"no such folder"}},
		{"org/name@../x", []string{"no such folder"}},
		{"./no/such/folder", []string{"no such folder", "hint:`tiny`"}},
		{"", []string{"no such folder"}},
		{"Tiny", []string{"no such folder", "hint:`tiny`"}},
		{file, []string{"a file, wanted a folder", "hint:config.json"}},
		{"nul\x00", []string{"hint:folder"}},
	} {
		_, err := Open(t.Context(), test.ref, Options{CacheDir: t.TempDir(), Hub: &hub.Client{Endpoint: served.URL, CacheDir: t.TempDir()}})
		wantError(t, err, test.want...)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, "tiny", Options{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// A folder that lacks something or has it damaged.
func TestOpenBrokenFolder(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(t *testing.T, dir string)
		want   []string
	}{
		{"no config", func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, "config.json")) }, []string{"config.json", "hint:folder holds"}},
		{"broken config", func(t *testing.T, dir string) { write(t, filepath.Join(dir, "config.json"), []byte("{")) }, []string{"config.json cannot be read", "hint:again"}},
		{"other config", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "config.json"), smallConfig(map[string]any{"d_model": 32}))
		}, []string{"shared.weight", "[8192 16], wanted [8192 32]", "hint:one model"}},
		{"truncated weights", func(t *testing.T, dir string) {
			path := filepath.Join(dir, "model.safetensors")
			write(t, path, read(t, path)[:100_000])
		}, []string{"model.safetensors", "of which there are", "hint:download"}},
		{"no weights", func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, "model.safetensors")) }, []string{"no model.safetensors, pytorch_model.bin or", "hint:folder holds"}},
		{"half an ONNX model", rename("encoder_model.onnx"), []string{"part of an exported ONNX model (encoder_model.onnx)", "hint:decoder_model.onnx"}},
		{"only TensorFlow", rename("tf_model.h5"), []string{"TensorFlow weights (tf_model.h5)", "hint:safetensors"}},
		{"an adapter", rename("adapter_model.safetensors"), []string{"an adapter (adapter_model.safetensors)", "hint:base model"}},
		{"a folder for weights", func(t *testing.T, dir string) {
			path := filepath.Join(dir, "model.safetensors")
			os.Remove(path)
			os.Mkdir(path, 0o755)
		}, []string{"no model.safetensors"}},
		{"a dangling link for weights", func(t *testing.T, dir string) {
			path := filepath.Join(dir, "model.safetensors")
			os.Remove(path)
			os.Symlink("nowhere", path)
		}, []string{"model.safetensors", "no such file"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := randomModel(t, nil, 1, F32)
			test.change(t, dir)
			_, err := Open(t.Context(), dir, Options{CacheDir: t.TempDir()})
			wantError(t, err, append(test.want, dir)...)
		})
	}
}

func rename(name string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		if err := os.Rename(filepath.Join(dir, "model.safetensors"), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDefaultCache(t *testing.T) {
	t.Setenv("SOFTPROMPT_CACHE", "/some/where")
	if dir, err := CacheDir(); err != nil || dir != "/some/where" {
		t.Error(dir, err)
	}
	t.Setenv("SOFTPROMPT_CACHE", "")
	t.Setenv("XDG_CACHE_HOME", "/xdg")
	t.Setenv("HOME", "/home/x")
	if dir, err := CacheDir(); err != nil || filepath.Base(dir) != "softprompt" {
		t.Error(dir, err)
	}
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("HOME", "")
	if dir, err := CacheDir(); err == nil {
		t.Error(dir)
	} else {
		wantError(t, err, "cache folder", "hint:SOFTPROMPT_CACHE")
	}
}
