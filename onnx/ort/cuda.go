package ort

/*
#include <stdlib.h>
#include "native.h"
*/
import "C"

import (
	"debug/elf"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unsafe"
)

// CUDALibrary is a shared library that the CUDA provider works with.
type CUDALibrary struct {
	Name    string
	Use     string // what it is
	Needed  bool   // the provider does not load without it; others are opened where they are used
	Path    string // where it was found
	Problem string // what the system says where it was not; "" where it was
}

// cudaLibrary has the libraries that belong to CUDA, by the start of the name,
// and what they are.
var cudaLibrary = []struct {
	name *regexp.Regexp
	use  string
}{
	{regexp.MustCompile(`^libcuda\.so`), "NVIDIA's driver"},
	{regexp.MustCompile(`^libcudart\.so`), "CUDA runtime"},
	{regexp.MustCompile(`^libcublas(Lt)?\.so`), "matrix products"},
	{regexp.MustCompile(`^libcurand\.so`), "random numbers"},
	{regexp.MustCompile(`^libcudnn\.so`), "cuDNN"},
	{regexp.MustCompile(`^libcufft\.so`), "Fourier transforms"},
	{regexp.MustCompile(`^libnvrtc\.so`), "compiler of kernels"},
}

// The libraries of ONNX Runtime 1.31: those that its CUDA provider is linked
// with, as the ELF header lists them in load order, and those that it opens by
// name when it comes to them.
var (
	cudaLinked = []string{"libcuda.so.1", "libcudart.so.13", "libcublasLt.so.13", "libcublas.so.13", "libcurand.so.10"}
	cudaOpened = []string{"libcudnn.so.9", "libcufft.so.12", "libnvrtc.so.13"}
)

// The provider's own files, which lie beside the runtime's.
var providerFiles = []struct{ name, use string }{
	{"libonnxruntime_providers_shared.so", "ONNX Runtime's providers"},
	{"libonnxruntime_providers_cuda.so", "ONNX Runtime's CUDA provider"},
}

// CUDALibraries looks for all that a session on an NVIDIA card needs, the way
// the system's loader does. It loads what it finds, and so does a session.
func (rt *Runtime) CUDALibraries() []CUDALibrary {
	library := rt.library
	if real, err := filepath.EvalSymlinks(library); err == nil {
		library = real
	}
	return cudaLibraries(filepath.Dir(library))
}

// cudaLibraries looks for the provider's files in a folder, and for the rest
// wherever the loader does.
func cudaLibraries(dir string) (list []CUDALibrary) {
	linked := cudaLinked
	for _, f := range providerFiles {
		lib := CUDALibrary{Name: f.name, Use: f.use, Needed: true, Path: filepath.Join(dir, f.name)}
		if err := checkFile(lib.Path); err != nil {
			lib.Path, lib.Problem = "", "it is not beside ONNX Runtime in "+dir
		} else if names := importedFromCUDA(lib.Path); len(names) > 0 {
			linked = names
		}
		list = append(list, lib)
	}
	for _, name := range linked {
		list = append(list, lookUp(name, true))
	}
	for _, name := range cudaOpened {
		if !slices.Contains(linked, name) {
			list = append(list, lookUp(name, false))
		}
	}
	return list
}

// importedFromCUDA returns CUDA's among the libraries that a file is linked
// with; nil for what is no ELF file.
func importedFromCUDA(path string) (names []string) {
	f, err := elf.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	all, err := f.ImportedLibraries()
	if err != nil {
		return nil
	}
	for _, name := range all {
		if useOf(name) != "" {
			names = append(names, name)
		}
	}
	return names
}

func useOf(name string) string {
	for _, lib := range cudaLibrary {
		if lib.name.MatchString(name) {
			return lib.use
		}
	}
	return ""
}

// lookUp has the system's loader find a library.
func lookUp(name string, needed bool) CUDALibrary {
	c := C.CString(name)
	defer C.free(unsafe.Pointer(c))
	var problem *C.char
	path := C.sp_find_library(c, &problem)
	defer C.free(unsafe.Pointer(path))
	defer C.free(unsafe.Pointer(problem))
	return CUDALibrary{Name: name, Use: useOf(name), Needed: needed, Path: C.GoString(path), Problem: strings.TrimPrefix(C.GoString(problem), name+": ")}
}
