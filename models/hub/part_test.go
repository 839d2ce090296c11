package hub

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"softprompt/models/hub/hubtest"
)

// Written in any pieces, by any number of processes one after another, with
// any restarts, a part has the checksum of what is in it.
func TestPart(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		data := rapid.SliceOfN(rapid.Byte(), 0, 2000).Draw(rt, "data")
		sum := sha256.Sum256(data)
		r := remote{etag: hex.EncodeToString(sum[:]), size: int64(len(data))}
		if rapid.Bool().Draw(rt, "in git") {
			r.etag = gitSum(data)
		}
		dir, err := os.MkdirTemp("", "part-")
		if err != nil {
			rt.Fatal(err)
		}
		defer os.RemoveAll(dir)
		root, err := os.OpenRoot(dir)
		if err != nil {
			rt.Fatal(err)
		}
		defer root.Close()
		open := func() *part {
			p, err := openPart(context.Background(), root, "blobs/x.incomplete", r)
			if err != nil {
				rt.Fatal(err)
			}
			return p
		}
		p := open()
		for p.n < r.size {
			switch rapid.SampledFrom([]string{"write", "write", "write", "reopen", "restart"}).Draw(rt, "do") {
			case "write":
				n := rapid.Int64Range(1, r.size-p.n).Draw(rt, "bytes")
				if _, err := p.Write(data[p.n : p.n+n]); err != nil {
					rt.Fatal(err)
				}
			case "reopen":
				n := p.n
				p.close()
				if p = open(); p.n != n || p.pieced != (n > 0) || p.most != n {
					rt.Fatalf("%d bytes are there, pieced %t, at most %d; wanted %d", p.n, p.pieced, p.most, n)
				}
			case "restart":
				if rapid.IntRange(0, 3).Draw(rt, "really") > 0 {
					continue
				}
				if err := p.restart(); err != nil || p.n != 0 {
					rt.Fatal(p.n, err)
				}
			}
		}
		if p.checksum() != r.etag {
			rt.Fatalf("the checksum is %s, wanted %s", p.checksum(), r.etag)
		}
		if err := p.commit("blobs/x"); err != nil {
			rt.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(dir, "blobs", "x")); string(got) != string(data) {
			rt.Fatal("another content", err)
		}
	})
}

// gitSum is git's checksum of a file.
func gitSum(data []byte) string {
	sum := sha1.Sum(append([]byte("blob "+strconv.Itoa(len(data))+"\x00"), data...))
	return hex.EncodeToString(sum[:])
}

// Reading back what is there ends with the context.
func TestPartCancelled(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "x"), content(1, 10_000))
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = openPart(ctx, root, "x", remote{etag: gitName, size: 20_000})
	if !errors.Is(err, context.Canceled) || !errors.Is(writing(err), context.Canceled) {
		t.Error(err)
	}
}

// BenchmarkDownload measures a download from this machine, checked as it comes.
func BenchmarkDownload(b *testing.B) {
	const size = 64 << 20
	h := hubtest.New()
	defer h.Close()
	h.Add(repo, map[string]string{"model.safetensors": content(1, size)})
	b.SetBytes(size)
	for b.Loop() {
		c := &Client{Endpoint: h.URL, CacheDir: b.TempDir()}
		if _, err := c.Snapshot(b.Context(), Ref{Repo: repo}, nil); err != nil {
			b.Fatal(err)
		}
	}
}
