package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"softprompt/onnx/hint"
)

// runtimes are the sources of ONNX Runtime's library in this release and for
// this platform, the preferred one first. The file has the same name for all
// of them and no version in it, so that the loader need not search.
func (s *setup) runtimes(version string) ([]artifact, error) {
	release, err := find(s.releases, version)
	if err != nil {
		return nil, err
	}
	sources := release.sources[s.platform]
	if len(sources) == 0 {
		return nil, hint.Wrap(fmt.Errorf("no pinned ONNX Runtime %s for %s", release.version, s.platform),
			"set %s to the library of one that you have, 1.24 or newer", libraryVariable)
	}
	platform := strings.ReplaceAll(s.platform, "/", "-")
	extension := ".so"
	if strings.HasPrefix(s.platform, "darwin/") {
		extension = ".dylib"
	}
	var all []artifact
	for _, src := range sources {
		making := fmt.Sprintf("downloading its %s", src.client.name)
		if src.version != release.version {
			making += fmt.Sprintf(", where %s is the nearest to %s", src.version, release.version)
		}
		all = append(all, artifact{
			name:   "ONNX Runtime " + src.version,
			tree:   filepath.Join(s.root, ".deps", "onnxruntime", src.version, "lib", "libonnxruntime"+extension),
			cache:  fmt.Sprintf("onnxruntime-%s-%s-%.12s%s", src.version, platform, src.sha256, extension),
			needs:  []tool{src.client.tool()},
			making: making,
			make: func(ctx context.Context, scratch string) (string, error) {
				return src.download(ctx, scratch)
			},
		})
	}
	return all, nil
}

// download has the client fetch the archive into scratch, checks it against
// the pinned sum and takes the library out.
func (src source) download(ctx context.Context, scratch string) (string, error) {
	fetch, err := src.client.fetch(src)
	if err != nil {
		return "", err
	}
	if _, err := command(ctx, scratch, nil, fetch...); err != nil {
		return "", hint.Wrap(err, "or set %s to the library of an ONNX Runtime that you have", libraryVariable)
	}
	archives, err := filepath.Glob(filepath.Join(scratch, "*"+src.client.suffix))
	if err != nil || len(archives) != 1 {
		return "", fmt.Errorf("the %s brought %d archives, want 1", src.client.name, len(archives))
	}
	if err := verify(archives[0], src.sha256); err != nil {
		return "", err
	}
	library := filepath.Join(scratch, "library")
	return library, src.client.extract(archives[0], src.member, library)
}

// verify compares a file with its pinned SHA-256.
func verify(path, want string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != want {
		return fmt.Errorf("%s is not what was pinned: its SHA-256 is %s, want %s", filepath.Base(path), got, want)
	}
	return nil
}
