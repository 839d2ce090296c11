package main

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"softprompt/onnx"
	"softprompt/onnx/hint"
	"softprompt/onnx/ort"
	"softprompt/onnx/ort/orttest"
)

// reported collects what a check reports, a line each.
func reported(lines *[]string) func(name, format string, args ...any) {
	r := checkups{}
	return func(name, format string, args ...any) {
		r.report(name, format, args...)
		c := r[len(r)-1]
		*lines = append(*lines, c.Name+": "+c.Value)
	}
}

func TestCheckLibraries(t *testing.T) {
	var lines []string
	err := checkLibraries([]ort.CUDALibrary{
		{Name: "libcuda.so.1", Use: "NVIDIA's driver", Needed: true, Problem: "no such file"},
		{Name: "libcublas.so.13", Use: "matrix products", Needed: true, Path: "/opt/lib/libcublas.so.13"},
		{Name: "libcurand.so.10", Use: "random numbers", Needed: true, Problem: "no such file"},
		{Name: "libcufft.so.12", Use: "Fourier transforms", Problem: "no such file"},
	}, reported(&lines))
	if err == nil || !strings.HasSuffix(err.Error(), ": libcuda.so.1, libcurand.so.10") || !strings.Contains(hint.Of(err), "LD_LIBRARY_PATH") {
		t.Errorf("error %v, hint %q", err, hint.Of(err))
	}
	want := []string{
		"library: libcuda.so.1 (NVIDIA's driver) is missing: no such file",
		"library: libcublas.so.13 (matrix products), /opt/lib/libcublas.so.13",
		"library: libcurand.so.10 (random numbers) is missing: no such file",
		"library: libcufft.so.12 (Fourier transforms) was not found; it is opened only where it is used",
	}
	if strings.Join(lines, "\n") != strings.Join(want, "\n") {
		t.Errorf("reported\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
	if err := checkLibraries([]ort.CUDALibrary{{Name: "libcufft.so.12", Problem: "no such file"}}, reported(&lines)); err != nil {
		t.Errorf("without what is not needed: %v", err)
	}
}

// TestDoctorCUDA asks for a card. With a runtime that was built without CUDA it
// must not get as far as training.
func TestDoctorCUDA(t *testing.T) {
	useCache(t)
	s := call(t, "", "doctor", "--device", "cuda")
	if !strings.Contains(s.stdout, "libcublasLt.so.13 (matrix products)") {
		t.Errorf("the report lacks a library:\n%s", s.stdout)
	}
	if slices.Contains(orttest.Runtime(t).Providers(), "CUDAExecutionProvider") {
		return
	}
	if s.code != exitFailure || !strings.Contains(s.stderr, "libonnxruntime_providers_cuda.so") || !strings.Contains(s.stderr, "hint:") {
		t.Errorf("exit code %d\n%s", s.code, s.stderr)
	}
	if !strings.Contains(s.stdout, "libonnxruntime_providers_cuda.so (ONNX Runtime's CUDA provider) is missing") || strings.Contains(s.stdout, "training") {
		t.Errorf("it reported\n%s", s.stdout)
	}
}

// idle compiles an execution provider that takes no node.
func idle(t *testing.T, name string) string {
	t.Helper()
	wrapper, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/yalue/onnxruntime_go").Output()
	if err != nil {
		t.Fatal(err)
	}
	lib := filepath.Join(t.TempDir(), "libidle.so")
	source := filepath.Join("..", "..", "onnx", "ort", "testdata", "provider.c")
	if out, err := exec.Command("cc", "-shared", "-fPIC", "-o", lib, source, "-I", strings.TrimSpace(string(wrapper)), `-DNAME="`+name+`"`).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return lib
}

// TestDoctorPlacement trains on a provider that takes no node: all of them run
// elsewhere, and the doctor says so.
func TestDoctorPlacement(t *testing.T) {
	useCache(t)
	lib := idle(t, "Idle")
	var health struct {
		OK     bool
		Checks []checkup
	}
	result(t, &health, "doctor", "--device", lib, "--threads", "1")
	var said []string
	for _, c := range health.Checks {
		if c.Name == "placement" {
			said = append(said, c.Value)
		}
	}
	if !health.OK || len(said) != 1+shownNodes || !strings.Contains(said[0], "do not run on Idle,") {
		t.Fatalf("%q", said)
	}
	for _, line := range said[1:] {
		if !strings.Contains(line, " on CPU, ") {
			t.Errorf("node %q", line)
		}
	}
}

// TestExportOps writes the operators that the device has.
func TestExportOps(t *testing.T) {
	useCache(t)
	lib := idle(t, "IdleExport")
	for _, c := range []struct {
		args  []string
		fused bool
	}{
		{nil, true},
		{[]string{"--device", "cuda"}, true},
		{[]string{"--device", lib}, false},
		{[]string{"--device", lib, "--ops", "fused"}, true},
		{[]string{"--ops", "standard"}, false},
	} {
		out := filepath.Join(t.TempDir(), "onnx")
		succeed(t, "", append([]string{"export", "tiny", "--graph", "encode", "--out", out}, c.args...)...)
		m, err := onnx.Load(t.Context(), filepath.Join(out, "encode.onnx"))
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Opset[onnx.Microsoft] > 0; got != c.fused {
			t.Errorf("%q: fused operators %t, want %t", c.args, got, c.fused)
		}
		m.Close()
	}
	for device, code := range map[string]int{"abacus": exitUsage, "/nowhere/lib.so": exitFailure} {
		s := call(t, "", "export", "tiny", "--out", filepath.Join(t.TempDir(), "onnx"), "--device", device)
		if s.code != code || !strings.Contains(s.stderr, device) {
			t.Errorf("%s: exit code %d\n%s", device, s.code, s.stderr)
		}
	}
}
