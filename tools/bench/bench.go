package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"softprompt/export"
	"softprompt/models"
	"softprompt/onnx"
	"softprompt/onnx/hint"
	"softprompt/prompt"
)

// options are the settings of a run with what it takes to start its peers.
type options struct {
	sizes       []string
	peers       []side
	shape       shape
	threads     int
	optimizer   string
	dropout     float64
	warmup      int
	rounds      int
	out         string
	markdown    bool
	command     string
	interpreter func() (string, error) // made at the first call
}

func parseOptions(ctx context.Context, args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	sizes := flags.String("sizes", "small,base", "sizes of T5 v1.1 to measure: small, base, large")
	peers := flags.String("peers", "softprompt,peft,peft-bf16", "who is measured; quotients are to the first")
	flags.IntVar(&o.rounds, "rounds", 20, "steps of each peer that count")
	flags.IntVar(&o.warmup, "warmup", 2, "steps of each peer before")
	flags.IntVar(&o.threads, "threads", 2, "threads of each peer")
	flags.Float64Var(&o.dropout, "dropout", 0, "rate on both sides; losses are not compared unless it is 0")
	flags.StringVar(&o.optimizer, "optimizer", "adamw", "adamw or adafactor")
	flags.Int64Var(&o.shape.Prompt, "prompt", 100, "prompt `length`")
	flags.Int64Var(&o.shape.Input, "input", 128, "input `tokens` of a row")
	flags.Int64Var(&o.shape.Targets, "targets", 4, "target `tokens` of a row")
	flags.Int64Var(&o.shape.Batch, "batch", 16, "`rows` of a batch")
	flags.StringVar(&o.out, "out", "", "`file` for the result, none for no file (default tools/bench/results/DATE-CPU.json)")
	flags.BoolVar(&o.markdown, "markdown", false, "print the table in Markdown")
	given := flags.String("python", "", "`interpreter` with PyTorch and PEFT (default: the environment of tools/reference, made if needed)")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unknown argument %q", flags.Arg(0))
	}
	if o.rounds < 1 || o.warmup < 1 {
		return o, fmt.Errorf("-rounds %d and -warmup %d have to be 1 at least", o.rounds, o.warmup)
	}
	if _, ok := optimizers[o.optimizer]; !ok {
		return o, fmt.Errorf("no optimizer %q: want adamw or adafactor", o.optimizer)
	}
	var err error
	if o.peers, err = chosen(*peers); err != nil {
		return o, err
	}
	o.sizes = strings.Split(*sizes, ",")
	o.command = "go run ./tools/bench"
	flags.Visit(func(f *flag.Flag) {
		if f.Name != "out" && f.Name != "python" {
			o.command += " -" + f.Name + "=" + f.Value.String()
		}
	})
	o.interpreter = sync.OnceValues(func() (string, error) {
		if *given != "" {
			return *given, nil
		}
		return python(ctx, stderr)
	})
	return o, nil
}

// benchMain measures all sizes and prints the table.
func benchMain(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parseOptions(ctx, args, stderr)
	if err != nil {
		return err
	}
	r := &report{
		Date: time.Now().UTC().Truncate(time.Second), Command: o.command, Machine: thisMachine(),
		Versions: map[string]string{"go": strings.TrimPrefix(runtime.Version(), "go")},
		Settings: settings{o.shape, o.threads, o.optimizer, o.dropout, o.warmup, o.rounds},
	}
	if err := r.measurePeaks(ctx, o, stderr); err != nil {
		return err
	}
	for _, size := range o.sizes {
		s, err := measureSize(ctx, size, o, stderr)
		if err != nil {
			return err
		}
		r.Sizes = append(r.Sizes, *s)
		for _, p := range s.Peers {
			if p.Hello.Runtime != "" {
				r.Versions["onnxruntime"] = p.Hello.Runtime
			}
		}
	}
	if err := r.measurePeaks(ctx, o, stderr); err != nil { // again: it may be quieter now
		return err
	}
	r.print(stdout, o.markdown)
	if o.out == "none" {
		return nil
	}
	if o.out == "" {
		o.out = r.path()
	}
	if err := r.write(o.out); err != nil {
		return err
	}
	fmt.Fprintln(stderr, "\nwrote", o.out)
	return nil
}

