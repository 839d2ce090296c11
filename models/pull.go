package models

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"softprompt/models/hub"
	"softprompt/onnx/hint"
)

// Pulled is a model of the hub whose files lie in the cache.
type Pulled struct {
	Name     string // org/name
	Revision string // its commit
	Dir      string // the folder that holds the files
	Files    Files
}

// Pull downloads what the cache lacks of a model on the Hugging Face hub,
// org/name or org/name@revision: its configuration, its tokenizer and the
// best of its weights, as [ChooseFiles] picks them. Open does so too.
func Pull(ctx context.Context, ref string, opts Options) (Pulled, error) {
	log := opts.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if !isHubName(ref) {
		return Pulled{}, hint.Wrap(fmt.Errorf("%q is not a model on the hub", ref), "name it org/name or org/name@revision")
	}
	return pull(ctx, ref, opts.Hub, log)
}

// pullOther looks in the cache for a model whose best weights are not there
// and cannot be downloaded: Python may have cached it in another format.
func pullOther(ctx context.Context, ref hub.Ref, client hub.Client, tried Files) (Pulled, bool) {
	client.Offline = true
	for skip := tried.Weights; tried.Weights != nil; skip = append(skip, tried.Weights...) {
		var files Files
		snap, err := client.Snapshot(ctx, ref, func(names []string) (all []string, err error) {
			names = slices.DeleteFunc(names, func(n string) bool { return slices.Contains(skip, n) })
			files, err = ChooseFiles(names)
			return files.All(), err
		})
		if err == nil {
			return Pulled{ref.Repo, snap.Commit, snap.Dir, files}, true
		}
		tried = files
	}
	return Pulled{}, false
}

// bareNames are the models that the hub still knows without their org.
var bareNames = []string{"t5-small", "t5-base", "t5-large", "t5-3b", "t5-11b"}

// isHubName tells references that may be models on the hub.
func isHubName(ref string) bool {
	r, err := hub.ParseRef(ref)
	return err == nil && (strings.Contains(r.Repo, "/") || slices.Contains(bareNames, r.Repo))
}

func pull(ctx context.Context, name string, client *hub.Client, log *slog.Logger) (Pulled, error) {
	ref, err := hub.ParseRef(name)
	if err != nil {
		return Pulled{}, err
	}
	if client == nil {
		if client, err = hub.FromEnv(); err != nil {
			return Pulled{}, err
		}
	}
	if client.Log == nil {
		logging := *client
		logging.Log = log
		client = &logging
	}
	var files Files
	snap, err := client.Snapshot(ctx, ref, func(names []string) (all []string, err error) {
		files, err = ChooseFiles(names)
		return files.All(), err
	})
	if errors.Is(err, hub.ErrNotCached) && files.Weights != nil {
		if p, ok := pullOther(ctx, ref, *client, files); ok {
			log.Warn("the best weights are not cached; using others", "model", name, "file", p.Files.Weights[0], "instead of", files.Weights[0])
			return p, nil
		}
	}
	if errors.Is(err, hub.ErrRepoNotFound) {
		err = fmt.Errorf("there is no folder %s, and on the hub: %w", name, err)
	}
	if err != nil {
		return Pulled{}, err
	}
	return Pulled{ref.Repo, snap.Commit, snap.Dir, files}, nil
}
