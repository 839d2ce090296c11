package ort

import (
	"fmt"
	"path/filepath"
	"strconv"

	ort "github.com/yalue/onnxruntime_go"

	"softprompt/onnx"
	"softprompt/onnx/hint"
)

// Level says how far the runtime may rewrite a graph before it runs it.
type Level int

// The levels. Graphs that softprompt makes are written in fused operators
// already and gain nothing above LevelBasic; graphs from elsewhere do.
const (
	LevelBasic    Level = iota // constant folding and what removes nodes
	LevelNone                  // run the graph as it is
	LevelExtended              // and fusions into the runtime's own operators
	LevelAll                   // and layout changes
)

var levelNames = [...]string{"basic", "none", "extended", "all"}

// String returns the name that ParseLevel reads.
func (l Level) String() string {
	if l < 0 || int(l) >= len(levelNames) {
		return fmt.Sprintf("level(%d)", int(l))
	}
	return levelNames[l]
}

// ParseLevel reads none, basic, extended or all.
func ParseLevel(s string) (Level, error) {
	for l, name := range levelNames {
		if s == name {
			return Level(l), nil
		}
	}
	return 0, fmt.Errorf("there is no optimization level %q: want none, basic, extended or all", s)
}

var runtimeLevels = [...]ort.GraphOptimizationLevel{
	LevelBasic:    ort.GraphOptimizationLevelEnableBasic,
	LevelNone:     ort.GraphOptimizationLevelDisableAll,
	LevelExtended: ort.GraphOptimizationLevelEnableExtended,
	LevelAll:      ort.GraphOptimizationLevelEnableAll,
}

// Config says how a session runs a model. The zero Config runs on the
// processor with the least memory: weights in external data are then used in
// place, in pages of the file that all sessions and processes share.
type Config struct {
	Device  Device
	Threads int // for one operator; 0 stands for Threads()

	// Folder is where the model's external data lies, if it has any. The
	// runtime refuses paths and links that leave it; the folder itself may be
	// a link.
	Folder   string
	Optimize Level

	// Prepack copies weights into the layout that matrix kernels like best:
	// about twice as fast for products of few rows, such as decoding token by
	// token, at the price of a private copy of all weights. Quantised kernels
	// need it.
	Prepack bool
	// Pack tells which of the float32 weights in external data Prepack is for,
	// by their names; the others stay in their file. nil packs all. It is for
	// [Runtime.Load].
	Pack func(weight string) bool
	// Arena keeps freed memory for the next run: 5 to 10 % faster, more memory.
	Arena bool
	// MemPattern plans memory once for each set of input shapes; of use when
	// these hardly change.
	MemPattern bool
	// NoSpin lets idle threads sleep at once: a little slower, but a machine
	// that other processes use stays usable.
	NoSpin bool
	// DenormalAsZero takes numbers below 1e-38 for zero, which some processors
	// compute far faster with.
	DenormalAsZero bool
	// Profile is the start of a file name: a trace in Chrome's format is
	// written there, with a time stamp in its name, when the session closes.
	Profile string

	// TF32 allows CUDA to round the factors of float32 products to 10 bits of
	// mantissa: faster, and not exact enough to check gradients.
	TF32 bool
	// Provider has further options of the execution provider, under the names
	// that the runtime gives them, such as gpu_mem_limit for CUDA.
	Provider map[string]string
	// Entries has further session options; a key that the runtime does not
	// know, and would ignore, is an error.
	Entries map[string]string

	lent []*onnx.Tensor // constants that stay in our memory, see [Runtime.Load]
}

// options makes the runtime's session options. The caller destroys them.
func (rt *Runtime) options(cfg Config) (*ort.SessionOptions, error) {
	entries, err := cfg.entries()
	if err != nil {
		return nil, err
	}
	if cfg.Threads < 0 {
		return nil, fmt.Errorf("a session cannot have %d threads", cfg.Threads)
	}
	if cfg.Optimize < 0 || int(cfg.Optimize) >= len(runtimeLevels) {
		return nil, fmt.Errorf("there is no optimization %v", cfg.Optimize)
	}
	threads := cfg.Threads
	if threads == 0 {
		threads = Threads()
	}
	o, err := ort.NewSessionOptions()
	if err != nil {
		return nil, err
	}
	steps := []func() error{
		func() error { return o.SetIntraOpNumThreads(threads) },
		func() error { return o.SetInterOpNumThreads(1) },
		func() error { return o.SetGraphOptimizationLevel(runtimeLevels[cfg.Optimize]) },
		func() error { return o.SetCpuMemArena(cfg.Arena) },
		func() error { return o.SetMemPattern(cfg.MemPattern) },
		func() error {
			if cfg.Profile == "" {
				return nil
			}
			return o.EnableProfiling(cfg.Profile)
		},
		func() error { return addEntries(o, entries) },
		func() error { return rt.appendDevice(o, cfg) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			o.Destroy()
			return nil, err
		}
	}
	return o, nil
}

func addEntries(o *ort.SessionOptions, entries map[string]string) error {
	for k, v := range entries {
		if err := o.AddSessionConfigEntry(k, v); err != nil {
			return fmt.Errorf("session option %s=%s: %w", k, v, explain(err))
		}
	}
	return nil
}

// entries returns the session options that are pairs of strings.
func (cfg Config) entries() (map[string]string, error) {
	e := map[string]string{
		"session.disable_prepacking":      bit(!cfg.Prepack),
		"session.set_denormal_as_zero":    bit(cfg.DenormalAsZero),
		"session.intra_op.allow_spinning": bit(!cfg.NoSpin),
	}
	if cfg.Folder != "" {
		real, err := filepath.EvalSymlinks(cfg.Folder)
		if err == nil {
			real, err = filepath.Abs(real)
		}
		if err != nil {
			return nil, hint.Wrap(fmt.Errorf("folder of the model's external data: %w", err), "give the folder that the weights' files lie in")
		}
		e["session.model_external_initializers_file_folder_path"] = real
	}
	for k, v := range cfg.Entries {
		if !knownEntries[k] {
			err := fmt.Errorf("ONNX Runtime knows no session option %s", k)
			if near := nearest(k, knownEntries); near != "" {
				err = hint.Wrap(err, "did you mean %s?", near)
			}
			return nil, err
		}
		e[k] = v
	}
	return e, nil
}

func bit(on bool) string { return strconv.Itoa(map[bool]int{true: 1}[on]) }
