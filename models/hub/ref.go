package hub

import (
	"fmt"
	"regexp"
	"strings"

	"softprompt/onnx/hint"
)

// Ref names a revision of a repository.
type Ref struct {
	Repo     string // org/name; the oldest ones are a name alone
	Revision string // a branch, a tag, a commit or refs/pr/N; empty for main
}

// Names as huggingface_hub's validate_repo_id allows them, and revisions as
// git's check-ref-format does, less what has a meaning in file names.
var (
	repoName   = regexp.MustCompile(`^(\w[\w.-]*/)?\w([\w.-]*\w)?$`)
	revision   = regexp.MustCompile(`^[\w+=%,-][\w+=%,.-]*(/[\w+=%,-][\w+=%,.-]*)*$`)
	commitHash = regexp.MustCompile(`^[0-9a-f]{40}$`)
)

// ParseRef reads org/name or org/name@revision.
func ParseRef(s string) (Ref, error) {
	repo, rev, found := strings.Cut(s, "@")
	r := Ref{repo, rev}
	if found && rev == "" {
		return Ref{}, hint.Wrap(fmt.Errorf("%q has no revision after the @", s), "%s", refAdvice)
	}
	return r, r.check()
}

const refAdvice = "a model on the hub is org/name or org/name@revision, with a branch, a tag, a commit or refs/pr/N"

// check refuses what is no name, and so what is no safe file name either.
func (r Ref) check() error {
	switch {
	case len(r.Repo) > 96 || !repoName.MatchString(r.Repo) || strings.Contains(r.Repo, "--") ||
		strings.Contains(r.Repo, "..") || strings.HasSuffix(r.Repo, ".git"):
		return hint.Wrap(fmt.Errorf("%q is not the name of a repository", r.Repo), "%s", refAdvice)
	case r.Revision != "" && (len(r.Revision) > 200 || !revision.MatchString(r.Revision) ||
		strings.Contains(r.Revision, "..") || strings.HasSuffix(r.Revision, ".lock") || strings.HasSuffix(r.Revision, ".")):
		return hint.Wrap(fmt.Errorf("%q is not the name of a revision", r.Revision), "%s", refAdvice)
	}
	return nil
}

// String returns org/name@revision, without the revision if it is main.
func (r Ref) String() string {
	if r.revision() == "main" {
		return r.Repo
	}
	return r.Repo + "@" + r.Revision
}

func (r Ref) revision() string {
	if r.Revision == "" {
		return "main"
	}
	return r.Revision
}

// folder is the repository's name in the cache.
func (r Ref) folder() string { return "models--" + strings.ReplaceAll(r.Repo, "/", "--") }

// IsCommit tells a revision that can never change, the hash of a commit, from
// branches and tags, and from the revisions of models that are not on a hub.
func IsCommit(revision string) bool { return commitHash.MatchString(revision) }
