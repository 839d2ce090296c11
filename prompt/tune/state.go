package tune

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"softprompt/grad"
	"softprompt/models"
	"softprompt/prompt"
)

// progress is how far a run has come, but for its tensors. With them it is all
// that a later process needs to go on to the same end, byte for byte.
type progress struct {
	Version   int      `json:"version"`
	Step      int      `json:"step"` // updates made
	Stopped   bool     `json:"stopped"`
	Best      bestStep `json:"best"`
	Stale     int      `json:"stale"`     // evaluations since the best one
	Evaluated int      `json:"evaluated"` // the step of the last evaluation, −1 before the first
	Score     float64  `json:"score"`     // last one on the rows held out
	Since     sums     `json:"since"`     // since the last logged step
	Logs      logSizes
	// Seconds spent in training, over all processes. Not part of any result.
	Seconds float64 `json:"seconds"`
	// Settings are those that the run was started with.
	Settings Settings `json:"settings"`
	// Revision, Fingerprint and Tokenizer are the model's, as in prompt.Meta.
	Revision    string  `json:"revision,omitempty"`
	Fingerprint string  `json:"fingerprint"`
	Tokenizer   string  `json:"tokenizer"`
	Rule        string  `json:"rule"`
	Steps       []int64 `json:"steps"` // of the optimiser
}

// stateVersion changes when a state of before cannot be read any more.
const stateVersion = 2

// bestStep is the step that the run will keep.
type bestStep struct {
	Step  int     `json:"step"`
	Score float64 `json:"score"` // on the rows held out
	Loss  float64 `json:"loss"`
}

// better tells whether a score is worth more than the best so far: higher, or
// as high at a lower loss.
func (b bestStep) better(score, loss float64) bool {
	return b.Step < 0 || score > b.Score || score == b.Score && loss < b.Loss
}

// sums are averages under way.
type sums struct {
	Loss   float64 `json:"loss"`
	Tokens int     `json:"tokens"`
	Hits   int     `json:"hits"`
	Rows   int     `json:"rows"`
	Norm   float64 `json:"norm"`
	Steps  int     `json:"steps"`
}

// state is progress with its tensors.
type state struct {
	progress
	current, best []prompt.Tensor
	optimizer     []grad.StateTensor
}

// stateKey is the metadata that holds the progress of all runs of a group.
const stateKey = "softprompt.state"

// saveStates writes the states of all runs of a group in one file, so that
// there is never half of one: the tensors of run k are called k.current.NAME,
// k.best.NAME and k.optimizer.NAME.
func saveStates(dir string, states []*state) error {
	var all []progress
	for _, s := range states {
		all = append(all, s.progress)
	}
	meta, err := json.Marshal(all)
	if err != nil {
		return fmt.Errorf("saving the run's state: %w", err)
	}
	var tensors []models.NamedTensor
	add := func(name string, shape []int64, data []float32) {
		raw := make([]byte, 0, 4*len(data))
		for _, v := range data {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
		}
		tensors = append(tensors, models.NamedTensor{Name: name, DType: models.F32, Shape: shape, Data: raw})
	}
	for k, s := range states {
		for _, t := range s.current {
			add(fmt.Sprintf("%d.current.%s", k, t.Name), t.Shape, t.Data)
		}
		for _, t := range s.best {
			add(fmt.Sprintf("%d.best.%s", k, t.Name), t.Shape, t.Data)
		}
		for _, t := range s.optimizer {
			add(fmt.Sprintf("%d.optimizer.%s", k, t.Name), t.Shape, t.Data)
		}
	}
	err = models.WriteSafetensors(filepath.Join(dir, stateFile), tensors, map[string]string{stateKey: string(meta)})
	if err != nil {
		return fmt.Errorf("saving the run's state: %w", err)
	}
	return nil
}

// loadStates reads the states of the runs that a folder holds.
func loadStates(dir string) ([]*state, error) {
	path := filepath.Join(dir, stateFile)
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("resuming run %s: %w", dir, err)
	}
	ck, err := models.OpenSafetensors(path)
	if err != nil {
		return nil, fmt.Errorf("resuming run %s: %w", dir, err)
	}
	defer ck.Close()
	var all []progress
	if err := json.Unmarshal([]byte(ck.Metadata[stateKey]), &all); err != nil || len(all) == 0 {
		return nil, fmt.Errorf("resuming run %s: reading %s: %w", dir, stateFile, cmp.Or(err, errNoRuns))
	}
	var states []*state
	for _, p := range all {
		if p.Version != stateVersion {
			return nil, fmt.Errorf("resuming run %s: its state has version %d, want %d", dir, p.Version, stateVersion)
		}
		states = append(states, &state{progress: p})
	}
	for _, name := range ck.Names() {
		info, _ := ck.Lookup(name)
		data, err := ck.Float32(name)
		if err != nil {
			return nil, fmt.Errorf("resuming run %s: %w", dir, err)
		}
		number, rest, _ := strings.Cut(name, ".")
		k, err := strconv.Atoi(number)
		if err != nil || k < 0 || k >= len(states) {
			return nil, fmt.Errorf("resuming run %s: tensor %s in %s is of no run", dir, name, stateFile)
		}
		s := states[k]
		kind, rest, _ := strings.Cut(rest, ".")
		switch kind {
		case "current":
			s.current = append(s.current, prompt.Tensor{Name: rest, Shape: info.Shape, Data: data})
		case "best":
			s.best = append(s.best, prompt.Tensor{Name: rest, Shape: info.Shape, Data: data})
		case "optimizer":
			s.optimizer = append(s.optimizer, grad.StateTensor{Name: rest, Shape: info.Shape, Data: data})
		default:
			return nil, fmt.Errorf("resuming run %s: unknown tensor %s in %s", dir, name, stateFile)
		}
	}
	return states, nil
}

// errNoRuns is what a state without progress is.
var errNoRuns = errors.New("it tells of no run")
