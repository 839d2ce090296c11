package report

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"softprompt/onnx/hint"
	"softprompt/prompt/tune"
)

// Load reads every run in and below the folders, in the order of their paths.
// Those that have not come to their end are named in unfinished.
func Load(dirs ...string) (runs []*tune.Ended, unfinished []string, err error) {
	seen := map[string]bool{}
	for _, dir := range dirs {
		info, err := os.Stat(dir)
		if err != nil {
			return nil, nil, fmt.Errorf("reading runs: %w", err)
		}
		if info.IsDir() {
			dir += string(filepath.Separator) // of a link, the folder that it leads to
		}
		err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || d.Name() != tune.ConfigFile {
				return err
			}
			folder := filepath.Dir(path)
			real, err := realPath(folder)
			if err != nil || seen[real] {
				return err
			}
			seen[real] = true
			run, err := tune.ReadEnded(folder)
			if errors.Is(err, tune.ErrUnfinished) {
				unfinished = append(unfinished, folder)
				return nil
			}
			if err == nil {
				runs = append(runs, run)
			}
			return err
		})
		if err != nil {
			return nil, nil, err
		}
	}
	if len(runs) == 0 {
		return nil, unfinished, hint.Wrap(fmt.Errorf("reading runs: there is none in %v that has come to its end", dirs),
			"name folders that softprompt train or study made")
	}
	return runs, unfinished, nil
}

// realPath tells folders apart, whatever way leads to them.
func realPath(dir string) (string, error) {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", err
	}
	return filepath.Abs(real)
}
