package ort

import "runtime"

// Threads returns the number of threads that a session uses unless told
// otherwise: the physical cores, since two threads of one core share the
// arithmetic units that matrix products fill, but no more than the process
// may use by its affinity or its container's limit.
func Threads() int {
	n := runtime.GOMAXPROCS(0)
	if cores := physicalCores(); cores > 0 && cores < n {
		return cores
	}
	return n
}
