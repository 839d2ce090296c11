//go:build !windows

package main

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"softprompt/models/hub/hubtest"
)

// visitOf makes a visit with a Python of a habit.
func visitOf(t *testing.T, habit string) *visit {
	t.Helper()
	python, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(habitVariable, habit)
	v := newVisit(python, t.TempDir())
	t.Cleanup(v.hub.Close)
	return v
}

// quick makes locks wait no longer than a test may.
func quick(t *testing.T, wait time.Duration) {
	t.Helper()
	old := patience
	patience = wait
	t.Cleanup(func() { patience = old })
}

// printed returns what is printed while f runs.
func printed(t *testing.T, f func() error) (string, error) {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "stdout"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	stdout := os.Stdout
	defer func() { os.Stdout = stdout }()
	os.Stdout = file
	failed := f()
	text, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(text), failed
}

// What one side has downloaded costs the other no download, and offline no
// request at all.
func TestExchange(t *testing.T) {
	v := visitOf(t, "")
	said, err := printed(t, func() error { return v.exchange(t.Context()) })
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(said), "\n")
	// Two revisions have 7 files, of which the large one is the same: 6
	// downloads. What from_pretrained asks for are 3 files.
	want := []string{"6", "0", "0", "3", "0", "0", "6", "0", "0", "6", "0", "0", "0", "0"}
	if len(lines) != 1+len(want) || !strings.HasPrefix(lines[0], "cache filled by  ") {
		t.Fatalf("printed %d lines:\n%s", len(lines), said)
	}
	for i, line := range lines[1:] {
		cells := strings.Fields(line)
		numbers := cells[len(cells)-3:]
		if numbers[2] != want[i] {
			t.Errorf("want %s downloads in line %q", want[i], line)
		}
		if fills := strings.HasPrefix(line, "- "); fills != (want[i] != "0") {
			t.Errorf("line %q: who fills a cache downloads, and no other", line)
		}
		if where := cells[len(cells)-4]; where == "offline" && !slices.Equal(numbers, []string{"0", "0", "0"}) || where != "offline" && where != "online" {
			t.Errorf("line %q: requests %v", line, numbers)
		}
	}
}

// A Python that fails, says something else or does not use the cache is told
// by its step.
func TestExchangeRefuses(t *testing.T) {
	const first = "huggingface_hub, snapshot_download in the cache of python: "
	for habit, want := range map[string]string{
		"fails":     first + "running tools/reference/hub_cache.py: exit status 1",
		"silent":    first + "tools/reference/hub_cache.py printed nothing",
		"chatty":    first + `tools/reference/hub_cache.py printed "Fetching 5 files: 100%\n", want a checksum, a commit and a name`,
		"careless":  " has another content than on the hub",
		"forgetful": "huggingface_hub, snapshot_download in the cache of softprompt made requests that it should not need",
	} {
		v := visitOf(t, habit)
		_, err := printed(t, func() error { return v.exchange(t.Context()) })
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", habit, err, want)
		}
	}
}

// A file counts as the hub's under its own commit alone.
func TestCheck(t *testing.T) {
	v := visitOf(t, "")
	sum := func(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text))) }
	main, change := v.commit["main"], v.commit["refs/pr/1"]
	for _, c := range []struct {
		name, sum, commit, file string
		ok                      bool
	}{
		{"as it is", sum("{\"model_type\": \"t5\"}\n"), main, "config.json", true},
		{"of the other commit", sum("{\"model_type\": \"mt5\"}\n"), change, "config.json", true},
		{"the other commit's content", sum("{\"model_type\": \"mt5\"}\n"), main, "config.json", false},
		{"the same in both", sum("Weights, large enough to be stored apart.\n"), change, "model.safetensors", true},
		{"another file's content", sum("A model that is none.\n"), main, "config.json", false},
		{"a commit that is none", sum("A model that is none.\n"), "main", "README.md", false},
		{"capital letters", strings.ToUpper(sum("A model that is none.\n")), main, "README.md", false},
	} {
		err := v.check(c.sum, c.commit, c.file)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
		if want := c.file + " of " + c.commit; err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v does not name %s", c.name, err, want)
		}
	}
}

