package hub

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"softprompt/models/hub/hubtest"
)

// The first download fills the cache in the standard layout; later ones ask
// only for the branch's commit, and for nothing if given a commit.
func TestSnapshot(t *testing.T) {
	h, c := start(t)
	snap := snapshot(t, c, repo)
	holds(t, snap, model)
	counts(t, h, "list 1, head 5, redirect 4, get 2, storage 2") // an empty file needs no bytes

	dir := filepath.Join(c.CacheDir, "models--google--t5-test")
	if want := filepath.Join(dir, "snapshots", snap.Commit); snap.Dir != want {
		t.Errorf("the snapshot is in %s, wanted %s", snap.Dir, want)
	}
	if ref, err := os.ReadFile(filepath.Join(dir, "refs", "main")); string(ref) != snap.Commit || err != nil {
		t.Errorf("refs/main is %q, %v", ref, err)
	}
	target, err := os.Readlink(filepath.Join(snap.Dir, "onnx", "encoder.onnx"))
	if err != nil || !strings.HasPrefix(filepath.ToSlash(target), "../../../blobs/") || len(filepath.Base(target)) != 64 {
		t.Errorf("the symlink of a file in a folder is %q, %v", target, err)
	}
	if left := trustworthy(t, c.CacheDir); left != nil {
		t.Error(left)
	}

	again := snapshot(t, c, repo)
	counts(t, h, "list 1")
	slices.Sort(snap.Files)
	slices.Sort(again.Files)
	if diff := cmp.Diff(snap, again); diff != "" {
		t.Error(diff)
	}
	byCommit := snapshot(t, c, repo+"@"+snap.Commit)
	counts(t, h, "")
	if byCommit.Dir != snap.Dir {
		t.Error(byCommit.Dir)
	}
}

func TestRevisions(t *testing.T) {
	h, c := start(t)
	second := map[string]string{"config.json": "{}\n", "model.safetensors": model["model.safetensors"]}
	h.Add(repo, second, "v1.0", "refs/pr/12")
	h.Add("t5-small", second)

	snap := snapshot(t, c, repo+"@refs/pr/12")
	holds(t, snap, second)
	counts(t, h, "list 1, head 2, redirect 2, get 1, storage 1")
	for name, want := range map[string]string{"refs/refs/pr/12": snap.Commit, "refs/v1.0": snap.Commit} {
		if name == "refs/v1.0" {
			snapshot(t, c, repo+"@v1.0")
			counts(t, h, "list 1")
		}
		got, err := os.ReadFile(filepath.Join(c.CacheDir, "models--google--t5-test", filepath.FromSlash(name)))
		if string(got) != want || err != nil {
			t.Errorf("%s is %q, %v", name, got, err)
		}
	}

	// Another revision shares the weights: they are not downloaded again.
	if _, err := c.Snapshot(t.Context(), parse(t, repo), only("config.json", "model.safetensors")); err != nil {
		t.Error(err)
	}
	counts(t, h, "list 1, head 2, redirect 1, get 1")

	snap = snapshot(t, c, "t5-small") // one of the first names
	if want := filepath.Join(c.CacheDir, "models--t5-small", "snapshots"); filepath.Dir(snap.Dir) != want {
		t.Error(snap.Dir)
	}

	_, err := c.Snapshot(t.Context(), parse(t, repo+"@nowhere"), nil)
	wantError(t, err, "google/t5-test@nowhere", "no such revision", "hint:after the @", "hint:"+h.URL+"/"+repo)
	if !errors.Is(err, ErrRevisionNotFound) {
		t.Error(err)
	}
}

func TestChoose(t *testing.T) {
	h, c := start(t)
	var offered []string
	no := errors.New("none of these")
	_, err := c.Snapshot(t.Context(), parse(t, repo), func(names []string) ([]string, error) {
		offered = names
		return nil, no
	})
	if !errors.Is(err, no) {
		t.Error(err)
	}
	slices.Sort(offered)
	if diff := cmp.Diff([]string{"a b/naïve %41?#.txt", "config.json", "empty", "model.safetensors", "onnx/encoder.onnx"}, offered); diff != "" {
		t.Error(diff)
	}
	_, err = c.Snapshot(t.Context(), parse(t, repo), only("config.json", "../../../etc/passwd"))
	wantError(t, err, "no such file", "etc/passwd")
	if left := files(t, c.CacheDir); left != nil {
		t.Errorf("a refused model leaves %v", left)
	}
	h.Counts()
	snap, err := c.Snapshot(t.Context(), parse(t, repo), only("config.json"))
	if err != nil {
		t.Fatal(err)
	}
	counts(t, h, "list 1, head 1, redirect 1, get 1")
	if diff := cmp.Diff([]string{"config.json"}, snap.Files); diff != "" {
		t.Error(diff)
	}
}

