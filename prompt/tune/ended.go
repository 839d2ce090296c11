package tune

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"softprompt/onnx/hint"
)

// ErrUnfinished is in the chain of what [ReadEnded] returns of a run that has
// not come to its end.
var ErrUnfinished = errors.New("the run has not come to its end")

// Ended is a run that came to its end, as its folder has it.
type Ended struct {
	Dir         string
	Settings    Settings
	BestStep    int
	Validation  Comparison
	Predictions []Predicted // nil of a run from before they were kept
}

// ReadEnded reads a run folder.
func ReadEnded(dir string) (*Ended, error) {
	s, err := ReadSettings(dir)
	if err != nil {
		return nil, err
	}
	e := &Ended{Dir: dir, Settings: s}
	last, err := readLast(filepath.Join(dir, MetricsFile))
	if err != nil {
		return nil, fmt.Errorf("reading the run %s: %w", dir, err)
	}
	if last == nil {
		return nil, hint.Wrap(fmt.Errorf("reading the run %s: %w", dir, ErrUnfinished), "softprompt train --resume %s", dir)
	}
	e.BestStep, e.Validation = last.Step, last.Validation
	e.Predictions, err = ReadPredictions(filepath.Join(dir, PredictionsFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return e, nil
}

// readLast returns the last line of a run's metrics, nil if that is none of its
// end.
func readLast(path string) (*finalLine, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var found *finalLine
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	lines.Split(func(data []byte, atEOF bool) (int, []byte, error) {
		if i := bytes.IndexByte(data, '\n'); i >= 0 {
			return i + 1, data[:i], nil
		}
		if atEOF && len(data) > 0 { // a kill cut it short
			found = nil
		}
		return 0, nil, nil
	})
	for n := 1; lines.Scan(); n++ {
		var line struct {
			Step       int         `json:"step"`
			Validation *Comparison `json:"validation"`
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", filepath.Base(path), n, err)
		}
		if found = nil; line.Validation != nil {
			found = &finalLine{line.Step, *line.Validation}
		}
	}
	return found, lines.Err()
}
