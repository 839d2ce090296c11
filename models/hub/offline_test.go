package hub

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"softprompt/models/hub/hubtest"
)

// Offline, a whole snapshot is used and no request is made.
func TestOffline(t *testing.T) {
	h, c := start(t)
	c.Offline = true
	_, err := c.Snapshot(t.Context(), Ref{Repo: repo}, nil)
	wantError(t, err, "google/t5-test", "not in the cache", "hint:HF_HUB_OFFLINE")
	if !errors.Is(err, ErrNotCached) {
		t.Error(err)
	}
	if left := files(t, c.CacheDir); left != nil {
		t.Errorf("left: %v", left)
	}

	c.Offline = false
	online := snapshot(t, c, repo)
	h.Counts()
	c.Offline = true
	for _, ref := range []string{repo, repo + "@main", repo + "@" + online.Commit} {
		snap := snapshot(t, c, ref)
		holds(t, snap, model)
		if snap.Dir != online.Dir {
			t.Errorf("%s is %s, wanted %s", ref, snap.Dir, online.Dir)
		}
	}
	for _, ref := range []string{repo + "@v2", repo + "@" + strings.Repeat("a", 40), "google/other"} {
		_, err = c.Snapshot(t.Context(), parse(t, ref), nil)
		wantError(t, err, ref, "not in the cache", "hint:HF_HUB_OFFLINE")
	}
	counts(t, h, "")
}

// A snapshot with some of its files is not taken for whole: what is missing
// is known from the list of all files, which is kept.
func TestPartlyCached(t *testing.T) {
	h, c := start(t)
	snap, err := c.Snapshot(t.Context(), Ref{Repo: repo}, only("config.json"))
	if err != nil {
		t.Fatal(err)
	}
	offline := *c
	offline.Offline = true
	_, err = offline.Snapshot(t.Context(), Ref{Repo: repo}, only("config.json", "model.safetensors"))
	wantError(t, err, "not in the cache: model.safetensors", "hint:HF_HUB_OFFLINE")
	if _, err := offline.Snapshot(t.Context(), Ref{Repo: repo}, only("config.json")); err != nil {
		t.Error(err)
	}

	// The commit's list is kept, so only the file is asked for.
	h.Counts()
	if _, err = c.Snapshot(t.Context(), parse(t, repo+"@"+snap.Commit), only("config.json", "model.safetensors")); err != nil {
		t.Error(err)
	}
	counts(t, h, "head 1, redirect 1, storage 1")

	// Without it, as in a cache that an older program filled, choose gets
	// what is there; online, a commit's list is asked for.
	if err := os.RemoveAll(filepath.Join(c.CacheDir, "models--google--t5-test", "trees")); err != nil {
		t.Fatal(err)
	}
	_, err = offline.Snapshot(t.Context(), Ref{Repo: repo}, func(names []string) ([]string, error) {
		if got := strings.Join(names, " "); got != "config.json model.safetensors" {
			t.Errorf("chosen from %s", got)
		}
		return nil, errors.New("no tokenizer")
	})
	wantError(t, err, "in what is cached of it: no tokenizer", "hint:HF_HUB_OFFLINE")
	holds(t, snapshot(t, c, repo+"@"+snap.Commit), model)
	counts(t, h, "list 1, head 3, redirect 2, get 1, storage 1")
	snapshot(t, c, repo+"@"+snap.Commit)
	counts(t, h, "")
}

