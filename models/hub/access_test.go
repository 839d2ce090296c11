package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"softprompt/models/hub/hubtest"
	"softprompt/onnx/hint"
)

func TestAccess(t *testing.T) {
	h, _ := start(t)
	h.Add("org/private", model)
	h.Private("org/private", "hf_right")
	h.Add("org/gated", model)
	h.Gate("org/gated", "hf_right")
	for _, test := range []struct {
		repo, token string
		err         error
		want        []string
	}{
		{repo, "", nil, nil},
		{"org/missing", "", ErrRepoNotFound, []string{"401", "hint:check the name", "hint:HF_TOKEN", "hint:" + h.URL + "/settings/tokens"}},
		{"org/missing", "hf_right", ErrRepoNotFound, []string{"404", "hint:check the name"}},
		{"org/private", "", ErrRepoNotFound, []string{"401", "hint:private"}},
		{"org/private", "hf_wrong", ErrRepoNotFound, []string{"404", "hint:private"}},
		{"org/private", "hf_right", nil, nil},
		{"org/gated", "", ErrGated, []string{"401", "hint:accept the licence on " + h.URL + "/org/gated", "hint:HF_TOKEN"}},
		{"org/gated", "hf_wrong", ErrGated, []string{"403", "hint:accept the licence"}},
		{"org/gated", "hf_right", nil, nil},
	} {
		c := clientOf(h, t.TempDir())
		c.Token = test.token
		snap, err := c.Snapshot(t.Context(), parse(t, test.repo), nil)
		if test.err == nil {
			if err != nil {
				t.Errorf("%s with %q: %v", test.repo, test.token, err)
			}
			holds(t, snap, model)
			continue
		}
		if !errors.Is(err, test.err) {
			t.Errorf("%s with %q: %v, wanted %v", test.repo, test.token, err, test.err)
		}
		wantError(t, err, append(test.want, test.repo)...)
		if strings.Contains(err.Error()+hint.Of(err), "hf_") {
			t.Errorf("the token is told: %v", err)
		}
		trustworthy(t, c.CacheDir)
	}
}

// Every row of answers is reached, and no row is hidden by one above it.
func TestAnswers(t *testing.T) {
	s, err := (&Client{CacheDir: t.TempDir()}).session()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range answers {
		status := a.status
		if status == 0 {
			status = 403
		}
		header := http.Header{"X-Error-Code": {a.code}}
		if a.code == badToken || a.code == disabled {
			header = http.Header{"X-Error-Message": {a.code}, "X-Error-Code": {"Other"}}
		}
		err := s.refused(&http.Response{StatusCode: status, Header: header, Request: &http.Request{URL: s.base}}, Ref{Repo: "org/name"})
		if !errors.Is(err, a.err) || temporary(err) != nil {
			t.Errorf("%+v gives %v", a, err)
		}
		want := strings.NewReplacer("{page}", "https://huggingface.co/org/name", "{tokens}", "https://huggingface.co/settings/tokens").Replace(a.advice)
		if hint.Of(err) != want || strings.ContainsAny(want, "{}") {
			t.Errorf("%+v gives the hint %q", a, hint.Of(err))
		}
	}
	elsewhere := &http.Response{StatusCode: 403, Header: http.Header{}, Request: &http.Request{URL: &url.URL{Scheme: "https", Host: "cdn.example"}}}
	wantError(t, s.refused(elsewhere, Ref{Repo: "org/name"}), "cdn.example answered 403 Forbidden", "hint:proxy")
	for _, status := range []int{408, 429, 500, 502, 503, 504} {
		resp := &http.Response{StatusCode: status, Header: http.Header{"X-Error-Code": {"RepoNotFound"}}, Request: &http.Request{URL: &url.URL{Host: "h"}}}
		if status >= 500 && temporary(s.refused(resp, Ref{})) == nil {
			t.Errorf("%d is not temporary", status)
		}
		resp.Header = http.Header{}
		if temporary(s.refused(resp, Ref{})) == nil {
			t.Errorf("%d is not temporary", status)
		}
	}
}

