package hub

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"softprompt/onnx/hint"
)

// FromEnv returns a client as the environment asks for it, with the variables
// and defaults of huggingface_hub (its constants.py):
//
//	HF_ENDPOINT                             the hub's address
//	HF_TOKEN, then the file HF_TOKEN_PATH   the token; the file is token in HF_HOME
//	HF_HUB_CACHE, then HUGGINGFACE_HUB_CACHE   the cache; default hub in HF_HOME
//	HF_HOME                                 default huggingface in XDG_CACHE_HOME or ~/.cache
//	HF_HUB_OFFLINE, then TRANSFORMERS_OFFLINE  1, on, yes or true: the cache alone
//	HF_HUB_DISABLE_IMPLICIT_TOKEN           send no token
//	HF_HUB_DISABLE_SYMLINKS                 Client.NoSymlinks
//	HF_HUB_DOWNLOAD_TIMEOUT                 Client.Timeout, in seconds
func FromEnv() (*Client, error) {
	home, err := os.UserHomeDir()
	if err != nil && first("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME") == "" {
		return nil, hint.Wrap(fmt.Errorf("finding the hub's cache: %w", err), "set HF_HOME to a folder that can be written")
	}
	e := env{home}
	cacheHome := e.path("XDG_CACHE_HOME", filepath.Join(home, ".cache"))
	hfHome := e.path("HF_HOME", filepath.Join(cacheHome, "huggingface"))
	c := &Client{
		Endpoint:   strings.TrimRight(first("HF_ENDPOINT"), "/"),
		CacheDir:   e.path("HF_HUB_CACHE", e.path("HUGGINGFACE_HUB_CACHE", filepath.Join(hfHome, "hub"))),
		Offline:    isTrue(first("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")),
		NoSymlinks: isTrue(os.Getenv("HF_HUB_DISABLE_SYMLINKS")),
	}
	if c.CacheDir, err = filepath.Abs(c.CacheDir); err != nil {
		return nil, fmt.Errorf("finding the hub's cache: %w", err)
	}
	if seconds := os.Getenv("HF_HUB_DOWNLOAD_TIMEOUT"); seconds != "" {
		n, err := strconv.Atoi(seconds)
		if err != nil || n < 0 || n > 86400 {
			return nil, hint.Wrap(fmt.Errorf("HF_HUB_DOWNLOAD_TIMEOUT is %q", seconds), "set it to a number of seconds")
		}
		c.Timeout = time.Duration(n) * time.Second
	}
	if !isTrue(os.Getenv("HF_HUB_DISABLE_IMPLICIT_TOKEN")) {
		c.Token, err = token(e.path("HF_TOKEN_PATH", filepath.Join(hfHome, "token")))
	}
	return c, err
}

// token returns the environment's token, else the one in the file, if any.
func token(path string) (string, error) {
	if t := first("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"); t != "" {
		return clean(t), nil
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	advice := "make " + path + " readable or set HF_TOKEN"
	if err != nil {
		return "", hint.Wrap(fmt.Errorf("reading the hub's token: %w", err), "%s", advice)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil {
		return "", hint.Wrap(fmt.Errorf("reading the hub's token: %w", err), "%s", advice)
	}
	return clean(string(data)), nil
}

// clean removes line ends and surrounding space, as huggingface_hub does.
func clean(token string) string {
	return strings.TrimSpace(strings.NewReplacer("\r", "", "\n", "").Replace(token))
}

// first returns the first of the variables that is not empty.
func first(names ...string) string {
	for _, name := range names {
		if v := os.Getenv(name); v != "" {
			return v
		}
	}
	return ""
}

// isTrue reads a switch as huggingface_hub does.
func isTrue(v string) bool {
	switch strings.ToUpper(v) {
	case "1", "ON", "YES", "TRUE":
		return true
	}
	return false
}

// env expands paths; home is what ~ stands for.
type env struct{ home string }

// path returns a variable with its own ~ and variables expanded, or the
// default.
func (e env) path(name, otherwise string) string {
	v := os.Getenv(name)
	if v == "" {
		return otherwise
	}
	if v == "~" || strings.HasPrefix(v, "~/") {
		v = e.home + v[1:]
	}
	return os.ExpandEnv(v)
}
