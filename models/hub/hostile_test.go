package hub

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"softprompt/models/hub/hubtest"
)

// listingOf is a hub's answer with these names.
func listingOf(names ...string) string {
	siblings := []map[string]any{}
	for _, n := range names {
		siblings = append(siblings, map[string]any{"rfilename": n, "size": 1, "blobId": "0"})
	}
	data, _ := json.Marshal(map[string]any{"sha": strings.Repeat("a", 40), "siblings": siblings})
	return string(data)
}

// Names that no git repository can hold end the download; names that are
// files here but not everywhere are left out.
func TestHostileNames(t *testing.T) {
	h, c := start(t)
	for _, name := range []string{
		"", ".", "..", "/", "/etc/passwd", "../x", "a/../../x", "a/..", "./a", "a//b", "a/", "a\x00b",
	} {
		h.Break("list", "", -1, hubtest.Body(listingOf("config.json", name)))
		_, err := c.Snapshot(t.Context(), Ref{Repo: repo}, only("config.json"))
		wantError(t, err, fmt.Sprintf("%q is no file's name", name), "list of files")
		h.Repair()
	}
	if left := files(t, c.CacheDir); left != nil {
		t.Errorf("left: %v", left)
	}
	var log journal
	l, err := parseListing([]byte(listingOf("config.json", `onnx\model.onnx`, `..\..\x`, "C:x", "a\nb", "\u202egnp.exe", "ok")), log.logger())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range l.files {
		names = append(names, f.name)
	}
	if diff := cmp.Diff([]string{"config.json", "ok"}, names); diff != "" {
		t.Error(diff)
	}
	if n := strings.Count(log.String(), "leaving it out"); n != 5 {
		t.Errorf("%d warnings, wanted 5", n)
	}
}

// A file's name may be another's folder: that is an error, not a crash.
func TestFileAndFolder(t *testing.T) {
	h, c := start(t)
	h.Add(repo, map[string]string{"a": "one", "a/b": "two"})
	_, err := c.Snapshot(t.Context(), Ref{Repo: repo}, nil)
	wantError(t, err, "hub's cache")
}

func TestImmenseListing(t *testing.T) {
	h, c := start(t)
	h.Break("list", "", -1, hubtest.Endless)
	_, err := c.Snapshot(t.Context(), Ref{Repo: repo}, nil)
	wantError(t, err, "it is longer than 67108864 bytes")
}

// A listing may tell no sizes and checksums, as those of some mirrors: then
// it is not kept for offline use, and all else works.
func TestScantListing(t *testing.T) {
	h, c := start(t)
	commit := snapshot(t, c, repo).Commit
	c.CacheDir = t.TempDir()
	h.Break("list", "", -1, hubtest.Body(fmt.Sprintf(`{"sha": %q, "siblings": [{"rfilename": "config.json"}, {"rfilename": "model.safetensors"}]}`, commit)))
	snap := snapshot(t, c, repo)
	holds(t, snap, map[string]string{"config.json": model["config.json"], "model.safetensors": model["model.safetensors"]})
	for _, f := range files(t, c.CacheDir) {
		if strings.Contains(f, "trees") {
			t.Error(f)
		}
	}
	c.Offline = true
	snapshot(t, c, repo)
}

// A commit's listing has to be that commit's.
func TestAnotherCommit(t *testing.T) {
	_, c := start(t)
	h := hubtest.New()
	defer h.Close()
	h.Add(repo, model)
	h.Add(repo, model, strings.Repeat("b", 40))
	c.Endpoint = h.URL
	_, err := c.Snapshot(t.Context(), parse(t, repo+"@"+strings.Repeat("b", 40)), nil)
	wantError(t, err, "it is of commit")
}

