package ort_test

import (
	"bytes"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"

	"softprompt/onnx"
	"softprompt/onnx/ort"
	"softprompt/onnx/ort/orttest"
)

// failInNode has the runtime fail, and write to its log, in the midst of a run.
func failInNode(t testing.TB) error {
	t.Helper()
	s := orttest.Session(t, graph(t, func(b *onnx.Builder) {
		b.Output("y", b.Reshape(b.Input("x", onnx.Float32, onnx.Sym("N")), b.Input("shape", onnx.Int64, onnx.Size(2))))
	}), ort.Config{})
	shape := must(ort.FromInts([]int64{2, 3}, 2))(t)
	err := s.Run(t.Context(), tensors{"x": zeros(t, onnx.Float32, 7), "shape": shape}, tensors{"y": nil})
	if err == nil || !strings.Contains(err.Error(), "Reshape node encoder.3/Reshape: the input tensor cannot be reshaped") {
		t.Errorf("error %v", err)
	}
	return err
}

// TestLog finds the runtime's words in the logger, at a level that keeps them
// from users: the error says it already.
func TestLog(t *testing.T) {
	var text bytes.Buffer
	setLog := func(log *slog.Logger) {
		if _, err := ort.Open(ort.Options{Log: log}); err != nil {
			t.Fatal(err)
		}
	}
	setLog(slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelDebug})))
	defer setLog(slog.New(slog.DiscardHandler))
	failInNode(t)
	if !strings.Contains(text.String(), "level=DEBUG") || !strings.Contains(text.String(), "Reshape") {
		t.Errorf("log %q", text.String())
	}
}

// TestQuiet has the runtime fail in a process of its own: nothing may reach
// its output but what the test says.
func TestQuiet(t *testing.T) {
	if os.Getenv("ORT_TEST_QUIET") != "" {
		failInNode(t)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestQuiet$")
	cmd.Env = append(os.Environ(), "ORT_TEST_QUIET=1")
	out, err := cmd.CombinedOutput()
	got, _, _ := strings.Cut(string(out), "coverage: ") // of go test -cover
	if strings.TrimSpace(got) != "PASS" || err != nil {
		t.Errorf("error %v, output %q", err, out)
	}
}
