package main

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"softprompt/models/hub"
	"softprompt/models/hub/hubtest"
)

const (
	repo   = "google/t5-test"
	script = "tools/reference/hub_cache.py"
)

// revisions are the files of the model's commits.
var revisions = map[string]map[string]string{
	"main": {
		"README.md":         "A model that is none.\n",
		"config.json":       "{\"model_type\": \"t5\"}\n",
		"model.safetensors": "Weights, large enough to be stored apart.\n",
		"onnx/encoder.onnx": "A graph in a folder.\n",
		"a file.txt":        "A name with a space.\n",
	},
	"refs/pr/1": {
		"config.json":       "{\"model_type\": \"mt5\"}\n",
		"model.safetensors": "Weights, large enough to be stored apart.\n",
	},
}

// visit is a hub and the places from where it is visited.
type visit struct {
	python string
	hub    *hubtest.Hub
	homes  map[string]string // HF_HOME by who fills it
	commit map[string]string // of each revision
}

func newVisit(python, dir string) *visit {
	v := &visit{python: python, hub: hubtest.New(), homes: map[string]string{}, commit: map[string]string{}}
	for rev, files := range revisions {
		v.commit[rev] = v.hub.Add(repo, files, rev)
	}
	for _, who := range []string{"python", "softprompt", "from_pretrained", "shared"} {
		v.homes[who] = filepath.Join(dir, who)
	}
	return v
}

// step is a use of a cache.
type step struct {
	home    string // whose cache
	filled  string // who filled it; empty if this step does
	used    string // who uses it
	offline bool
	python  [][]string // arguments of the script; nil: it is our client
	files   []string   // those that our client gets of main; nil: all of all revisions
}

// steps fill a cache with each side and use it with the other.
func (v *visit) steps() []step {
	const snapshot, single, shared, ours = "huggingface_hub, snapshot_download", "huggingface_hub, hf_hub_download", "huggingface_hub, shared store", "softprompt"
	all := append([]string{"snapshot", repo}, v.names()...)
	files := []string{"config.json", "model.safetensors", "onnx/encoder.onnx"}
	some := append([]string{"files", repo, "main"}, files...)
	return []step{
		{"python", "", snapshot, false, [][]string{all}, nil},
		{"python", snapshot, ours, false, nil, nil},
		{"python", snapshot, ours, true, nil, nil},
		{"from_pretrained", "", single, false, [][]string{some}, nil},
		{"from_pretrained", single, ours, false, nil, files},
		{"from_pretrained", single, ours, true, nil, files},
		{"shared", "", shared, false, [][]string{all, {"share", repo}}, nil},
		{"shared", shared, ours, false, nil, nil},
		{"shared", shared, ours, true, nil, nil},
		{"softprompt", "", ours, false, nil, nil},
		{"softprompt", ours, snapshot, false, [][]string{all}, nil},
		{"softprompt", ours, snapshot, true, [][]string{all}, nil},
		{"softprompt", ours, single, true, [][]string{some}, nil},
		{"softprompt", ours, "huggingface_hub, scan_cache_dir", true, [][]string{{"scan"}}, nil},
	}
}

// exchange takes the steps and prints the requests that each made.
func (v *visit) exchange(ctx context.Context) error {
	fmt.Printf("%-36s %-36s %-8s %5s %5s %9s\n", "cache filled by", "used by", "", "lists", "heads", "downloads")
	for _, s := range v.steps() {
		v.hub.Counts()
		if err := v.take(ctx, s); err != nil {
			return fmt.Errorf("%s in the cache of %s: %w", s.used, s.home, err)
		}
		c := v.hub.Counts()
		downloads := c["get"] + c["storage"]
		where := map[bool]string{true: "offline", false: "online"}[s.offline]
		fmt.Printf("%-36s %-36s %-8s %5d %5d %9d\n", cmp.Or(s.filled, "-"), s.used, where, c["list"], c["head"], downloads)
		if s.filled != "" && downloads > 0 || s.offline && c["list"]+c["head"] > 0 {
			return fmt.Errorf("%s in the cache of %s made requests that it should not need", s.used, s.filled)
		}
	}
	return nil
}

func (v *visit) take(ctx context.Context, s step) error {
	home := v.homes[s.home]
	for _, args := range s.python {
		if err := v.runPython(ctx, home, s.offline, args...); err != nil {
			return err
		}
	}
	switch {
	case s.python != nil:
		return nil
	case s.files != nil:
		return v.runGo(ctx, home, s.offline, s.files, "main")
	}
	return v.runGo(ctx, home, s.offline, nil, v.names()...)
}

// names are the revisions'.
func (v *visit) names() []string { return slices.Sorted(maps.Keys(revisions)) }

// environment is that of a program with this HF_HOME and nothing else of
// Hugging Face's.
func (v *visit) environment(home string, offline bool) []string {
	env := slices.DeleteFunc(os.Environ(), func(s string) bool {
		return strings.HasPrefix(s, "HF_") || strings.HasPrefix(s, "HUGGING") || strings.HasPrefix(s, "TRANSFORMERS_")
	})
	env = append(env, "HF_ENDPOINT="+v.hub.URL, "HF_HOME="+home, "HF_HUB_DISABLE_PROGRESS_BARS=1", "HF_HUB_DISABLE_TELEMETRY=1")
	if offline {
		env = append(env, "HF_HUB_OFFLINE=1")
	}
	return env
}

