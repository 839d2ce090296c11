package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"softprompt/export"
	"softprompt/models"
	"softprompt/onnx/hint"
)

// scripts is where the Python side lies, relative to the root of the tree.
const scripts = "tools/reference"

// python finds the interpreter of the reference environment, which make builds
// at its first use.
func python(ctx context.Context, progress io.Writer) (string, error) {
	if _, err := os.Stat(filepath.Join(scripts, "bench_peft.py")); err != nil {
		return "", hint.Wrap(err, "run it from the root of the source tree, as make bench does")
	}
	cmd := exec.CommandContext(ctx, "make", "-s", "-C", scripts, "python")
	cmd.Stderr = progress
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("making the Python environment with PyTorch and PEFT: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// shape is the size of one step's batch.
type shape struct {
	Prompt  int64 `json:"prompt"`
	Input   int64 `json:"input"`
	Targets int64 `json:"targets"`
	Batch   int64 `json:"batch"`
}

// sizes gives the symbols of a train graph their values.
func (s shape) sizes() map[string]int64 {
	return map[string]int64{"K": 1, "P": s.Prompt, "S": s.Input, "T": s.Targets, "B": s.Batch}
}

// modelDir returns the folder of a T5 v1.1 with random weights and of batches
// of the given shape, made with make_model.py if it is not there yet.
func modelDir(ctx context.Context, size string, s shape, interpreter func() (string, error)) (string, error) {
	cache, err := models.CacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "bench", "t5-v1_1-"+size)
	if b, err := readBatches(filepath.Join(dir, batchesFile)); err == nil && b.have(s) {
		return dir, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o777); err != nil {
		return "", err
	}
	py, err := interpreter()
	if err != nil {
		return "", err
	}
	log := &tail{}
	cmd := exec.CommandContext(ctx, py, "-W", "ignore", filepath.Join(scripts, "make_model.py"), size, dir)
	for _, n := range []struct {
		flag  string
		value int64
	}{{"prompt", s.Prompt}, {"input", s.Input}, {"targets", s.Targets}, {"batch", s.Batch}} {
		cmd.Args = append(cmd.Args, "--"+n.flag, strconv.FormatInt(n.value, 10))
	}
	cmd.Stderr = log
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("making a T5 of size %s: %w%s", size, err, log.said())
	}
	return dir, nil
}

// have tells whether the batches have a shape.
func (b *batches) have(s shape) bool {
	return b.prompt[0] == s.Prompt && slices.Equal(b.inputs[1:], []int64{s.Batch, s.Input}) && b.labels[2] == s.Targets
}

// side says how to start a peer that trains.
type side struct {
	name      string
	dtype     string           // PEFT's; "" for softprompt itself
	precision export.Precision // softprompt's; "" is float32
}

// sides has what can be compared, in the order of the table.
var sides = []side{
	{name: "softprompt"},
	{name: "softprompt-int8", precision: export.INT8},
	{name: "peft", dtype: "float32"},
	{name: "peft-bf16", dtype: "bfloat16"},
}

// numbers names what a side computes with, as ready does.
func (s side) numbers() string {
	if s.dtype != "" {
		return s.dtype
	}
	return dtypes[cmp.Or(s.precision, export.FP32)]
}

func sideNames() []string {
	var names []string
	for _, s := range sides {
		names = append(names, s.name)
	}
	return names
}

func sideIndex(name string) int {
	return slices.IndexFunc(sides, func(s side) bool { return s.name == name })
}

// command returns the process of a side, two threads and all.
func (s side) command(ctx context.Context, dir string, o options, more ...string) (*exec.Cmd, error) {
	args := []string{"--model", dir, "--threads", strconv.Itoa(o.threads), "--optimizer", o.optimizer, "--dropout", strconv.FormatFloat(o.dropout, 'g', -1, 64)}
	if s.precision != "" {
		args = append(args, "--precision", string(s.precision))
	}
	if s.dtype == "" {
		return self(ctx, "step", append(args, more...)...)
	}
	return script(ctx, o, "bench_peft.py", append(append([]string{"--dtype", s.dtype}, args...), more...)...)
}

// script is one of the reference's scripts as a process.
func script(ctx context.Context, o options, name string, args ...string) (*exec.Cmd, error) {
	py, err := o.interpreter()
	if err != nil {
		return nil, err
	}
	return limited(exec.CommandContext(ctx, py, append([]string{"-W", "ignore", filepath.Join(scripts, name)}, args...)...), o.threads), nil
}

// limited keeps the libraries behind PyTorch from taking more threads.
func limited(cmd *exec.Cmd, threads int) *exec.Cmd {
	n := strconv.Itoa(threads)
	cmd.Env = append(os.Environ(), "OMP_NUM_THREADS="+n, "MKL_NUM_THREADS="+n, "TOKENIZERS_PARALLELISM=false", "HF_HUB_OFFLINE=1")
	return cmd
}

// self is this program in one of its other roles.
func self(ctx context.Context, role string, args ...string) (*exec.Cmd, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return exec.CommandContext(ctx, exe, append([]string{role}, args...)...), nil
}

// chosen returns the sides of a list of names.
func chosen(names string) ([]side, error) {
	var out []side
	for _, name := range strings.Split(names, ",") {
		i := sideIndex(strings.TrimSpace(name))
		if i < 0 {
			return nil, fmt.Errorf("no peer %q: want some of %s", name, strings.Join(sideNames(), ", "))
		}
		out = append(out, sides[i])
	}
	return out, nil
}
