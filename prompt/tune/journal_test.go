package tune

import (
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestJournal keeps what it is told to keep of a file, and adds lines to it.
func TestJournal(t *testing.T) {
	for _, c := range []struct {
		before string // what the file has; "" is no file
		keep   int64
		want   string
	}{
		{"", 0, "{\"a\":1}\n"},
		{"{\"a\":0}\n", 8, "{\"a\":0}\n{\"a\":1}\n"},
		{"{\"a\":0}\n{\"a\":", 8, "{\"a\":0}\n{\"a\":1}\n"},
		{"{\"a\":0}\n", 0, "{\"a\":1}\n"},
	} {
		path := filepath.Join(t.TempDir(), "log")
		if c.before != "" {
			if err := os.WriteFile(path, []byte(c.before), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		j, err := openJournal(path, c.keep)
		if err != nil {
			t.Fatal(err)
		}
		if err := j.add(map[string]int{"a": 1}); err != nil {
			t.Fatal(err)
		}
		if err := j.sync(); err != nil {
			t.Fatal(err)
		}
		if j.size != int64(len(c.want)) {
			t.Errorf("%q: it counts %d bytes, want %d", c.before, j.size, len(c.want))
		}
		if err := j.close(); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != c.want {
			t.Errorf("%q with %d kept: %q, %v, want %q", c.before, c.keep, got, err, c.want)
		}
	}
}

// TestJournalFails names the file in every error, and counts no byte that was
// not written.
func TestJournalFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	j, err := openJournal(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	fails := func(what string, err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v, want one with the file's name", what, err)
		}
	}
	fails("a loss that JSON cannot say", j.add(stepLine{Loss: math.NaN()}))
	if j.size != 0 {
		t.Errorf("it counts %d bytes", j.size)
	}
	j.close()
	fails("writing to a closed file", j.add(1))
	fails("syncing a closed file", j.sync())
	if j.size != 0 {
		t.Errorf("it counts %d bytes of a file that is closed", j.size)
	}
	_, err = openJournal(path, 1)
	fails("a file that lost a byte", err)
	if !strings.Contains(err.Error(), "it has 0 bytes, the saved state knows of 1") {
		t.Errorf("error %v", err)
	}
	path = t.TempDir()
	_, err = openJournal(path, 0)
	fails("a folder", err)
}

// TestOpenLogsFails for each of the three files.
func TestOpenLogsFails(t *testing.T) {
	for _, name := range []string{MetricsFile, TimingFile, "events.out.tfevents.1.softprompt"} {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if _, err := openLogs(dir, logSizes{}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is a folder: error %v", name, err)
		}
	}
}

// TestMemory: the peak is above what is resident, and grows with what is used.
func TestMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		if memory() != 0 || PeakMemory() != 0 {
			t.Errorf("memory %d, peak %d of a system that does not say", memory(), PeakMemory())
		}
		return
	}
	before := memory()
	if before < 1<<20 || PeakMemory() < before/2 {
		t.Errorf("memory %d, peak %d", before, PeakMemory())
	}
	const size = 64 << 20
	used := make([]byte, size)
	for i := 0; i < len(used); i += 4096 {
		used[i] = 1
	}
	if after := memory(); after < size || PeakMemory() < after {
		t.Errorf("with %d bytes in use: memory %d, peak %d", size, after, PeakMemory())
	}
	runtime.KeepAlive(used)
	if n := procStatus("NoSuchKey:"); n != 0 {
		t.Errorf("a key that is not there has %d", n)
	}
	if n := procStatus("Name:"); n != 0 {
		t.Errorf("a key that is no size has %d", n)
	}
}
