// Command sst2sample makes the part of SST-2 that travels with the project,
// tasks/data/sst2, from the files that GLUE publishes:
//
//	go run ./tools/sst2sample -in DIR
//
// DIR holds SST-2/train.tsv and SST-2/dev.tsv. Of the training split it keeps
// 10,000 sentences: repeats and sentences of the development split dropped,
// the rest drawn by seed, in file order. The development split is kept whole.
// The same input gives the same bytes.
package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"softprompt/onnx/atomicfile"
	"softprompt/tasks"
)

func main() {
	in := flag.String("in", "", "`folder` with GLUE's SST-2")
	out := flag.String("out", "tasks/data/sst2", "`folder` to write to")
	n := flag.Int("n", 10000, "training sentences to keep")
	seed := flag.Uint64("seed", 1, "seed of the draw")
	flag.Parse()
	if *in == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := sample(*in, *out, *n, *seed, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "sst2sample:", err)
		os.Exit(1)
	}
}

// sample reads both splits below in, writes the kept rows to out and says how
// many there are.
func sample(in, out string, n int, seed uint64, log io.Writer) error {
	task, err := tasks.Lookup("sst2")
	if err != nil {
		return err
	}
	raw, err := task.With("{sentence}", tasks.Verbalizer{}) // Input is the sentence itself
	if err != nil {
		return err
	}
	ctx := context.Background()
	train, err := raw.Load(ctx, tasks.Train, tasks.LoadOptions{Data: in})
	if err != nil {
		return err
	}
	dev, err := raw.Load(ctx, tasks.Validation, tasks.LoadOptions{Data: in})
	if err != nil {
		return err
	}
	train = draw(distinct(train, dev), n, seed)
	for _, part := range []struct {
		file string
		rows []tasks.Example
	}{{"train.tsv", train}, {"dev.tsv", dev}} {
		path := filepath.Join(out, part.file+".gz")
		if err := write(path, part.rows); err != nil {
			return err
		}
		fmt.Fprintf(log, "%s: %d rows\n", path, len(part.rows))
	}
	return nil
}

// distinct returns the rows whose sentence comes for the first time and is
// none of the excluded ones, spaces at the ends aside.
func distinct(rows, exclude []tasks.Example) []tasks.Example {
	seen := map[string]bool{}
	for _, ex := range exclude {
		seen[strings.TrimSpace(ex.Input)] = true
	}
	var kept []tasks.Example
	for _, ex := range rows {
		if s := strings.TrimSpace(ex.Input); !seen[s] {
			seen[s] = true
			kept = append(kept, ex)
		}
	}
	return kept
}

// draw keeps n rows chosen by seed, or all where there are fewer, in their
// order.
func draw(rows []tasks.Example, n int, seed uint64) []tasks.Example {
	chosen := tasks.Permutation(len(rows), seed, 0)
	chosen = chosen[:min(max(n, 0), len(chosen))]
	slices.Sort(chosen)
	kept := make([]tasks.Example, len(chosen))
	for i, row := range chosen {
		kept[i] = rows[row]
	}
	return kept
}

// write puts rows into a packed file of GLUE's form. The gzip header holds no
// name and no time, so that the bytes depend on the rows alone.
func write(path string, rows []tasks.Example) error {
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return err
	}
	fmt.Fprint(z, "sentence\tlabel\n")
	for _, ex := range rows {
		fmt.Fprintf(z, "%s\t%d\n", ex.Input, ex.Label)
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("packing %s: %w", path, err)
	}
	return atomicfile.Write(path, packed.Bytes())
}
