package hub

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"softprompt/models/hub/hubtest"
	"softprompt/onnx/hint"
)

// Whatever goes wrong, the download either arrives at the hub's files or ends
// with an error that says what was wrong; then nothing is left that a later
// run trusts, and once the hub is well the next run succeeds.
func TestFaults(t *testing.T) {
	const large = "model.safetensors" // its redirect is on the hub, its bytes are in storage
	size := len(model[large])
	for _, test := range []struct {
		name, kind, path string
		times            int
		how              hubtest.Fault
		want             []string // of the error; nil: it arrives
	}{
		{"list: cut before the answer", "list", "", 2, hubtest.Cut(-1), nil},
		{"list: cut within", "list", "", 2, hubtest.Cut(100), nil},
		{"list: always cut", "list", "", -1, hubtest.Cut(100), []string{"reading from 127.0.0.1", "EOF", "hint:network connection"}},
		{"list: 500, then well", "list", "", 3, hubtest.Status(500), nil},
		{"list: always 503", "list", "", -1, hubtest.Status(503, "X-Error-Message", "down for\nmaintenance"), []string{"503 Service Unavailable", "down for maintenance", "hint:later"}},
		{"list: 429", "list", "", 2, hubtest.Status(429, "Retry-After", "1"), nil},
		{"list: 429 for an hour", "list", "", -1, hubtest.Status(429, "Retry-After", "3600"), []string{"429 Too Many Requests", "hint:wait 1h0m0s"}},
		{"list: 418", "list", "", -1, hubtest.Status(418), []string{"answered 418"}},
		{"list: a login page", "list", "", -1, hubtest.Body("<html>log in</html>"), []string{"list of files", "invalid character '<'"}},
		{"list: of another kind", "list", "", -1, hubtest.Body(`{"sha": 7}`), []string{"list of files"}},
		{"list: no commit", "list", "", -1, hubtest.Body(`{"sha": "../../x", "siblings": []}`), []string{`commit "../../x"`}},
		{"list: redirects in a circle", "list", "", -1, hubtest.Loop, []string{"redirected 10 times"}},
		{"head: cut", "head", large, 2, hubtest.Cut(-1), nil},
		{"head: always cut", "head", large, -1, hubtest.Cut(-1), []string{"downloading " + large, "EOF"}},
		{"head: 502, then well", "head", large, 4, hubtest.Status(502), nil},
		{"head: always 500", "head", large, -1, hubtest.Status(500), []string{large, "500 Internal Server Error"}},
		{"head: 404", "head", large, -1, hubtest.Status(404, "X-Error-Code", "EntryNotFound"), []string{large, "no such file", "hint:files on"}},
		{"head: no commit", "head", large, -1, hubtest.Header("X-Repo-Commit", ""), []string{"does not answer like a hub", "X-Repo-Commit", "hint:HF_ENDPOINT"}},
		{"head: another commit", "head", large, -1, hubtest.Header("X-Repo-Commit", strings.Repeat("a", 40)), []string{"X-Repo-Commit", "aaaa"}},
		{"head: an etag with slashes", "head", large, -1, hubtest.Header("X-Linked-Etag", `"../../../../tmp/x"`), []string{"ETag", "../../../../tmp/x"}},
		{"head: an etag in capitals", "head", large, -1, hubtest.Header("X-Linked-Etag", strings.Repeat("A", 64)), []string{"ETag"}},
		{"head: no size", "head", large, -1, hubtest.Header("X-Linked-Size", ""), []string{"size"}},
		{"head: a negative size", "head", large, -1, hubtest.Header("X-Linked-Size", "-1"), []string{`size "-1"`}},
		{"head: an immense size", "head", large, -1, hubtest.Header("X-Linked-Size", "99999999999999999999"), []string{"size"}},
		{"head: too small a size", "head", large, -1, hubtest.Header("X-Linked-Size", "5"), []string{"sends 100000 bytes, wanted 5"}},
		{"head: too large a size", "head", large, -1, hubtest.Header("X-Linked-Size", "100001"), []string{"sends 100000 bytes, wanted 100001"}},
		{"head: another checksum", "head", large, -1, hubtest.Header("X-Linked-Etag", strings.Repeat("0", 64)), []string{"checksum", "hint:proxy or mirror"}},
		{"redirect: cut", "redirect", large, 2, hubtest.Cut(-1), nil},
		{"redirect: in a circle", "redirect", large, -1, hubtest.Loop, []string{large, "redirected 10 times"}},
		{"redirect: to nobody", "redirect", large, -1, hubtest.Redirect("http://127.0.0.1:1/x?X-Amz-Signature=secret"), []string{large, "connection refused"}},
		{"redirect: to a file", "redirect", large, -1, hubtest.Redirect("file:///etc/passwd"), []string{large, "redirects from http to file"}},
		{"storage: cut at once", "storage", "", 2, hubtest.Cut(0), nil},
		{"storage: cut early", "storage", "", 4, hubtest.Cut(1), nil},
		{"storage: cut often", "storage", "", 40, hubtest.Cut(5000), nil},
		{"storage: cut before the end", "storage", large, 2, hubtest.Cut(size - 1), nil},
		{"storage: nothing ever comes", "storage", "", -1, hubtest.Cut(0), []string{"EOF", "hint:network connection"}},
		{"storage: announces too much", "storage", large, -1, hubtest.Announce(size + 1), []string{"sends 100001 bytes, wanted 100000"}},
		{"storage: announces too little", "storage", large, -1, hubtest.Announce(size - 1), []string{"sends 99999 bytes, wanted 100000"}},
		{"storage: announces wrongly, then well", "storage", large, 2, hubtest.Announce(7), nil},
		{"storage: does not end", "storage", large, -1, hubtest.Endless, []string{large, "checksum"}},
		{"storage: another content", "storage", large, -1, hubtest.Corrupt, []string{large, "checksum"}},
		{"storage: one of its pieces is wrong", "storage", large, 2, once(hubtest.Cut(5000), hubtest.Corrupt), nil},
		{"storage: ignores ranges", "storage", large, 3, once(hubtest.Cut(5000), hubtest.IgnoreRange), nil},
		{"storage: 416", "storage", large, 2, once(hubtest.Cut(5000), hubtest.Status(416)), nil},
		{"storage: always 416", "storage", large, -1, hubtest.Status(416), []string{"416 Requested Range Not Satisfiable"}},
		{"storage: another range", "storage", large, 2, once(hubtest.Cut(5000), hubtest.Header("Content-Range", "bytes 7-99999/100000")), nil},
		{"storage: 403", "storage", large, -1, hubtest.Status(403), []string{"answered 403", "hint:proxy"}},
		{"storage: 500, then well", "storage", large, 4, hubtest.Status(500), nil},
		{"storage: a login page", "storage", large, -1, hubtest.Body("<html>log in</html>"), []string{"sends 19 bytes, wanted 100000"}},
		{"small file: cut", "get", "config.json", 3, hubtest.Cut(3), nil},
		{"small file: another content", "get", "config.json", -1, hubtest.Corrupt, []string{"config.json", "checksum"}},
		{"small file: compressed", "get", "config.json", -1, hubtest.Header("Content-Encoding", "gzip"), []string{"config.json", `"gzip"`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			h, c := start(t)
			c.Token = "hf_secret_token"
			var log journal
			c.Log = log.logger()
			h.Break(test.kind, test.path, test.times, test.how)
			snap, err := c.Snapshot(t.Context(), Ref{Repo: repo}, nil)
			if test.want == nil {
				if err != nil {
					t.Fatal(err)
				}
				holds(t, snap, model)
			} else {
				wantError(t, err, append(test.want, "getting model google/t5-test: ")...)
				if snap.Dir != "" {
					t.Errorf("an error, and also %s", snap.Dir)
				}
				offline := *c
				offline.Offline = true
				_, err := offline.Snapshot(t.Context(), Ref{Repo: repo}, nil)
				wantError(t, err, "not in the cache")
				if !errors.Is(err, ErrNotCached) {
					t.Error(err)
				}
			}
			left := trustworthy(t, c.CacheDir)
			if test.want == nil && left != nil {
				t.Errorf("left: %v", left)
			}
			if said := log.String() + fmt.Sprint(err, hint.Of(err)); strings.Contains(said, "secret") {
				t.Errorf("a secret is told: %s", said)
			}
			h.Repair()
			holds(t, snapshot(t, c, repo), model)
			if left := trustworthy(t, c.CacheDir); left != nil {
				t.Errorf("left in the end: %v", left)
			}
		})
	}
}

