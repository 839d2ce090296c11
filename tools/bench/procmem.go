package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// memoryOf reads what the Linux kernel counts for a process ("self" or a
// number): the highest resident size, and the present one split into anonymous
// pages and pages of mapped files. Weights that are used in place are mapped.
func memoryOf(pid string) (memory, error) {
	status, err := readKB("/proc/" + pid + "/status")
	if err != nil {
		return memory{}, err
	}
	rollup, err := readKB("/proc/" + pid + "/smaps_rollup")
	if err != nil {
		return memory{}, err
	}
	return memory{
		Peak:      status["VmHWM"],
		Resident:  rollup["Rss"],
		Anonymous: rollup["Anonymous"],
		File:      rollup["Rss"] - rollup["Anonymous"],
	}, nil
}

// readKB reads the lines "name: n kB" of a file of /proc, in bytes.
func readKB(path string) (map[string]int64, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading what memory a process takes, which works on Linux alone: %w", err)
	}
	return parseKB(string(data)), nil
}

func parseKB(text string) map[string]int64 {
	sizes := map[string]int64{}
	for line := range strings.Lines(text) {
		name, rest, ok := strings.Cut(line, ":")
		number, isSize := strings.CutSuffix(strings.TrimSpace(rest), " kB")
		if n, err := strconv.ParseInt(number, 10, 64); ok && isSize && err == nil {
			sizes[name] = n << 10
		}
	}
	return sizes
}

// restartPeak returns the highest resident size of a process so far and has
// the kernel count it anew. Where that is not allowed the count goes on, and
// later peaks include what loading took.
func restartPeak(pid int) int64 {
	dir := fmt.Sprintf("/proc/%d/", pid)
	status, err := readKB(dir + "status")
	if err != nil {
		return 0
	}
	os.WriteFile(dir+"clear_refs", []byte("5"), 0)
	return status["VmHWM"]
}
