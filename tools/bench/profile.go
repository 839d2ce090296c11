package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"softprompt/export"
	"softprompt/onnx"
	"softprompt/onnx/hint"
)

// profileMain trains a few steps under ONNX Runtime's profiler and prints
// where the time went, by operator and by the largest nodes.
func profileMain(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("profile", flag.ContinueOnError)
	size := flags.String("size", "small", "size of T5 v1.1")
	steps := flags.Int("steps", 4, "steps after the first, which is left out")
	threads := flags.Int("threads", 2, "threads of one operator")
	nodes := flags.Int("nodes", 15, "how many single nodes are shown")
	dropout := flags.Float64("dropout", 0, "rate for every site")
	interpreter := flags.String("python", "", "`interpreter` with PyTorch, to make the model if it is not there")
	if err := flags.Parse(args); err != nil {
		return err
	}
	batch := shape{Prompt: 100, Input: 128, Targets: 4, Batch: 16}
	dir, err := modelDir(ctx, *size, batch, func() (string, error) {
		if *interpreter != "" {
			return *interpreter, nil
		}
		return python(ctx, os.Stderr)
	})
	if err != nil {
		return err
	}
	tmp, err := os.MkdirTemp("", "softprompt-profile-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if err := traceSteps(ctx, dir, filepath.Join(tmp, "trace"), *threads, *dropout, 1+*steps); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(tmp, "trace*.json"))
	if err != nil || len(files) != 1 {
		return errors.Join(err, fmt.Errorf("the runtime wrote %d traces, want 1", len(files)))
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		return err
	}
	runs, err := parseTrace(data)
	if err != nil {
		return err
	}
	_, g, err := trainGraph(ctx, dir, export.FP32, *dropout > 0)
	if err != nil {
		return err
	}
	work := map[string]int64{}
	if err := eachProduct(g, batch.sizes(), func(n *onnx.Node, ops int64) { work[n.Name] = ops }); err != nil {
		return err
	}
	printProfile(out, runs[1:], work, *nodes)
	return nil
}

// traceSteps trains with the profiler on; the trace is there when it returns.
func traceSteps(ctx context.Context, dir, prefix string, threads int, dropout float64, steps int) (err error) {
	t, err := newTrainer(ctx, training{dir: dir, threads: threads, optimizer: "adamw", rate: 0.3, dropout: dropout, profile: prefix})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	for range steps {
		if _, err := t.step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// kernel is one execution of a node.
type kernel struct {
	node, op string
	shapes   string // of the inputs
	micros   float64
}

// parseTrace reads a trace in Chrome's format as ONNX Runtime writes it: the
// kernels of each run.
func parseTrace(data []byte) ([][]kernel, error) {
	var events []struct {
		Cat, Name string
		Dur       float64
		Args      struct {
			Op     string                       `json:"op_name"`
			Inputs []map[string]json.RawMessage `json:"input_type_shape"`
		}
	}
	if err := json.Unmarshal(data, &events); err != nil {
		return nil, fmt.Errorf("reading the runtime's trace: %w", err)
	}
	var runs [][]kernel
	var now []kernel
	for _, e := range events {
		if e.Cat == "Node" && strings.HasSuffix(e.Name, "_kernel_time") {
			var shapes []string
			for _, in := range e.Args.Inputs {
				for _, s := range in {
					shapes = append(shapes, string(s))
				}
			}
			now = append(now, kernel{strings.TrimSuffix(e.Name, "_kernel_time"), e.Args.Op, strings.Join(shapes, " "), e.Dur})
		}
		if e.Name == "model_run" {
			runs, now = append(runs, now), nil
		}
	}
	if len(runs) == 0 {
		return nil, hint.Wrap(errors.New("the runtime's trace has no run"), "its format may have changed with the version of ONNX Runtime")
	}
	return runs, nil
}

// total is the time of several kernels, a step.
type total struct {
	name   string
	calls  int
	millis float64
	ops    float64 // floating-point operations of matrix products
}

// totals sums kernels up under a name, largest first. work has the operations
// of the nodes that are matrix products.
func totals(runs [][]kernel, work map[string]int64, name func(kernel) string) []total {
	by := map[string]total{}
	for _, run := range runs {
		for _, k := range run {
			t := by[name(k)]
			t.name = name(k)
			t.calls++
			t.millis += k.micros / 1000 / float64(len(runs))
			t.ops += float64(work[k.node]) / float64(len(runs))
			by[t.name] = t
		}
	}
	out := slices.Collect(maps.Values(by))
	slices.SortFunc(out, func(a, b total) int {
		return cmp.Or(cmp.Compare(b.millis, a.millis), strings.Compare(a.name, b.name))
	})
	return out
}

// rate returns GFLOP/s, or nothing for what is no product.
func (t total) rate() string {
	if t.ops == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f", t.ops/t.millis/1e6)
}

func printProfile(w io.Writer, runs [][]kernel, work map[string]int64, nodes int) {
	var all float64
	ops := totals(runs, work, func(k kernel) string { return k.op })
	for _, t := range ops {
		all += t.millis
	}
	shapes := totals(runs, work, func(k kernel) string { return k.op + " " + k.shapes })
	for _, part := range []struct {
		title string
		rows  []total
	}{
		{"operator", ops},
		{"operator and shapes of its inputs", shapes[:min(nodes, len(shapes))]},
	} {
		t := &table{head: []string{part.title, "nodes", "ms a step", "share", "GFLOP/s"}}
		for _, row := range part.rows {
			t.add(row.name, fmt.Sprint(row.calls/len(runs)), fmt.Sprintf("%.1f", row.millis), fmt.Sprintf("%.1f %%", 100*row.millis/all), row.rate())
		}
		t.text(w)
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "%.1f ms a step in kernels, mean of %d steps\n", all, len(runs))
}
