package hub

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"

	"softprompt/onnx/hint"
)

// Snapshot returns the folder of a revision with the files that choose picks
// from the names of all its files; nil picks all. Files that the cache lacks
// are downloaded. choose may be called twice, and is given only what is
// cached if no list of all files is.
//
// A commit whose chosen files are all cached costs no request, and a branch
// one, for its commit. If that fails, what is cached is used, with a warning.
// Offline, and with the hub out of reach, an incomplete snapshot is an error.
func (c *Client) Snapshot(ctx context.Context, ref Ref, choose func(names []string) ([]string, error)) (Snapshot, error) {
	if err := ref.check(); err != nil {
		return Snapshot{}, err
	}
	s, err := c.session()
	if err != nil {
		return Snapshot{}, err
	}
	p := &pull{session: s, ref: ref, choose: choose}
	snap, err := p.run(ctx)
	p.cache.close()
	if err != nil {
		return Snapshot{}, fmt.Errorf("getting model %s: %w", ref, err)
	}
	return snap, nil
}

// pull is one call of Snapshot.
type pull struct {
	*session
	ref    Ref
	choose func([]string) ([]string, error)
	cache  *repoCache // nil until there is a folder
}

func (p *pull) run(ctx context.Context) (Snapshot, error) {
	var err error
	p.cache, err = openCache(p.CacheDir, p.ref, p.Log)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Snapshot{}, hint.Wrap(fmt.Errorf("opening the hub's cache: %w", err), "set HF_HUB_CACHE or HF_HOME to a folder that can be written")
	}
	if p.Offline {
		snap, err := p.cached()
		if err != nil && hint.Of(err) == "" {
			err = hint.Wrap(err, "unset HF_HUB_OFFLINE to download it")
		}
		return snap, err
	}
	files, err := p.list(ctx)
	if err != nil {
		if ctx.Err() != nil || errors.Is(err, ErrRevisionNotFound) {
			return Snapshot{}, err
		}
		snap, cerr := p.cached()
		if cerr == nil {
			p.Log.Warn("cannot ask the hub; using the model as it is in the cache", "model", p.ref.String(), "commit", snap.Commit, "err", err)
			return snap, nil
		}
		if errors.Is(cerr, errOutside) {
			return Snapshot{}, cerr
		}
		return Snapshot{}, fmt.Errorf("%w (and %w)", err, cerr)
	}
	return p.complete(ctx, files)
}

// list returns the files of the revision: from the cache if it cannot have
// changed, else from the hub, once if there is something to fall back on.
func (p *pull) list(ctx context.Context) (listing, error) {
	if p.cache != nil && IsCommit(p.ref.revision()) {
		if l, ok := p.cache.listing(p.ref.revision()); ok {
			return l, nil
		}
	}
	n := attempts
	if _, err := p.cached(); err == nil {
		n = 1
	}
	return p.session.list(ctx, p.ref, n)
}

// cached returns the snapshot without asking the hub. It is an error unless
// all files that choose picks are there.
func (p *pull) cached() (Snapshot, error) {
	if p.cache == nil {
		return Snapshot{}, ErrNotCached
	}
	commit, ok := p.cache.commit(p.ref.revision())
	if !ok {
		return Snapshot{}, ErrNotCached
	}
	names, err := p.cache.names(commit)
	if err != nil {
		return Snapshot{}, err
	}
	if len(names) == 0 {
		return Snapshot{}, ErrNotCached
	}
	all, known := p.cache.listing(commit)
	if !known {
		all.commit = commit
		for _, name := range names {
			all.files = append(all.files, listed{name: name, size: -1})
		}
	}
	chosen, err := p.pick(all)
	if err != nil {
		if !known {
			err = fmt.Errorf("in what is cached of it: %w", err)
		}
		return Snapshot{}, err
	}
	missing, err := p.missing(commit, chosen)
	if err != nil {
		return Snapshot{}, err
	}
	if len(missing) > 0 {
		return Snapshot{}, fmt.Errorf("%w: %s", ErrNotCached, strings.Join(missing, ", "))
	}
	return p.snapshot(commit, chosen), nil
}

// pick chooses among the files of a commit.
func (p *pull) pick(l listing) ([]listed, error) {
	if p.choose == nil {
		return l.files, nil
	}
	names, byName := make([]string, len(l.files)), map[string]listed{}
	for i, f := range l.files {
		names[i], byName[f.name] = f.name, f
	}
	names, err := p.choose(names)
	if err != nil {
		return nil, err
	}
	var chosen []listed
	for _, name := range names {
		f, ok := byName[name]
		if !ok {
			return nil, fmt.Errorf("choosing files: %w: %s", ErrFileNotFound, name)
		}
		chosen = append(chosen, f)
	}
	return chosen, nil
}

// missing returns which of a commit's files the cache lacks.
func (p *pull) missing(commit string, files []listed) ([]string, error) {
	var names []string
	for _, f := range files {
		ok, err := p.cache.has(snapshotPath(commit, f.name), f.size)
		if err != nil {
			return nil, err
		}
		if !ok {
			names = append(names, f.name)
		}
	}
	return names, nil
}

func (p *pull) snapshot(commit string, files []listed) Snapshot {
	snap := Snapshot{Dir: filepath.Join(p.cache.dir, "snapshots", commit), Commit: commit}
	for _, f := range files {
		snap.Files = append(snap.Files, f.name)
	}
	return snap
}

// complete downloads what is missing. Only then does the revision name the
// commit, so that who is offline later still has the last whole one.
func (p *pull) complete(ctx context.Context, l listing) (Snapshot, error) {
	chosen, err := p.pick(l)
	if err != nil {
		return Snapshot{}, err
	}
	if p.cache == nil {
		if p.cache, err = makeCache(p.CacheDir, p.ref, p.Log); err != nil {
			return Snapshot{}, err
		}
	}
	if err := p.cache.setListing(l); err != nil {
		p.Log.Debug("not keeping the list of files", "err", err) // as with a read-only cache
	}
	missing, err := p.missing(l.commit, chosen)
	if err != nil {
		return Snapshot{}, err
	}
	if err := p.fetchAll(ctx, l.commit, missing); err != nil {
		return Snapshot{}, err
	}
	if rev := p.ref.revision(); rev != l.commit {
		if err := p.cache.setCommit(rev, l.commit); err != nil {
			p.Log.Debug("not noting the revision's commit", "err", err)
		}
	}
	return p.snapshot(l.commit, chosen), nil
}

// fetchAll downloads files, several at a time. The first error ends them all;
// what they have is kept.
func (p *pull) fetchAll(ctx context.Context, commit string, names []string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	slots := make(chan struct{}, p.Parallel)
	for _, name := range names {
		slots <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := p.fetch(ctx, commit, name); err != nil {
				cancel(fmt.Errorf("downloading %s: %w", name, err))
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}