// A file that lost its content, or some of it, is downloaded again.
func TestDamaged(t *testing.T) {
	h, c := start(t)
	snap := snapshot(t, c, repo)
	blob, err := filepath.EvalSymlinks(filepath.Join(snap.Dir, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func() error{
		"blob removed":    func() error { return os.Remove(blob) },
		"blob cut":        func() error { return os.Truncate(blob, 1000) },
		"symlink removed": func() error { return os.Remove(filepath.Join(snap.Dir, "model.safetensors")) },
		"list not JSON":   func() error { return os.WriteFile(tree1(c, snap), []byte("{"), 0o644) },
		"list of v2":      func() error { return os.WriteFile(tree1(c, snap), []byte(`{"format_version": 2}`), 0o644) },
		"list with no ids": func() error {
			return os.WriteFile(tree1(c, snap), []byte(`{"format_version":1,"files":{"x":{}}}`), 0o644)
		},
		"ref empty": func() error { return os.WriteFile(filepath.Join(snap.Dir, "../../refs/main"), nil, 0o644) },
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		offline := *c
		offline.Offline = true
		_, err := offline.Snapshot(t.Context(), Ref{Repo: repo}, nil)
		if !strings.HasPrefix(name, "list") {
			wantError(t, err, "not in the cache")
		}
		h.Counts()
		holds(t, snapshot(t, c, repo), model)
		if n := h.Counts()["storage"]; n != map[bool]int{true: 1}[strings.HasPrefix(name, "blob")] {
			t.Errorf("%s: %d downloads", name, n)
		}
		if _, err := offline.Snapshot(t.Context(), Ref{Repo: repo}, nil); err != nil {
			t.Errorf("%s: then %v", name, err)
		}
	}
}

func tree1(c *Client, snap Snapshot) string {
	return filepath.Join(c.CacheDir, "models--google--t5-test", "trees", snap.Commit+".json")
}

// With the hub out of reach, what is cached is used and the log says so once;
// nothing is waited for.
func TestUnreachable(t *testing.T) {
	h, c := start(t)
	var log journal
	c.Log = log.logger()
	c.HTTP = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // which net/http itself tries again
	online := snapshot(t, c, repo)
	for name, how := range map[string]hubtest.Fault{
		"cut": hubtest.Cut(-1), "500": hubtest.Status(500), "a login page": hubtest.Body("<html>"),
		"gone": hubtest.Status(404, "X-Error-Code", "RepoNotFound"), "a bad token": hubtest.Status(401, "X-Error-Message", badToken),
	} {
		h.Break("list", "", -1, how)
		log.b.Reset()
		h.Counts()
		if snap := snapshot(t, c, repo); snap.Dir != online.Dir {
			t.Errorf("%s: %s", name, snap.Dir)
		}
		counts(t, h, "list 1")
		if got := log.String(); strings.Count(got, "level=WARN") != 1 || !strings.Contains(got, "as it is in the cache") || !strings.Contains(got, online.Commit) {
			t.Errorf("%s: the log is %q", name, got)
		}
	}

	h.Close()
	if snap := snapshot(t, c, repo); snap.Dir != online.Dir {
		t.Error(snap.Dir)
	}
	_, err := c.Snapshot(t.Context(), parse(t, "google/other"), nil)
	wantError(t, err, "google/other", "connection refused", "not in the cache", "hint:network connection")

	// But a revision that the hub knows to be gone is gone.
	h, c = start(t)
	snapshot(t, c, repo)
	h.Break("list", "", -1, hubtest.Status(404, "X-Error-Code", "RevisionNotFound"))
	_, err = c.Snapshot(t.Context(), Ref{Repo: repo}, nil)
	wantError(t, err, "no such revision")
}

// While the next version is only partly there, the branch stays at the last
// whole one.
func TestBranchMoves(t *testing.T) {
	h, c := start(t)
	old := snapshot(t, c, repo)
	next := map[string]string{"config.json": "new\n", "model.safetensors": content(9, 100_000)}
	h.Add(repo, next)
	h.Break("storage", "", -1, hubtest.Cut(0))
	_, err := c.Snapshot(t.Context(), Ref{Repo: repo}, nil)
	wantError(t, err, "downloading model.safetensors")
	offline := *c
	offline.Offline = true
	if snap := snapshot(t, &offline, repo); snap.Dir != old.Dir {
		t.Error(snap.Dir)
	}
	h.Repair()
	holds(t, snapshot(t, c, repo), next)
	holds(t, snapshot(t, &offline, repo), next)
}

// A cache that can only be read serves what it has.
func TestReadOnly(t *testing.T) {
	if os.Geteuid() == 0 {
		// Root may write anywhere; a file in the place of a folder stops it too.
		h := hubtest.New()
		defer h.Close()
		h.Add(repo, model)
		blocked := filepath.Join(t.TempDir(), "file")
		write(t, blocked, "")
		_, err := clientOf(h, filepath.Join(blocked, "hub")).Snapshot(t.Context(), Ref{Repo: repo}, nil)
		wantError(t, err, "opening the hub's cache", "not a directory", "hint:HF_HUB_CACHE")
		return
	}
	h, c := start(t)
	snap := snapshot(t, c, repo)
	dirs := []string{c.CacheDir}
	for _, d := range []string{"", "refs", "snapshots", "blobs", "trees"} {
		dirs = append(dirs, filepath.Join(c.CacheDir, "models--google--t5-test", d))
	}
	for _, d := range dirs {
		os.Chmod(d, 0o555)
		defer os.Chmod(d, 0o755)
	}
	if again := snapshot(t, c, repo); again.Dir != snap.Dir {
		t.Error(again.Dir)
	}
	h.Add("google/other", model)
	_, err := c.Snapshot(t.Context(), parse(t, "google/other"), nil)
	wantError(t, err, "making the hub's cache", "permission denied", "hint:HF_HUB_CACHE")
}
