package ort

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"

	ort "github.com/yalue/onnxruntime_go"

	"softprompt/onnx/hint"
)

// Oldest supported version of ONNX Runtime, and the version of its C interface
// that the wrapper and native.c are bound to.
const (
	MinVersion = "1.24"
	apiVersion = 24
)

// Options says how to open the runtime.
type Options struct {
	// Library is the file to load. Empty, it is searched for: the environment
	// variable ONNXRUNTIME_SHARED_LIBRARY_PATH; the highest version under
	// .deps/onnxruntime beside or above the executable and the working
	// directory; a file beside the executable or in its lib folder; and what
	// the system's loader finds.
	Library string
	// Log receives the runtime's log; nil discards it.
	Log *slog.Logger
}

// Runtime is ONNX Runtime, loaded. There is one in a process.
type Runtime struct {
	library, version string
	providers        []string

	mu        sync.Mutex
	libraries map[string]string // provider library to the name it is registered under
}

var (
	opening sync.Mutex
	opened  *Runtime
)

// Open loads ONNX Runtime, or returns it if it is loaded already: a process
// can hold one, so asking for a different library then is an error. Telemetry
// is switched off. The log goes where the last Open with a Log said.
func Open(opts Options) (*Runtime, error) {
	opening.Lock()
	defer opening.Unlock()
	library := opts.Library
	if library == "" && opened == nil {
		found, err := here().find()
		if err != nil {
			return nil, err
		}
		library = found
	} else if library != "" {
		if err := checkFile(library); err != nil {
			return nil, hint.Wrap(fmt.Errorf("opening ONNX Runtime: %s: %w", library, err), "give the path of the file %s", libraryName)
		}
		if abs, err := filepath.Abs(library); err == nil {
			library = abs
		}
	}
	if opened != nil && library != "" && !samePath(library, opened.library) {
		return nil, fmt.Errorf("opening ONNX Runtime: %s is loaded, and a process can only load one; asked for %s", opened.library, library)
	}
	if opts.Log != nil {
		logger.Store(opts.Log)
	}
	if opened == nil {
		rt, err := load(library)
		if err != nil {
			return nil, err
		}
		opened = rt
	}
	return opened, nil
}

func samePath(a, b string) bool {
	if ra, err := filepath.EvalSymlinks(a); err == nil {
		a = ra
	}
	if rb, err := filepath.EvalSymlinks(b); err == nil {
		b = rb
	}
	return a == b
}

// load opens the library, checks it, and starts its environment.
func load(library string) (*Runtime, error) {
	version, problem := openNative(library)
	if problem != "" {
		err := fmt.Errorf("opening ONNX Runtime: %s", problem)
		if !filepath.IsAbs(library) {
			return nil, hint.Wrap(err, "run make deps, or set %s to the file %s of ONNX Runtime %s or newer", LibraryVariable, libraryName, MinVersion)
		}
		return nil, hint.Wrap(err, "%s must be ONNX Runtime %s or newer for this system", library, MinVersion)
	}
	if v := parseVersion(version); v == nil || less(v, parseVersion(MinVersion)) {
		return nil, hint.Wrap(fmt.Errorf("opening ONNX Runtime: ONNX library too old: %s is version %s, need %s or newer", library, version, MinVersion),
			"run make deps, or set %s to a newer %s", LibraryVariable, libraryName)
	}
	if err := bindNative(); err != nil {
		return nil, fmt.Errorf("opening ONNX Runtime %s at %s: %w", version, library, err)
	}
	ort.SetSharedLibraryPath(library)
	if err := ort.InitializeEnvironment(); err != nil {
		return nil, fmt.Errorf("opening ONNX Runtime %s at %s: %w", version, library, err)
	}
	if err := ort.DisableTelemetry(); err != nil {
		return nil, fmt.Errorf("opening ONNX Runtime %s at %s: %w", version, library, err)
	}
	names, err := providers()
	if err != nil {
		return nil, fmt.Errorf("opening ONNX Runtime %s at %s: listing its execution providers: %w", version, library, err)
	}
	return &Runtime{library: library, version: version, providers: names, libraries: map[string]string{}}, nil
}

// Version returns the library's own version, such as 1.31.1.
func (rt *Runtime) Version() string { return rt.version }

// Library returns the path of the library, or its bare name when the system's
// loader found it.
func (rt *Runtime) Library() string { return rt.library }

// Providers lists the execution providers that the library was built with,
// such as CPUExecutionProvider. That a provider is listed does not mean that
// its own library and a card are there.
func (rt *Runtime) Providers() []string { return append([]string{}, rt.providers...) }

// Report is what there is to know about the runtime on this machine.
type Report struct {
	Library   string
	Version   string
	Providers []string
	Threads   int // what Config.Threads 0 stands for
}

// Report returns the facts that softprompt doctor prints.
func (rt *Runtime) Report() Report {
	return Report{Library: rt.library, Version: rt.version, Providers: rt.Providers(), Threads: Threads()}
}