// A program is given this hub and this cache, and none of the settings that
// the user has for the real one.
func TestEnvironment(t *testing.T) {
	v := visitOf(t, "")
	for name, value := range map[string]string{
		"HF_TOKEN": "secret", "HF_HOME": "/elsewhere", "HF_HUB_OFFLINE": "1", "HUGGING_FACE_HUB_TOKEN": "secret",
		"HUGGINGFACE_HUB_CACHE": "/elsewhere", "TRANSFORMERS_CACHE": "/elsewhere", "MY_HF_NOTE": "kept",
	} {
		t.Setenv(name, value)
	}
	for _, offline := range []bool{false, true} {
		env := v.environment("/home", offline)
		for _, want := range []string{"MY_HF_NOTE=kept", "HF_HOME=/home", "HF_ENDPOINT=" + v.hub.URL} {
			if !slices.Contains(env, want) {
				t.Errorf("the environment lacks %s", want)
			}
		}
		if slices.Contains(env, "HF_HUB_OFFLINE=1") != offline {
			t.Errorf("offline %v: %v", offline, env)
		}
		for _, pair := range env {
			if strings.Contains(pair, "secret") || strings.Contains(pair, "/elsewhere") {
				t.Errorf("the user's %s is passed on", pair)
			}
		}
	}
}

// Each side waits while the other has the lock, and both end well.
func TestLocks(t *testing.T) {
	quick(t, 200*time.Millisecond)
	v := visitOf(t, "")
	said, err := printed(t, func() error { return v.locks(t.Context()) })
	if want := "softprompt waits while huggingface_hub has a file's lock\nhuggingface_hub waits while softprompt downloads a file, and then uses it\n"; err != nil || said != want {
		t.Errorf("said %q, %v", said, err)
	}
}

// Whoever does not wait, or downloads what the other has just brought, is
// found out, and the visit ends.
func TestLocksRefuse(t *testing.T) {
	for habit, c := range map[string]struct {
		wait time.Duration
		want string
	}{
		"lockless": {time.Second, "huggingface_hub does not lock: it said \"this file system has no locks\\n\""},
		"silent":   {time.Second, "huggingface_hub does not lock: it said \"\"\nEOF"},
		"careless": {time.Second, "softprompt did not wait for Python's lock"},
		"hasty":    {time.Second, "huggingface_hub did not wait for our lock"}, // ends before the second does
		"wasteful": {100 * time.Millisecond, "huggingface_hub downloaded what we had: 1 downloads"},
	} {
		quick(t, c.wait)
		v := visitOf(t, habit)
		_, err := printed(t, func() error {
			defer v.hub.Close() // must not wait for an answer that is held up
			return v.locks(t.Context())
		})
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "%!") {
			t.Errorf("%s: error %v, want %q", habit, err, c.want)
		}
	}
}

// A hub that fails before a download begins ends the wait for it.
func TestLocksWithoutDownload(t *testing.T) {
	quick(t, 200*time.Millisecond)
	v := visitOf(t, "")
	lists := 0
	v.hub.Break("list", "", -1, func(w http.ResponseWriter, r *http.Request, serve http.Handler) {
		if lists++; lists > 2 { // those under Python's lock and after it
			hubtest.Status(http.StatusNotFound)(w, r, serve)
			return
		}
		serve.ServeHTTP(w, r)
	})
	_, err := printed(t, func() error { return v.locks(t.Context()) })
	if err == nil || !strings.Contains(err.Error(), "softprompt did not come to its download\n") {
		t.Errorf("error %v", err)
	}
}

// A held answer is given after its release, and not before.
func TestHold(t *testing.T) {
	h := hubtest.New()
	defer h.Close()
	h.Add(repo, map[string]string{"README.md": "Read me.\n"})
	held, release, answer := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	h.Break("get", "", 1, hold(held, release))
	go func() {
		resp, err := http.Get(h.URL + "/" + repo + "/resolve/main/README.md")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				err = fmt.Errorf("status %s", resp.Status)
			}
		}
		answer <- err
	}()
	<-held
	select {
	case err := <-answer:
		t.Fatalf("answered while it was held: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(release)
	if err := <-answer; err != nil {
		t.Error(err)
	}
}
