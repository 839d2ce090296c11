package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"softprompt/export"
	"softprompt/onnx/hint"
	"softprompt/onnx/ort"
	"softprompt/prompt"
	"softprompt/prompt/tune"
)

// checkLibraries reports each library that CUDA needs and where it was found.
// Those that are missing, and needed, are the error.
func checkLibraries(list []ort.CUDALibrary, report func(name, format string, args ...any)) error {
	var missing []string
	for _, lib := range list {
		switch {
		case lib.Problem == "":
			report("library", "%s (%s), %s", lib.Name, lib.Use, lib.Path)
		case lib.Needed:
			report("library", "%s (%s) is missing: %s", lib.Name, lib.Use, lib.Problem)
			missing = append(missing, lib.Name)
		default:
			report("library", "%s (%s) was not found; it is opened only where it is used", lib.Name, lib.Use)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return hint.Wrap(fmt.Errorf("device cuda needs libraries that are missing: %s", strings.Join(missing, ", ")),
		"PyTorch and the packages nvidia-cublas, nvidia-cuda-runtime and nvidia-curand bring them: put their lib folders on LD_LIBRARY_PATH; libcuda.so.1 comes with the card's driver")
}

// shownNodes is how many nodes the doctor names.
const shownNodes = 5

// checkPlacement reports which nodes of a training step do not run on the
// device.
func checkPlacement(ctx context.Context, rt *ort.Runtime, m *export.Model, device ort.Device, threads int, report func(name, format string, args ...any)) error {
	trace, err := traceStep(ctx, rt, m, device, threads)
	if err != nil {
		return fmt.Errorf("tracing a step: %w", err)
	}
	nodes, err := ort.Placement(trace)
	if err != nil {
		return err
	}
	provider := rt.ProviderName(device)
	off := ort.OffDevice(nodes, provider)
	if len(off) == 0 {
		report("placement", "all %d nodes of a training step run on %s, but for sizes", len(nodes), provider)
		return nil
	}
	report("placement", "%d of %d nodes of a training step do not run on %s, which costs time", len(off), len(nodes), provider)
	for _, p := range off[:min(shownNodes, len(off))] {
		report("placement", "%v", p)
	}
	return nil
}

// traceStep runs one training step under the runtime's profiler and returns
// what it wrote.
func traceStep(ctx context.Context, rt *ort.Runtime, m *export.Model, device ort.Device, threads int) (trace []byte, err error) {
	dir, err := os.MkdirTemp("", "softprompt-doctor-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	f, err := tune.Freeze(ctx, rt, m, tune.FreezeOptions{
		Method: "prompt-tuning", Device: device, Threads: threads, NoTokenizer: true, Profile: filepath.Join(dir, "trace"),
	})
	if err != nil {
		return nil, err
	}
	if err := step(ctx, f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil { // writes the trace
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(dir, "trace*"))
	if err != nil || len(files) != 1 {
		return nil, errors.Join(err, fmt.Errorf("the runtime wrote %d traces, want 1", len(files)))
	}
	return os.ReadFile(files[0])
}

// step computes the gradient of two rows in a prompt of zeros.
func step(ctx context.Context, f *tune.Frozen) error {
	d := int64(f.Model.Config.DModel)
	zeros := &prompt.Prompt{Method: f.Method.Name, Tensors: []prompt.Tensor{{Name: f.Method.Trainables[0].Name, Shape: []int64{2, d}, Data: make([]float32, 2*d)}}}
	bank, err := tune.NewBank(f.Method, zeros)
	if err != nil {
		return err
	}
	defer bank.Close()
	rows := []tune.Row{{IDs: []int64{5, 6, 7, 1}, Target: []int64{5, 1}}, {IDs: []int64{8, 1}, Target: []int64{6, 1}}}
	_, err = f.Step(ctx, bank, rows, tune.StepOptions{Weights: []float32{1}})
	return err
}
