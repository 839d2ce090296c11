package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"softprompt/prompt/tune"
)

// between is the time between two lines of progress where no bar is drawn. A
// new score is always told.
const between = 10 * time.Second

// progress returns a function that shows how a run is doing, and one to call
// when it is over.
func (ui *tui) progress(run tune.Settings) (report func(tune.Event), done func()) {
	if ui.quiet {
		return nil, func() {}
	}
	chosen := cmp.Or(run.Choose, tune.ChooseHeldOut)
	show, done := ui.lines(chosen), func() {}
	if ui.stderr.terminal() {
		show, done = ui.bar(chosen)
	}
	over := map[string]bool{} // by run, those whose last score is there
	reported := map[string]int{}
	return func(e tune.Event) {
		show(e)
		reported[e.Run] = e.Reported
		if over[e.Run] = e.Evaluated && e.Step == e.Steps; over[e.Run] && !slices.Contains(slices.Collect(maps.Values(over)), false) {
			rows := 0
			for _, n := range reported {
				rows += n
			}
			ui.note("comparing on the %s validation rows: no prompt, the prompt before tuning and after", count(int64(rows)))
		}
	}, done
}

// lines writes a line now and then.
func (ui *tui) lines(chosen string) func(tune.Event) {
	last := map[string]time.Time{}
	runs := map[string]*status{}
	return func(e tune.Event) {
		s := runs[e.Run]
		if s == nil {
			s = &status{chosen: chosen}
			runs[e.Run] = s
		}
		s.update(e)
		if e.Evaluated || time.Since(last[e.Run]) >= between {
			last[e.Run] = time.Now()
			ui.note("%sstep %d/%d  %s", prefix(e.Run), e.Step, e.Steps, s)
		}
	}
}

// bar draws a progress bar on the terminal, one for each run.
func (ui *tui) bar(chosen string) (report func(tune.Event), done func()) {
	type bar struct {
		status
		text atomic.Value // what stands behind the bar, which draws when it likes
		*mpb.Bar
	}
	var p *mpb.Progress
	bars := map[string]*bar{}
	terminal := ui.stderr.w
	report = func(e tune.Event) {
		if p == nil {
			p = mpb.New(mpb.WithOutput(terminal), mpb.WithWidth(24))
			ui.stderr.swap(p)
		}
		b := bars[e.Run]
		if b == nil {
			b = &bar{status: status{chosen: chosen}}
			b.text.Store("")
			b.Bar = p.New(int64(e.Steps), mpb.BarStyle().Lbound("").Rbound("").Filler("━").Tip("━").Padding("╌"),
				mpb.PrependDecorators(decor.Name(prefix(e.Run)), decor.CountersNoUnit("%d/%d ")),
				mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return b.text.Load().(string) })))
			bars[e.Run] = b
		}
		b.update(e)
		b.text.Store(" " + b.String())
		b.SetCurrent(int64(e.Step))
	}
	done = func() {
		if p == nil {
			return
		}
		for _, b := range bars {
			b.Abort(false)
		}
		p.Wait()
		ui.stderr.swap(terminal)
	}
	return report, done
}

// status keeps what was last known of each thing that is shown.
type status struct {
	loss    float64
	trained bool
	chosen  string // the rows that are scored
	last    tune.Event
}

func (s *status) update(e tune.Event) {
	s.last = e
	if !e.Evaluated { // the loss of an evaluation is that of other rows
		s.loss, s.trained = e.Loss, true
	}
}

// String is one line: loss, scores, speed, time left.
func (s *status) String() string {
	var parts []string
	if s.trained {
		parts = append(parts, fmt.Sprintf("loss %.3f", s.loss))
	}
	e := s.last
	if e.BestStep >= 0 { // there was a score
		parts = append(parts, fmt.Sprintf("%s %.1f", s.chosen, e.Score), fmt.Sprintf("best %.1f at %d", e.Best, e.BestStep))
	}
	if e.Rate > 0 {
		parts = append(parts, fmt.Sprintf("%.0f rows/s", e.Rate), about(e.Left.Round(time.Second))+" left")
	}
	return strings.Join(parts, "  ")
}
