package hub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"time"

	"softprompt/onnx/hint"
)

// errNoLocks is given by file systems that cannot lock files.
var errNoLocks = errors.New("this file system has no locks")

// lock waits until no other process or goroutine downloads a blob, with the
// lock files that huggingface_hub also uses. The lock is there to save work:
// where there is none, held is false and the caller must share no file.
func lock(ctx context.Context, cacheDir string, ref Ref, etag string, log *slog.Logger) (release func(), held bool, err error) {
	defer func() {
		if err != nil && ctx.Err() == nil {
			err = hint.Wrap(fmt.Errorf("locking the hub's cache: %w", err), "set HF_HUB_CACHE or HF_HOME to a folder that can be written")
		}
	}()
	root, err := os.OpenRoot(cacheDir)
	if err != nil {
		return nil, false, err
	}
	defer root.Close()
	dir := path.Join(".locks", ref.folder())
	if err := root.MkdirAll(dir, 0o777); err != nil {
		return nil, false, err
	}
	name := path.Join(dir, etag+".lock")
	start, told := time.Now(), time.Now()
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		f, err := tryLock(root, name)
		switch {
		case errors.Is(err, errNoLocks):
			log.Debug("downloading without a lock", "dir", cacheDir, "err", err)
			return func() {}, false, nil
		case err != nil:
			return nil, false, err
		case f != nil:
			return func() { unlockFile(f); f.Close() }, true, nil
		}
		if time.Since(told) > 10*time.Second {
			told = time.Now()
			log.Info("waiting for another process that downloads the same file", "lock", filepath.Join(cacheDir, name), "for", time.Since(start).Round(time.Second))
		}
		if err := sleep(ctx, pause); err != nil {
			return nil, false, err
		}
	}
}

// tryLock returns the locked file, or nil while another has it.
func tryLock(root *os.Root, name string) (*os.File, error) {
	f, err := root.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o664)
	if err != nil {
		return nil, err
	}
	f.Chmod(0o664) // for others who share the cache; fails if it is theirs
	ok, err := lockFile(f)
	if err == nil && ok {
		// Who removes lock files may have removed this one meanwhile.
		var mine, theirs os.FileInfo
		mine, err = f.Stat()
		if theirs, _ = root.Stat(name); err == nil && theirs != nil && os.SameFile(mine, theirs) {
			return f, nil
		}
	}
	f.Close()
	return nil, err
}
