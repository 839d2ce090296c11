package tune

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"go.yaml.in/yaml/v3"

	"softprompt/onnx/atomicfile"
	"softprompt/onnx/hint"
)

// A folder of several runs holds one folder a run, each as that of a run alone
// but for the state: that of all lies in one file above them, since they go on
// together or not at all. RunsFile names them.

// runName is what a run may be called: its folder's name on any system.
var runName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

// checkNames reports names that cannot be folders side by side.
func checkNames(names []string) error {
	if len(names) == 0 {
		return errors.New("there are no runs to make")
	}
	for i, name := range names {
		if !runName.MatchString(name) || name == filepath.Dir(stateFile) {
			return fmt.Errorf("a run cannot be called %q: it is a folder's name of letters, digits, dots and dashes", name)
		}
		if slices.Contains(names[:i], name) {
			return fmt.Errorf("two runs are called %q", name)
		}
	}
	return nil
}

// folderOf is the folder of the k-th run; without names there is one, dir itself.
func folderOf(dir string, names []string, k int) string {
	if len(names) == 0 {
		return dir
	}
	return filepath.Join(dir, names[k])
}

// writeRuns writes which runs a folder holds.
func writeRuns(dir string, runs []Named) error {
	path := filepath.Join(dir, RunsFile)
	data, err := yaml.Marshal(runs)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return atomicfile.Write(path, data)
}

// readRuns returns the runs of a folder, nil where it is that of a run alone.
func readRuns(dir string) ([]Named, error) {
	path := filepath.Join(dir, RunsFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading which runs %s holds: %w", dir, err)
	}
	var runs []Named
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	if err := d.Decode(&runs); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	var names []string
	for _, r := range runs {
		names = append(names, r.Name)
		if err := r.Settings.Check(); err != nil {
			return nil, fmt.Errorf("reading %s: run %s: %w", path, r.Name, err)
		}
	}
	if err := checkNames(names); err != nil {
		return nil, hint.Wrap(fmt.Errorf("reading %s: %w", path, err), "softprompt train writes this file")
	}
	return runs, nil
}

// RunFolders returns the folders of the runs that a folder holds: itself, or
// those that [TrainAll] made below it.
func RunFolders(dir string) ([]string, error) {
	runs, err := readRuns(dir)
	if err != nil || runs == nil {
		return []string{dir}, err
	}
	var out []string
	for _, r := range runs {
		out = append(out, filepath.Join(dir, r.Name))
	}
	return out, nil
}
