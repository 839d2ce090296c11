package hub

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"softprompt/models/hub/hubtest"
	"softprompt/onnx/hint"
)

const repo = "google/t5-test"

// content is so many bytes that do not compress or repeat.
func content(seed uint64, n int) string {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(seed, 1))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}

// model is a repository with small and large files.
var model = map[string]string{
	"config.json":         `{"model_type": "t5"}` + "\n",
	"model.safetensors":   content(1, 100_000),
	"onnx/encoder.onnx":   content(2, 30_000),
	"a b/naïve %41?#.txt": "names are escaped\n",
	"empty":               "",
}

// start serves the model, and returns a client with an empty cache that
// waits for nothing.
func start(t *testing.T) (*hubtest.Hub, *Client) {
	t.Helper()
	h := hubtest.New()
	t.Cleanup(h.Close)
	h.Add(repo, model)
	return h, clientOf(h, t.TempDir())
}

func clientOf(h *hubtest.Hub, cache string) *Client {
	return &Client{
		Endpoint: h.URL, CacheDir: cache, Timeout: 5 * time.Second,
		sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	}
}

// snapshot gets a snapshot of all files, or fails the test.
func snapshot(t *testing.T, c *Client, ref string) Snapshot {
	t.Helper()
	snap, err := c.Snapshot(t.Context(), parse(t, ref), nil)
	if err != nil {
		t.Fatalf("%v (hint: %s)", err, hint.Of(err))
	}
	return snap
}

func parse(t *testing.T, s string) Ref {
	t.Helper()
	ref, err := ParseRef(s)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// only returns a choice of these files.
func only(names ...string) func([]string) ([]string, error) {
	return func([]string) ([]string, error) { return names, nil }
}

// holds checks a snapshot's content.
func holds(t *testing.T, snap Snapshot, files map[string]string) {
	t.Helper()
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(snap.Dir, filepath.FromSlash(name)))
		if err != nil {
			t.Error(err)
		} else if string(got) != want {
			t.Errorf("%s has %d bytes, wanted the hub's %d", name, len(got), len(want))
		}
	}
}

// counts checks how many requests there were since the last call, by kind.
func counts(t *testing.T, h *hubtest.Hub, want string) {
	t.Helper()
	var got []string
	c := h.Counts()
	for _, kind := range []string{"list", "head", "redirect", "get", "storage"} {
		if c[kind] > 0 {
			got = append(got, fmt.Sprintf("%s %d", kind, c[kind]))
		}
	}
	if s := strings.Join(got, ", "); s != want {
		t.Errorf("requests: %s; wanted: %s", s, want)
	}
}

// trustworthy checks that every blob has the content that its name promises,
// and returns the names of the others.
func trustworthy(t *testing.T, cache string) (incomplete []string) {
	t.Helper()
	err := filepath.WalkDir(cache, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Base(filepath.Dir(p)) != "blobs" {
			return err
		}
		data, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		large, small := sha256.Sum256(data), sha1.Sum(fmt.Appendf(nil, "blob %d\x00%s", len(data), data))
		switch d.Name() {
		case hex.EncodeToString(large[:]), hex.EncodeToString(small[:]):
		default:
			incomplete = append(incomplete, d.Name())
			if !strings.HasSuffix(d.Name(), ".incomplete") {
				t.Errorf("a blob with another content: %s", p)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return incomplete
}

// files lists a folder, with what symlinks point to.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, _ := filepath.Rel(dir, p)
		name = filepath.ToSlash(name)
		if target, err := os.Readlink(p); err == nil {
			name += " -> " + filepath.ToSlash(target)
		}
		list = append(list, name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(list)
	return list
}

// wantError checks an error's text; hint:X is looked for in its advice.
func wantError(t *testing.T, err error, want ...string) {
	t.Helper()
	if err == nil {
		t.Error("no error")
		return
	}
	for _, w := range want {
		advice, ok := strings.CutPrefix(w, "hint:")
		if ok && !strings.Contains(hint.Of(err), advice) {
			t.Errorf("%v: the hint %q lacks %q", err, hint.Of(err), advice)
		}
		if !ok && !strings.Contains(err.Error(), w) {
			t.Errorf("the error %q lacks %q", err, w)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("an error of several lines: %q", err)
	}
}

// journal is a log that can be read while it is written.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}

func (j *journal) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(j, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
