package hubtest

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// routes are the paths of a hub; their groups are the repository, the
// revision and the file.
var routes = []struct {
	kind  string
	path  *regexp.Regexp
	serve func(h *Hub, w http.ResponseWriter, r *http.Request, repo, name string, c commit)
}{
	{"list", regexp.MustCompile(`^/api/models/(.+)/revision/([^/]+)()$`), (*Hub).describe},
	{"list", regexp.MustCompile(`^/api/models/(.+)/tree/([^/]+)()$`), (*Hub).tree},
	{"redirect", regexp.MustCompile(`^/([^/]+(?:/[^/]+)?)/resolve/([^/]+)/(.+)$`), (*Hub).resolve},
	{"get", regexp.MustCompile(`^/api/resolve-cache/models/([^/]+(?:/[^/]+)?)/([^/]+)/(.+)$`), (*Hub).content},
	{"storage", regexp.MustCompile(`^/storage/(.+)@([^/]+)/(.+)$`), (*Hub).content},
}

func (h *Hub) serve(w http.ResponseWriter, r *http.Request) {
	for _, route := range routes {
		m := route.path.FindStringSubmatch(r.URL.EscapedPath())
		if m == nil {
			continue
		}
		kind := route.kind
		if r.Method == http.MethodHead {
			kind = "head"
		}
		var handler http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rev, _ := url.PathUnescape(m[2])
			name, _ := url.PathUnescape(m[3])
			h.mu.Lock()
			c, ok := h.commits[m[1]+"@"+rev]
			_, repo := h.commits[m[1]+"@main"]
			lock := h.locks[m[1]]
			h.mu.Unlock()
			allowed := lock.token == "" || bearer(r) == lock.token || kind == "storage"
			switch {
			case !repo && bearer(r) == "", !lock.gated && !allowed && bearer(r) == "":
				refuse(w, http.StatusUnauthorized, "", "Invalid username or password.")
			case !repo, !lock.gated && !allowed:
				refuse(w, http.StatusNotFound, "RepoNotFound", "Repository not found")
			case !allowed && kind != "list" && bearer(r) == "":
				refuse(w, http.StatusUnauthorized, "GatedRepo", "Access to model is restricted. You must have access to it and be authenticated to access it. Please log in.")
			case !allowed && kind != "list":
				refuse(w, http.StatusForbidden, "GatedRepo", "Access to model is restricted and you are not in the authorized list.")
			case !ok:
				refuse(w, http.StatusNotFound, "RevisionNotFound", "Invalid rev id: "+rev)
			default:
				route.serve(h, w, r, m[1], name, c)
			}
		})
		h.log(kind, r)
		h.fault(kind, r.URL.EscapedPath(), handler).ServeHTTP(w, r)
		return
	}
	http.NotFound(w, r)
}

func (h *Hub) log(kind string, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.requests = append(h.requests, Request{kind, r.URL.EscapedPath(), r.Header.Get("Authorization"), r.Header.Get("Range")})
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	if code != "" {
		w.Header().Set("X-Error-Code", code)
	}
	w.Header().Set("X-Error-Message", message)
	http.Error(w, message, status)
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	json.NewEncoder(w).Encode(v)
}

// describe answers what a revision is, with sizes and checksums if the query
// asks for blobs.
func (h *Hub) describe(w http.ResponseWriter, r *http.Request, repo, _ string, c commit) {
	siblings := []map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(c.files)) {
		f, s := c.files[name], map[string]any{"rfilename": name}
		if r.URL.Query().Get("blobs") == "true" {
			s["size"], s["blobId"] = len(f.content), f.blobID
			if f.pointer > 0 {
				s["lfs"] = map[string]any{"sha256": f.etag, "size": len(f.content), "pointerSize": f.pointer}
			}
		}
		siblings = append(siblings, s)
	}
	answer(w, map[string]any{"_id": "0", "id": repo, "modelId": repo, "private": false, "downloads": 0, "likes": 0, "tags": []string{}, "sha": c.hash, "siblings": siblings})
}

// tree answers the same in huggingface_hub's other way.
func (h *Hub) tree(w http.ResponseWriter, r *http.Request, _, _ string, c commit) {
	entries := []map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(c.files)) {
		f := c.files[name]
		e := map[string]any{"type": "file", "path": name, "size": len(f.content), "oid": f.blobID}
		if f.pointer > 0 {
			e["lfs"] = map[string]any{"oid": f.etag, "size": len(f.content), "pointerSize": f.pointer}
		}
		entries = append(entries, e)
	}
	answer(w, entries)
}

// resolve describes a file and says where its bytes are: on another server if
// it is large.
func (h *Hub) resolve(w http.ResponseWriter, r *http.Request, repo, name string, c commit) {
	w.Header().Set("X-Repo-Commit", c.hash)
	f, ok := c.files[name]
	if !ok {
		refuse(w, http.StatusNotFound, "EntryNotFound", "Entry not found")
		return
	}
	w.Header().Set("X-Linked-Etag", `"`+f.etag+`"`)
	w.Header().Set("X-Linked-Size", strconv.Itoa(len(f.content)))
	path := "/" + c.hash + "/" + strings.ReplaceAll(url.PathEscape(name), "%2F", "/")
	if f.pointer > 0 {
		http.Redirect(w, r, h.Storage+"/storage/"+repo+"@"+path[1:]+"?X-Amz-Signature=secret", http.StatusFound)
		return
	}
	http.Redirect(w, r, "/api/resolve-cache/models/"+repo+path, http.StatusTemporaryRedirect)
}

// content answers with bytes, or the range of them that is asked for.
func (h *Hub) content(w http.ResponseWriter, r *http.Request, _, name string, c commit) {
	f, ok := c.files[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	if f.pointer == 0 { // storage knows nothing of commits
		w.Header().Set("X-Repo-Commit", c.hash)
	}
	w.Header().Set("ETag", `"`+f.etag+`"`)
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(f.content))
}
