package ort_test

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"softprompt/onnx"
	"softprompt/onnx/ort"
	"softprompt/onnx/ort/orttest"
)

// resident returns the process's memory in bytes.
func resident(t testing.TB) int64 {
	t.Helper()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(b))[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

// TestNoLeak makes and closes sessions with 4 MB of weights each until a round
// of them leaves nothing behind.
func TestNoLeak(t *testing.T) {
	data, err := graph(t, func(b *onnx.Builder) {
		x := b.Input("x", onnx.Float32, onnx.Sym("B"), onnx.Size(1024))
		b.Output("y", b.MatMul(x, b.Weight(onnx.Floats("w", []int64{1024, 1024}, make([]float32, 1<<20)))))
	}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	rt := orttest.Runtime(t)
	x := zeros(t, onnx.Float32, 2, 1024)
	once := func() {
		s, err := rt.NewSession(t.Context(), data, ort.Config{Prepack: true, Arena: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Run(t.Context(), tensors{"x": x}, tensors{"y": nil}); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		once()
	}
	goroutines, memory := runtime.NumGoroutine(), resident(t)
	// The allocator keeps some of what is freed, and how much settles after a
	// while; a leak of 4 MB a session goes on growing.
	const sessions, limit = 25, 25 << 20
	var grown int64
	for range 6 {
		for range sessions {
			once()
		}
		runtime.GC()
		now := resident(t)
		if grown, memory = now-memory, now; grown < limit {
			break
		}
	}
	if grown >= limit {
		t.Errorf("%d sessions left %d MB behind, again and again", sessions, grown>>20)
	}
	if n := runtime.NumGoroutine(); n > goroutines {
		t.Errorf("%d goroutines, %d before", n, goroutines)
	}
}
