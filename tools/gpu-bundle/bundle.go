package main

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"softprompt/onnx/atomicfile"
	"softprompt/onnx/hint"
)

// maxPieces is what the pieces' two digits can count.
const maxPieces = 100

// bundle is what was written.
type bundle struct {
	pieces []string // base names, in order
	sizes  []int64
	sum    string // SHA-256 of the pieces joined, in hexadecimal
}

// pack writes the pieces, each of at most size bytes, and the script that
// joins them into a folder.
func pack(ctx context.Context, out, binary, wheel string, size int64) (*bundle, error) {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return nil, err
	}
	if there, err := os.ReadDir(out); err != nil || len(there) > 0 {
		return nil, hint.Wrap(errors.Join(fmt.Errorf("folder %s is not empty", out), err), "pieces of two bundles must not mix; give a new -out")
	}
	w := &cutter{dir: out, size: size, hash: sha256.New()}
	defer w.abandon()
	err := archive(ctx, w, binary, wheel)
	if err == nil {
		err = w.cut()
	}
	if err != nil {
		return nil, fmt.Errorf("writing the bundle to %s: %w", out, err)
	}
	w.sum = hex.EncodeToString(w.hash.Sum(nil))
	script, err := w.script()
	if err == nil {
		err = atomicfile.Write(filepath.Join(out, joinScript), script)
	}
	return &w.bundle, err
}

// archive writes the compressed tar file of the bundle. The same files give
// the same bytes.
func archive(ctx context.Context, w io.Writer, binary, wheel string) error {
	zipped, err := zip.OpenReader(wheel)
	if err != nil {
		return fmt.Errorf("opening %s: %w", wheel, err)
	}
	defer zipped.Close()
	libs, err := members(&zipped.Reader)
	if err != nil {
		return hint.Wrap(fmt.Errorf("wheel %s: %w", wheel, err), "%s", hint.Of(err))
	}
	packed, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return err
	}
	files := tar.NewWriter(packed)
	program, err := os.Open(binary)
	if err != nil {
		return err
	}
	defer program.Close()
	info, err := program.Stat()
	if err != nil {
		return err
	}
	if err := add(ctx, files, "softprompt", 0o755, info.Size(), program); err != nil {
		return err
	}
	for i, f := range libs {
		content, err := f.Open()
		if err != nil {
			return fmt.Errorf("%s in %s: %w", f.Name, wheel, err)
		}
		err = add(ctx, files, libraries[i].name, 0o644, int64(f.UncompressedSize64), content)
		content.Close()
		if err != nil {
			return fmt.Errorf("%s in %s: %w", f.Name, wheel, err)
		}
	}
	return errors.Join(files.Close(), packed.Close())
}

// add puts one file into the archive.
func add(ctx context.Context, files *tar.Writer, name string, mode, size int64, content io.Reader) error {
	if err := files.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: size}); err != nil {
		return err
	}
	const chunk = 1 << 20
	for { // a chunk at a time, to stop when asked to
		if err := ctx.Err(); err != nil {
			return err
		}
		switch _, err := io.CopyN(files, content, chunk); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// cutter is a writer that spreads what it gets over pieces.
type cutter struct {
	bundle
	dir  string
	size int64 // of a whole piece
	hash interface {
		io.Writer
		Sum([]byte) []byte
	}
	piece   *atomicfile.File // the one under way, nil between two
	written int64            // bytes of it
}

// Write fills pieces.
func (c *cutter) Write(b []byte) (n int, err error) {
	for len(b) > 0 {
		if c.piece == nil {
			if len(c.pieces) == maxPieces {
				return n, hint.Wrap(fmt.Errorf("more than %d pieces", maxPieces), "give a larger -piece")
			}
			if c.piece, err = atomicfile.Create(filepath.Join(c.dir, fmt.Sprintf("bundle.%02d", len(c.pieces)))); err != nil {
				return n, err
			}
		}
		part := b[:min(int64(len(b)), c.size-c.written)]
		if _, err := c.piece.Write(part); err != nil {
			return n, err
		}
		c.hash.Write(part) // never fails
		n, b, c.written = n+len(part), b[len(part):], c.written+int64(len(part))
		if c.written == c.size {
			if err := c.cut(); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// cut finishes the piece under way.
func (c *cutter) cut() error {
	if c.piece == nil {
		return nil
	}
	if err := c.piece.Commit(); err != nil {
		return err
	}
	c.sizes = append(c.sizes, c.written)
	c.pieces = append(c.pieces, fmt.Sprintf("bundle.%02d", len(c.pieces)))
	c.piece, c.written = nil, 0
	return nil
}

// abandon drops the piece under way, if one is left.
func (c *cutter) abandon() {
	if c.piece != nil {
		c.piece.Close()
	}
}
