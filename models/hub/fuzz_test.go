package hub

import (
	"bytes"
	"log/slog"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

var silent = slog.New(slog.DiscardHandler)

// What a listing gives are names that stay in a folder, and a commit that
// does; what is kept of it is read back as it was.
func FuzzListing(f *testing.F) {
	f.Add([]byte(listingOf("config.json", "onnx/model.onnx", "../x", `a\b`)))
	f.Add([]byte(`{"sha": "` + strings.Repeat("a", 40) + `", "siblings": [{"rfilename": "m.bin", "size": 7, "blobId": "0", "lfs": {"sha256": "1"}}]}`))
	f.Add([]byte(`{"sha": null, "siblings": [{}]}`))
	f.Add([]byte(`{"format_version": 1, "files": {"config.json": {"size": 519, "blob_id": "0"}, "m.bin": {"size": 7, "blob_id": "0", "lfs_sha256": "1", "lfs_size": 7, "xet_hash": "2"}}}`))
	f.Add([]byte(`{"format_version": 1, "files": {"/etc/passwd": {"size": -1, "blob_id": ""}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := parseListing(data, silent)
		if err == nil {
			checkListing(t, l)
			if kept, ok := l.encode(); ok {
				again, err := parseTree(kept, l.commit)
				if err != nil {
					t.Fatalf("%s: %v", kept, err)
				}
				names := map[string]bool{}
				for _, f := range l.files {
					names[f.name] = true
				}
				if len(again.files) != len(names) {
					t.Errorf("%d files, kept %d", len(names), len(again.files))
				}
				if twice, ok := again.encode(); !ok || !bytes.Equal(kept, twice) {
					t.Errorf("%s became %s", kept, twice)
				}
			}
		}
		if l, err := parseTree(data, strings.Repeat("a", 40)); err == nil {
			checkListing(t, l)
		}
	})
}

func checkListing(t *testing.T, l listing) {
	t.Helper()
	if !IsCommit(l.commit) {
		t.Errorf("the commit %q", l.commit)
	}
	for _, f := range l.files {
		path := filepath.Join("/cache/snapshots", filepath.FromSlash(f.name))
		if !strings.HasPrefix(path, filepath.FromSlash("/cache/snapshots/")) || strings.ContainsAny(f.name, "\\:\x00\n") || f.size < -1 {
			t.Errorf("%q of %d bytes", f.name, f.size)
		}
	}
}

// What headers give is a checksum, which is a safe name, and a size.
func FuzzHeaders(f *testing.F) {
	commit := strings.Repeat("c", 40)
	f.Add(302, commit, `"`+strings.Repeat("a", 64)+`"`, "12", "", "", "", "")
	f.Add(200, commit, "", "", `W/"`+strings.Repeat("a", 40)+`"`, "12", "90", "")
	f.Add(200, "", "../x", "-1", "", "", "Wed, 21 Oct 2015 07:28:00 GMT", "Access to this resource is disabled.")
	f.Fuzz(func(t *testing.T, status int, got, linked, linkedSize, etag, size, after, message string) {
		h := http.Header{}
		for k, v := range map[string]string{
			"X-Repo-Commit": got, "X-Linked-Etag": linked, "X-Linked-Size": linkedSize, "Etag": etag, "Content-Length": size,
			"Retry-After": after, "X-Error-Message": message, "X-Error-Code": message,
		} {
			h.Set(k, v)
		}
		if r, err := parseRemote(status, h, commit); err == nil && (!etags.MatchString(r.etag) || r.size < 0 || got != commit) {
			t.Errorf("%+v", r)
		}
		s, err := (&Client{CacheDir: "x"}).session()
		if err != nil {
			t.Fatal(err)
		}
		req, _ := http.NewRequest("GET", s.Endpoint, nil)
		err = s.refused(&http.Response{StatusCode: status, Header: h, Request: req}, Ref{Repo: "a/b"})
		if text := strings.ReplaceAll(err.Error(), strconv.Itoa(status), ""); strings.ContainsAny(text, "\n\r\x1b") || len(text) > 2000 {
			t.Errorf("%q", text)
		}
		if again := temporary(err); again != nil && again.after < 0 {
			t.Errorf("wait %v", again.after)
		}
	})
}

// A reference that is taken is a folder's name and a path that stay within
// the cache, and is written as it was read.
func FuzzRef(f *testing.F) {
	for _, s := range []string{"google/t5-small@refs/pr/1", "t5-small", "a/b@../c", "a--b/c", "@", "a/b@"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRef(s)
		if err != nil {
			return
		}
		if folder := r.folder(); filepath.Base(folder) != folder || !filepath.IsLocal(folder) {
			t.Errorf("%q is in the folder %q", s, folder)
		}
		if rev := r.revision(); !filepath.IsLocal(filepath.FromSlash(rev)) || strings.ContainsAny(rev, "\\:\x00\n ") {
			t.Errorf("%q has the revision %q", s, rev)
		}
		if again, err := ParseRef(r.String()); err != nil || again.Repo != r.Repo || again.revision() != r.revision() {
			t.Errorf("%q becomes %q: %v", s, r, err)
		}
	})
}
