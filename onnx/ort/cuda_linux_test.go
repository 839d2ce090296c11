package ort

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func names(list []CUDALibrary) (out []string) {
	for _, lib := range list {
		out = append(out, lib.Name)
	}
	return out
}

// TestCUDALibraries looks where there is no provider: each library of the
// tables is named, and either found or missing with a reason.
func TestCUDALibraries(t *testing.T) {
	list := cudaLibraries(t.TempDir())
	want := slices.Concat([]string{"libonnxruntime_providers_shared.so", "libonnxruntime_providers_cuda.so"}, cudaLinked, cudaOpened)
	if got := names(list); !slices.Equal(got, want) {
		t.Errorf("looked for %v, want %v", got, want)
	}
	for _, lib := range list {
		if lib.Use == "" {
			t.Errorf("%s: no word on what it is", lib.Name)
		}
		if (lib.Path == "") == (lib.Problem == "") {
			t.Errorf("%s: found at %q, problem %q", lib.Name, lib.Path, lib.Problem)
		}
		if lib.Needed == slices.Contains(cudaOpened, lib.Name) {
			t.Errorf("%s: needed %t", lib.Name, lib.Needed)
		}
	}
	for _, lib := range list[:2] {
		if !strings.Contains(lib.Problem, "not beside ONNX Runtime") {
			t.Errorf("%s: %q", lib.Name, lib.Problem)
		}
	}
	if got := names(open(t).CUDALibraries()); !slices.Equal(got[:2], want[:2]) {
		t.Errorf("of the runtime: %v", got)
	}
}

// TestCUDALibrariesOfProvider has a provider that is linked with another
// version, which counts, and with libraries that have nothing to do with CUDA.
func TestCUDALibrariesOfProvider(t *testing.T) {
	blas := compile(t, "old.c", "libcublas.so.99", "-Wl,-soname,libcublas.so.99")
	provider := compile(t, "old.c", "libonnxruntime_providers_cuda.so", "-Wl,--no-as-needed", blas, "-lm")
	list := cudaLibraries(filepath.Dir(provider))
	want := slices.Concat([]string{"libonnxruntime_providers_shared.so", "libonnxruntime_providers_cuda.so", "libcublas.so.99"}, cudaOpened)
	if got := names(list); !slices.Equal(got, want) {
		t.Fatalf("looked for %v, want %v", got, want)
	}
	if lib := list[1]; lib.Path != provider || lib.Problem != "" {
		t.Errorf("the provider: %+v", lib)
	}
	if lib := list[2]; lib.Path != "" || !strings.Contains(lib.Problem, "cannot open shared object") || !lib.Needed {
		t.Errorf("the library that it is linked with: %+v", lib)
	}
	// A damaged provider does not stop the search.
	if err := os.WriteFile(provider, []byte("\x7fELF and then nothing"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := names(cudaLibraries(filepath.Dir(provider))); !slices.Contains(got, "libcudart.so.13") {
		t.Errorf("with a damaged provider: %v", got)
	}
}

func TestLookUp(t *testing.T) {
	lib := compile(t, "old.c", "libfound.so")
	if got := lookUp(lib, true); got.Path != lib || got.Problem != "" {
		t.Errorf("%+v", got)
	}
	if got := lookUp("libc.so.6", true); !filepath.IsAbs(got.Path) || got.Problem != "" {
		t.Errorf("the loader finds the C library at %+v", got)
	}
}
