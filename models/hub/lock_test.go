package hub

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"softprompt/models/hub/hubtest"
)

// TestMain lets the test binary be another process that downloads.
func TestMain(m *testing.M) {
	if endpoint := os.Getenv("HUBTEST_DOWNLOAD_FROM"); endpoint != "" {
		c := &Client{Endpoint: endpoint, CacheDir: os.Getenv("HUBTEST_DOWNLOAD_TO")}
		_, err := c.Snapshot(context.Background(), Ref{Repo: repo}, only("model.safetensors"))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// process starts a download in another process.
func process(t *testing.T, c *Client) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "HUBTEST_DOWNLOAD_FROM="+c.Endpoint, "HUBTEST_DOWNLOAD_TO="+c.CacheDir)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// wait waits until a condition holds.
func wait(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for range 2000 {
		if holds() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("%s did not happen", what)
}

// A process killed in the middle of a download leaves nothing that the next
// one trusts, and no lock; the next one downloads only the rest.
func TestKill(t *testing.T) {
	h, c := start(t)
	weights := weightsOf(t, h)
	h.Break("storage", "", 1, hubtest.Stall(60_000))
	cmd := process(t, c)
	incomplete := filepath.Join(c.CacheDir, "models--google--t5-test", "blobs", weights+".incomplete")
	wait(t, "the first half of the download", func() bool {
		info, err := os.Stat(incomplete)
		return err == nil && info.Size() == 60_000
	})

	// While that process lives, others wait for it.
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := c.Snapshot(ctx, Ref{Repo: repo}, only("model.safetensors"))
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, wanted to wait for the lock", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()

	if left := trustworthy(t, c.CacheDir); len(left) != 1 || left[0] != weights+".incomplete" {
		t.Errorf("left: %v", left)
	}
	offline := *c
	offline.Offline = true
	_, err = offline.Snapshot(t.Context(), Ref{Repo: repo}, only("model.safetensors"))
	wantError(t, err, "not in the cache")
	h.Counts()
	snap, err := c.Snapshot(t.Context(), Ref{Repo: repo}, only("model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	holds(t, snap, map[string]string{"model.safetensors": model["model.safetensors"]})
	for _, r := range h.Requests() {
		if r.Kind == "storage" && r.Range != "bytes=60000-" {
			t.Errorf("asked for %q", r.Range)
		}
	}
}

// Two processes that want the same download it once.
func TestTwoProcesses(t *testing.T) {
	h, c := start(t)
	cmds := []*exec.Cmd{process(t, c), process(t, c)}
	for _, cmd := range cmds {
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	if got := h.Counts(); got["storage"] != 1 {
		t.Errorf("%v: wanted one download", got)
	}
	if left := trustworthy(t, c.CacheDir); left != nil {
		t.Error(left)
	}
}

func TestLock(t *testing.T) {
	cache, ref := t.TempDir(), Ref{Repo: repo}
	var log journal
	release, held, err := lock(t.Context(), cache, ref, "abc", log.logger())
	if err != nil || !held {
		t.Fatal(held, err)
	}
	path := filepath.Join(cache, ".locks", "models--google--t5-test", "abc.lock")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o664 {
		t.Errorf("%v, %v: wanted Python's lock file", info, err)
	}
	other, held, err := lock(t.Context(), cache, ref, "abd", log.logger())
	if err != nil || !held {
		t.Error("another file's lock is also taken", err)
	}
	other()

	got := make(chan struct{})
	go func() {
		release, held, err := lock(t.Context(), cache, ref, "abc", log.logger())
		if err != nil || !held {
			t.Error(held, err)
		}
		release()
		close(got)
	}()
	select {
	case <-got:
		t.Error("two have the lock")
	case <-time.After(100 * time.Millisecond):
	}
	// A lock file that is removed under its holder excludes nobody who comes
	// later, and must not confuse who waits.
	release()
	<-got

	if err := os.RemoveAll(filepath.Join(cache, ".locks")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(cache, ".locks"), "a file")
	_, _, err = lock(t.Context(), cache, ref, "abc", log.logger())
	wantError(t, err, "locking the hub's cache", "hint:HF_HUB_CACHE")
}

// Without locks each download is in a file of its own, which does not stay.
func TestWithoutLock(t *testing.T) {
	h, c := start(t)
	s, err := c.session()
	if err != nil {
		t.Fatal(err)
	}
	p := &pull{session: s, ref: Ref{Repo: repo}}
	if p.cache, err = makeCache(c.CacheDir, p.ref, s.Log); err != nil {
		t.Fatal(err)
	}
	defer p.cache.close()
	l, err := s.list(t.Context(), p.ref, 1)
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.describe(t.Context(), l.commit, "model.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	h.Break("storage", "", -1, hubtest.Cut(0))
	if err := p.download(t.Context(), r, false); err == nil || trustworthy(t, c.CacheDir) != nil {
		t.Errorf("%v; left: %v", err, trustworthy(t, c.CacheDir))
	}
	h.Repair()
	h.Break("storage", "", 1, func(w http.ResponseWriter, r *http.Request, serve http.Handler) {
		if left := strings.Join(trustworthy(t, c.CacheDir), " "); strings.Count(left, ".") != 2 || !strings.HasSuffix(left, ".incomplete") {
			t.Errorf("it downloads to %s", left)
		}
		serve.ServeHTTP(w, r)
	})
	if err := p.download(t.Context(), r, false); err != nil {
		t.Error(err)
	}
	if left := trustworthy(t, c.CacheDir); left != nil {
		t.Error(left)
	}
}
