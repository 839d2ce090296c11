package hub

import (
	"fmt"
	"strings"
	"testing"
)

func TestParseRef(t *testing.T) {
	for s, want := range map[string]Ref{
		"google/t5-base-lm-adapt":            {"google/t5-base-lm-adapt", ""},
		"google/flan-t5-small@main":          {"google/flan-t5-small", "main"},
		"t5-small":                           {"t5-small", ""},
		"a/b@refs/pr/12":                     {"a/b", "refs/pr/12"},
		"a/b@v1.0":                           {"a/b", "v1.0"},
		"a/b@feature/x+y":                    {"a/b", "feature/x+y"},
		"Org_1/Na.me-2@" + fmt.Sprint(12345): {"Org_1/Na.me-2", "12345"},
	} {
		got, err := ParseRef(s)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", s, got, err)
		}
		if back := got.String(); back != strings.TrimSuffix(s, "@main") {
			t.Errorf("%s becomes %s", s, back)
		}
	}
	for _, s := range []string{
		"", "/", "a/", "/b", "a/b/c", "../b", "a/..", "a/.b", ".a/b", "-a/b", "a/b-", "a/b.", "a b/c", "a/b--c", "a/b..c", "a/b.git",
		"a/b\x00", "a\\b", "C:/b", "a/" + strings.Repeat("b", 100), "é/b",
	} {
		_, err := ParseRef(s)
		wantError(t, err, "not the name of a repository", "hint:org/name@revision")
	}
	for _, s := range []string{
		"a/b@..", "a/b@../x", "a/b@/x", "a/b@x/", "a/b@x//y", "a/b@x/../y", "a/b@x..y", "a/b@.x", "a/b@x y", "a/b@x\x00", "a/b@x:y", `a/b@x\y`,
		"a/b@x~1", "a/b@x^", "a/b@x@y", "a/b@x.lock", "a/b@x.", "a/b@" + strings.Repeat("x", 201),
	} {
		_, err := ParseRef(s)
		wantError(t, err, "not the name of a revision", "hint:org/name@revision")
	}
	_, err := ParseRef("a/b@")
	wantError(t, err, "no revision after the @")
}
