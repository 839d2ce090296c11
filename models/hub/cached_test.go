package hub

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCached(t *testing.T) {
	h, c := start(t)
	if repos, err := c.Cached(); repos != nil || err != nil {
		t.Error(repos, err)
	}
	c.CacheDir = filepath.Join(t.TempDir(), "not", "there")
	if repos, err := c.Cached(); repos != nil || err != nil {
		t.Error(repos, err)
	}
	weights := model["model.safetensors"]
	next := map[string]string{"config.json": "next\n", "model.safetensors": weights}
	first := snapshot(t, c, repo+"@main")
	h.Add(repo, next, "refs/pr/1", "v2")
	second := snapshot(t, c, repo+"@v2")
	snapshot(t, c, repo+"@refs/pr/1")
	h.Add("t5-small", map[string]string{"config.json": "{}"})
	old := snapshot(t, c, "t5-small")

	// What is not a model's folder, or a damaged one, is left out.
	write(t, filepath.Join(c.CacheDir, "datasets--a--b", "snapshots", first.Commit, "x"), "x")
	write(t, filepath.Join(c.CacheDir, "models--a--b", "snapshots"), "a file")
	write(t, filepath.Join(c.CacheDir, "models--a--c", "snapshots", "not-a-commit", "x"), "x")
	write(t, filepath.Join(c.CacheDir, "models--..--x", "snapshots", first.Commit, "x"), "x")
	write(t, filepath.Join(c.CacheDir, "version.txt"), "1")
	if err := os.MkdirAll(filepath.Join(c.CacheDir, "models--a--d", "snapshots", first.Commit), 0o755); err != nil {
		t.Fatal(err)
	}

	repos, err := c.Cached()
	if err != nil {
		t.Fatal(err)
	}
	size := func(names ...string) (n int64) {
		for _, name := range names {
			n += int64(len(model[name]))
		}
		return n
	}
	google := CachedRepo{
		Repo: repo, Dir: filepath.Join(c.CacheDir, "models--google--t5-test"),
		Bytes: size(first.Files...) + 5, // the weights once
		Revisions: []CachedRevision{
			{first.Commit, []string{"main"}, first.Dir, []CachedFile{
				{"a b/naïve %41?#.txt", 18}, {"config.json", 21}, {"empty", 0}, {"model.safetensors", 100_000}, {"onnx/encoder.onnx", 30_000},
			}, size(first.Files...)},
			{second.Commit, []string{"refs/pr/1", "v2"}, second.Dir, []CachedFile{{"config.json", 5}, {"model.safetensors", 100_000}}, 100_005},
		},
	}
	if first.Commit > second.Commit {
		google.Revisions[0], google.Revisions[1] = google.Revisions[1], google.Revisions[0]
	}
	t5 := CachedRepo{"t5-small", filepath.Join(c.CacheDir, "models--t5-small"), 2, []CachedRevision{{old.Commit, []string{"main"}, old.Dir, []CachedFile{{"config.json", 2}}, 2}}}
	if diff := cmp.Diff([]CachedRepo{google, t5}, repos); diff != "" {
		t.Error(diff)
	}
}
