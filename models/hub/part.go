package hub

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
	"path"
)

// part is a download under way, in a file that nothing trusts. It is hashed
// as it grows.
type part struct {
	root *os.Root
	name string
	file *os.File
	size int64 // when it is whole
	sum  hash.Hash
	git  bool // sum is of a git blob, which begins with its length

	n      int64 // bytes that are there
	most   int64 // bytes that ever were
	pieced bool  // they are from more than one answer
}

// openPart opens or begins a download, and reads what is there.
func openPart(ctx context.Context, root *os.Root, name string, r remote) (*part, error) {
	if err := root.MkdirAll(path.Dir(name), 0o777); err != nil {
		return nil, err
	}
	f, err := root.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	p := &part{root: root, name: name, file: f, size: r.size, sum: sha256.New()}
	if len(r.etag) == 2*sha1.Size {
		p.sum, p.git = sha1.New(), true
	}
	if err := p.readBack(ctx); err != nil {
		f.Close()
		return nil, err
	}
	return p, nil
}

// readBack hashes what an earlier process left, unless it cannot be a
// beginning.
func (p *part) readBack(ctx context.Context) error {
	info, err := p.file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a file", p.file.Name())
	}
	p.begin()
	if info.Size() == 0 || info.Size() > p.size {
		return p.restart()
	}
	p.n, err = io.Copy(p.sum, io.NewSectionReader(reader{ctx, p.file}, 0, info.Size()))
	p.most, p.pieced = p.n, true
	if err == nil {
		_, err = p.file.Seek(p.n, io.SeekStart)
	}
	return err
}

// reader ends with its context.
type reader struct {
	ctx  context.Context
	file *os.File
}

func (r reader) ReadAt(b []byte, off int64) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.file.ReadAt(b, off)
}

// begin starts the checksum.
func (p *part) begin() {
	p.sum.Reset()
	if p.git {
		fmt.Fprintf(p.sum, "blob %d\x00", p.size)
	}
}

// restart throws away what is there.
func (p *part) restart() error {
	p.begin()
	p.n, p.pieced = 0, false
	if err := p.file.Truncate(0); err != nil {
		return err
	}
	_, err := p.file.Seek(0, io.SeekStart)
	return err
}

func (p *part) Write(b []byte) (int, error) {
	n, err := p.file.Write(b)
	p.sum.Write(b[:n])
	p.n += int64(n)
	p.most = max(p.most, p.n)
	return n, err
}

func (p *part) checksum() string { return hex.EncodeToString(p.sum.Sum(nil)) }

// commit gives the file its name, for good.
func (p *part) commit(name string) error {
	if err := p.file.Sync(); err != nil {
		return err
	}
	if err := p.file.Close(); err != nil {
		return err
	}
	return p.root.Rename(p.name, name)
}

// discard removes the file.
func (p *part) discard() {
	p.file.Close()
	p.root.Remove(p.name)
}

// close keeps the file for later.
func (p *part) close() { p.file.Close() }