// runPython runs the script and checks the files that it prints.
func (v *visit) runPython(ctx context.Context, home string, offline bool, args ...string) error {
	cmd := exec.CommandContext(ctx, v.python, append([]string{"-W", "ignore", script}, args...)...)
	cmd.Env = v.environment(home, offline)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("running %s: %w", script, err)
	}
	lines := 0
	for line := range strings.Lines(string(out)) {
		lines++
		fields := strings.Split(strings.TrimSpace(line), "\t")
		if args[0] == "scan" || args[0] == "share" {
			continue
		}
		if len(fields) != 3 {
			return fmt.Errorf("%s printed %q, want a checksum, a commit and a name", script, line)
		}
		if err := v.check(fields[0], fields[1], fields[2]); err != nil {
			return err
		}
	}
	if lines == 0 {
		return fmt.Errorf("%s printed nothing", script)
	}
	return nil
}

// runGo gets snapshots with our client and checks their files.
func (v *visit) runGo(ctx context.Context, home string, offline bool, names []string, revs ...string) error {
	c := &hub.Client{Endpoint: v.hub.URL, CacheDir: filepath.Join(home, "hub"), Offline: offline}
	var choose func([]string) ([]string, error)
	if names != nil {
		choose = func([]string) ([]string, error) { return names, nil }
	}
	for _, rev := range revs {
		snap, err := c.Snapshot(ctx, hub.Ref{Repo: repo, Revision: rev}, choose)
		if err != nil {
			return err
		}
		for _, name := range snap.Files {
			data, err := os.ReadFile(filepath.Join(snap.Dir, filepath.FromSlash(name)))
			if err != nil {
				return err
			}
			sum := sha256.Sum256(data)
			if err := v.check(hex.EncodeToString(sum[:]), snap.Commit, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// check holds a file's checksum to what the hub has.
func (v *visit) check(sum, commit, name string) error {
	for rev, c := range v.commit {
		if want := sha256.Sum256([]byte(revisions[rev][name])); c == commit && sum == hex.EncodeToString(want[:]) {
			return nil
		}
	}
	return fmt.Errorf("%s of %s has another content than on the hub", name, commit)
}

// patience is how long Python is watched while it waits for a lock; softprompt
// is for a fifth of it.
var patience = 5 * time.Second

// locks lets Python hold a file's lock: softprompt waits until it lets go.
// The other way round, Python waits.
func (v *visit) locks(ctx context.Context) error {
	home := filepath.Join(filepath.Dir(v.homes["python"]), "locks")
	sum := sha256.Sum256([]byte(revisions["main"]["model.safetensors"]))
	path := filepath.Join(home, "hub", ".locks", "models--google--t5-test", hex.EncodeToString(sum[:])+".lock")
	cmd := exec.CommandContext(ctx, v.python, "-W", "ignore", script, "lock", path)
	cmd.Env = v.environment(home, false)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer cmd.Wait()
	defer in.Close()
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "locked\n" {
		return errors.Join(fmt.Errorf("huggingface_hub does not lock: it said %q", line), err)
	}
	v.hub.Counts()
	short, cancel := context.WithTimeout(ctx, patience/5)
	defer cancel()
	weights := []string{"model.safetensors"}
	if err := v.runGo(short, home, false, weights, "main"); !errors.Is(err, context.DeadlineExceeded) || v.hub.Counts()["storage"] != 0 {
		return fmt.Errorf("softprompt did not wait for Python's lock: %v", err)
	}
	in.Close()
	if err := v.runGo(ctx, home, false, weights, "main"); err != nil {
		return err
	}
	fmt.Println("softprompt waits while huggingface_hub has a file's lock")

	// Now a download of ours is held up, and Python is to wait and then to
	// find the file there.
	home += "2"
	held, release := make(chan struct{}), make(chan struct{})
	v.hub.Break("storage", "", 1, hold(held, release))
	ours, theirs := make(chan error, 1), make(chan error, 1)
	go func() { ours <- v.runGo(ctx, home, false, weights, "main") }()
	select {
	case <-held:
	case err := <-ours:
		return errors.Join(errors.New("softprompt did not come to its download"), err)
	}
	go func() { theirs <- v.runPython(ctx, home, false, "files", repo, "main", weights[0]) }()
	select {
	case err := <-theirs:
		return errors.Join(errors.New("huggingface_hub did not wait for our lock"), err)
	case <-time.After(patience):
	}
	v.hub.Counts()
	close(release)
	for _, done := range []chan error{ours, theirs} {
		if err := <-done; err != nil {
			return err
		}
	}
	if n := v.hub.Counts()["storage"]; n != 0 {
		return fmt.Errorf("huggingface_hub downloaded what we had: %d downloads", n)
	}
	_, err = fmt.Println("huggingface_hub waits while softprompt downloads a file, and then uses it")
	return err
}
