package tune

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"

	"softprompt/onnx/atomicfile"
	"softprompt/tasks"
)

// PredictionsFile in a run folder has the answers of its prompt to the reported
// split, one object a line, so that runs can be compared answer for answer.
const PredictionsFile = "predictions.jsonl"

// Predicted is a line of [PredictionsFile].
type Predicted struct {
	ID     string `json:"id"`
	Gold   string `json:"gold"`
	Answer string `json:"answer"`
	Right  bool   `json:"right"` // as tasks.Task.Right has it
}

// writePredictions writes the answers to rows.
func writePredictions(path string, task *tasks.Task, rows []Row, answers []tasks.Prediction) error {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	for i, r := range rows {
		p := answers[i]
		if err := enc.Encode(Predicted{r.Example.ID, task.Gold(r.Example), task.Answer(p), task.Right(r.Example, p)}); err != nil {
			return err
		}
	}
	return atomicfile.Write(path, out.Bytes())
}

// ReadPredictions reads a run's answers. The error wraps fs.ErrNotExist where
// the run has none yet.
func ReadPredictions(path string) ([]Predicted, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []Predicted
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var p Predicted
		if err := json.Unmarshal(lines.Bytes(), &p); err != nil {
			return nil, fmt.Errorf("reading %s: line %d: %w", path, len(all)+1, err)
		}
		all = append(all, p)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading %s: line %d: %w", path, len(all)+1, err)
	}
	return all, nil
}
