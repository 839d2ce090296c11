package main

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
)

// maxLibrary bounds what comes out of an archive; ONNX Runtime's library for
// the CPU takes 20 to 50 MB.
const maxLibrary = 1 << 30

// extractZip writes one member of a zip file to the file to. Names in the
// archive are compared and never used as paths, so none leads anywhere.
func extractZip(archive, member, to string) error {
	files, err := zip.OpenReader(archive)
	if err != nil {
		return fmt.Errorf("opening %s: %w", archive, err)
	}
	defer files.Close()
	for _, file := range files.File {
		if file.Name != member {
			continue
		}
		if !file.Mode().IsRegular() {
			return fmt.Errorf("%s in %s is no regular file", member, archive)
		}
		content, err := file.Open()
		if err != nil {
			return fmt.Errorf("opening %s in %s: %w", member, archive, err)
		}
		defer content.Close()
		return writeMember(content, archive, member, to, maxLibrary)
	}
	return fmt.Errorf("no %s in %s", member, archive)
}

// extractTarGz does the same for a compressed tar file.
func extractTarGz(archive, member, to string) error {
	file, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer file.Close()
	unpacked, err := gzip.NewReader(file)
	if err != nil {
		return fmt.Errorf("opening %s: %w", archive, err)
	}
	files := tar.NewReader(unpacked)
	for {
		header, err := files.Next()
		switch {
		case errors.Is(err, io.EOF):
			return fmt.Errorf("no %s in %s", member, archive)
		case err != nil:
			return fmt.Errorf("reading %s: %w", archive, err)
		case header.Name != member:
			continue
		case header.Typeflag != tar.TypeReg:
			return fmt.Errorf("%s in %s is no regular file", member, archive)
		}
		return writeMember(files, archive, member, to, maxLibrary)
	}
}

// writeMember writes content to a new file, up to limit bytes.
func writeMember(content io.Reader, archive, member, to string, limit int64) error {
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	n, err := io.Copy(out, io.LimitReader(content, limit+1))
	if err == nil && n > limit {
		err = fmt.Errorf("it is larger than %d bytes", limit)
	}
	if closeErr := out.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		os.Remove(to)
		return fmt.Errorf("unpacking %s of %s: %w", member, archive, err)
	}
	return nil
}
