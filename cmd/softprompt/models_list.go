package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"

	"softprompt/models"
	"softprompt/models/hub"
)

type modelsListCmd struct {
	Cached bool `help:"Only the models that are on this machine."`
}

// Help has the examples.
func (modelsListCmd) Help() string {
	return `Lists the embedded model, the published models of the T5 family with their
sizes, and how much of each lies in the hub's cache, which is shared with
Python's tools (HF_HOME). Any other T5 on the hub works by its name as well, and
so does a folder.

    softprompt models
    softprompt models --cached`
}

// listed is a model in the list.
type listed struct {
	Name       string `json:"name"`
	Family     string `json:"family,omitempty"`
	Parameters int64  `json:"parameters"`
	Bytes      int64  `json:"float32_bytes"` // what its weights take in float32
	Embedded   bool   `json:"embedded,omitempty"`
	Cached     int64  `json:"cached_bytes"`
	Commit     string `json:"commit,omitempty"` // the one that main was when it was last asked for
}

// Run lists.
func (c modelsListCmd) Run(ctx context.Context, ui *tui) error {
	derived, err := models.CacheDir()
	if err != nil {
		return err
	}
	list, err := c.embedded(ctx, ui)
	if err != nil {
		return err
	}
	client, err := hub.FromEnv()
	if err != nil {
		return err
	}
	cached, err := client.Cached()
	if err != nil {
		return err
	}
	list = append(list, inCache(cached)...)
	if !c.Cached {
		for _, k := range models.KnownModels() {
			if !slices.ContainsFunc(list, func(l listed) bool { return l.Name == k.Name }) {
				list = append(list, newListed(k.Name, k.Config))
			}
		}
	}
	if ui.json {
		return ui.emit(map[string]any{"cache": derived, "hub_cache": client.CacheDir, "models": list})
	}
	rows := []string{cells("model", "family", "parameters", "in float32", "on this machine")}
	for _, l := range list {
		here := ""
		switch {
		case l.Embedded:
			here = "embedded in softprompt"
		case l.Cached > 0:
			here = sizeText(l.Cached)
		}
		rows = append(rows, cells(l.Name, l.Family, millions(l.Parameters), sizeText(l.Bytes), here))
	}
	ui.table(rows...)
	ui.printf("\nany T5 works by its name on the hub, org/name or org/name@revision, and as a folder\nhub's cache: %s\nderived files: %s\n", client.CacheDir, derived)
	return nil
}

// embedded is the list's beginning.
func (modelsListCmd) embedded(ctx context.Context, ui *tui) ([]listed, error) {
	m, err := models.Open(ctx, "tiny", models.Options{Log: ui.log})
	if err != nil {
		return nil, err
	}
	defer m.Close()
	l := newListed("tiny", m.Config)
	l.Embedded = true
	return []listed{l}, nil
}

func newListed(name string, c models.Config) listed {
	l := listed{Name: name, Parameters: c.Parameters(), Bytes: 4 * c.Parameters()}
	for _, k := range models.KnownModels() {
		if k.Name == name {
			l.Family = k.Family
		}
	}
	return l
}

// inCache lists the repositories in the hub's cache that hold a T5.
func inCache(repos []hub.CachedRepo) []listed {
	var list []listed
	for _, r := range repos {
		for _, rev := range slices.Backward(r.Revisions) {
			data, err := os.ReadFile(filepath.Join(rev.Dir, "config.json"))
			if err != nil {
				continue
			}
			config, err := models.ParseConfig(data)
			if err != nil {
				continue // of another architecture
			}
			l := newListed(r.Repo, config)
			l.Cached, l.Commit = r.Bytes, rev.Commit
			for _, other := range r.Revisions {
				if slices.Contains(other.Refs, "main") {
					l.Commit = other.Commit
				}
			}
			list = append(list, l)
			break
		}
	}
	return list
}
