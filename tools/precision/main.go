// Command precision asks whether prompts that are tuned in another precision
// are as good as those tuned in float32:
//
//	go run ./tools/precision -data DIR
//
// For each task and seed it tunes a prompt for the built-in model twice, from
// the same start on the same batches: in float32, and with one setting changed
// (-with, "precision: int8" unless said otherwise). Both prompts are scored by
// float32 graphs, on the reported split and, where that is small, on training
// rows that no run saw (study.go). It prints each accuracy, both means, a
// paired bootstrap of the difference over seeds and examples, and whether its
// lower end lies above −1 point (report.go). DIR holds IMDB (softprompt tasks
// says how); without it, SST-2 alone is compared, of which a part travels with
// the project.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"softprompt/onnx/ort"
	"softprompt/tools/paired"
)

func main() {
	today := time.Now().UTC().Format(time.DateOnly)
	o := options{studies: studies}
	flag.StringVar(&o.data, "data", "", "`folder` with IMDB; without it IMDB is left out")
	flag.StringVar(&o.with, "with", "precision: int8", "`setting` of the prompts that are compared with those in float32, as in a configuration file")
	flag.StringVar(&o.dir, "dir", "", "`folder` for the runs, which must not exist; without it they are thrown away")
	flag.StringVar(&o.out, "out", filepath.Join("tools", "precision", "results", today+".json"), "JSON `file` for the result")
	flag.IntVar(&o.seeds, "seeds", 5, "number of seeds")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o, report{Date: today}, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "precision:", err)
		stop()
		os.Exit(1)
	}
}

// options say what is compared and where the runs go.
type options struct {
	studies              []study
	data, with, dir, out string
	seeds                int
}

// run makes the studies that there is data for, one after the other.
func run(ctx context.Context, o options, r report, stdout, stderr io.Writer) error {
	rt, err := ort.Open(ort.Options{})
	if err != nil {
		return err
	}
	if o.dir == "" {
		if o.dir, err = os.MkdirTemp("", "precision"); err != nil {
			return err
		}
		defer os.RemoveAll(o.dir)
	}
	r.Runtime, r.With = rt.Version(), o.with
	for _, s := range o.studies {
		if o.data == "" && !s.travels() {
			fmt.Fprintf(stdout, "%s is left out: give the folder that holds it (DATA=DIR make precision)\n\n", s.task)
			continue
		}
		res, err := s.run(ctx, rt, o, stderr)
		if err != nil {
			return fmt.Errorf("comparing on %s: %w", s.task, err)
		}
		res.print(stdout, o.with)
		r.Tasks = append(r.Tasks, *res)
		if err := paired.Write(o.out, r); err != nil { // what is done is kept whatever comes
			return err
		}
	}
	return nil
}