// Symlinks in a cache that somebody made lead only to the repository's own
// files and the store that huggingface_hub shares between repositories.
func TestSymlinks(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	write(t, outside, model["config.json"])
	for _, test := range []struct {
		name   string
		target func(cache, snap string) string // of config.json
		refuse bool
	}{
		{"relative, within", func(_, snap string) string { return "../../blobs/" + gitName }, false},
		{"absolute, within", func(_, snap string) string { return filepath.Join(snap, "../../blobs", gitName) }, false},
		{"into the shared store", func(cache, _ string) string { return "../../../blobs/ab/abcd" }, false},
		{"through a blob into the shared store", func(cache, _ string) string {
			blob := filepath.Join(cache, "models--google--t5-test", "blobs", gitName)
			os.Remove(blob)
			os.Symlink("../../blobs/ab/abcd", blob)
			return "../../blobs/" + gitName
		}, false},
		{"absolute, outside", func(_, _ string) string { return outside }, true},
		{"relative, outside", func(cache, snap string) string { r, _ := filepath.Rel(snap, outside); return r }, true},
		{"into another repository", func(_, _ string) string { return "../../../models--org--other/blobs/x" }, true},
		{"to a folder", func(_, _ string) string { return "../../blobs" }, true},
		{"to itself", func(_, _ string) string { return "config.json" }, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, c := start(t)
			snap, err := c.Snapshot(t.Context(), Ref{Repo: repo}, only("config.json"))
			if err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(c.CacheDir, "blobs", "ab", "abcd"), model["config.json"])
			write(t, filepath.Join(c.CacheDir, "models--org--other", "blobs", "x"), model["config.json"])
			path := filepath.Join(snap.Dir, "config.json")
			os.Remove(path)
			if err := os.Symlink(test.target(c.CacheDir, snap.Dir), path); err != nil {
				t.Fatal(err)
			}
			for _, offline := range []bool{false, true} {
				c.Offline = offline
				got, err := c.Snapshot(t.Context(), Ref{Repo: repo}, only("config.json"))
				if test.refuse {
					wantError(t, err, "config.json")
				} else if err != nil {
					t.Error(err)
				} else {
					holds(t, got, map[string]string{"config.json": model["config.json"]})
				}
			}
			repos, err := c.Cached()
			if listed := len(repos) == 1 && len(repos[0].Revisions) == 1 && len(repos[0].Revisions[0].Files) == 1; listed == test.refuse || err != nil {
				t.Errorf("Cached: %+v, %v", repos, err)
			}
		})
	}
}

// gitName is git's checksum of config.json.
const gitName = "d2d94a51536129ddc3c5cf32a7df62c6202a637e"

// Folders of the cache that lead out of it are not written through.
func TestSymlinkedFolders(t *testing.T) {
	for _, folder := range []string{"blobs", "snapshots", "refs", "trees", ".locks"} {
		t.Run(folder, func(t *testing.T) {
			_, c := start(t)
			outside := t.TempDir()
			dir := filepath.Join(c.CacheDir, "models--google--t5-test")
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if folder == ".locks" {
				dir = c.CacheDir
			}
			if err := os.Symlink(outside, filepath.Join(dir, folder)); err != nil {
				t.Fatal(err)
			}
			_, err := c.Snapshot(t.Context(), Ref{Repo: repo}, nil)
			if !slices.Contains([]string{"refs", "trees"}, folder) { // those are a convenience
				wantError(t, err, "escapes")
			} else if err != nil {
				t.Error(err)
			}
			if left := files(t, outside); left != nil {
				t.Errorf("written outside: %v", left)
			}
		})
	}
}

// A repository's folder may itself be a symlink: users move large ones.
func TestMovedRepository(t *testing.T) {
	h, c := start(t)
	elsewhere := t.TempDir()
	if err := os.Symlink(elsewhere, filepath.Join(c.CacheDir, "models--google--t5-test")); err != nil {
		t.Fatal(err)
	}
	holds(t, snapshot(t, c, repo), model)
	h.Counts()
	holds(t, snapshot(t, c, repo), model)
	counts(t, h, "list 1")
	if repos, err := c.Cached(); len(repos) != 1 || err != nil {
		t.Error(repos, err)
	}
}