// The token goes to the hub with every request, and to nobody else.
func TestToken(t *testing.T) {
	h, c := start(t)
	c.Token = "hf_token"
	snapshot(t, c, repo)
	seen := map[string]int{}
	for _, r := range h.Requests() {
		seen[r.Kind+" "+r.Token]++
	}
	for _, kind := range []string{"list", "head", "redirect", "get"} {
		if seen[kind+" Bearer hf_token"] == 0 || seen[kind+" "] != 0 {
			t.Errorf("%s: %v", kind, seen)
		}
	}
	if seen["storage "] != 2 || seen["storage Bearer hf_token"] != 0 {
		t.Errorf("storage: %v", seen)
	}
	if !strings.HasPrefix(h.Storage, "http://127.0.0.1:") || !strings.HasPrefix(h.URL, "http://127.0.0.1:") {
		t.Error("storage is to differ from the hub by its port alone")
	}
}

func TestOrigin(t *testing.T) {
	for _, test := range []struct {
		a, b string
		same bool
	}{
		{"https://hub.example/a", "https://HUB.example:443/b?c", true},
		{"http://hub.example", "http://hub.example:80", true},
		{"https://hub.example", "http://hub.example", false},
		{"https://hub.example", "https://cdn.hub.example", false},
		{"https://hub.example", "https://hub.example:444", false},
		{"https://hub.example", "https://hub.example.evil.example", false},
		{"https://hub.example", "https://hub.example@evil.example", false},
	} {
		a, _ := url.Parse(test.a)
		b, _ := url.Parse(test.b)
		if (origin(a) == origin(b)) != test.same {
			t.Errorf("%s and %s: %t", test.a, test.b, !test.same)
		}
	}
}

// From https it does not go back to http.
func TestKeepsHTTPS(t *testing.T) {
	plain, _ := start(t)
	secure := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, plain.URL+r.URL.RequestURI(), http.StatusTemporaryRedirect)
	}))
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	c := &Client{Endpoint: secure.URL, CacheDir: t.TempDir(), HTTP: secure.Client(), Token: "hf_token"}
	_, err := c.Snapshot(t.Context(), Ref{Repo: repo}, nil)
	wantError(t, err, "redirects from https to http")
	counts(t, plain, "")
	c.HTTP = nil // which does not know the server's certificate
	c.sleep = func(context.Context, time.Duration) error { t.Error("tried again"); return nil }
	_, err = c.Snapshot(t.Context(), Ref{Repo: repo}, nil)
	wantError(t, err, "certificate", "hint:SSL_CERT_FILE")
	c.HTTP = secure.Client()
	if c.HTTP.CheckRedirect != nil {
		t.Error("the caller's client is changed")
	}
}

// A renamed repository redirects to its new name, which is followed.
func TestRenamed(t *testing.T) {
	h, c := start(t)
	renamed := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, h.URL+strings.Replace(r.URL.RequestURI(), "old/name", repo, 1), http.StatusTemporaryRedirect)
	}))
	defer renamed.Close()
	c.Endpoint = renamed.URL + "/"
	c.Token = "hf_token"
	snap := snapshot(t, c, "old/name")
	holds(t, snap, model)
	if !strings.Contains(snap.Dir, "models--old--name") {
		t.Error(snap.Dir)
	}
	for _, r := range h.Requests() {
		if r.Token != "" {
			t.Errorf("the token went to another server: %+v", r)
		}
	}
}

func TestEndpoint(t *testing.T) {
	for _, endpoint := range []string{"hub.example", "ftp://hub.example", "https://", "https://hub.example:x", "://"} {
		c := &Client{Endpoint: endpoint, CacheDir: t.TempDir()}
		_, err := c.Snapshot(t.Context(), Ref{Repo: repo}, nil)
		wantError(t, err, fmt.Sprintf("%q", endpoint), "hint:HF_ENDPOINT")
	}
	_, err := (&Client{}).Snapshot(t.Context(), Ref{Repo: repo}, nil)
	wantError(t, err, "no cache folder", "hint:HF_HOME")
	_, err = (&Client{CacheDir: t.TempDir()}).Snapshot(t.Context(), Ref{Repo: "../x"}, nil)
	wantError(t, err, "not the name of a repository")

	// What a user adds to an endpoint's path stays.
	h := hubtest.New()
	defer h.Close()
	h.Add(repo, model)
	proxy := httptest.NewServer(http.StripPrefix("/hf", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, h.URL+r.URL.RequestURI(), http.StatusFound)
	})))
	defer proxy.Close()
	holds(t, snapshot(t, clientOf(h, t.TempDir()), repo), model)
	c := clientOf(h, t.TempDir())
	c.Endpoint = proxy.URL + "/hf/"
	holds(t, snapshot(t, c, repo), model)
}
