// Package hubtest serves a Hugging Face hub on this machine for tests: its
// API, files small and large, the storage that large ones are redirected to,
// and its faults. Call [New], then [Hub.Add] or [Hub.AddDir], and give Hub.URL
// to a client as its endpoint, or to a program as HF_ENDPOINT.
package hubtest

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
)

// Hub is a hub that runs. Its methods may be called by many goroutines.
type Hub struct {
	URL     string // of the hub
	Storage string // of where large files lie: another server

	hub, storage *httptest.Server

	mu       sync.Mutex
	commits  map[string]commit // by repo@revision and repo@hash
	locks    map[string]access // by repo
	faults   []*fault
	requests []Request
}

// commit is what a revision of a repository holds.
type commit struct {
	hash  string
	files map[string]file
}

// file is a file with what the hub says of it.
type file struct {
	content string
	etag    string // the checksum that names its content
	blobID  string // git's name for it, or for its pointer if it is large
	pointer int    // length of what git holds in a large file's place; 0 if it is small
}

// access is what it takes to read a repository.
type access struct {
	token string
	gated bool // else it is private
}

// Request is one that the hub or its storage got.
type Request struct {
	Kind  string // list, head, redirect (to a file), get (a small one) or storage (a large one)
	Path  string // with escapes
	Token string // the Authorization header
	Range string
}

// New starts a hub without models. The caller closes it.
func New() *Hub {
	h := &Hub{commits: map[string]commit{}, locks: map[string]access{}}
	h.hub = httptest.NewServer(http.HandlerFunc(h.serve))
	h.storage = httptest.NewServer(http.HandlerFunc(h.serve))
	h.URL, h.Storage = h.hub.URL, h.storage.URL
	return h
}

// Close stops the hub; what it is still serving breaks off.
func (h *Hub) Close() {
	for _, s := range []*httptest.Server{h.hub, h.storage} {
		s.CloseClientConnections()
		s.Close()
	}
}

// Add puts a commit with these files into a repository and returns its hash,
// which depends on nothing else. The revisions name it; without any it is
// main.
func (h *Hub) Add(repo string, files map[string]string, revisions ...string) string {
	sum, c := sha1.New(), commit{files: map[string]file{}}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f := describe(name, files[name])
		fmt.Fprintf(sum, "%s %s\n", name, f.blobID)
		c.files[name] = f
	}
	c.hash = hex.EncodeToString(sum.Sum(nil))
	if len(revisions) == 0 {
		revisions = []string{"main"}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range append(revisions, c.hash) {
		h.commits[repo+"@"+r] = c
	}
	return c.hash
}

// AddDir puts a folder's files into a repository, as its main revision.
func (h *Hub) AddDir(repo, dir string) (string, error) {
	files := map[string]string{}
	fsys := os.DirFS(dir)
	err := fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(fsys, p)
		files[p] = string(data)
		return err
	})
	if err != nil {
		return "", err
	}
	return h.Add(repo, files), nil
}

// Private hides a repository from who does not have the token.
func (h *Hub) Private(repo, token string) { h.restrict(repo, access{token, false}) }

// Gate lets everybody see a repository's names, but only who has the token,
// and so has accepted the licence, its files.
func (h *Hub) Gate(repo, token string) { h.restrict(repo, access{token, true}) }

func (h *Hub) restrict(repo string, a access) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.locks[repo] = a
}

// Requests returns what was asked, oldest first.
func (h *Hub) Requests() []Request {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.requests)
}

// Counts says how many requests there were since the last call, by kind.
func (h *Hub) Counts() map[string]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	counts := map[string]int{}
	for _, r := range h.requests {
		counts[r.Kind]++
	}
	h.requests = nil
	return counts
}

// isLarge tells files that a hub stores apart, by SHA-256, as its
// .gitattributes say.
func isLarge(name string) bool {
	switch path.Ext(name) {
	case ".bin", ".h5", ".model", ".msgpack", ".onnx", ".onnx_data", ".safetensors":
		return true
	}
	return false
}

// describe computes a file's checksums.
func describe(name, content string) file {
	if !isLarge(name) {
		id := gitHash(content)
		return file{content: content, etag: id, blobID: id}
	}
	sum := sha256.Sum256([]byte(content))
	etag := hex.EncodeToString(sum[:])
	pointer := fmt.Sprintf("version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n", etag, len(content))
	return file{content, etag, gitHash(pointer), len(pointer)}
}

// gitHash is git's name for a file's content.
func gitHash(content string) string {
	sum := sha1.Sum([]byte(fmt.Sprintf("blob %d\x00%s", len(content), content)))
	return hex.EncodeToString(sum[:])
}

// bearer returns the token of a request.
func bearer(r *http.Request) string {
	return strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
}
