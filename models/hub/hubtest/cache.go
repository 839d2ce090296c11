package hubtest

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A cache as text is a txtar archive, in which a name may also say that it is
// a symlink, or that its content ends without the line end that the format
// adds.
const (
	leadsTo   = " -> "
	noNewline = " (no newline)"
)

// header begins a file of the archive.
var header = regexp.MustCompile(`(?m)^-- (.+) --\n`)

// CacheText writes a cache, or any folder of text files and symlinks, as text:
// the same folder always as the same text.
func CacheText(dir, comment string) (string, error) {
	var parts []string
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		name, content := filepath.ToSlash(rel), ""
		if d.Type()&fs.ModeSymlink != 0 {
			target, err := os.Readlink(p)
			parts = append(parts, "-- "+name+leadsTo+filepath.ToSlash(target)+" --\n")
			return err
		}
		data, err := os.ReadFile(p)
		if content = string(data); content != "" && !strings.HasSuffix(content, "\n") {
			name += noNewline
			content += "\n"
		}
		parts = append(parts, "-- "+name+" --\n"+content)
		return err
	})
	slices.Sort(parts)
	return comment + "\n\n" + strings.Join(parts, ""), err
}

// WriteCache makes a folder again from its text.
func WriteCache(dir string, text []byte) error {
	headers := header.FindAllSubmatchIndex(text, -1)
	if len(headers) == 0 {
		return fmt.Errorf("no files in an archive of %d bytes", len(text))
	}
	for i, h := range headers {
		end := len(text)
		if i+1 < len(headers) {
			end = headers[i+1][0]
		}
		content := text[h[1]:end]
		name, target, link := strings.Cut(string(text[h[2]:h[3]]), leadsTo)
		name, bare := strings.CutSuffix(name, noNewline)
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if bare {
			content = bytes.TrimSuffix(content, []byte("\n"))
		}
		var err error
		if link {
			err = os.Symlink(filepath.FromSlash(target), path)
		} else {
			err = os.WriteFile(path, content, 0o644)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
