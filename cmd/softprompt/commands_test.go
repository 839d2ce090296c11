package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// commands are what the scripts can do beyond testscript's own.
var commands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"fails":      fails,
	"eventually": eventually,
	"shorten":    shorten,
	"disturb":    disturb,
	"edit":       edit,
	"whole":      whole,
}

// fails CODE PROGRAM ARGS… runs a program that must exit with the code and say
// why in one line, with one hint, as bad input is answered. Its stderr can be
// looked at as after exec.
func fails(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: fails CODE PROGRAM ARGS…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != want {
		ts.Fatalf("%s ended with %v, want exit code %d", args[1], err, want)
	}
	var wrong []string
	said := map[string]int{}
	for line := range strings.Lines(ts.ReadFile("stderr")) {
		if !strings.HasPrefix(line, "softprompt: ") {
			wrong = append(wrong, line)
		}
		for _, kind := range []string{"error", "hint"} {
			if text, ok := strings.CutPrefix(line, "softprompt: "+kind+": "); ok && len(text) > 10 {
				said[kind]++
			}
		}
	}
	if len(wrong) > 0 || said["error"] != 1 || said["hint"] != 1 {
		ts.Fatalf("want one error and one hint, got %v, and nothing else, got %q", said, wrong)
	}
}

// eventually FILE waits until a file is there.
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: eventually FILE")
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
	}
	ts.Fatalf("%s did not come", args[0])
}

// shorten FILE BYTES cuts the end of a file off.
func shorten(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: shorten FILE BYTES")
	}
	n, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(os.Truncate(ts.MkAbs(args[0]), info.Size()-n))
}

// disturb FILE makes another model of a safetensors file in bfloat16: a bit of
// every number is turned over, the shapes stay.
func disturb(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: disturb FILE")
	}
	path := ts.MkAbs(args[0])
	data, err := os.ReadFile(path)
	ts.Check(err)
	header := int(data[0]) | int(data[1])<<8 | int(data[2])<<16
	for i := 8 + header; i < len(data); i += 2 {
		data[i] ^= 0x40
	}
	ts.Check(os.WriteFile(path, data, 0o644))
}

// edit FILE OLD NEW replaces a text that must be there.
func edit(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: edit FILE OLD NEW")
	}
	path := ts.MkAbs(args[0])
	data, err := os.ReadFile(path)
	ts.Check(err)
	if !bytes.Contains(data, []byte(args[1])) {
		ts.Fatalf("%s has no %q", args[0], args[1])
	}
	ts.Check(os.WriteFile(path, bytes.Replace(data, []byte(args[1]), []byte(args[2]), 1), 0o644))
}

// whole DIR… checks that no file in the folders is half written. A folder that
// is not there has none.
func whole(ts *testscript.TestScript, neg bool, args []string) {
	for _, dir := range args {
		filepath.WalkDir(ts.MkAbs(dir), func(path string, d fs.DirEntry, err error) error {
			if err == nil && strings.Contains(filepath.Base(path), ".tmp-") {
				ts.Fatalf("%s was left behind", path)
			}
			return nil
		})
	}
}
