package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"

	"softprompt/onnx/hint"
)

// remote is a file as the hub describes it.
type remote struct {
	commit, name string
	etag         string // the checksum of its content, which names it in the cache
	size         int64
}

// describe asks the hub about a file of a commit.
func (p *pull) describe(ctx context.Context, commit, name string) (remote, error) {
	var r remote
	err := p.retry(ctx, attempts, func() (bool, error) {
		resp, err := p.do(ctx, p.heads, http.MethodHead, p.fileURL(p.ref.Repo, commit, name), 0)
		if err != nil {
			return false, err
		}
		defer resp.Body.Close()
		if resp.StatusCode >= 400 {
			return false, p.refused(resp, p.ref)
		}
		r, err = parseRemote(resp.StatusCode, resp.Header, commit)
		if err != nil {
			err = hint.Wrap(fmt.Errorf("%s does not answer like a hub: %w", resp.Request.URL.Host, err), "%s", notAHub)
		}
		return false, err
	})
	r.commit, r.name = commit, name
	return r, err
}

// etags are the checksums of content: SHA-256 of large files, git's SHA-1 of
// others.
var etags = regexp.MustCompile(`^([0-9a-f]{64}|[0-9a-f]{40})$`)

// parseRemote reads a description, as file_download.py's get_hf_file_metadata
// does. A redirect to storage describes the file in X-Linked headers.
func parseRemote(status int, h http.Header, commit string) (remote, error) {
	etag, size := h.Get("X-Linked-Etag"), h.Get("X-Linked-Size")
	if etag == "" {
		etag = h.Get("Etag")
	}
	if size == "" && status < 300 {
		size = h.Get("Content-Length")
	}
	if got := h.Get("X-Repo-Commit"); got != commit {
		return remote{}, fmt.Errorf("X-Repo-Commit is %q, wanted %s", printable(got), commit)
	}
	etag = strings.Trim(strings.TrimPrefix(etag, "W/"), `"`)
	if !etags.MatchString(etag) {
		return remote{}, fmt.Errorf("the ETag %q is not a SHA-256 nor a git SHA-1", printable(etag))
	}
	n, err := strconv.ParseInt(size, 10, 64)
	if err != nil || n < 0 {
		return remote{}, fmt.Errorf("the size %q is not one", printable(size))
	}
	return remote{etag: etag, size: n}, nil
}

// fetch puts a file of a commit into the cache.
func (p *pull) fetch(ctx context.Context, commit, name string) error {
	r, err := p.describe(ctx, commit, name)
	if err != nil {
		return err
	}
	release, held, err := lock(ctx, p.CacheDir, p.ref, r.etag, p.Log)
	if err != nil {
		return err
	}
	defer release()
	if done, err := p.cache.has(snapshotPath(commit, name), r.size); done || err != nil {
		return err // another process was first
	}
	there, err := p.cache.has(blobPath(r.etag), r.size)
	if err != nil {
		return err
	}
	if !there {
		if err := p.download(ctx, r, held); err != nil {
			return err
		}
	}
	if err := p.cache.link(r.etag, commit, name, !there, !p.NoSymlinks); err != nil {
		return fmt.Errorf("putting it into the hub's cache: %w", err)
	}
	return nil
}

// download gets a blob, resuming what an earlier process began. Without a
// lock that others might hold too it begins a file of its own.
func (p *pull) download(ctx context.Context, r remote, held bool) error {
	name := blobPath(r.etag) + ".incomplete"
	if !held {
		name = blobPath(r.etag) + "." + random() + ".incomplete"
	}
	begun, err := openPart(ctx, p.cache.root, name, r)
	if err != nil {
		return writing(err)
	}
	defer begun.close()
	for again := false; ; again = true {
		err := p.retry(ctx, attempts, func() (bool, error) { return p.receive(ctx, r, begun) })
		if err != nil {
			if !held {
				begun.discard()
			}
			return err
		}
		if got := begun.checksum(); got == r.etag {
			return writing(begun.commit(blobPath(r.etag)))
		}
		if again || !begun.pieced {
			begun.discard()
			return hint.Wrap(errors.New("what was downloaded does not have the hub's checksum"), "try again; if it stays so, a proxy or mirror changes files: check HF_ENDPOINT")
		}
		p.Log.Warn("a download in pieces has a wrong checksum; starting it over", "file", r.name)
		if err := begun.restart(); err != nil {
			return writing(err)
		}
	}
}

// receive asks for what a download lacks and takes it in. It tells whether
// that got further than ever before.
func (p *pull) receive(ctx context.Context, r remote, begun *part) (further bool, err error) {
	progress := Progress{p.ref.Repo, r.name, begun.n, r.size}
	if begun.n == r.size {
		p.report(progress)
		return false, nil
	}
	resp, err := p.do(ctx, p.files, http.MethodGet, p.fileURL(p.ref.Repo, r.commit, r.name), begun.n)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	if err := p.accept(resp, begun); err != nil {
		return false, err
	}
	progress.Done = begun.n
	p.report(progress)
	most := begun.most
	buffer := make([]byte, 256<<10)
	for begun.n < r.size {
		n, err := resp.Body.Read(buffer[:min(int64(len(buffer)), r.size-begun.n)])
		if _, err := begun.Write(buffer[:n]); err != nil {
			return false, writing(err)
		}
		if n > 0 {
			progress.Done = begun.n
			p.report(progress)
		}
		if err == io.EOF {
			err = &temporaryError{error: fmt.Errorf("%s ended it after %d of %d bytes", resp.Request.URL.Host, begun.n, r.size)}
		}
		if err != nil && begun.n < r.size {
			return begun.most > most, err
		}
	}
	return true, nil
}

// accept holds an answer to what was asked for, before its body is read:
// the rest of the download, or all of it, which starts it over.
func (p *pull) accept(resp *http.Response, begun *part) error {
	host := resp.Request.URL.Host
	left := begun.size
	var wrong error // with the part that was asked for: then ask for all of it
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusPartialContent:
		left -= begun.n
		got, want := resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-%d/%d", begun.n, begun.size-1, begun.size)
		if got != want {
			wrong = fmt.Errorf("%s sends the range %q, wanted %q", host, printable(got), want)
		}
	case http.StatusRequestedRangeNotSatisfiable:
		wrong = p.refused(resp, p.ref)
	default:
		return p.refused(resp, p.ref)
	}
	if wrong != nil {
		if err := begun.restart(); err != nil {
			return writing(err)
		}
		return &temporaryError{error: wrong}
	}
	if coding := resp.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
		return &temporaryError{error: fmt.Errorf("%s sends it in the coding %q, wanted it as it is", host, printable(coding))}
	}
	if resp.ContentLength >= 0 && resp.ContentLength != left {
		return &temporaryError{error: fmt.Errorf("%s sends %d bytes, wanted %d", host, resp.ContentLength, left)}
	}
	if resp.StatusCode == http.StatusOK {
		return writing(begun.restart())
	}
	begun.pieced = begun.n > 0
	return nil
}

// writing says what to do when the cache cannot be written.
func writing(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	var path *os.PathError
	if errors.As(err, &path) {
		err = fmt.Errorf("%s: %w", path.Op, path.Err)
	}
	return hint.Wrap(fmt.Errorf("writing to the hub's cache: %w", err), "free space there, or set HF_HUB_CACHE or HF_HOME to another folder")
}
