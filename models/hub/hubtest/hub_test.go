package hubtest_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"softprompt/models/hub/hubtest"
)

// get asks a hub and returns the status, the body and the header.
func get(t *testing.T, url string, headers ...string) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body), resp.Header
}

func ExampleNew() {
	h := hubtest.New()
	defer h.Close()
	commit := h.Add("org/name", map[string]string{"config.json": "{}"})
	resp, err := http.Get(h.URL + "/org/name/resolve/main/config.json")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Println(string(body), resp.Header.Get("X-Repo-Commit") == commit, h.Counts())
	// Output: {} true map[get:1 redirect:1]
}

func TestHub(t *testing.T) {
	h := hubtest.New()
	defer h.Close()
	dir := t.TempDir()
	for name, text := range map[string]string{"a.txt": "small", "b/c.bin": "large"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	commit, err := h.AddDir("org/name", dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.AddDir("org/other", filepath.Join(dir, "no")); err == nil {
		t.Error("a folder that is not there was added")
	}
	_, listing, _ := get(t, h.URL+"/api/models/org/name/revision/main?blobs=true")
	for _, want := range []string{commit, `"a.txt"`, `"b/c.bin"`, `"lfs"`, `"size":5`} {
		if !strings.Contains(listing, want) {
			t.Errorf("the listing lacks %s: %s", want, listing)
		}
	}
	if _, listing, _ := get(t, h.URL+"/api/models/org/name/revision/main"); strings.Contains(listing, "size") {
		t.Errorf("sizes that were not asked for: %s", listing)
	}
	if status, body, header := get(t, h.URL+"/org/name/resolve/main/b/c.bin", "Range", "bytes=2-"); status != 206 || body != "rge" || header.Get("Content-Range") != "bytes 2-4/5" {
		t.Errorf("%d %q %v", status, body, header)
	}
	for path, want := range map[string]string{
		"/org/name/resolve/main/x": "EntryNotFound", "/org/name/resolve/v2/a.txt": "RevisionNotFound", "/api/models/org/name/revision/v2": "RevisionNotFound",
	} {
		if status, _, header := get(t, h.URL+path); status != 404 || header.Get("X-Error-Code") != want {
			t.Errorf("%s: %d %v", path, status, header)
		}
	}
	if status, _, header := get(t, h.URL+"/api/models/org/no/revision/main", "Authorization", "Bearer x"); status != 404 || header.Get("X-Error-Code") != "RepoNotFound" {
		t.Errorf("%d %v", status, header)
	}
	if status, _, _ := get(t, h.URL+"/api/models/org/no/revision/main"); status != 401 {
		t.Error(status)
	}
}

// A fault lasts as long as it is asked to, on what it is asked for.
func TestBreak(t *testing.T) {
	h := hubtest.New()
	defer h.Close()
	h.Add("org/name", map[string]string{"a.txt": "small", "b.txt": "other"})
	h.Break("get", "a.txt", 2, hubtest.Status(503, "Retry-After", "9"))
	for _, want := range []int{503, 503, 200} {
		status, _, header := get(t, h.URL+"/org/name/resolve/main/a.txt")
		if status != want || want == 503 && header.Get("Retry-After") != "9" {
			t.Errorf("%d %v, wanted %d", status, header, want)
		}
		if status, _, _ := get(t, h.URL+"/org/name/resolve/main/b.txt"); status != 200 {
			t.Error(status)
		}
	}
	h.Break("get", "", -1, hubtest.Corrupt)
	for range 2 {
		if _, body, _ := get(t, h.URL+"/org/name/resolve/main/a.txt"); body != "Small" {
			t.Error(body)
		}
	}
	h.Repair()
	if _, body, _ := get(t, h.URL+"/org/name/resolve/main/a.txt"); body != "small" {
		t.Error(body)
	}
}

func TestCacheText(t *testing.T) {
	dir, again := t.TempDir(), t.TempDir()
	text := "about\n\n-- a/b (no newline) --\nx\n-- a/c -> ../d --\n-- d --\ny\n-- e --\n"
	if err := hubtest.WriteCache(dir, []byte(text)); err != nil {
		t.Fatal(err)
	}
	got, err := hubtest.CacheText(dir, "about")
	if err != nil || got != text {
		t.Errorf("%q, wanted %q; %v", got, text, err)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "a", "c")); string(data) != "y\n" || err != nil {
		t.Error(data, err)
	}
	if err := hubtest.WriteCache(again, nil); err == nil {
		t.Error("nothing was written without an error")
	}
}
