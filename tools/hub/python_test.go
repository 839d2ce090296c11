//go:build !windows

package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"softprompt/models/hub"
)

// habitVariable makes this binary a Python with huggingface_hub, of a habit
// that the variable names: the same client over the same cache.
const habitVariable = "SOFTPROMPT_TEST_PYTHON"

func TestMain(m *testing.M) {
	habit, isPython := os.LookupEnv(habitVariable)
	if !isPython {
		os.Exit(m.Run())
	}
	if len(os.Args) < 5 || strings.Join(os.Args[1:4], " ") != "-W ignore "+script {
		fmt.Fprintf(os.Stderr, "called with %q\n", os.Args)
		os.Exit(9)
	}
	if err := (fakePython{habit}).run(context.Background(), os.Args[4], os.Args[5:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// fakePython does what hub_cache.py does, but for its habit.
type fakePython struct{ habit string }

func (p fakePython) run(ctx context.Context, command string, args []string) error {
	home := os.Getenv("HF_HOME")
	c := &hub.Client{Endpoint: os.Getenv("HF_ENDPOINT"), CacheDir: filepath.Join(home, "hub"), Offline: os.Getenv("HF_HUB_OFFLINE") != ""}
	switch p.habit {
	case "fails":
		return errors.New("no module named 'huggingface_hub'")
	case "silent":
		return nil
	case "chatty":
		fmt.Println("Fetching 5 files: 100%")
	case "forgetful": // of what is in the cache
		if command == "snapshot" {
			os.RemoveAll(home)
		}
	case "hasty": // never waits, since it looks into no cache
		c.CacheDir = filepath.Join(home, "another")
	}
	switch command {
	case "snapshot":
		for _, rev := range args[1:] {
			if err := p.show(ctx, c, rev, nil); err != nil {
				return err
			}
		}
		return nil
	case "files":
		err := p.show(ctx, c, args[1], args[2:])
		if err == nil && p.habit == "wasteful" {
			err = errors.Join(os.RemoveAll(home), p.show(ctx, c, args[1], args[2:]))
		}
		return err
	case "scan", "share":
		_, err := fmt.Println(args)
		return err
	case "lock":
		return p.lock(args[0])
	}
	return fmt.Errorf("no command %q", command)
}

// show gets files and prints what the script prints of each.
func (p fakePython) show(ctx context.Context, c *hub.Client, rev string, names []string) error {
	ref := hub.Ref{Repo: repo, Revision: rev}
	snap, err := c.Snapshot(ctx, ref, func(all []string) ([]string, error) {
		if names == nil {
			return all, nil
		}
		return names, nil
	})
	if err != nil {
		return err
	}
	for _, name := range snap.Files {
		data, err := os.ReadFile(filepath.Join(snap.Dir, name))
		if err != nil {
			return err
		}
		if p.habit == "careless" && name == "config.json" {
			data = append(data, '\n')
		}
		fmt.Printf("%x\t%s\t%s\n", sha256.Sum256(data), snap.Commit, name)
	}
	return nil
}

// lock holds a lock as Python's filelock does, until standard input ends.
func (p fakePython) lock(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if p.habit == "lockless" {
		_, err := fmt.Println("this file system has no locks")
		return err
	}
	if p.habit != "careless" {
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
			return err
		}
	}
	fmt.Println("locked")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}
