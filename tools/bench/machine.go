package main

import (
	"os"
	"regexp"
	"runtime"
	"strings"
)

// machine says what a result was measured on, without its name.
type machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Memory int64  `json:"memory_bytes"`
	OS     string `json:"os"`
	// Features has the instruction sets that matrix kernels choose by.
	Features []string `json:"features,omitempty"`
}

// interesting are the names in /proc/cpuinfo of what kernels choose by.
var interesting = regexp.MustCompile(`^(avx2|fma|avx512f|avx512_bf16|avx512_vnni|avx_vnni|amx_tile|amx_bf16|amx_int8|asimd|bf16|sve|i8mm)$`)

func thisMachine() machine {
	m := machine{Cores: runtime.NumCPU(), OS: runtime.GOOS + "/" + runtime.GOARCH}
	info, _ := os.ReadFile("/proc/cpuinfo")
	m.CPU, m.Features = parseCPU(string(info))
	if sizes, err := readKB("/proc/meminfo"); err == nil {
		m.Memory = sizes["MemTotal"]
	}
	return m
}

// parseCPU reads the name and the instruction sets of the first processor.
func parseCPU(info string) (name string, features []string) {
	for line := range strings.Lines(info) {
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch strings.TrimSpace(key) {
		case "model name":
			name = value
		case "flags", "Features":
			for _, f := range strings.Fields(value) {
				if interesting.MatchString(f) {
					features = append(features, f)
				}
			}
			return name, features
		}
	}
	return name, features
}

var (
	marks = regexp.MustCompile(`(?i)\((r|tm|c)\)|@.*|\b(cpu|processor)\b|\d+-core\b`)
	gaps  = regexp.MustCompile(`[^a-z0-9]+`)
)

// slug is the processor's name for a file's: "Intel(R) Xeon(R) Gold 6230 CPU @
// 2.10GHz" gives intel-xeon-gold-6230.
func (m machine) slug() string {
	s := gaps.ReplaceAllString(strings.ToLower(marks.ReplaceAllString(m.CPU, " ")), "-")
	if s = strings.Trim(s, "-"); s == "" {
		return strings.ReplaceAll(m.OS, "/", "-")
	}
	return s
}
