package main

import (
	"os"
	"runtime"
	"slices"
	"testing"
)

func TestSlug(t *testing.T) {
	for _, test := range []struct{ cpu, want string }{
		{"Intel(R) Xeon(R) Processor", "intel-xeon"},
		{"Intel(R) Xeon(R) Gold 6230 CPU @ 2.10GHz", "intel-xeon-gold-6230"},
		{"AMD EPYC 7B13 64-Core Processor", "amd-epyc-7b13"},
		{"Neoverse-N1", "neoverse-n1"},
		{"", "linux-arm64"},
		{"../../x", "x"},
	} {
		if got := (machine{CPU: test.cpu, OS: "linux/arm64"}).slug(); got != test.want {
			t.Errorf("slug of %q is %q, want %q", test.cpu, got, test.want)
		}
	}
}

func TestParseCPU(t *testing.T) {
	name, features := parseCPU("processor\t: 0\nmodel name\t: A 1: fast\nflags\t\t: fpu sse avx2 fma avx512f amx_tile\n\nprocessor\t: 1\nmodel name\t: B\n")
	if name != "A 1: fast" || !slices.Equal(features, []string{"avx2", "fma", "avx512f", "amx_tile"}) {
		t.Errorf("got %q %q", name, features)
	}
	if name, features := parseCPU(""); name != "" || features != nil {
		t.Errorf("nothing gives %q %q", name, features)
	}
}

func TestParseKB(t *testing.T) {
	got := parseKB("Name:\tbench\nVmHWM:\t   2048 kB\nThreads:\t3\nAnonymous: x kB\nRss: 1 kB\n")
	if len(got) != 2 || got["VmHWM"] != 2<<20 || got["Rss"] != 1<<10 {
		t.Errorf("got %v", got)
	}
}

func TestMemoryOf(t *testing.T) {
	m, err := memoryOf("self")
	if runtime.GOOS != "linux" {
		if err == nil {
			t.Errorf("memory %+v where there is no /proc", m)
		}
		return
	}
	if err != nil || m.Anonymous < 1<<20 || m.File < 1<<20 || m.Anonymous+m.File != m.Resident {
		t.Errorf("got %+v, %v", m, err)
	}
	ballast := make([]byte, 64<<20)
	for i := 0; i < len(ballast); i += 4096 {
		ballast[i] = 1
	}
	grown, err := memoryOf("self")
	if err != nil || grown.Peak < 64<<20 || grown.Peak < m.Peak {
		t.Errorf("with 64 MiB more: %+v after %+v, %v", grown, m, err)
	}
	if before := restartPeak(os.Getpid()); before < grown.Peak {
		t.Errorf("the peak was %d, now it is said to be %d", grown.Peak, before)
	}
	runtime.KeepAlive(ballast)
	if _, err := memoryOf("0"); err == nil {
		t.Error("there is no process 0")
	}
}
