package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// said is what a call of softprompt left behind.
type said struct {
	code           int
	stdout, stderr string
}

// call runs softprompt in this process. Environment and cache are those of the
// test: call [useCache] first.
func call(t *testing.T, stdin string, args ...string) said {
	t.Helper()
	var out, err bytes.Buffer
	code := run(args, strings.NewReader(stdin), &out, &err)
	return said{code, out.String(), err.String()}
}

// succeed is a call that must end well.
func succeed(t *testing.T, stdin string, args ...string) said {
	t.Helper()
	s := call(t, stdin, args...)
	if s.code != exitOK {
		t.Fatalf("softprompt %s: exit code %d\n%s", strings.Join(args, " "), s.code, s.stderr)
	}
	return s
}

// result is a call with --json, whose output is read into v to the last field.
func result(t *testing.T, v any, args ...string) {
	t.Helper()
	s := succeed(t, "", append(args, "--json", "--quiet")...)
	d := json.NewDecoder(strings.NewReader(s.stdout))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		t.Fatalf("softprompt %s: %v in\n%s", strings.Join(args, " "), err, s.stdout)
	}
	if d.More() {
		t.Errorf("softprompt %s: more than one value in\n%s", strings.Join(args, " "), s.stdout)
	}
}

// useCache gives the calls of a test a cache of their own, and the data and
// settings of a run of a second.
func useCache(t *testing.T) (data, settings string) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("SOFTPROMPT_CACHE", filepath.Join(dir, "cache"))
	data, settings = filepath.Join(dir, "data"), filepath.Join(dir, "small.yaml")
	writeData(t, data, 96, 24)
	if err := os.WriteFile(settings, []byte(smallSettings(data)), 0o644); err != nil {
		t.Fatal(err)
	}
	return data, settings
}

// TestCodes: what a call means to the shell, and what it says on stderr.
func TestCodes(t *testing.T) {
	useCache(t)
	empty := t.TempDir()
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"version"}, exitOK, ""},
		{[]string{"tasks", "list"}, exitOK, ""},
		{[]string{"tasks", "show", "sst3"}, exitFailure, `error: no task named "sst3"`},
		{[]string{"tasks", "show", "sst2", "--data", empty}, exitFailure, empty},
		{[]string{"tasks", "show", "sst2", "--model", empty}, exitFailure, "config.json"},
		{[]string{"tasks", "shw"}, exitUsage, "unexpected argument shw"},
		{[]string{"models", "show", empty}, exitFailure, "config.json"},
		{[]string{"inspect", empty}, exitFailure, empty},
		{[]string{"inspect", empty, "--top=-1"}, exitUsage, "--top is -1, want 0 or more"},
		{[]string{"generate", empty, "--beams", "0", "x"}, exitUsage, "--beams must be 1 or more"},
		{[]string{"generate", empty, "--alpha=-1", "x"}, exitUsage, "--alpha not negative"},
		{[]string{"predict", empty, "--device", "tpu", "x"}, exitUsage, "tpu"},
		{[]string{"predict", empty, "--device", "cuda:x", "x"}, exitUsage, "cuda:x"},
		{[]string{"doctor", "--device", "tpu"}, exitUsage, "tpu"},
		{[]string{"export", empty, "--out", filepath.Join(empty, "x")}, exitFailure, "config.json"},
		{[]string{"export", "tiny", "--out", "x", "--graph", "train,scores"}, exitUsage, "scores"},
		{[]string{"export", "tiny", "--out", "x", "--ops", "all"}, exitUsage, "--ops must be one of"},
		{[]string{"grad", "x.onnx", "--loss", "y", "--out", "z"}, exitUsage, "missing flags: --wrt=NAME"},
		{[]string{"train", "--task", "sst2", "--out", "x", "--batch", "0"}, exitUsage, "--batch is 0, want at least 1"},
		{[]string{"train", "--task", "sst2", "--out", "x", "--loss", "words"}, exitUsage, `--loss is "words", want sum, mean or labels`},
		{[]string{"train", "--task", "sst2", "--out", "x", "--schedule", "sine"}, exitUsage, "sine"},
		{[]string{"train", "--resume", empty, "--steps", "5"}, exitUsage, "--resume goes on with the settings of the run and takes no others"},
		{[]string{"train", "--resume", empty, "--dry-run"}, exitUsage, "takes no others"},
		{[]string{"train", "--resume", empty}, exitFailure, "there is no config.yaml"},
		{[]string{"eval", empty, "--decode", "words"}, exitUsage, "--decode must be one of"},
	} {
		s := call(t, "", c.args...)
		if s.code != c.code || !strings.Contains(s.stderr, c.says) {
			t.Errorf("softprompt %s: code %d, %q; want %d and %q", strings.Join(c.args, " "), s.code, s.stderr, c.code, c.says)
		}
		errors, hints := strings.Count(s.stderr, "softprompt: error: "), strings.Count(s.stderr, "softprompt: hint: ")
		if want := min(c.code, 1); errors != want || hints != want {
			t.Errorf("softprompt %s: %d errors with %d hints:\n%s", strings.Join(c.args, " "), errors, hints, s.stderr)
		}
		if c.code != exitOK && s.stdout != "" && s.code != exitUsage && c.args[0] != "doctor" {
			t.Errorf("softprompt %s failed and printed %q", strings.Join(c.args, " "), s.stdout)
		}
	}
	if left, _ := filepath.Glob("x*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestVersion says what the linker stamped.
func TestVersion(t *testing.T) {
	defer func(v string) { version = v }(version)
	version = "v1.2.3"
	if s := succeed(t, "", "version"); !strings.HasPrefix(s.stdout, "softprompt v1.2.3 (go1.") {
		t.Errorf("printed %q", s.stdout)
	}
	var got struct{ Version, Go, Platform string }
	result(t, &got, "version")
	if got.Version != "v1.2.3" || !strings.HasPrefix(got.Go, "go1.") || !strings.Contains(got.Platform, "/") {
		t.Errorf("version %+v", got)
	}
	version = ""
	if v := programVersion(); v == "" || v == "v1.2.3" {
		t.Errorf("without a stamp the version is %q", v)
	}
	if v := moduleVersion("no/such/module"); v != "unknown" {
		t.Errorf("a module that is not there has version %q", v)
	}
}
