package tune

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.yaml.in/yaml/v3"

	"softprompt/onnx/atomicfile"
	"softprompt/onnx/hint"
)

// The files of a run folder.
const (
	PromptFile  = "prompt.safetensors" // the best prompt; alone enough to predict
	ConfigFile  = "config.yaml"        // every setting
	RunsFile    = "runs.yaml"          // of a folder that holds several runs: their names and settings
	MetricsFile = "metrics.jsonl"      // one object a logged step, no clock in it
	TimingFile  = "timing.jsonl"       // the clock's part
	CurveFile   = "curve.png"          // loss and score, drawn by the command line
	stateFile   = "state/last.safetensors"
	eventsGlob  = "events.out.tfevents.*"
)

// createFolders makes the folder of a new run or, with names, of several, with
// their settings in it. A folder that has something in it already is left
// alone.
func createFolders(dir string, names []string, all []*setup) error {
	sweep(dir) // a start that was killed left at most that
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("starting a run in %s: %w", dir, err)
	case len(entries) > 0:
		err := fmt.Errorf("starting a run in %s: the folder is not empty", dir)
		for _, file := range []string{ConfigFile, RunsFile} {
			if _, missing := os.Stat(filepath.Join(dir, file)); missing == nil {
				return hint.Wrap(err, "to go on with the run that is there: softprompt train --resume %s", dir)
			}
		}
		return hint.Wrap(err, "give --out a folder that does not exist yet")
	}
	return fillFolders(dir, names, all)
}

// fillFolders writes the settings. They come first: with them a run can be
// resumed, whatever else it lacks.
func fillFolders(dir string, names []string, all []*setup) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("starting a run: %w", err)
	}
	if len(names) > 0 {
		var runs []Named
		for k, u := range all {
			runs = append(runs, Named{names[k], u.settings})
		}
		if err := writeRuns(dir, runs); err != nil {
			return err
		}
	}
	for k, u := range all {
		own := folderOf(dir, names, k)
		if err := os.MkdirAll(own, 0o755); err != nil {
			return fmt.Errorf("starting a run: %w", err)
		}
		if err := WriteSettings(filepath.Join(own, ConfigFile), u.settings); err != nil {
			return err
		}
		if err := writeTask(own, u.task); err != nil {
			return err
		}
	}
	return makeStateFolder(dir)
}

func makeStateFolder(dir string) error {
	if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(stateFile)), 0o755); err != nil {
		return fmt.Errorf("starting a run: %w", err)
	}
	return nil
}

// sweep removes the temporary files that a process left which was killed while
// it saved.
func sweep(dir string) {
	for _, file := range []string{ConfigFile, RunsFile, TaskFile, PromptFile, PredictionsFile, CurveFile, stateFile} {
		atomicfile.Sweep(filepath.Join(dir, file))
	}
}

// WriteSettings writes settings as YAML.
func WriteSettings(path string, s Settings) error {
	data, err := yaml.Marshal(s)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return atomicfile.Write(path, data)
}

// ReadSettings reads the settings of a run folder. A key that is not known is
// an error: it was meant to do something.
func ReadSettings(dir string) (Settings, error) {
	var s Settings
	path := filepath.Join(dir, ConfigFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, hint.Wrap(fmt.Errorf("reading the settings of run %s: there is no %s", dir, ConfigFile),
			"a run folder is what softprompt train --out makes")
	}
	if err != nil {
		return s, fmt.Errorf("reading the settings of run %s: %w", dir, err)
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&s); err != nil {
		return s, fmt.Errorf("reading %s: %w", path, err)
	}
	if err := s.Check(); err != nil {
		return s, fmt.Errorf("reading %s: %w", path, err)
	}
	return s, nil
}

// logs are the growing files of a run.
type logs struct {
	metrics, timing, events *journal
}

// logSizes are their lengths at a moment, part of the state.
type logSizes struct {
	Metrics int64 `json:"metrics"`
	Timing  int64 `json:"timing"`
	Events  int64 `json:"events"`
}

// openLogs opens the files of a run and keeps what size says of each.
func openLogs(dir string, size logSizes) (*logs, error) {
	l := &logs{}
	var err error
	if l.metrics, err = openJournal(filepath.Join(dir, MetricsFile), size.Metrics); err != nil {
		return nil, err
	}
	if l.timing, err = openJournal(filepath.Join(dir, TimingFile), size.Timing); err != nil {
		l.close()
		return nil, err
	}
	found, _ := filepath.Glob(filepath.Join(dir, eventsGlob))
	path := filepath.Join(dir, fmt.Sprintf("events.out.tfevents.%d.softprompt", time.Now().Unix()))
	if len(found) > 0 {
		path = found[0]
	}
	if l.events, err = openJournal(path, size.Events); err != nil {
		l.close()
		return nil, err
	}
	if size.Events == 0 {
		err = l.events.write(versionEvent(time.Now()))
	}
	return l, err
}

// sizes returns the files' lengths.
func (l *logs) sizes() logSizes {
	return logSizes{l.metrics.size, l.timing.size, l.events.size}
}

// scalars adds points to the curves that TensorBoard shows.
func (l *logs) scalars(step int, values map[string]float64) error {
	now := time.Now()
	for tag, v := range values {
		if err := l.events.write(scalarEvent(now, int64(step), tag, v)); err != nil {
			return err
		}
	}
	return nil
}

func (l *logs) sync() error {
	for _, j := range []*journal{l.metrics, l.timing, l.events} {
		if err := j.sync(); err != nil {
			return err
		}
	}
	return nil
}

func (l *logs) close() {
	for _, j := range []*journal{l.metrics, l.timing, l.events} {
		if j != nil {
			j.close()
		}
	}
}
