package main

import (
	"fmt"
	"io"
)

// titles are the peers' names in the tables.
var titles = map[string]string{
	"softprompt":      "softprompt",
	"softprompt-int8": "softprompt",
	"peft":            "PEFT",
	"peft-bf16":       "PEFT",
	"transformers":    "transformers",
}

// stepTable has a row for each model and peer. Quotients are to the first peer
// of the model: 2.00 is twice its time or memory.
func (r *report) stepTable() *table {
	t := &table{head: []string{"T5 v1.1", "weights", "step", "min", "max", "time ×", "of peak", "memory", "memory ×", "of it mapped", "in steps"}}
	for _, s := range r.Sizes {
		first := s.Peers[0]
		for _, p := range s.Peers {
			time, share := spreadOf(p.Seconds), ""
			if w, ok := s.work(p.Name); ok {
				share = fmt.Sprintf("%.0f %%", 100*r.share(w, time.Median))
			}
			t.add(s.Size+", "+titles[p.Name], p.Hello.DType,
				seconds(time.Median), seconds(time.Min), seconds(time.Max),
				fmt.Sprintf("%.2f", ratio(p.Seconds, first.Seconds)), share,
				mib(p.peak()), fmt.Sprintf("%.2f", float64(p.peak())/float64(first.peak())),
				mib(p.Memory.File), mib(p.Memory.Peak))
		}
	}
	return t
}

// startTable has a row for each peer.
func (r *report) startTable() *table {
	t := &table{head: []string{"start", "precision", "first step done", "a step", "beyond it"}}
	for _, s := range r.Starts {
		side := sides[sideIndex(s.Name)]
		t.add(s.Size+", "+titles[s.Name], side.numbers(), seconds(median(s.First)), seconds(median(s.Steps)), seconds(s.beyond()))
	}
	return t
}

// textTable has a row for each text and run.
func (r *report) textTable() *table {
	t := &table{head: []string{"real text, float32", "padding", "tokens a row", "longest", "batches", "rows a second", "loss"}}
	for _, x := range r.Texts {
		for _, run := range x.Runs {
			t.add(x.Text+", "+x.Size+", "+titles[run.Name], run.Padding, fmt.Sprintf("%.0f", x.Mean), fmt.Sprint(x.Longest),
				fmt.Sprint(len(run.Seconds)), fmt.Sprintf("%.2f", run.rate(x.Batch)), fmt.Sprintf("%.4f", run.Loss))
		}
	}
	return t
}

// evalTable has a row for each way to evaluate.
func (r *report) evalTable() *table {
	t := &table{head: []string{"evaluation, float32", "what", "rows", "time", "rows a second"}}
	for _, run := range r.Eval.Runs {
		s := median(run.Seconds)
		t.add("SST-2, "+r.Eval.Size+", "+titles[run.Name], run.Command, fmt.Sprint(r.Eval.Rows), seconds(s), fmt.Sprintf("%.2f", float64(r.Eval.Rows)/s))
	}
	return t
}

// peak is the most memory that was resident at any time.
func (m measured) peak() int64 { return max(m.Loading, m.Memory.Peak) }

func seconds(s float64) string { return fmt.Sprintf("%.3f s", s) }
func mib(n int64) string       { return fmt.Sprintf("%d MiB", n>>20) }

// print writes the whole report for a reader, the goals last.
func (r *report) print(w io.Writer, asMarkdown bool) {
	show := func(t *table) {
		if asMarkdown {
			t.markdown(w)
		} else {
			t.text(w)
		}
	}
	s := r.Settings
	fmt.Fprintf(w, "Training step: forward, backward and %s, batch %d, prompt %d, input %d, targets %d, dropout %g, %d threads;\n",
		s.Optimizer, s.Shape.Batch, s.Shape.Prompt, s.Shape.Input, s.Shape.Targets, s.Dropout, s.Threads)
	fmt.Fprintf(w, "median of %d interleaved rounds after %d. %s, %d cores, %s.\n\n", s.Rounds, s.Warmup, r.Machine.CPU, r.Machine.Cores, r.Machine.OS)
	if len(r.Sizes) > 0 {
		show(r.stepTable())
		r.explainSteps(w)
	}
	if len(r.Starts) > 0 {
		show(r.startTable())
		fmt.Fprintf(w, "\nfrom the start of a process, the model's file in memory, to the end of its first step; medians of %d.\n\n", len(r.Starts[0].First))
	}
	if len(r.Texts) > 0 {
		show(r.textTable())
		fmt.Fprintf(w, "\nthe same rows on both sides, batch %d, prompt %d; loss: mean over the target tokens of all rows, at learning rate 0.\n\n", s.Shape.Batch, s.Shape.Prompt)
	}
	if e := r.Eval; e != nil {
		show(r.evalTable())
		fmt.Fprintf(w, "\nbatch %d, prompt %d. Scores at most %.1g apart, %.0f %% of the choices and %.0f %% of the texts are the same, %.1f tokens each.\n\n",
			e.Batch, s.Shape.Prompt, e.Difference, 100*e.SameChoice, 100*e.SameText, e.Length)
	}
	if r.Many != nil {
		show(r.Many.table())
		fmt.Fprintf(w, "\nthe same number of rows a step, one after the other in %d rounds.\n\n", len(r.Many.Alone))
	}
	if len(r.Goals) > 0 {
		show(goalTable(r.Goals))
	}
}

// explainSteps says what the columns of the steps are, and with which numbers.
func (r *report) explainSteps(w io.Writer) {
	fmt.Fprintf(w, "\nmemory: most that was resident at any time, mapped pages of the model's file counted once a process; in steps: without loading.\n")
	for _, p := range r.Peaks {
		kind := map[bool]string{false: "float32", true: "int8"}[p.Int8]
		fmt.Fprintf(w, "%s products [%d,%d]×[%d,%d]: %.0f GFLOP/s in %s\n", kind, p.Shape[0], p.Shape[1], p.Shape[1], p.Shape[2], p.GFLOPS, p.Library)
	}
	fmt.Fprintf(w, "of peak: the time of the step's products at %.0f GFLOP/s in float32", r.best(false).GFLOPS)
	if best := r.best(true).GFLOPS; best > 0 {
		fmt.Fprintf(w, " and %.0f in int8", best)
	}
	fmt.Fprintln(w, ", by its median time.")
	for _, z := range r.Sizes {
		fmt.Fprintf(w, "\n%s: %.0f million parameters, %.1f GFLOP forward and %.1f backward a step", z.Size, float64(z.Parameters)/1e6, float64(z.FLOPs.Forward)/1e9, float64(z.FLOPs.Backward)/1e9)
		if z.Int8 != nil {
			fmt.Fprintf(w, "; in int8 %.1f of %.1f", float64(z.Int8.Int8)/1e9, float64(z.Int8.total())/1e9)
		}
		fmt.Fprintln(w, ". Losses of the first steps:")
		for _, p := range z.Peers {
			fmt.Fprintf(w, "  %-10s %-8s", titles[p.Name], p.Hello.DType)
			for _, l := range p.Losses[:min(len(p.Losses), 6)] {
				fmt.Fprintf(w, " %9.5f", l)
			}
			fmt.Fprintln(w)
		}
	}
	fmt.Fprintln(w)
}
