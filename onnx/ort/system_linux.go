package ort

import (
	"os"
	"path/filepath"
	"strings"
)

// libraryName is the file name of ONNX Runtime, without a version.
const libraryName = "libonnxruntime.so"

// physicalCores counts the cores that the system lists: each has one list of
// the threads that share it. 0 means unknown.
func physicalCores() int { return countCores("/sys/devices/system/cpu") }

func countCores(root string) int {
	files, _ := filepath.Glob(filepath.Join(root, "cpu[0-9]*", "topology", "thread_siblings_list"))
	cores := map[string]bool{}
	for _, f := range files {
		if b, err := os.ReadFile(f); err == nil {
			cores[strings.TrimSpace(string(b))] = true
		}
	}
	return len(cores)
}
