package ort

import "syscall"

// libraryName is the file name of ONNX Runtime, without a version.
const libraryName = "libonnxruntime.dylib"

// physicalCores asks the system; 0 means unknown.
func physicalCores() int {
	n, err := syscall.SysctlUint32("hw.physicalcpu")
	if err != nil {
		return 0
	}
	return int(n)
}