// once is a fault that is one thing the first time and another thereafter.
func once(first, then hubtest.Fault) hubtest.Fault {
	begun := make(chan struct{}, 1)
	return func(w http.ResponseWriter, r *http.Request, serve http.Handler) {
		select {
		case begun <- struct{}{}:
			first(w, r, serve)
		default:
			then(w, r, serve)
		}
	}
}

// Between attempts it waits, longer each time, as long as the server asks,
// and not for ever.
func TestWaits(t *testing.T) {
	h, c := start(t)
	var waits []time.Duration
	c.sleep = func(_ context.Context, d time.Duration) error {
		waits = append(waits, d)
		return nil
	}
	h.Break("list", "", -1, hubtest.Status(500))
	_, err := c.Snapshot(t.Context(), Ref{Repo: repo}, nil)
	wantError(t, err, "500")
	if len(waits) != attempts-1 {
		t.Fatalf("waits %v, wanted %d", waits, attempts-1)
	}
	for i, d := range waits {
		if base := firstBackoff << i; d < base/2 || d > 3*base/2 {
			t.Errorf("wait %d is %v, wanted half to one and a half of %v", i, d, base)
		}
	}
	waits = nil
	h.Repair()
	h.Break("list", "", 1, hubtest.Status(429, "Retry-After", "90"))
	snapshot(t, c, repo)
	if len(waits) != 1 || waits[0] != 90*time.Second {
		t.Errorf("waits %v, wanted the server's 90 s", waits)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for v, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, " 7 ": 7 * time.Second, "-7": 0, "7.5": 0, "soon": 0, "99999999999": 0,
		"Fri, 02 Jan 2026 03:05:05 GMT": time.Minute, "Fri, 02 Jan 2026 03:00:00 GMT": 0,
	} {
		if got := retryAfter(v, now); got != want {
			t.Errorf("Retry-After %q is %v, wanted %v", v, got, want)
		}
	}
}

