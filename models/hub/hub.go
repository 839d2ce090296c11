// Package hub downloads models from the Hugging Face hub into the cache that
// Python's huggingface_hub also uses, so that each finds the other's files.
//
// Call [FromEnv] for a client as the environment asks for one, [ParseRef] for
// a name such as google/t5-base-lm-adapt@main, then [Client.Snapshot]: it asks
// which files a revision has, lets the caller choose some, downloads those
// that are missing and returns the folder that holds them. [Client.Cached]
// says what is there already.
//
// What comes from the hub is not believed: a file gets its name in the cache
// only after its bytes have the checksum that the hub announced, and nothing
// is written or read outside of the cache. A cut connection is taken up where
// it broke, by the same process or a later one.
package hub

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"softprompt/onnx/hint"
)

// DefaultEndpoint is the hub that is asked unless HF_ENDPOINT names another.
const DefaultEndpoint = "https://huggingface.co"

// Client talks to one hub and owns nothing: it may be copied, changed between
// calls and used by many goroutines. CacheDir must be set; the rest has
// defaults.
type Client struct {
	Endpoint   string        // default: DefaultEndpoint
	Token      string        // sent to Endpoint and to nobody else
	CacheDir   string        // the folder with models--org--name
	Offline    bool          // use the cache alone
	NoSymlinks bool          // put files themselves into snapshots, as where a system has no symlinks
	UserAgent  string        // default: softprompt
	Parallel   int           // files downloaded at once; default: 4
	Timeout    time.Duration // longest silence of a server before the request counts as cut; default: 10 s
	HTTP       *http.Client  // default: one like http.DefaultClient
	Log        *slog.Logger  // default: nowhere
	// Progress is told how far a file is: when its download starts, every few
	// hundred kilobytes, and when it is whole. Calls do not overlap.
	Progress func(Progress)

	// sleep waits between attempts; tests replace it.
	sleep func(context.Context, time.Duration) error
}

// Progress is how far the download of a file is. Done starts above zero if an
// earlier download is taken up, and falls back to zero if that turns out wrong.
type Progress struct {
	Repo, File  string
	Done, Total int64 // bytes
}

// Snapshot is a revision of a repository in the cache.
type Snapshot struct {
	Dir    string   // the folder with the files
	Commit string   // 40 hexadecimal digits
	Files  []string // those chosen, slash-separated, all in Dir
}

// session is a client with its defaults filled in.
type session struct {
	Client
	base  *url.URL
	files *http.Client // follows redirects to the bytes
	heads *http.Client // stops where a file is described

	mu sync.Mutex // held during a call of Progress
}

func (c *Client) session() (*session, error) {
	s := &session{Client: *c}
	if s.CacheDir == "" {
		return nil, hint.Wrap(fmt.Errorf("the hub's client has no cache folder"), "set HF_HUB_CACHE or HF_HOME")
	}
	if s.Endpoint == "" {
		s.Endpoint = DefaultEndpoint
	}
	s.Endpoint = strings.TrimRight(s.Endpoint, "/")
	base, err := url.Parse(s.Endpoint)
	if err != nil || base.Host == "" || base.Scheme != "https" && base.Scheme != "http" {
		return nil, hint.Wrap(fmt.Errorf("the hub's address %q is not a URL such as %s", c.Endpoint, DefaultEndpoint), "check HF_ENDPOINT")
	}
	s.base = base
	if s.UserAgent == "" {
		s.UserAgent = "softprompt"
	}
	if s.Parallel <= 0 {
		s.Parallel = 4
	}
	if s.Timeout <= 0 {
		s.Timeout = 10 * time.Second
	}
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	if s.sleep == nil {
		s.sleep = sleep
	}
	client := http.Client{}
	if s.HTTP != nil {
		client = *s.HTTP
	}
	if client.Transport == nil {
		client.Transport = http.DefaultTransport
	}
	client.Transport = bearer{client.Transport, base, s.Token}
	files, heads := client, client
	files.CheckRedirect, heads.CheckRedirect = mayFollow, untilDescribed
	s.files, s.heads = &files, &heads
	return s, nil
}

// report tells Progress, one call at a time.
func (s *session) report(p Progress) {
	if s.Progress == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Progress(p)
}

// sleep waits, unless the context ends first.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Attempts of a request that brings nothing new, and the waits between them.
const (
	attempts     = 5
	firstBackoff = 500 * time.Millisecond
	longestWait  = 2 * time.Minute // what a server's Retry-After may ask for
)

// backoff is the wait after so many failures in a row: doubled each time, and
// spread by half so that processes that failed together do not return together.
func backoff(failures int) time.Duration {
	d := firstBackoff << (failures - 1)
	return d/2 + rand.N(d)
}

// retry calls try until it succeeds, fails for good, or has failed often
// enough without getting further.
func (s *session) retry(ctx context.Context, attempts int, try func() (further bool, err error)) error {
	for failures := 0; ; {
		further, err := try()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if further {
			failures = 0
		}
		failures++
		again := temporary(err)
		if again == nil || failures >= attempts {
			return err
		}
		wait := max(backoff(failures), again.after)
		if wait > longestWait {
			return hint.Wrap(err, "the server asks to wait %v: try again then", again.after)
		}
		s.Log.Info("trying again", "in", wait.Round(time.Millisecond), "after", err)
		if err := s.sleep(ctx, wait); err != nil {
			return err
		}
	}
}
