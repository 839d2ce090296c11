package models

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"softprompt/models/hub"
	"softprompt/models/hub/hubtest"
)

const onHub = "google/t5-test"

// serve puts folders on a hub, and returns Options that download from it.
func serve(t *testing.T, repos map[string]string) (*hubtest.Hub, Options) {
	t.Helper()
	h := hubtest.New()
	t.Cleanup(h.Close)
	for repo, dir := range repos {
		if _, err := h.AddDir(repo, dir); err != nil {
			t.Fatal(err)
		}
	}
	return h, Options{CacheDir: t.TempDir(), Hub: &hub.Client{Endpoint: h.URL, CacheDir: t.TempDir()}}
}

// A model of the hub is the same as its folder, through the cache's symlinks;
// what does not belong to the model is not downloaded.
func TestOpenFromHub(t *testing.T) {
	dir := randomModel(t, nil, 1, F32)
	for _, name := range []string{"README.md", "pytorch_model.bin", "tf_model.h5"} {
		write(t, filepath.Join(dir, name), []byte("not asked for\n"))
	}
	h, opts := serve(t, map[string]string{onHub: dir})
	here := open(t, dir)
	want, err := here.Fingerprint()
	if err != nil {
		t.Fatal(err)
	}
	m, err := Open(t.Context(), onHub+"@main", opts)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if got, err := m.Fingerprint(); got != want || err != nil {
		t.Errorf("fingerprint %s, wanted %s; %v", got, want, err)
	}
	if m.Ref != onHub+"@main" || m.Name != onHub || len(m.Revision) != 40 || filepath.Base(m.Dir) != m.Revision {
		t.Errorf("%q %q %q %q", m.Ref, m.Name, m.Revision, m.Dir)
	}
	if tok, err := m.Tokenizer(); err != nil || tok.VocabSize() == 0 {
		t.Error(err)
	}
	names, err := list(m.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"config.json", "model.safetensors", "tokenizer.json"}, names); diff != "" {
		t.Error(diff)
	}
	if info, ok := m.Checkpoint.Lookup("shared.weight"); !ok || !strings.Contains(filepath.ToSlash(info.File), "/blobs/") {
		t.Errorf("the weights are in %q: ONNX Runtime wants the file itself", info.File)
	}

	// The commit needs no hub.
	h.Close()
	again, err := Open(t.Context(), onHub+"@"+m.Revision, opts)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

