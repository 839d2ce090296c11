// Command xl checks that models larger than memory likes are no trouble: it
// makes checkpoints of published sizes with random weights, and measures what
// softprompt takes to export their graphs and to train on them.
//
//	go run ./tools/xl                        both checks, as make xl does
//	go run ./tools/xl -check export          the graphs of a 3 GB checkpoint
//	go run ./tools/xl -check step            one training step of T5 XL (3B), batch 1
//	go run ./tools/xl -check step -size base a quick look at the same
//
// A checkpoint is written a tensor at a time (checkpoint.go); each check is a
// process of its own (roles.go), so that its memory is its own, and notes its
// peak in each phase (memory.go). Weights are mapped files: their pages count
// as resident, but the system takes them back when it needs them. What must
// fit is the rest, the anonymous memory.
//
// XL takes 17 GB of disk in the folder that -dir names, and all of it is
// removed at the end unless -keep is given.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"softprompt/models"
	"softprompt/onnx/hint"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := dispatch(ctx, os.Args[1:], os.Stdout)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "xl: error:", err)
		if advice := hint.Of(err); advice != "" {
			fmt.Fprintln(os.Stderr, "xl: hint:", advice)
		}
		stop()
		os.Exit(1)
	}
}

// dispatch takes up the role that the first argument names.
func dispatch(ctx context.Context, args []string, out io.Writer) error {
	if len(args) > 0 && roles[args[0]] != nil {
		return rolesMain(ctx, args[0], args[1:], out)
	}
	return checksMain(ctx, args, out)
}

// A check is a checkpoint, what is done with it, and what that may take.
type check struct {
	name  string
	size  string
	dtype models.DType
	role  string
	limit func(outcome) error
}

const (
	megabyte = 1 << 20
	gigabyte = 1 << 30
)

// checks has those of issue 4.
var checks = []check{
	{"export", "large", models.F32, "export", func(o outcome) error {
		return o.within("anonymous memory", o.peak().Anonymous, 300*megabyte)
	}},
	{"step", "xl", models.BF16, "step", func(o outcome) error {
		if err := o.gradient(); err != nil {
			return err
		}
		return o.within("resident memory", o.peak().Resident, 24*gigabyte)
	}},
}

func checksMain(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("xl", flag.ContinueOnError)
	only := flags.String("check", "", "`name` of the one check to make: export or step")
	size := flags.String("size", "", "another `size` of model: "+sizeNames())
	dtype := flags.String("dtype", "", "another `type` of the checkpoint: F32, F16 or BF16")
	dir := flags.String("dir", os.TempDir(), "`folder` to make a folder in")
	keep := flags.Bool("keep", false, "keep what was made")
	if err := flags.Parse(args); err != nil {
		return err
	}
	work, err := os.MkdirTemp(*dir, "softprompt-xl-")
	if err != nil {
		return err
	}
	if !*keep {
		defer os.RemoveAll(work)
	}
	made := 0
	for _, c := range checks {
		if *only != "" && *only != c.name {
			continue
		}
		if *size != "" {
			c.size = *size
		}
		if *dtype != "" {
			c.dtype = models.DType(strings.ToUpper(*dtype))
		}
		if err := c.run(ctx, filepath.Join(work, c.name), out); err != nil {
			return fmt.Errorf("check %s of T5 %s: %w", c.name, c.size, err)
		}
		if !*keep {
			os.RemoveAll(filepath.Join(work, c.name))
		}
		made++
	}
	if made == 0 {
		return hint.Wrap(fmt.Errorf("no check %q", *only), "there are export and step")
	}
	if *keep {
		fmt.Fprintln(out, "kept in", work)
	}
	return nil
}

// run makes the checkpoint, has the role played, and prints what it took.
func (c check) run(ctx context.Context, work string, out io.Writer) error {
	model := filepath.Join(work, "model")
	began := time.Now()
	written, err := writeCheckpoint(ctx, model, c.size, c.dtype)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "T5 %s, %d parameters, %s: %.2f GB of random weights in %.0f s\n",
		c.size, written.parameters, c.dtype, float64(written.bytes)/1e9, time.Since(began).Seconds())
	o, err := c.play(ctx, model, work)
	if err != nil {
		return err
	}
	o.print(out)
	return c.limit(o)
}

// play runs the role in a process of its own.
func (c check) play(ctx context.Context, model, work string) (outcome, error) {
	var o outcome
	self, err := os.Executable()
	if err != nil {
		return o, err
	}
	cmd := exec.CommandContext(ctx, self, c.role, "-model", model, "-work", work)
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	data, err := cmd.Output()
	if err != nil {
		return o, fmt.Errorf("%s: %w", c.role, err)
	}
	return o, json.Unmarshal(data, &o)
}

func (o outcome) print(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "phase\tseconds\tanonymous\tresident\t")
	for _, p := range o.Phases {
		fmt.Fprintf(w, "%s\t%.1f\t%.0f MB\t%.0f MB\t\n", p.Name, p.Seconds, float64(p.Anonymous)/megabyte, float64(p.Resident)/megabyte)
	}
	w.Flush()
	if o.GradientNorm != 0 {
		fmt.Fprintf(out, "loss %.4f, gradient norm %.4g over %d values\n", o.Loss, o.GradientNorm, o.GradientSize)
	}
}
