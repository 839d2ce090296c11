package hub

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"softprompt/onnx/hint"
)

// What the hub may answer instead of a file, for errors.Is.
var (
	ErrRepoNotFound     = errors.New("no such model, or a private one")
	ErrRevisionNotFound = errors.New("no such revision")
	ErrFileNotFound     = errors.New("no such file")
	ErrGated            = errors.New("a gated model")
	ErrForbidden        = errors.New("access refused")
	// ErrNotCached is given offline for what the cache lacks.
	ErrNotCached = errors.New("not in the cache")
)

// answers says what a refusal means and what to do: the first row that fits.
// The codes are the hub's X-Error-Code; it answers 401 for a repository that
// does not exist to who sends no token. In the advice {page} is the model's
// page and {tokens} the one of one's tokens.
var answers = []struct {
	code   string // empty: any
	status int    // 0: any
	err    error
	advice string
}{
	{"RevisionNotFound", 0, ErrRevisionNotFound, "check the branch, tag or commit after the @; {page} lists them"},
	{"EntryNotFound", 0, ErrFileNotFound, "look at the model's files on {page}"},
	{"GatedRepo", 0, ErrGated, "accept the licence on {page}, then set HF_TOKEN to a token of that account from {tokens}"},
	{badToken, 0, ErrForbidden, "the token is wrong or expired: set HF_TOKEN to one from {tokens}, or unset it and remove the token file"},
	{disabled, 0, ErrForbidden, "the hub has disabled this model: see {page}"},
	{"RepoNotFound", 0, ErrRepoNotFound, "check the name; if the model is private, set HF_TOKEN to a token from {tokens}"},
	{"", http.StatusUnauthorized, ErrRepoNotFound, "check the name; if the model is private or gated, set HF_TOKEN to a token from {tokens}"},
	{"", http.StatusForbidden, ErrForbidden, "the token may not read this model: see its permissions on {tokens}"},
	{"", http.StatusNotFound, ErrRepoNotFound, "check the name, and HF_ENDPOINT if it is set"},
}

// notAHub is the advice where something else answers.
const notAHub = "check HF_ENDPOINT, and whether a proxy or firewall answers in the hub's place"

// The hub tells these two apart only by X-Error-Message.
const (
	badToken = "Invalid credentials in Authorization header"
	disabled = "Access to this resource is disabled."
)

// refused turns an answer that is no file into an error.
func (s *session) refused(resp *http.Response, ref Ref) error {
	message := printable(resp.Header.Get("X-Error-Message"))
	code := resp.Header.Get("X-Error-Code")
	if message == badToken || message == disabled {
		code = message
	}
	status := strings.TrimSpace(strconv.Itoa(resp.StatusCode) + " " + http.StatusText(resp.StatusCode))
	ours := code != "" || origin(resp.Request.URL) == origin(s.base) // and not storage's
	for _, a := range answers {
		if ours && resp.StatusCode/100 == 4 && (a.code == "" || a.code == code) && (a.status == 0 || a.status == resp.StatusCode) {
			advice := strings.NewReplacer("{page}", s.base.Redacted()+"/"+ref.Repo, "{tokens}", s.base.Redacted()+"/settings/tokens").Replace(a.advice)
			return hint.Wrap(fmt.Errorf("%w (%s)", a.err, status), "%s", advice)
		}
	}
	err := fmt.Errorf("%s answered %s", resp.Request.URL.Host, status)
	if message != "" {
		err = fmt.Errorf("%w: %s", err, message)
	}
	switch resp.StatusCode {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return &temporaryError{hint.Wrap(err, "try again later"), retryAfter(resp.Header.Get("Retry-After"), time.Now())}
	}
	return hint.Wrap(err, "%s", notAHub)
}

// printable makes a server's words fit for a line of a log.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, s)
	if r := []rune(s); len(r) > 200 {
		s = string(r[:200]) + "…"
	}
	return s
}

// retryAfter reads the header's seconds or date; 0 if there is neither.
func retryAfter(v string, now time.Time) time.Duration {
	v = strings.TrimSpace(v)
	if n, err := strconv.ParseUint(v, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if t, err := http.ParseTime(v); err == nil {
		return max(0, t.Sub(now))
	}
	return 0
}

// temporaryError is worth another attempt, not before a while.
type temporaryError struct {
	error
	after time.Duration
}

func (t *temporaryError) Unwrap() error { return t.error }

func temporary(err error) *temporaryError {
	var t *temporaryError
	errors.As(err, &t)
	return t
}

// policyError is a redirect that is not followed; it stays so.
type policyError struct{ error }

// errSilent is the cause of a request that was given up for silence.
var errSilent = errors.New("the server fell silent")

// broken is the error of a request that got no answer, or of a body that
// ended too early. It leaves out the URL, whose query may be a signature.
func broken(ctx context.Context, err error, doing string) error {
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	var outer *url.Error
	if errors.As(err, &outer) {
		err = outer.Err
	}
	err = fmt.Errorf("%s: %w", doing, err)
	var policy policyError
	if errors.As(err, &policy) || errors.Is(err, context.Canceled) {
		return err
	}
	var certificate *tls.CertificateVerificationError
	if errors.As(err, &certificate) {
		return hint.Wrap(err, "a proxy may need its certificate installed: name it in SSL_CERT_FILE; and check the clock")
	}
	return &temporaryError{error: hint.Wrap(err, "check the network connection, and HF_ENDPOINT and the proxy if they are set")}
}
