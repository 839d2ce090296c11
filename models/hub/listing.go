package hub

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
)

// listing is which files a commit has. It never changes.
type listing struct {
	commit string
	files  []listed
}

// listed is a file as a listing describes it.
type listed struct {
	name   string
	size   int64 // -1: unknown
	blobID string
	sha256 string // of large files
}

// listingLimit bounds what a hub may answer: some 200,000 files.
const listingLimit = 64 << 20

// list asks the hub which files a revision has.
func (s *session) list(ctx context.Context, ref Ref, attempts int) (listing, error) {
	var data []byte
	err := s.retry(ctx, attempts, func() (bool, error) {
		resp, err := s.do(ctx, s.files, http.MethodGet, s.apiURL(ref), 0)
		if err != nil {
			return false, err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return false, s.refused(resp, ref)
		}
		data, err = io.ReadAll(io.LimitReader(resp.Body, listingLimit+1))
		return false, err
	})
	if err != nil {
		return listing{}, err
	}
	l, err := parseListing(data, s.Log)
	if err == nil && IsCommit(ref.revision()) && l.commit != ref.revision() {
		err = fmt.Errorf("it is of commit %s", l.commit)
	}
	if err != nil {
		return listing{}, fmt.Errorf("reading the hub's list of files: %w", err)
	}
	return l, nil
}

// parseListing reads the answer of /api/models/REPO/revision/REV?blobs=true,
// as hf_api.py's ModelInfo does.
func parseListing(data []byte, log *slog.Logger) (listing, error) {
	if len(data) > listingLimit {
		return listing{}, fmt.Errorf("it is longer than %d bytes", listingLimit)
	}
	var answer struct {
		SHA      string `json:"sha"`
		Siblings []struct {
			Name   string `json:"rfilename"`
			Size   *int64 `json:"size"`
			BlobID string `json:"blobId"`
			LFS    *struct {
				SHA256 string `json:"sha256"`
			} `json:"lfs"`
		} `json:"siblings"`
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return listing{}, err
	}
	if !IsCommit(answer.SHA) {
		return listing{}, fmt.Errorf("its commit %q is none", printable(answer.SHA))
	}
	l := listing{commit: answer.SHA}
	for _, f := range answer.Siblings {
		ok, err := usable(f.Name)
		if err != nil {
			return listing{}, err
		}
		if !ok {
			log.Warn("the model has a file that cannot be stored everywhere; leaving it out", "file", f.Name)
			continue
		}
		entry := listed{name: f.Name, size: -1, blobID: f.BlobID}
		if f.Size != nil && *f.Size >= 0 {
			entry.size = *f.Size
		}
		if f.LFS != nil {
			entry.sha256 = f.LFS.SHA256
		}
		l.files = append(l.files, entry)
	}
	return l, nil
}

// usable tells names that can be files on every system. One that git itself
// could not hold is an attack on the cache, and an error.
func usable(name string) (bool, error) {
	if !fs.ValidPath(name) || name == "." || strings.Contains(name, "\x00") {
		return false, fmt.Errorf("%q is no file's name", name)
	}
	return !strings.ContainsAny(name, `\:`) && printable(name) == name && filepath.IsLocal(filepath.FromSlash(name)), nil
}

// tree is a listing as huggingface_hub keeps it in trees/COMMIT.json (its
// _tree_cache.py), so that both can tell a whole snapshot without a request.
type tree struct {
	Version int                  `json:"format_version"`
	Files   map[string]treeEntry `json:"files"`
}

type treeEntry struct {
	Size    *int64  `json:"size"`
	BlobID  *string `json:"blob_id"`
	SHA256  string  `json:"lfs_sha256,omitempty"`
	LFSSize *int64  `json:"lfs_size,omitempty"`
}

const treeVersion = 1

// encode returns the listing as a tree, or false if the hub told too little.
func (l listing) encode() ([]byte, bool) {
	t := tree{treeVersion, map[string]treeEntry{}}
	for _, f := range l.files {
		if f.size < 0 || f.blobID == "" {
			return nil, false
		}
		entry := treeEntry{Size: &f.size, BlobID: &f.blobID, SHA256: f.sha256}
		if f.sha256 != "" {
			entry.LFSSize = &f.size
		}
		t.Files[f.name] = entry
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(t); err != nil {
		return nil, false
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), true
}

// parseTree reads a tree. What huggingface_hub would not use, it does not use.
func parseTree(data []byte, commit string) (listing, error) {
	var t tree
	if err := json.Unmarshal(data, &t); err != nil {
		return listing{}, err
	}
	if t.Version != treeVersion {
		return listing{}, fmt.Errorf("its version is %d", t.Version)
	}
	l := listing{commit: commit}
	for name, f := range t.Files {
		ok, err := usable(name)
		if err != nil {
			return listing{}, err
		}
		if f.Size == nil || f.BlobID == nil || *f.Size < 0 {
			return listing{}, fmt.Errorf("%q has no size or no blob_id", name)
		}
		if ok {
			l.files = append(l.files, listed{name, *f.Size, *f.BlobID, f.SHA256})
		}
	}
	return l, nil
}
