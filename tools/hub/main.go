// Command hub shows that softprompt and Python's huggingface_hub use one
// cache: what either downloads, the other takes without a download, and while
// either downloads, the other waits.
//
//	go run ./tools/hub -python "$(make -s -C tools/reference python)"
//
// It serves a hub on this machine (models/hub/hubtest), lets both sides fill
// an empty HF_HOME each (tools/reference/hub_cache.py is Python's), lets them
// change places, online and offline, and prints the requests that this cost.
// With -update it writes the cache that Python made to
// models/hub/testdata/python_cache.txtar, for the tests that run without
// Python.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"softprompt/onnx/hint"
)

func main() {
	python := flag.String("python", "python3", "interpreter with tools/reference/requirements.txt installed")
	update := flag.Bool("update", false, "write models/hub/testdata/python_cache.txtar")
	flag.Parse()
	err := run(context.Background(), *python, *update)
	if err != nil {
		fmt.Fprintln(os.Stderr, "hub: error:", err)
		if advice := hint.Of(err); advice != "" {
			fmt.Fprintln(os.Stderr, "hub: hint:", advice)
		}
		os.Exit(1)
	}
}

func run(ctx context.Context, python string, update bool) error {
	dir, err := os.MkdirTemp("", "softprompt-hub-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	v := newVisit(python, dir)
	defer v.hub.Close()
	if err := v.exchange(ctx); err != nil {
		return err
	}
	if err := v.locks(ctx); err != nil {
		return err
	}
	return v.keep(update)
}