// measurePeaks takes the peak of ONNX Runtime and, if PEFT takes part, that of
// PyTorch.
func (r *report) measurePeaks(ctx context.Context, o options, stderr io.Writer) error {
	fmt.Fprintln(stderr, "measuring the peak of float32 products")
	cmd, err := self(ctx, "peak", "-threads", strconv.Itoa(o.threads))
	if err != nil {
		return err
	}
	var own peak
	if err := run(cmd, &own); err != nil {
		return err
	}
	r.addPeak(own)
	if !withPython(o.peers) {
		return nil
	}
	py, err := o.interpreter()
	if err != nil {
		return err
	}
	shapes, err := json.Marshal(peakShapes)
	if err != nil {
		return err
	}
	cmd = exec.CommandContext(ctx, py, "-W", "ignore", filepath.Join("tools", "bench", "peak.py"), strconv.Itoa(o.threads), string(shapes), strconv.Itoa(peakRepeats))
	var other struct {
		Peak     peak              `json:"peak"`
		Versions map[string]string `json:"versions"`
	}
	if err := run(limited(cmd, o.threads), &other); err != nil {
		return err
	}
	r.addPeak(other.Peak)
	maps.Copy(r.Versions, other.Versions)
	return nil
}

func withPython(peers []side) bool {
	for _, p := range peers {
		if p.dtype != "" {
			return true
		}
	}
	return false
}

// measureSize has the peers train one model.
func measureSize(ctx context.Context, size string, o options, stderr io.Writer) (*sizeReport, error) {
	dir, err := modelDir(ctx, size, o.shape, o.interpreter)
	if err != nil {
		return nil, err
	}
	s := &sizeReport{Size: size}
	if s.Parameters, s.FLOPs, err = stepWork(ctx, dir, o.shape); err != nil {
		return nil, err
	}
	var peers []*peer
	defer func() {
		for _, p := range peers {
			p.kill()
		}
	}()
	for _, side := range o.peers {
		fmt.Fprintf(stderr, "%s: loading %s\n", size, side.name)
		cmd, err := side.command(ctx, dir, o)
		if err != nil {
			return nil, err
		}
		p, err := startPeer(ctx, side.name, cmd)
		if err != nil {
			return nil, err
		}
		peers = append(peers, p)
	}
	if s.Peers, err = measure(ctx, peers, o.warmup, o.rounds, func(round int, name string, step stepped) {
		fmt.Fprintf(stderr, "%s: round %d of %d: %s %.3f s, loss %.4f\n", size, max(round+1, 0), o.rounds, name, step.Seconds, step.Loss)
	}); err != nil {
		return nil, err
	}
	if err := agree(s.Peers); err != nil {
		return nil, hint.Wrap(fmt.Errorf("size %s: %w", size, err), "the times of different computations cannot be compared: find the difference first, with make reference and go test ./export/...")
	}
	return s, nil
}

// stepWork counts a model's parameters and the operations of a training step.
func stepWork(ctx context.Context, dir string, s shape) (parameters int64, w work, err error) {
	parameters, g, err := trainGraph(ctx, dir, false)
	if err != nil {
		return 0, w, err
	}
	w, err = count(g, s.sizes())
	return parameters, w, err
}

// trainGraph returns the graph of a model's training step, for its nodes: its
// weights are not there to be read.
func trainGraph(ctx context.Context, dir string, dropout bool) (parameters int64, g *onnx.Model, err error) {
	m, err := export.Open(ctx, dir, models.Options{})
	if err != nil {
		return 0, nil, err
	}
	defer m.Close()
	spec, err := m.Spec(ctx)
	if err != nil {
		return 0, nil, err
	}
	spec.Method, spec.Dropout = prompt.PromptTuning(m.Config.DModel), dropout
	g, err = export.Train(spec)
	return m.Config.Parameters(), g, err
}
