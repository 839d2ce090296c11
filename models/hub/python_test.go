package hub

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"softprompt/models/hub/hubtest"
)

// pythonCache is the cache that huggingface_hub made of a hub, and that hub.
func pythonCache(t *testing.T) (text []byte, h *hubtest.Hub) {
	t.Helper()
	text, err := os.ReadFile("testdata/python_cache.txtar")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := hubtest.WriteCache(dir, text); err != nil {
		t.Fatal(err)
	}
	h = hubtest.New()
	t.Cleanup(h.Close)
	for _, rev := range []string{"main", "refs/pr/1"} {
		commit, err := os.ReadFile(filepath.Join(dir, "models--google--t5-test", "refs", filepath.FromSlash(rev)))
		if err != nil {
			t.Fatal(err)
		}
		snap, content := filepath.Join(dir, "models--google--t5-test", "snapshots", string(commit)), map[string]string{}
		for _, f := range files(t, snap) {
			name, _, _ := strings.Cut(f, " -> ")
			data, err := os.ReadFile(filepath.Join(snap, filepath.FromSlash(name)))
			if err != nil {
				t.Fatal(err)
			}
			content[name] = string(data)
		}
		if got := h.Add(repo, content, rev); got != string(commit) {
			t.Fatalf("the commit of %s is %s, in Python's cache %s", rev, got, commit)
		}
	}
	return text, h
}

// A cache that Python filled is used without a download.
func TestUsePythonsCache(t *testing.T) {
	text, h := pythonCache(t)
	c := clientOf(h, t.TempDir())
	if err := hubtest.WriteCache(c.CacheDir, text); err != nil {
		t.Fatal(err)
	}
	for rev, n := range map[string]int{"main": 5, "refs/pr/1": 2} {
		snap := snapshot(t, c, repo+"@"+rev)
		counts(t, h, "list 1")
		if len(snap.Files) != n {
			t.Errorf("%s has %d files, wanted %d", rev, len(snap.Files), n)
		}
		offline := *c
		offline.Offline = true
		if again := snapshot(t, &offline, repo+"@"+rev); again.Dir != snap.Dir {
			t.Error(again.Dir)
		}
		snapshot(t, c, repo+"@"+snap.Commit)
		counts(t, h, "")
	}
	after, err := hubtest.CacheText(c.CacheDir, strings.SplitN(string(text), "\n", 2)[0])
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(text), after); diff != "" {
		t.Errorf("using Python's cache changed it:\n%s", diff)
	}
	if left := trustworthy(t, c.CacheDir); left != nil {
		t.Error(left)
	}
	repos, err := c.Cached()
	if err != nil || len(repos) != 1 || len(repos[0].Revisions) != 2 || repos[0].Bytes != 127+22 {
		t.Errorf("%+v, %v", repos, err)
	}
}

// The cache that this client makes is the one that Python makes, to the byte.
func TestSameCacheAsPython(t *testing.T) {
	text, h := pythonCache(t)
	c := clientOf(h, t.TempDir())
	for _, rev := range []string{"main", "refs/pr/1"} {
		snapshot(t, c, repo+"@"+rev)
	}
	ours, err := hubtest.CacheText(c.CacheDir, strings.SplitN(string(text), "\n", 2)[0])
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(text), ours); diff != "" {
		t.Errorf("-Python +softprompt:\n%s", diff)
	}
}
