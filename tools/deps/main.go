// Command deps puts the two native libraries in place that softprompt is built
// and run with, so that a plain go build and go test need nothing set:
//
//	.deps/lib/libtokenizers.a                          linked by package models
//	.deps/onnxruntime/VERSION/lib/libonnxruntime.so    loaded by package onnx/ort (.dylib on macOS)
//
// make runs it before whatever needs them. What stands in the tree is left
// alone; else it comes from a cache that all clones share, softprompt/deps in
// the user's cache folder; else it is made: ONNX Runtime is taken out of its
// Python wheel or its npm package, libtokenizers.a is built by cargo from the
// source of the Go module that uses it.
//
//	go run ./tools/deps                the pinned ONNX Runtime
//	go run ./tools/deps -ort 1.24.4    the oldest that softprompt supports
//	go run ./tools/deps -path          also print where the runtime's library is
//
// ONNXRUNTIME_SHARED_LIBRARY_PATH names a library of one's own instead; it
// counts unless -ort asks for a version.
//
// It uses the standard library alone, so it runs before any module is there.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"softprompt/onnx/hint"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		for line := range strings.Lines(err.Error()) {
			fmt.Fprintf(os.Stderr, "deps: error: %s\n", strings.TrimRight(line, "\n"))
		}
		if advice := hint.Of(err); advice != "" {
			fmt.Fprintf(os.Stderr, "deps: hint: %s\n", advice)
		}
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("deps", flag.ContinueOnError)
	flags.SetOutput(stderr)
	version := flags.String("ort", "", "`version` of ONNX Runtime: "+strings.Join(versions(releases), " or "))
	path := flags.Bool("path", false, "print the path of ONNX Runtime's library")
	if err := flags.Parse(args); err != nil {
		return err
	}
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	s := &setup{
		root:     root,
		cache:    cacheFolder(root),
		platform: runtime.GOOS + "/" + runtime.GOARCH,
		releases: releases,
		progress: func(format string, args ...any) { fmt.Fprintf(stderr, "deps: "+format+"\n", args...) },
	}
	library, err := s.run(ctx, *version)
	if err != nil {
		return err
	}
	if *path {
		fmt.Fprintln(stdout, library)
	}
	return nil
}

// moduleRoot is the folder of the go.mod that the command was started under.
func moduleRoot() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no go.mod in %s or above: run this in softprompt's tree", start)
		}
	}
}

// cacheFolder is kept between clones. A user without a home has none, and
// then the tree's own folder serves.
func cacheFolder(root string) string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return filepath.Join(root, ".deps", "cache")
	}
	return filepath.Join(dir, "softprompt", "deps")
}