// A server that keeps the connection and says nothing is given up.
func TestSilence(t *testing.T) {
	for kind, how := range map[string]hubtest.Fault{"list": hubtest.Hang, "head": hubtest.Hang, "storage": hubtest.Stall(5000)} {
		h, c := start(t)
		c.Timeout = 100 * time.Millisecond
		h.Break(kind, "", 1, how)
		holds(t, snapshot(t, c, repo), model)

		h, c = start(t)
		c.Timeout = 20 * time.Millisecond
		h.Break(kind, "", -1, hubtest.Hang)
		_, err := c.Snapshot(t.Context(), Ref{Repo: repo}, nil)
		wantError(t, err, "the server fell silent", "hint:network connection")
	}
}

// Cancelling ends a download at once and keeps its bytes; the next one asks
// for the rest.
func TestCancelAndContinue(t *testing.T) {
	h, c := start(t)
	h.Break("storage", "model", -1, hubtest.Stall(60_000))
	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := errors.New("stopped by the user")
	c.Progress = func(p Progress) {
		if p.File == "model.safetensors" && p.Done >= 60_000 {
			cancel(stopped)
		}
	}
	begin := time.Now()
	_, err := c.Snapshot(ctx, Ref{Repo: repo}, nil)
	if !errors.Is(err, stopped) || time.Since(begin) > 3*time.Second {
		t.Errorf("%v after %v", err, time.Since(begin))
	}
	left := trustworthy(t, c.CacheDir)
	h.Repair()
	if weights := weightsOf(t, h) + ".incomplete"; !slices.Contains(left, weights) {
		t.Fatalf("left: %v, wanted %s", left, weights)
	}

	var first int64 = -1
	c.Progress = func(p Progress) {
		if p.File == "model.safetensors" && first < 0 {
			first = p.Done
		}
	}
	holds(t, snapshot(t, c, repo), model)
	if first != 60_000 {
		t.Errorf("the progress begins at %d, wanted 60000", first)
	}
	ranges := ""
	for _, r := range h.Requests() {
		if r.Kind == "storage" && strings.Contains(r.Path, "model") {
			ranges += r.Range
		}
	}
	if ranges != "bytes=60000-" {
		t.Errorf("asked for %q", ranges)
	}
	if left := trustworthy(t, c.CacheDir); left != nil {
		t.Error(left)
	}
}