// A folder is taken before a model on the hub.
func TestFolderBeforeHub(t *testing.T) {
	h, opts := serve(t, nil)
	work := t.TempDir()
	if err := os.MkdirAll(filepath.Join(work, "google"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(randomModel(t, nil, 1, F32), filepath.Join(work, filepath.FromSlash(onHub))); err != nil {
		t.Fatal(err)
	}
	t.Chdir(work)
	m, err := Open(t.Context(), onHub, opts)
	if err != nil {
		t.Fatal(err)
	}
	m.Close()
	if n := len(h.Requests()); n != 0 || m.Name != "t5-test" {
		t.Errorf("%d requests for %s", n, m.Name)
	}
}

func TestPull(t *testing.T) {
	dir := randomModel(t, nil, 1, F32)
	h, opts := serve(t, map[string]string{onHub: dir, "t5-small": dir})
	var log bytes.Buffer
	opts.Log = slog.New(slog.NewTextHandler(&log, nil))
	p, err := Pull(t.Context(), onHub, opts)
	if err != nil {
		t.Fatal(err)
	}
	if p.Name != onHub || len(p.Revision) != 40 || filepath.Base(p.Dir) != p.Revision {
		t.Errorf("%+v", p)
	}
	if diff := cmp.Diff(Files{Safetensors, []string{"model.safetensors"}, []string{"config.json", "tokenizer.json"}}, p.Files); diff != "" {
		t.Error(diff)
	}
	if _, err := Pull(t.Context(), "t5-small", opts); err != nil {
		t.Error(err)
	}

	// Out of reach, the model is used as it is, and the log says so.
	h.Close()
	if again, err := Pull(t.Context(), onHub, opts); err != nil || again.Dir != p.Dir {
		t.Error(again, err)
	}
	if !strings.Contains(log.String(), "level=WARN") {
		t.Errorf("the log is %q", log.String())
	}
	for _, ref := range []string{"tiny", "./" + onHub, dir, "", "a/b/c"} {
		_, err := Pull(t.Context(), ref, opts)
		wantError(t, err, "not a model on the hub", "hint:org/name")
	}
}

// The environment names the hub unless Options do.
func TestPullFromEnv(t *testing.T) {
	h, _ := serve(t, map[string]string{onHub: randomModel(t, nil, 1, F32)})
	home := t.TempDir()
	t.Setenv("HF_ENDPOINT", h.URL)
	t.Setenv("HF_HOME", home)
	t.Setenv("HF_HUB_CACHE", "")
	t.Setenv("HUGGINGFACE_HUB_CACHE", "")
	t.Setenv("HF_HUB_OFFLINE", "")
	t.Setenv("TRANSFORMERS_OFFLINE", "")
	p, err := Pull(t.Context(), onHub, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(home, "hub", "models--google--t5-test", "snapshots", p.Revision); p.Dir != want {
		t.Errorf("in %s, wanted %s", p.Dir, want)
	}
	t.Setenv("HF_HUB_OFFLINE", "1")
	h.Counts()
	if _, err := Pull(t.Context(), onHub, Options{}); err != nil || len(h.Requests()) != 0 {
		t.Error(err, h.Requests())
	}
	t.Setenv("HF_HUB_DOWNLOAD_TIMEOUT", "x")
	_, err = Pull(t.Context(), onHub, Options{})
	wantError(t, err, "HF_HUB_DOWNLOAD_TIMEOUT", "hint:seconds")
}

// What is no model of ours is refused before anything is downloaded.
func TestPullNoModel(t *testing.T) {
	h, opts := serve(t, nil)
	h.Add("org/adapter", map[string]string{"adapter_model.safetensors": "x", "adapter_config.json": "{}"})
	h.Add("org/empty", nil)
	h.Add("org/gated", map[string]string{"config.json": "{}", "model.safetensors": "x"})
	h.Gate("org/gated", "hf_x")
	_, err := Open(t.Context(), "org/adapter", opts)
	wantError(t, err, "org/adapter", "an adapter", "hint:base model")
	_, err = Open(t.Context(), "org/empty", opts)
	wantError(t, err, "org/empty", "no model.safetensors", "hint:config.json")
	_, err = Open(t.Context(), "org/gated", opts)
	wantError(t, err, "org/gated", "a gated model", "hint:accept the licence")
	if !errors.Is(err, hub.ErrGated) {
		t.Error(err)
	}
	if n := h.Counts()["storage"]; n != 0 {
		t.Errorf("%d downloads", n)
	}
}

// A sharded model of which only some is cached, by a program that keeps no
// list of its files, is not taken for whole.
func TestPartOfShards(t *testing.T) {
	config := smallConfig(nil)
	tensors := namedTensors(mustConfig(t, config), randomWeights(mustConfig(t, config), 1), F32)
	half := len(tensors) / 2
	weightMap := map[string]string{}
	const one, two = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
	for i, n := range tensors {
		weightMap[n.Name] = map[bool]string{true: one, false: two}[i < half]
	}
	dir := filepath.Dir(writeShards(t, map[string][]NamedTensor{one: tensors[:half], two: tensors[half:]}, weightMap))
	write(t, filepath.Join(dir, "config.json"), config)
	_, opts := serve(t, map[string]string{onHub: dir})
	m, err := Open(t.Context(), onHub, opts)
	if err != nil {
		t.Fatal(err)
	}
	m.Close()
	if err := os.Remove(filepath.Join(m.Dir, two)); err != nil {
		t.Fatal(err)
	}
	opts.Hub.Offline = true
	_, err = Open(t.Context(), onHub, opts)
	wantError(t, err, "not in the cache: "+two, "hint:HF_HUB_OFFLINE")
	if err := os.RemoveAll(filepath.Join(m.Dir, "..", "..", "trees")); err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), onHub, opts)
	wantError(t, err, two, "hint:download what is missing")
	opts.Hub.Offline = false
	m, err = Open(t.Context(), onHub, opts)
	if err != nil {
		t.Fatal(err)
	}
	m.Close()
}

// Offline, a model that is cached in another format than the best is used: as
// Python's tools leave it, which download what they prefer.
func TestPullWhatIsCached(t *testing.T) {
	h, opts := serve(t, nil)
	files := map[string]string{"config.json": "{}", "tokenizer.json": "{}", "onnx/encoder_model.onnx": "e", "onnx/decoder_model.onnx": "d"}
	const index, one, two = "pytorch_model.bin.index.json", "pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"
	for _, name := range []string{"model.safetensors", index, one, two} {
		files[name] = name
	}
	h.Add(onHub, files)
	for _, test := range []struct {
		cached []string
		want   Format // of what is used; empty: an error
	}{
		{[]string{"model.safetensors", index, one, two}, Safetensors},
		{[]string{index, one, two}, PyTorch},
		{[]string{index, one}, ""},
		{[]string{index, one, "onnx/encoder_model.onnx", "onnx/decoder_model.onnx"}, ONNX},
		{[]string{"onnx/encoder_model.onnx"}, ""},
		{nil, ""},
	} {
		opts.Hub.CacheDir, opts.Hub.Offline = t.TempDir(), false
		_, err := opts.Hub.Snapshot(t.Context(), hub.Ref{Repo: onHub}, func([]string) ([]string, error) {
			return append(test.cached, "config.json", "tokenizer.json"), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		opts.Hub.Offline = true
		p, err := Pull(t.Context(), onHub, opts)
		if test.want == "" {
			wantError(t, err, "not in the cache: model.safetensors", "hint:HF_HUB_OFFLINE")
		} else if err != nil || p.Files.Format != test.want {
			t.Errorf("%v: %+v, %v", test.cached, p, err)
		}
	}
}
