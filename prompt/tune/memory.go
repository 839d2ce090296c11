package tune

import (
	"os"
	"strconv"
	"strings"
)

// memory returns the bytes of memory that the process has resident, 0 where
// the system does not say. On Linux it reads /proc/self/status.
func memory() int64 { return procStatus("VmRSS:") }

// PeakMemory returns the most memory that the process had resident at any
// time, 0 where the system does not say.
func PeakMemory() int64 { return procStatus("VmHWM:") }

func procStatus(key string) int64 {
	data, err := os.ReadFile("/proc/self/status")
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
