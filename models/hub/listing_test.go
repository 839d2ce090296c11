package hub

import (
	"cmp"
	"os"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// The hub's answer for a model with small and large files, shortened, and
// what Python keeps of it.
func TestParseListing(t *testing.T) {
	data, err := os.ReadFile("testdata/revision.json")
	if err != nil {
		t.Fatal(err)
	}
	l, err := parseListing(data, silent)
	if err != nil {
		t.Fatal(err)
	}
	want := listing{"0123456789abcdef0123456789abcdef01234567", []listed{
		{".gitattributes", 1175, "c7d9f3332a950355d5a77d85000f05e6f45435ea", ""},
		{"config.json", 1405, "bcb2e7fb3ee3dcd0b8bef2b1bd3a4a9d4b4a0c11", ""},
		{"model.safetensors", 307867048, "4af9fbf8dbba7fe0f4a26d4a6a2d0a0bb4b1b3a5", strings.Repeat("9f", 32)},
		{"onnx/encoder_model.onnx", 141401217, "59ec6e2cc1e8d9c5b1be1c3a1c2c56c5e1a7e1ff", strings.Repeat("0a", 32)},
	}}
	allow := gocmp.AllowUnexported(listing{}, listed{})
	if diff := gocmp.Diff(want, l, allow); diff != "" {
		t.Error(diff)
	}
	kept, ok := l.encode()
	if !ok {
		t.Fatal("it is not kept")
	}
	again, err := parseTree(kept, l.commit)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(again.files, func(a, b listed) int { return cmp.Compare(a.name, b.name) })
	if diff := gocmp.Diff(want, again, allow); diff != "" {
		t.Error(diff)
	}
}

func TestParseListingErrors(t *testing.T) {
	commit := `"sha": "` + strings.Repeat("a", 40) + `"`
	for data, want := range map[string]string{
		"":                                 "unexpected end of JSON",
		"null":                             `its commit "" is none`,
		"[]":                               "cannot unmarshal array",
		`{"sha": "main"}`:                  `its commit "main" is none`,
		`{"sha": "a\u001bb"}`:              `its commit "ab" is none`,
		"{" + commit + `, "siblings": {}}`: "cannot unmarshal object",
		"{" + commit + `, "siblings": [{"rfilename": "a", "size": "big"}]}`: "cannot unmarshal string",
		"{" + commit + `, "siblings": [{"size": 1}]}`:                       `"" is no file's name`,
		"{" + commit + `, "siblings": [{"rfilename": "a"}]} {}`:             "invalid character",
	} {
		_, err := parseListing([]byte(data), silent)
		wantError(t, err, want)
	}
	// What a hub may leave out.
	l, err := parseListing([]byte("{"+commit+`, "siblings": [{"rfilename": "a", "size": -5}, {"rfilename": "b", "lfs": null, "more": []}]}`), silent)
	if err != nil || len(l.files) != 2 || l.files[0].size != -1 || l.files[1].size != -1 {
		t.Errorf("%+v, %v", l, err)
	}
	if _, ok := l.encode(); ok {
		t.Error("a listing without sizes is kept")
	}
}

func TestParseTreeErrors(t *testing.T) {
	for data, want := range map[string]string{
		"":                                   "unexpected end of JSON",
		"{}":                                 "its version is 0",
		`{"format_version": 2}`:              "its version is 2",
		`{"format_version": 1, "files": []}`: "cannot unmarshal array",
		`{"format_version": 1, "files": {"a": {"size": 1}}}`:                       "no size or no blob_id",
		`{"format_version": 1, "files": {"a": {"blob_id": ""}}}`:                   "no size or no blob_id",
		`{"format_version": 1, "files": {"a": {"size": -1, "blob_id": ""}}}`:       "no size or no blob_id",
		`{"format_version": 1, "files": {"../../a": {"size": 1, "blob_id": "0"}}}`: `"../../a" is no file's name`,
	} {
		_, err := parseTree([]byte(data), strings.Repeat("a", 40))
		wantError(t, err, want)
	}
}

// What describes a file, before and after the hub's redirects.
func TestParseRemote(t *testing.T) {
	commit, large, small := strings.Repeat("c", 40), strings.Repeat("a", 64), strings.Repeat("b", 40)
	for _, test := range []struct {
		status  int
		headers string
		want    remote
		err     string
	}{
		{302, `X-Repo-Commit=C X-Linked-Etag="L" X-Linked-Size=7 Etag=W/"other" Content-Length=999`, remote{etag: large, size: 7}, ""},
		{307, `X-Repo-Commit=C X-Linked-Etag="S" X-Linked-Size=7`, remote{etag: small, size: 7}, ""},
		{200, `X-Repo-Commit=C Etag="S" Content-Length=0`, remote{etag: small}, ""},
		{200, `X-Repo-Commit=C Etag=W/"S" Content-Length=3`, remote{etag: small, size: 3}, ""},
		{200, `X-Repo-Commit=C Etag=S Content-Length=3 X-Xet-Hash=x`, remote{etag: small, size: 3}, ""},
		{302, `X-Repo-Commit=C X-Linked-Etag="L" Content-Length=999`, remote{}, `the size "" is not one`}, // that of the redirect
		{200, `X-Repo-Commit=C Content-Length=3`, remote{}, `the ETag "" is not`},
		{200, `X-Repo-Commit=C Etag="d41d8cd98f00b204e9800998ecf8427e" Content-Length=3`, remote{}, "is not a SHA-256"}, // MD5
		{200, `Etag="S" Content-Length=3`, remote{}, "X-Repo-Commit"},
		{200, `X-Repo-Commit=main Etag="S" Content-Length=3`, remote{}, "X-Repo-Commit"},
	} {
		h := map[string][]string{}
		for field := range strings.FieldsSeq(test.headers) {
			k, v, _ := strings.Cut(field, "=")
			v = strings.NewReplacer("C", commit, "L", large, "S", small).Replace(v)
			h[k] = []string{v}
		}
		got, err := parseRemote(test.status, h, commit)
		if test.err != "" {
			wantError(t, err, test.err)
		} else if err != nil || got != test.want {
			t.Errorf("%s: %+v, %v", test.headers, got, err)
		}
	}
}
