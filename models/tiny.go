package models

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"softprompt/onnx/atomicfile"
	"softprompt/onnx/hint"
)

// tinyFiles is a real, small T5 in Hugging Face's layout; its README.md is the
// model card.
//
//go:embed tiny
var tinyFiles embed.FS

const (
	tinyName = "tiny"
	// tinyRevision is the beginning of the SHA-256 of model.safetensors.
	tinyRevision = "7dba6bb21e28"
)

// unpackTiny puts the embedded model in the cache and returns its folder. A
// file that is there already is compared byte for byte and replaced if it
// differs. Each comes under its name whole, so that processes that start at
// once do not see each other's halves.
func unpackTiny(ctx context.Context, cache string, log *slog.Logger) (string, error) {
	dir := filepath.Join(cache, "models", tinyName+"-"+tinyRevision)
	advice := "set SOFTPROMPT_CACHE to a folder that can be written and has 30 MB free"
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", hint.Wrap(fmt.Errorf("unpacking the embedded model: %w", err), "%s", advice)
	}
	entries, err := tinyFiles.ReadDir("tiny")
	if err != nil {
		return "", fmt.Errorf("reading the embedded model: %w", err)
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		path := filepath.Join(dir, e.Name())
		if sameContent(path, "tiny/"+e.Name()) {
			continue
		}
		log.Info("unpacking the embedded model", "file", path)
		if err := unpack(path, "tiny/"+e.Name()); err != nil {
			return "", hint.Wrap(fmt.Errorf("unpacking the embedded model: %w", err), "%s", advice)
		}
	}
	return dir, nil
}

// unpack writes one embedded file.
func unpack(path, name string) error {
	src, err := tinyFiles.Open(name)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := atomicfile.Create(path)
	if err != nil {
		return err
	}
	defer dst.Close()
	if _, err := io.Copy(dst, src); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return dst.Commit()
}

// sameContent reports whether a file holds what an embedded one does, read
// side by side through small buffers. Whatever goes wrong means no.
func sameContent(path, name string) bool {
	want, err := tinyFiles.Open(name)
	if err != nil {
		return false
	}
	defer want.Close()
	wantInfo, err := want.Stat()
	if err != nil {
		return false
	}
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() != wantInfo.Size() {
		return false
	}
	got, err := os.Open(path)
	if err != nil {
		return false
	}
	defer got.Close()
	a, b := make([]byte, 1<<18), make([]byte, 1<<18)
	for left := info.Size(); left > 0; {
		n := min(left, int64(len(a)))
		if _, err := io.ReadFull(got, a[:n]); err != nil {
			return false
		}
		if _, err := io.ReadFull(want, b[:n]); err != nil || !bytes.Equal(a[:n], b[:n]) {
			return false
		}
		left -= n
	}
	return true
}