// What lies in an .incomplete file is not believed: not if it is garbage, too
// long, whole already, or a symlink to somewhere else.
func TestLeftovers(t *testing.T) {
	whole := model["model.safetensors"]
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		left string
		want string // requests
	}{
		"a beginning": {whole[:70_000], "list 1, head 1, redirect 1, storage 1"},
		"garbage":     {strings.Repeat("?", 70_000), "list 1, head 1, redirect 2, storage 2"},
		"too long":    {whole + "?", "list 1, head 1, redirect 1, storage 1"},
		"whole":       {whole, "list 1, head 1"},
		"full of it":  {strings.Repeat("?", len(whole)), "list 1, head 1, redirect 1, storage 1"},
		"nothing":     {"", "list 1, head 1, redirect 1, storage 1"},
	} {
		t.Run(name, func(t *testing.T) {
			h, c := start(t)
			etag := weightsOf(t, h)
			path := filepath.Join(c.CacheDir, "models--google--t5-test", "blobs", etag+".incomplete")
			write(t, path, test.left)
			snap, err := c.Snapshot(t.Context(), Ref{Repo: repo}, only("model.safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			holds(t, snap, map[string]string{"model.safetensors": whole})
			counts(t, h, test.want)
			if left := trustworthy(t, c.CacheDir); left != nil {
				t.Error(left)
			}
		})
	}
	h, c := start(t)
	blocked := filepath.Join(c.CacheDir, "models--google--t5-test", "blobs", weightsOf(t, h)+".incomplete")
	if err := os.MkdirAll(blocked, 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := c.Snapshot(t.Context(), Ref{Repo: repo}, nil)
	wantError(t, err, "writing to the hub's cache", "hint:HF_HUB_CACHE")

	h, c = start(t)
	path := filepath.Join(c.CacheDir, "models--google--t5-test", "blobs", weightsOf(t, h)+".incomplete")
	write(t, path, "")
	os.Remove(path)
	if err := os.Symlink(secret, path); err != nil {
		t.Fatal(err)
	}
	_, err = c.Snapshot(t.Context(), Ref{Repo: repo}, nil)
	wantError(t, err, "writing to the hub's cache", "escapes", "hint:HF_HUB_CACHE")
	if data, _ := os.ReadFile(secret); string(data) != "mine" {
		t.Errorf("the file outside now holds %d bytes", len(data))
	}
}

// A page that answers in the file's place does not cost what is there already.
func TestLoginPageWithin(t *testing.T) {
	h, c := start(t)
	path := filepath.Join(c.CacheDir, "models--google--t5-test", "blobs", weightsOf(t, h)+".incomplete")
	write(t, path, model["model.safetensors"][:70_000])
	h.Break("storage", "", 2, hubtest.Body("<html>log in</html>"))
	if _, err := c.Snapshot(t.Context(), Ref{Repo: repo}, only("model.safetensors")); err != nil {
		t.Fatal(err)
	}
	for _, r := range h.Requests() {
		if r.Kind == "storage" && r.Range != "bytes=70000-" {
			t.Errorf("asked for %q", r.Range)
		}
	}
}

// weightsOf returns the name of the weights' blob.
func weightsOf(t *testing.T, h *hubtest.Hub) string {
	t.Helper()
	c := clientOf(h, t.TempDir())
	snap, err := c.Snapshot(t.Context(), Ref{Repo: repo}, only("model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	target, err := os.Readlink(filepath.Join(snap.Dir, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	h.Counts()
	return filepath.Base(target)
}

func write(t *testing.T, path, data string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
}
