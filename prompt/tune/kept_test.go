package tune

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestKeptPasses finds what was added under its key, and nothing in a file
// that is none of ours or damaged.
func TestKeptPasses(t *testing.T) {
	k := keptPasses{filepath.Join(t.TempDir(), "new", "passes.json")}
	a, b := passesKey{Processor: "this", Batch: 32}, passesKey{Processor: "that", Batch: 32}
	if p, ok := k.find(a); ok {
		t.Errorf("found %+v in no file", p)
	}
	for key, p := range map[passesKey]Passes{a: {MicroBatch: 4, Workers: 2}, b: {MicroBatch: 8, Workers: 1}} {
		if err := k.add(key, p); err != nil {
			t.Fatal(err)
		}
	}
	for key, want := range map[passesKey]Passes{a: {MicroBatch: 4, Workers: 2}, b: {MicroBatch: 8, Workers: 1}} {
		if got, ok := k.find(key); !ok || got != want {
			t.Errorf("%+v: %+v, %v, want %+v", key, got, ok, want)
		}
	}
	// What was found first stays: runs that are repeated find it again.
	if err := k.add(a, Passes{MicroBatch: 1, Workers: 1}); err != nil {
		t.Fatal(err)
	}
	if got, _ := k.find(a); got.MicroBatch != 4 {
		t.Errorf("a second finding: %+v", got)
	}
	other := a
	other.Precision = "int8"
	if got, ok := k.find(other); ok {
		t.Errorf("another precision: %+v", got)
	}

	good, err := os.ReadFile(k.path)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{
		"cut":             string(good[:len(good)/2]),
		"empty":           "",
		"another version": strings.Replace(string(good), `"version": 1`, `"version": 2`, 1),
		"no such file":    `[1, 2]`,
		"senseless":       strings.ReplaceAll(strings.ReplaceAll(string(good), `"micro_batch": 4`, `"micro_batch": -4`), `"micro_batch": 1`, `"micro_batch": 0`),
	} {
		if data == string(good) {
			t.Fatalf("%s: the test changes nothing", name)
		}
		if err := os.WriteFile(k.path, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
		if got, ok := k.find(a); ok {
			t.Errorf("%s: found %+v", name, got)
		}
		if err := k.add(b, Passes{MicroBatch: 2, Workers: 2}); err != nil {
			t.Errorf("%s: adding: %v", name, err)
		}
		if _, ok := k.find(b); !ok {
			t.Errorf("%s: nothing is found after adding", name)
		}
	}
}

// TestKeptPassesBounded drops the oldest.
func TestKeptPassesBounded(t *testing.T) {
	k := keptPasses{filepath.Join(t.TempDir(), "passes.json")}
	for i := range keptMost + 3 {
		if err := k.add(passesKey{Batch: i}, Passes{MicroBatch: 1, Workers: 1}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(k.read()); n != keptMost {
		t.Errorf("%d entries, want %d", n, keptMost)
	}
	if _, ok := k.find(passesKey{Batch: 2}); ok {
		t.Error("the oldest is still there")
	}
	if _, ok := k.find(passesKey{Batch: keptMost + 2}); !ok {
		t.Error("the newest is not there")
	}
}

// TestKeptIn takes the cache that is given, else softprompt's own; a place that
// cannot be written is an error of add alone.
func TestKeptIn(t *testing.T) {
	t.Setenv("SOFTPROMPT_CACHE", "/own")
	for given, want := range map[string]string{"/given": "/given/passes.json", "": "/own/passes.json"} {
		if k, err := keptIn(given); err != nil || k.path != want {
			t.Errorf("%q: %s, %v", given, k.path, err)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	k := keptPasses{filepath.Join(file, "passes.json")}
	if _, ok := k.find(passesKey{}); ok {
		t.Error("something was found below a file")
	}
	if err := k.add(passesKey{}, Passes{MicroBatch: 1, Workers: 1}); err == nil {
		t.Error("something was kept below a file")
	}
}

func TestMachine(t *testing.T) {
	if processor() == "" {
		t.Error("the processor has no name")
	}
	total := totalMemory()
	if now := memory(); now > 0 && total < now {
		t.Errorf("%d bytes of %d are in use", now, total)
	}
	path := filepath.Join(t.TempDir(), "info")
	if err := os.WriteFile(path, fmt.Appendf(nil, "MemTotal:       %d kB\nMemFree: x kB\n", 3), 0o644); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]int64{"MemTotal:": 3 << 10, "MemFree:": 0, "MemLost:": 0} {
		if got := procFile(path, key); got != want {
			t.Errorf("%s %d, want %d", key, got, want)
		}
	}
	if got := procFile(path+"x", "MemTotal:"); got != 0 {
		t.Errorf("a file that is not there: %d", got)
	}
}
