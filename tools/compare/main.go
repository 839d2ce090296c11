// Command compare trains prompts with softprompt and with PEFT from the same
// start on the same batches and compares their answers, example by example:
//
//	go run ./tools/compare -python "$(make -s -C tools/reference python)"
//
// For each seed it writes the run as a replay (tune.WriteReplay), trains it
// here (train.go), has tools/reference/peft_sst2.py train it with PEFT on
// PyTorch (peft.go), and scores both prompts on SST-2's development set. It
// prints each accuracy, both means and a paired bootstrap of the difference,
// over examples and seeds (report.go).
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"softprompt/onnx/ort"
	"softprompt/prompt/tune"
	"softprompt/tools/paired"
)

func main() {
	var o options
	flag.StringVar(&o.python, "python", "python3", "interpreter with tools/reference/requirements.txt installed")
	flag.StringVar(&o.dir, "dir", "runs/compare", "folder for the runs; must not exist")
	flag.StringVar(&o.out, "out", "", "JSON file for the result")
	flag.IntVar(&o.seeds, "seeds", 5, "number of seeds")
	steps := flag.Int("steps", 300, "training steps")
	rate := flag.Float64("learning-rate", 1, "AdamW's learning rate")
	length := flag.Int("length", 20, "prompt length")
	flag.Parse()
	s, err := settings(*steps, *length, *rate)
	if err == nil {
		err = run(context.Background(), o, s, os.Stdout, os.Stderr)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

// options say where the runs go and who makes PEFT's.
type options struct {
	python, dir, out string
	seeds            int
}

// run compares runs of the settings under the seeds 1, 2, ….
func run(ctx context.Context, o options, s tune.Settings, stdout, stderr io.Writer) error {
	rt, err := ort.Open(ort.Options{})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return err
	}
	s.Seed = 1
	r := report{Date: time.Now().UTC().Format(time.DateOnly), Runtime: rt.Version(), Settings: s}
	var ours []paired.Answers
	var plans []string
	for ; s.Seed <= uint64(o.seeds); s.Seed++ {
		plan := filepath.Join(o.dir, fmt.Sprintf("plan-%d.safetensors", s.Seed))
		if err := tune.WriteReplay(ctx, rt, s, plan, tune.Options{}); err != nil {
			return err
		}
		plans = append(plans, plan)
		a, err := train(ctx, rt, s, filepath.Join(o.dir, fmt.Sprint("run-", s.Seed)), stderr)
		if err != nil {
			return err
		}
		ours = append(ours, a)
	}
	theirs, err := trainPEFT(ctx, o.python, plans, filepath.Join(o.dir, "peft.json"), stderr)
	if err != nil {
		return err
	}
	if err := r.compare(ours, theirs); err != nil {
		return err
	}
	r.print(stdout)
	if o.out == "" {
		return nil
	}
	return paired.Write(o.out, r)
}
