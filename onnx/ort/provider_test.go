package ort

import (
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	ort "github.com/yalue/onnxruntime_go"

	"softprompt/onnx/hint"
)

func open(t testing.TB) *Runtime {
	t.Helper()
	rt, err := Open(Options{})
	if err != nil {
		t.Fatalf("%v (%s)", err, hint.Of(err))
	}
	return rt
}

// TestNoCUDA asks a library without CUDA for a card.
func TestNoCUDA(t *testing.T) {
	rt := open(t)
	for _, device := range []string{"cuda", "cuda:1"} {
		d, err := ParseDevice(device)
		if err != nil {
			t.Fatal(err)
		}
		_, err = rt.options(Config{Device: d})
		if err == nil || !strings.Contains(err.Error(), "device "+device) || !strings.Contains(err.Error(), "without CUDA") {
			t.Errorf("%s: error %v", device, err)
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error of more than one line: %q", device, err)
		}
		if h := hint.Of(err); !strings.Contains(h, "--device cpu") {
			t.Errorf("%s: hint %q", device, h)
		}
	}
	// What the runtime itself says of it.
	o, err := ort.NewSessionOptions()
	if err != nil {
		t.Fatal(err)
	}
	defer o.Destroy()
	if err := appendCUDA(o, Config{}); err == nil || hint.Of(err) == "" {
		t.Errorf("error %v, hint %q", err, hint.Of(err))
	}
}

func TestCUDAOptions(t *testing.T) {
	o := cudaOptions(Config{Device: Device{Kind: "cuda", Index: 3}, TF32: true, Provider: map[string]string{"gpu_mem_limit": "1000", "arena_extend_strategy": "kNextPowerOfTwo"}})
	for k, want := range map[string]string{"device_id": "3", "use_tf32": "1", "gpu_mem_limit": "1000", "arena_extend_strategy": "kNextPowerOfTwo"} {
		if o[k] != want {
			t.Errorf("%s = %q, want %q", k, o[k], want)
		}
	}
	if o := cudaOptions(Config{}); o["use_tf32"] != "0" {
		t.Error("TF32 is on unless asked for")
	}
}

// TestProviderLibrary loads a real plugin. It installs signal handlers without
// SA_ONSTACK, so the signals sent afterwards would be lost, or end the process,
// if Go's handlers were not put back.
func TestProviderLibrary(t *testing.T) {
	rt := open(t)
	lib := compile(t, "provider.c", "libidle.so", "-I", header(t))
	device := Device{Kind: "library", Library: lib}
	arrived := make(chan os.Signal, 2)
	signal.Notify(arrived, syscall.SIGUSR1, syscall.SIGUSR2)
	defer signal.Stop(arrived)
	for range 2 { // the second session finds the library registered
		s, err := rt.NewSession(t.Context(), identity, Config{Device: device})
		if err != nil {
			t.Fatal(err)
		}
		x, err := FromFloats([]float32{1, 2}, 2)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]*Tensor{"y": nil}
		if err := s.Run(t.Context(), map[string]*Tensor{"x": x}, out); err != nil {
			t.Fatal(err)
		}
		if y := out["y"].Float32s(); y[0] != 1 || y[1] != 2 {
			t.Errorf("y = %v", y)
		}
		s.Close()
	}
	// The plugin takes one signal when a session is made, the other in a run.
	for _, want := range []syscall.Signal{syscall.SIGUSR1, syscall.SIGUSR2} {
		if err := syscall.Kill(os.Getpid(), want); err != nil {
			t.Fatal(err)
		}
		select {
		case got := <-arrived:
			if got != want {
				t.Errorf("signal %v, want %v", got, want)
			}
		case <-time.After(5 * time.Second):
			t.Errorf("signal %v did not arrive", want)
		}
	}

	device.Index = 9
	if _, err := rt.NewSession(t.Context(), identity, Config{Device: device}); err == nil || !strings.Contains(err.Error(), "there is no number 9") {
		t.Errorf("a device that is not there: %v", err)
	}
}

func TestBadProviderLibrary(t *testing.T) {
	rt := open(t)
	for lib, want := range map[string]string{
		compile(t, "provider.c", "libnone.so", "-I", header(t), "-DNO_DEVICE"): "found no device",
		compile(t, "old.c", "libother.so"):                                     "not the library of an execution provider",
		"/nowhere/libep.so":                                                    "does not exist",
	} {
		_, err := rt.NewSession(t.Context(), identity, Config{Device: Device{Kind: "library", Library: lib}})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), lib) {
			t.Errorf("%s: error %v, want one with %q", lib, err, want)
		}
	}
	if _, err := rt.NewSession(t.Context(), identity, Config{Device: Device{Kind: "abacus"}}); err == nil {
		t.Error("a session on an abacus")
	}
	if _, err := rt.NewSession(t.Context(), identity, Config{Provider: map[string]string{"use_tf32": "1"}}); err == nil {
		t.Error("the processor took a provider's option")
	}
}
