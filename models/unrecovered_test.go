package models

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestUnrecoveredModel: an exported ONNX model opens without weights, and what
// needs them says so.
func TestUnrecoveredModel(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"config.json":        `{"model_type":"t5","vocab_size":8,"d_model":4,"d_kv":2,"d_ff":4,"num_layers":1,"num_heads":2}`,
		"encoder_model.onnx": "", "decoder_model.onnx": "",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	m, err := Open(t.Context(), dir, Options{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if m.Files.Format != ONNX || m.Checkpoint != nil {
		t.Fatalf("opened %s with the checkpoint %v", m.Files.Format, m.Checkpoint)
	}
	_, err1 := m.Fingerprint()
	_, _, err2 := m.Embedding()
	_, err3 := m.Float32File(t.Context())
	for _, err := range []error{err1, err2, err3} {
		if err == nil || !strings.Contains(err.Error(), "not recovered") {
			t.Errorf("error %v, want one that says what is missing", err)
		}
	}
	if _, ok := m.Checkpoint.Lookup("shared.weight"); ok {
		t.Error("a tensor was found")
	}
}
