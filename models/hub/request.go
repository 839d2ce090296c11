package hub

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// bearer adds the token to requests that go to the hub itself. Storage that
// the hub redirects to never sees it.
type bearer struct {
	next  http.RoundTripper
	base  *url.URL
	token string
}

func (b bearer) RoundTrip(req *http.Request) (*http.Response, error) {
	if b.token != "" && origin(req.URL) == origin(b.base) {
		req = req.Clone(req.Context())
		req.Header.Set("Authorization", "Bearer "+b.token)
	}
	return b.next.RoundTrip(req)
}

// origin is what has to be equal for two URLs to be of one server.
func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port
}

// mayFollow allows a redirect unless it is one of too many or leaves https.
func mayFollow(req *http.Request, via []*http.Request) error {
	if len(via) >= 10 {
		return policyError{fmt.Errorf("redirected %d times", len(via))}
	}
	from, to := via[len(via)-1].URL, req.URL
	if to.Scheme != "https" && (from.Scheme == "https" || to.Scheme != "http") {
		return policyError{fmt.Errorf("%s redirects from %s to %s", from.Host, from.Scheme, to.Scheme)}
	}
	return nil
}

// untilDescribed follows redirects, as those of a renamed repository, up to
// the one that describes the file: what comes behind are only its bytes.
func untilDescribed(req *http.Request, via []*http.Request) error {
	if req.Response.Header.Get("X-Linked-Etag") != "" {
		return http.ErrUseLastResponse
	}
	return mayFollow(req, via)
}

// do sends a request and returns the answer, whatever its status. The caller
// closes its body. A server that is silent for Timeout is given up, whether
// it owes the answer or more of the body. With from > 0 only the rest from
// that byte on is asked for.
func (s *session) do(ctx context.Context, client *http.Client, method, address string, from int64) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	req, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		cancel(nil)
		return nil, err
	}
	req.Header.Set("User-Agent", s.UserAgent)
	req.Header.Set("Accept-Encoding", "identity") // lengths and ranges are the file's own
	if from > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", from))
	}
	watch := time.AfterFunc(s.Timeout, func() { cancel(errSilent) })
	resp, err := client.Do(req)
	watch.Stop()
	if err != nil {
		if resp != nil {
			resp.Body.Close()
		}
		err = broken(ctx, err, "asking "+req.URL.Host)
		cancel(nil)
		return nil, err
	}
	resp.Body = &watched{resp.Body, ctx, cancel, watch, s.Timeout, resp.Request.URL.Host}
	return resp, nil
}

// watched is a body whose reads do not hang.
type watched struct {
	io.ReadCloser
	ctx     context.Context
	cancel  context.CancelCauseFunc
	watch   *time.Timer
	timeout time.Duration
	host    string
}

func (w *watched) Read(p []byte) (int, error) {
	w.watch.Reset(w.timeout)
	n, err := w.ReadCloser.Read(p)
	w.watch.Stop()
	if err != nil && err != io.EOF {
		err = broken(w.ctx, err, "reading from "+w.host)
	}
	return n, err
}

func (w *watched) Close() error {
	w.watch.Stop()
	err := w.ReadCloser.Close()
	w.cancel(nil)
	return err
}

// apiURL is where a revision is described, with its files.
func (s *session) apiURL(ref Ref) string {
	return s.Endpoint + "/api/models/" + ref.Repo + "/revision/" + url.PathEscape(ref.revision()) + "?blobs=true"
}

// fileURL is where a file of a commit is described and begins.
func (s *session) fileURL(repo, commit, name string) string {
	parts := strings.Split(name, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return s.Endpoint + "/" + repo + "/resolve/" + commit + "/" + strings.Join(parts, "/")
}
