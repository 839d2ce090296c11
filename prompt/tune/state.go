package tune

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
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
const stateVersion = 1

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

// saveState writes the state in one file, so that there is never half of one.
func saveState(dir string, s *state) error {
	meta, err := json.Marshal(s.progress)
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
	for _, t := range s.current {
		add("current."+t.Name, t.Shape, t.Data)
	}
	for _, t := range s.best {
		add("best."+t.Name, t.Shape, t.Data)
	}
	for _, t := range s.optimizer {
		add("optimizer."+t.Name, t.Shape, t.Data)
	}
	err = models.WriteSafetensors(filepath.Join(dir, stateFile), tensors, map[string]string{"softprompt.state": string(meta)})
	if err != nil {
		return fmt.Errorf("saving the run's state: %w", err)
	}
	return nil
}

// loadState reads the state of a run folder.
func loadState(dir string) (*state, error) {
	path := filepath.Join(dir, stateFile)
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("resuming run %s: %w", dir, err)
	}
	ck, err := models.OpenSafetensors(path)
	if err != nil {
		return nil, fmt.Errorf("resuming run %s: %w", dir, err)
	}
	defer ck.Close()
	s := &state{}
	if err := json.Unmarshal([]byte(ck.Metadata["softprompt.state"]), &s.progress); err != nil {
		return nil, fmt.Errorf("resuming run %s: reading %s: %w", dir, stateFile, err)
	}
	if s.Version != stateVersion {
		return nil, fmt.Errorf("resuming run %s: its state has version %d, want %d", dir, s.Version, stateVersion)
	}
	for _, name := range ck.Names() {
		info, _ := ck.Lookup(name)
		data, err := ck.Float32(name)
		if err != nil {
			return nil, fmt.Errorf("resuming run %s: %w", dir, err)
		}
		kind, rest, _ := strings.Cut(name, ".")
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
	return s, nil
}
