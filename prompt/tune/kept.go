package tune

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"softprompt/export"
	"softprompt/models"
	"softprompt/onnx/atomicfile"
)

// passesKey is what the fastest [Passes] depend on, sizes of the data in
// steps that make no difference.
type passesKey struct {
	Processor     string           `json:"processor"`
	Threads       int              `json:"threads"`
	Runtime       string           `json:"onnx_runtime"`
	DModel        int              `json:"d_model"`
	DFF           int              `json:"d_ff"`
	Heads         int              `json:"num_heads"`
	Layers        int              `json:"num_layers"`
	DecoderLayers int              `json:"num_decoder_layers"`
	Method        string           `json:"method"`
	Length        int              `json:"length"`
	Batch         int              `json:"batch"`
	Inputs        int              `json:"input_tokens"` // the median
	Targets       int              `json:"target_tokens"`
	Candidates    int              `json:"candidates"`
	Loss          string           `json:"loss"`
	Dropout       bool             `json:"dropout"`
	Precision     export.Precision `json:"precision"`
	Prepack       bool             `json:"prepack"`
	// MicroBatch and Workers are those that were given, 0 for free ones.
	MicroBatch int `json:"given_micro_batch"`
	Workers    int `json:"given_workers"`
}

// keptPasses is the file that remembers the fastest passes from run to run. It
// only saves time: a file that cannot be read is as good as none.
type keptPasses struct{ path string }

// keptEntry is what was found for a key.
type keptEntry struct {
	Key        passesKey `json:"key"`
	MicroBatch int       `json:"micro_batch"`
	Workers    int       `json:"workers"`
}

// keptFile is the form of the file.
type keptFile struct {
	Version int         `json:"version"`
	Found   []keptEntry `json:"found"`
}

const (
	keptVersion = 1
	keptMost    = 200 // entries; the oldest go first
)

// keptIn returns the file in softprompt's cache folder.
func keptIn(cache string) (keptPasses, error) {
	if cache == "" {
		dir, err := models.CacheDir()
		if err != nil {
			return keptPasses{}, err
		}
		cache = dir
	}
	return keptPasses{filepath.Join(cache, "passes.json")}, nil
}

// read returns what the file has, nothing if it is not such a file.
func (k keptPasses) read() []keptEntry {
	data, err := os.ReadFile(k.path)
	if err != nil {
		return nil
	}
	var f keptFile
	if json.Unmarshal(data, &f) != nil || f.Version != keptVersion {
		return nil
	}
	return f.Found
}

// find returns the passes that were found for a key.
func (k keptPasses) find(key passesKey) (Passes, bool) {
	for _, e := range k.read() {
		if e.Key == key && e.MicroBatch > 0 && e.Workers > 0 {
			return Passes{MicroBatch: e.MicroBatch, Workers: e.Workers}, true
		}
	}
	return Passes{}, false
}

// add writes what was found for a key behind the others.
func (k keptPasses) add(key passesKey, p Passes) error {
	found := append(k.read(), keptEntry{key, p.MicroBatch, p.Workers})
	found = found[max(0, len(found)-keptMost):]
	data, err := json.MarshalIndent(keptFile{keptVersion, found}, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(k.path), 0o755); err != nil {
		return err
	}
	return atomicfile.Write(k.path, append(data, '\n'))
}

// processor returns the name of the processor, as far as the system tells.
func processor() string {
	data, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(data)) {
		if key, name, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(name)
		}
	}
	return runtime.GOOS + "/" + runtime.GOARCH
}
