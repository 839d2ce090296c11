package hub

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// CachedRepo is a model repository in the cache.
type CachedRepo struct {
	Repo      string // org/name
	Dir       string
	Bytes     int64 // its content, counted once
	Revisions []CachedRevision
}

// CachedRevision is a commit in the cache, of which files may be missing.
type CachedRevision struct {
	Commit string
	Refs   []string // the branches and tags that were this commit when last asked for
	Dir    string
	Files  []CachedFile
	Bytes  int64
}

// CachedFile is a file of a commit.
type CachedFile struct {
	Name  string // slash-separated
	Bytes int64
}

// Cached returns what models the cache has, by name. A cache that is not
// there is empty; what is damaged is left out.
func (c *Client) Cached() ([]CachedRepo, error) {
	s, err := c.session()
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(s.CacheDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing the hub's cache: %w", err)
	}
	var repos []CachedRepo
	for _, e := range entries {
		name, ok := strings.CutPrefix(e.Name(), "models--")
		ref := Ref{Repo: strings.Replace(name, "--", "/", 1)}
		if !ok || ref.check() != nil {
			continue
		}
		repo, err := s.cachedRepo(ref)
		if err != nil {
			s.Log.Debug("leaving out a damaged folder of the hub's cache", "dir", e.Name(), "err", err)
			continue
		}
		if len(repo.Revisions) > 0 {
			repos = append(repos, repo)
		}
	}
	return repos, nil
}

func (s *session) cachedRepo(ref Ref) (CachedRepo, error) {
	c, err := openCache(s.CacheDir, ref, s.Log)
	if err != nil {
		return CachedRepo{}, err
	}
	defer c.close()
	repo := CachedRepo{Repo: ref.Repo, Dir: c.dir}
	refs := c.refs()
	commits, err := fs.ReadDir(c.root.FS(), "snapshots")
	if err != nil {
		return CachedRepo{}, err
	}
	var counted []os.FileInfo
	for _, e := range commits {
		if !IsCommit(e.Name()) {
			continue
		}
		names, err := c.names(e.Name())
		if err != nil {
			return CachedRepo{}, err
		}
		r := CachedRevision{Commit: e.Name(), Refs: refs[e.Name()], Dir: filepath.Join(c.dir, "snapshots", e.Name())}
		for _, name := range names {
			info, err := c.stat(snapshotPath(r.Commit, name))
			if err != nil {
				continue // leads out of the cache
			}
			r.Files = append(r.Files, CachedFile{name, info.Size()})
			r.Bytes += info.Size()
			if !slices.ContainsFunc(counted, func(o os.FileInfo) bool { return os.SameFile(o, info) }) {
				counted = append(counted, info)
				repo.Bytes += info.Size()
			}
		}
		if len(r.Files) > 0 {
			repo.Revisions = append(repo.Revisions, r)
		}
	}
	return repo, nil
}

// refs returns the revisions that name each commit.
func (c *repoCache) refs() map[string][]string {
	refs := map[string][]string{}
	fs.WalkDir(c.root.FS(), "refs", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		name := strings.TrimPrefix(p, "refs/")
		if commit, ok := c.commit(name); ok && commit != name {
			refs[commit] = append(refs[commit], name)
		}
		return nil
	})
	return refs
}
