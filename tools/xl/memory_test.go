package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// status is a process as Linux 6.1 shows it, shortened.
const status = `Name:	xl
Umask:	0022
State:	R (running)
VmPeak:	 9123456 kB
VmSize:	 9000000 kB
VmHWM:	  812345 kB
VmRSS:	  700000 kB
RssAnon:	  123456 kB
RssFile:	  576544 kB
RssShmem:	       0 kB
Threads:	9
SigQ:	0/94621
Cpus_allowed_list:	0-1
`

// Memory is what the two lines say, in bytes, and an error where one of them
// says nothing.
func TestParseMemory(t *testing.T) {
	for name, c := range map[string]struct {
		old, new            string // changed in the status
		anonymous, resident int64  // 0 where it is refused
	}{
		"as it is":                {"", "", 123456 << 10, 700000 << 10},
		"blanks in other places":  {"RssAnon:\t  123456 kB", "RssAnon:7 kB  ", 7 << 10, 700000 << 10},
		"the lines in a row":      {"VmRSS:	  700000 kB\nRssAnon:	  123456 kB", "RssAnon: 1 kB\nVmRSS: 2 kB", 1 << 10, 2 << 10},
		"of Windows":              {"\n", "\r\n", 123456 << 10, 700000 << 10},
		"no anonymous memory":     {"RssAnon", "RssNone", 0, 0},
		"a longer name":           {"VmRSS", "VmRSSX", 0, 0},
		"a kernel without limits": {"VmRSS:	  700000 kB\n", "", 0, 0},
		"another unit":            {"700000 kB", "700 MB", 0, 0},
		"no number":               {"123456", "12345 6", 0, 0},
		"too large a number":      {"123456", "99999999999999999999", 0, 0},
		"nothing":                 {status, "", 0, 0},
	} {
		text := status
		if c.old != "" {
			text = strings.ReplaceAll(text, c.old, c.new)
		}
		anonymous, resident, err := parseMemory(text)
		if anonymous != c.anonymous || resident != c.resident || (err == nil) != (c.resident > 0) {
			t.Errorf("%s: %d and %d bytes, %v; want %d and %d", name, anonymous, resident, err, c.anonymous, c.resident)
		}
		if err != nil && err.Error() != "/proc/self/status has no VmRSS and RssAnon" {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// Phases follow each other: each has its own time, which stands still once the
// next one has begun, and what is seen before the first belongs to none.
func TestWatcherPhases(t *testing.T) {
	w, err := watch()
	if err != nil {
		t.Fatal(err)
	}
	w.look()
	began := time.Now()
	var after []float64
	for _, name := range []string{"one", "two", "three"} {
		w.phase(name)
		time.Sleep(8 * time.Millisecond)
		w.end()
		after = append(after, w.phases[len(w.phases)-1].Seconds)
	}
	phases, err := w.close()
	all := time.Since(began).Seconds()
	if err != nil || len(phases) != 3 {
		t.Fatalf("%+v, %v", phases, err)
	}
	sum := 0.0
	for i, name := range []string{"one", "two", "three"} {
		p := phases[i]
		if p.Name != name || p.Seconds < 0.008 || p.Seconds != after[i] || p.Anonymous <= 0 {
			t.Errorf("phase %+v, its time was %v when it ended", p, after[i])
		}
		sum += p.Seconds
	}
	if sum > all {
		t.Errorf("phases of %v s together in %v s", sum, all)
	}
}

// A look that failed is told at the end.
func TestWatcherError(t *testing.T) {
	w, err := watch()
	if err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	w.err = errors.New("too many open files")
	w.mu.Unlock()
	w.phase("one")
	if phases, err := w.close(); err == nil || err.Error() != "too many open files" || len(phases) != 1 {
		t.Errorf("%v, %v", phases, err)
	}
}

// The peak has the most of each kind, from whichever phase.
func TestPeak(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var o outcome
		for range rapid.IntRange(0, 6).Draw(t, "phases") {
			o.Phases = append(o.Phases, phase{Anonymous: rapid.Int64Range(0, 50).Draw(t, "anonymous"), Resident: rapid.Int64Range(0, 50).Draw(t, "resident")})
		}
		peak, reached := o.peak(), [2]bool{len(o.Phases) == 0, len(o.Phases) == 0}
		for _, p := range o.Phases {
			if p.Anonymous > peak.Anonymous || p.Resident > peak.Resident {
				t.Fatalf("peak %+v of %+v", peak, o.Phases)
			}
			reached[0] = reached[0] || p.Anonymous == peak.Anonymous
			reached[1] = reached[1] || p.Resident == peak.Resident
		}
		if reached != [2]bool{true, true} {
			t.Fatalf("no phase of %+v reaches %+v", o.Phases, peak)
		}
	})
}
