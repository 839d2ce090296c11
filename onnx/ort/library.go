package ort

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"softprompt/onnx/hint"
)

// LibraryVariable is the environment variable that names the runtime's file.
const LibraryVariable = "ONNXRUNTIME_SHARED_LIBRARY_PATH"

// place is where the search begins; tests make their own.
type place struct {
	variable   string // value of LibraryVariable
	executable string // path of the running program, "" if unknown
	workdir    string // working directory, "" if unknown
}

func here() place {
	p := place{variable: os.Getenv(LibraryVariable)}
	if exe, err := os.Executable(); err == nil {
		if real, err := filepath.EvalSymlinks(exe); err == nil {
			exe = real
		}
		p.executable = exe
	}
	p.workdir, _ = os.Getwd()
	return p
}

// find returns the file of the runtime: a path, or a bare name for the
// system's loader to look up when no file was found.
func (p place) find() (string, error) {
	if p.variable != "" {
		if err := checkFile(p.variable); err != nil {
			return "", hint.Wrap(fmt.Errorf("finding ONNX Runtime: %s names %s: %w", LibraryVariable, p.variable, err),
				"set %s to the file %s, or unset it to have it searched for", LibraryVariable, libraryName)
		}
		return filepath.Abs(p.variable)
	}
	var starts []string
	if p.executable != "" {
		starts = append(starts, filepath.Dir(p.executable))
	}
	if p.workdir != "" {
		starts = append(starts, p.workdir)
	}
	for _, start := range starts {
		for dir := start; ; dir = filepath.Dir(dir) {
			if lib := newestIn(filepath.Join(dir, ".deps", "onnxruntime")); lib != "" {
				return lib, nil
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	if p.executable != "" {
		dir := filepath.Dir(p.executable)
		for _, lib := range []string{filepath.Join(dir, libraryName), filepath.Join(dir, "lib", libraryName)} {
			if checkFile(lib) == nil {
				return lib, nil
			}
		}
	}
	return libraryName, nil
}

func checkFile(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fs.ErrNotExist
	}
	if err == nil && !info.Mode().IsRegular() {
		return errors.New("not a file")
	}
	return err
}

// newestIn returns the library under the folder of versions whose version is
// highest, "" if there is none.
func newestIn(folder string) string {
	entries, _ := os.ReadDir(folder)
	best, newest := "", []int(nil)
	for _, e := range entries {
		v := parseVersion(e.Name())
		lib := filepath.Join(folder, e.Name(), "lib", libraryName)
		if v == nil || checkFile(lib) != nil || best != "" && !less(newest, v) {
			continue
		}
		best, newest = lib, v
	}
	return best
}

// parseVersion reads 1.24.4 or 1.25.0-rc1, the part behind a dash being left
// out. It returns nil for what is no version.
func parseVersion(s string) []int {
	s, _, _ = strings.Cut(s, "-")
	var v []int
	for _, part := range strings.Split(s, ".") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 {
			return nil
		}
		v = append(v, n)
	}
	return v
}

// less compares versions number by number.
func less(a, b []int) bool {
	for i := 0; i < len(a) || i < len(b); i++ {
		x, y := 0, 0
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if x != y {
			return x < y
		}
	}
	return false
}
