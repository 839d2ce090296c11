package tune

import (
	"os"
	"strconv"
	"strings"
)

// memory returns the bytes of memory that the process has resident, 0 where
// the system does not say. On Linux it reads /proc/self/status.
func memory() int64 { return procStatus("VmRSS:") }

// buffers returns the part of it that is no file's.
func buffers() int64 { return procStatus("RssAnon:") }

// PeakMemory returns the most memory that the process had resident at any
// time, 0 where the system does not say.
func PeakMemory() int64 { return procStatus("VmHWM:") }

// totalMemory returns the bytes of memory that the process may have: the
// machine's, or its container's where that allows less; 0 where the system
// does not say. It is the same from run to run, whatever else takes memory.
func totalMemory() int64 {
	total := procFile("/proc/meminfo", "MemTotal:")
	if data, err := os.ReadFile("/sys/fs/cgroup/memory.max"); err == nil {
		if limit, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64); err == nil && limit < total {
			return limit
		}
	}
	return total
}

func procStatus(key string) int64 { return procFile("/proc/self/status", key) }

// procFile reads a number of KiB from a file that has one a line, and returns
// it in bytes.
func procFile(path, key string) int64 {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, key); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			if err != nil {
				return 0
			}
			return kib << 10
		}
	}
	return 0
}
