package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-cmp/cmp"

	"softprompt/models/hub/hubtest"
	"softprompt/onnx/atomicfile"
)

// fixture is where the cache that Python made is kept, and comment what it
// says of itself.
const (
	fixture = "models/hub/testdata/python_cache.txtar"
	comment = "The cache that huggingface_hub makes of the hub in tools/hub; see README.md."
)

// keep compares the two caches, file by file and symlink by symlink, and
// Python's with the one that is committed, or writes that.
func (v *visit) keep(update bool) error {
	python, err := hubtest.CacheText(filepath.Join(v.homes["python"], "hub"), comment)
	if err != nil {
		return err
	}
	ours, err := hubtest.CacheText(filepath.Join(v.homes["softprompt"], "hub"), comment)
	if err != nil {
		return err
	}
	if diff := cmp.Diff(python, ours); diff != "" {
		return fmt.Errorf("the caches differ (-huggingface_hub +softprompt):\n%s", diff)
	}
	fmt.Printf("both caches are the same: %d files and symlinks\n", strings.Count(python, "\n-- "))
	if update {
		return atomicfile.Write(fixture, []byte(python))
	}
	committed, err := os.ReadFile(fixture)
	if err != nil {
		return err
	}
	if diff := cmp.Diff(string(committed), python); diff != "" {
		return fmt.Errorf("%s is not what huggingface_hub makes; run again with -update (-committed +made):\n%s", fixture, diff)
	}
	return nil
}

// hold answers once it is released, and tells when it is asked. A hub that
// closes lets go of it too.
func hold(held, release chan struct{}) hubtest.Fault {
	return func(w http.ResponseWriter, r *http.Request, serve http.Handler) {
		close(held)
		select {
		case <-release:
			serve.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	}
}
