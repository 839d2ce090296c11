package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// table is rows of cells under a head. The first column is a name, the others
// are numbers.
type table struct {
	head []string
	rows [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// text writes the table in columns.
func (t *table) text(w io.Writer) {
	widths := make([]int, len(t.head))
	for _, row := range append([][]string{t.head}, t.rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range append([][]string{t.head}, t.rows...) {
		var line strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				line.WriteString(cell + pad)
			} else {
				line.WriteString("  " + pad + cell)
			}
		}
		fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
	}
}

// markdown writes the table as GitHub reads it.
func (t *table) markdown(w io.Writer) {
	rule := make([]string, len(t.head))
	for i := range rule {
		rule[i] = "--:"
	}
	rule[0] = "---"
	for _, row := range append([][]string{t.head, rule}, t.rows...) {
		fmt.Fprintln(w, "| "+strings.Join(row, " | ")+" |")
	}
}

// titles are the peers' names in the table.
var titles = map[string]string{
	"softprompt": "softprompt",
	"peft":       "PEFT",
	"peft-bf16":  "PEFT",
}

// table has a row for each model and peer. Quotients are to the first peer of
// the model: 2.00 is twice its time or memory.
func (r *report) table() *table {
	t := &table{head: []string{"T5 v1.1", "weights", "step", "min", "max", "time ×", "of peak", "memory", "memory ×", "of it mapped", "in steps"}}
	for _, s := range r.Sizes {
		first := s.Peers[0]
		for _, p := range s.Peers {
			time := spreadOf(p.Seconds)
			t.add(s.Size+", "+titles[p.Name], p.Hello.DType,
				seconds(time.Median), seconds(time.Min), seconds(time.Max),
				fmt.Sprintf("%.2f", ratio(p.Seconds, first.Seconds)),
				fmt.Sprintf("%.0f %%", 100*r.share(s.FLOPs, time.Median)),
				mib(p.peak()), fmt.Sprintf("%.2f", float64(p.peak())/float64(first.peak())),
				mib(p.Memory.File), mib(p.Memory.Peak))
		}
	}
	return t
}

// peak is the most memory that was resident at any time.
func (m measured) peak() int64 { return max(m.Loading, m.Memory.Peak) }

func seconds(s float64) string { return fmt.Sprintf("%.3f s", s) }
func mib(n int64) string       { return fmt.Sprintf("%d MiB", n>>20) }

// print writes the whole report for a reader.
func (r *report) print(w io.Writer, asMarkdown bool) {
	s, best := r.Settings, r.best()
	fmt.Fprintf(w, "Training step: forward, backward and %s, batch %d, prompt %d, input %d, targets %d, dropout %g, %d threads;\n",
		s.Optimizer, s.Shape.Batch, s.Shape.Prompt, s.Shape.Input, s.Shape.Targets, s.Dropout, s.Threads)
	fmt.Fprintf(w, "median of %d interleaved rounds after %d. %s, %d cores, %s.\n\n", s.Rounds, s.Warmup, r.Machine.CPU, r.Machine.Cores, r.Machine.OS)
	if asMarkdown {
		r.table().markdown(w)
	} else {
		r.table().text(w)
	}
	fmt.Fprintf(w, "\nmemory: most that was resident at any time, mapped pages of the model's file counted once a process; in steps: without loading.\n")
	for _, p := range r.Peaks {
		fmt.Fprintf(w, "float32 products [%d,%d]×[%d,%d]: %.0f GFLOP/s in %s\n", p.Shape[0], p.Shape[1], p.Shape[1], p.Shape[2], p.GFLOPS, p.Library)
	}
	fmt.Fprintf(w, "of peak: the products of a step by its median time by %.0f GFLOP/s; bfloat16 may exceed it.\n", best.GFLOPS)
	for _, z := range r.Sizes {
		fmt.Fprintf(w, "\n%s: %.0f million parameters, %.1f GFLOP forward and %.1f backward a step. Losses of the first steps:\n", z.Size, float64(z.Parameters)/1e6, float64(z.FLOPs.Forward)/1e9, float64(z.FLOPs.Backward)/1e9)
		for _, p := range z.Peers {
			fmt.Fprintf(w, "  %-10s %-8s", titles[p.Name], p.Hello.DType)
			for _, l := range p.Losses[:min(len(p.Losses), 6)] {
				fmt.Fprintf(w, " %9.5f", l)
			}
			fmt.Fprintln(w)
		}
	}
}
