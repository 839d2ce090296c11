package main

import (
	"archive/zip"
	"context"
	"fmt"
	"path"
	"path/filepath"
	"regexp"

	"softprompt/onnx/hint"
)

// libraries are what the runtime is made of, by the name that each gets in the
// bundle. All come from one wheel: mixed versions do not load, or crash.
var libraries = []struct {
	name   string
	member *regexp.Regexp // the base name in the wheel
}{
	{"libonnxruntime.so", regexp.MustCompile(`^libonnxruntime\.so(\.[0-9.]+)?$`)},
	{"libonnxruntime_providers_shared.so", regexp.MustCompile(`^libonnxruntime_providers_shared\.so$`)},
	{"libonnxruntime_providers_cuda.so", regexp.MustCompile(`^libonnxruntime_providers_cuda\.so$`)},
}

// members finds the libraries in an open wheel, in the order of the table.
func members(wheel *zip.Reader) ([]*zip.File, error) {
	found := make([]*zip.File, len(libraries))
	for i, lib := range libraries {
		for _, f := range wheel.File {
			if path.Base(path.Dir(f.Name)) == "capi" && lib.member.MatchString(path.Base(f.Name)) && f.Mode().IsRegular() {
				found[i] = f
			}
		}
		if found[i] == nil {
			return nil, hint.Wrap(fmt.Errorf("there is no %s in it", lib.name), "it must be a Linux wheel of onnxruntime-gpu")
		}
	}
	return found, nil
}

// fetch has pip bring the wheel. The libraries are the same for every Python.
func fetch(ctx context.Context, work, version string) (string, error) {
	_, err := command(ctx, work, "python3", "-m", "pip", "download", "--quiet", "--no-input", "--no-deps", "--only-binary=:all:",
		"--python-version", "3.12", "--implementation", "cp", "--abi", "cp312", "--platform", "manylinux_2_28_x86_64",
		"--dest", ".", "onnxruntime-gpu=="+version)
	var wheels []string
	if err == nil {
		wheels, err = filepath.Glob(filepath.Join(work, "*.whl"))
	}
	if err == nil && len(wheels) != 1 {
		err = fmt.Errorf("pip left %d wheels", len(wheels))
	}
	if err != nil {
		return "", hint.Wrap(fmt.Errorf("fetching onnxruntime-gpu %s: %w", version, err), "fetch the wheel on another machine and give it with -wheel")
	}
	return wheels[0], nil
}