func TestNoSymlinks(t *testing.T) {
	h, c := start(t)
	c.NoSymlinks = true
	first := snapshot(t, c, repo)
	holds(t, first, model)
	for _, f := range files(t, c.CacheDir) {
		if strings.Contains(f, " -> ") || strings.Contains(f, "/blobs/") {
			t.Error(f)
		}
	}
	snapshot(t, c, repo)
	c.Offline = true
	holds(t, snapshot(t, c, repo), model)

	// A blob that another program left is copied: that program may use it.
	other := clientOf(h, t.TempDir())
	holds(t, snapshot(t, other, repo), model)
	moved := map[string]string{"config.json": "changed\n", "model.safetensors": model["model.safetensors"]}
	h.Add(repo, moved)
	other.NoSymlinks = true
	h.Counts()
	second := snapshot(t, other, repo)
	holds(t, second, moved)
	counts(t, h, "list 1, head 2, redirect 1, get 1")
	if info, err := os.Lstat(filepath.Join(second.Dir, "model.safetensors")); err != nil || !info.Mode().IsRegular() {
		t.Error(info, err)
	}
	if left := trustworthy(t, other.CacheDir); left != nil {
		t.Error(left)
	}
}

// Shards come several at a time; Progress counts each from its start to its
// size, and its calls do not overlap.
func TestParallel(t *testing.T) {
	h := hubtest.New()
	t.Cleanup(h.Close)
	shards := map[string]string{}
	for i := range 9 {
		shards["model-0000"+string(rune('1'+i))+"-of-00009.safetensors"] = content(uint64(10+i), 300_000+i)
	}
	h.Add(repo, shards)
	var mu sync.Mutex
	running, most := 0, 0
	arrived := make(chan struct{}, 9)
	h.Break("storage", "", -1, meet(&mu, &running, &most, arrived, 3))

	c := clientOf(h, t.TempDir())
	c.Parallel = 3
	inside := 0 // of Progress
	done := map[string]int64{}
	c.Progress = func(p Progress) {
		if inside++; inside != 1 {
			t.Error("Progress was called twice at once")
		}
		if p.Repo != repo || p.Done < done[p.File] || p.Done > p.Total || p.Total != int64(len(shards[p.File])) {
			t.Errorf("%+v after %d", p, done[p.File])
		}
		done[p.File] = p.Done
		inside--
	}
	holds(t, snapshot(t, c, repo), shards)
	if most != 3 {
		t.Errorf("%d downloads at once, wanted 3", most)
	}
	for name, text := range shards {
		if done[name] != int64(len(text)) {
			t.Errorf("%s was reported up to %d of %d", name, done[name], len(text))
		}
	}
}

// Two clients that want the same download it once; the second waits for the
// lock, as it would for another process's.
func TestTwoAtOnce(t *testing.T) {
	h, _ := start(t)
	cache := t.TempDir()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			snap, err := clientOf(h, cache).Snapshot(t.Context(), Ref{Repo: repo}, nil)
			if err != nil {
				t.Error(err)
				return
			}
			holds(t, snap, model)
		})
	}
	wg.Wait()
	if got := h.Counts(); got["storage"] != 2 || got["get"] != 2 {
		t.Errorf("%v: every file is to be downloaded once", got)
	}
	if left := trustworthy(t, cache); left != nil {
		t.Error(left)
	}
}

// Files with the same content are one blob, even when they come at once.
func TestTwins(t *testing.T) {
	h := hubtest.New()
	t.Cleanup(h.Close)
	twins := map[string]string{"a.bin": content(3, 50_000), "b.bin": content(3, 50_000), "c/d.bin": content(3, 50_000)}
	h.Add(repo, twins)
	c := clientOf(h, t.TempDir())
	holds(t, snapshot(t, c, repo), twins)
	if got := h.Counts(); got["storage"] != 1 {
		t.Error(got)
	}
}
