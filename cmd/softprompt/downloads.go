package main

import (
	"io"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"softprompt/models"
	"softprompt/models/hub"
)

// worthShowing is the size of a file whose download is shown, in bytes.
const worthShowing = 4 << 20

// opening returns how models are opened: with what comes from the hub shown.
func (ui *tui) opening() models.Options {
	client, err := hub.FromEnv()
	if err != nil {
		return models.Options{Log: ui.log} // it fails again where the hub is needed
	}
	client.Log = ui.log
	client.UserAgent = "softprompt/" + programVersion()
	if !ui.quiet {
		client.Progress = ui.downloads.report
	}
	return models.Options{Log: ui.log, Hub: client}
}

// downloads shows how files come in: as bars on a terminal, as lines elsewhere.
type downloads struct {
	ui *tui

	mu       sync.Mutex
	files    map[string]*download // under way
	bars     *mpb.Progress        // nil where there are none
	terminal io.Writer            // where the console wrote before the bars
}

// download is one file under way.
type download struct {
	bar  *mpb.Bar
	last time.Time // of a line
}

// report takes in how far a file is.
func (d *downloads) report(p hub.Progress) {
	if p.Total < worthShowing {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	key := p.Repo + "/" + p.File
	f := d.files[key]
	if f == nil {
		f = d.start(p)
		d.files[key] = f
	}
	whole := p.Done >= p.Total
	switch {
	case f.bar != nil:
		f.bar.SetCurrent(p.Done)
	case whole:
	case f.last.IsZero():
		f.last = time.Now()
		d.ui.note("%s: downloading %s, %s", p.Repo, p.File, sizeText(p.Total-p.Done))
	case time.Since(f.last) >= between:
		f.last = time.Now()
		d.ui.note("%s: downloading %s, %d %% of %s", p.Repo, p.File, 100*p.Done/p.Total, sizeText(p.Total))
	}
	if whole {
		d.end(key)
	}
}

// start shows a file for the first time.
func (d *downloads) start(p hub.Progress) *download {
	if d.bars == nil && !d.ui.stderr.terminal() {
		return &download{}
	}
	if d.bars == nil {
		d.terminal = d.ui.stderr.w
		d.bars = mpb.New(mpb.WithOutput(d.terminal), mpb.WithWidth(24))
		d.ui.stderr.swap(d.bars)
	}
	return &download{bar: d.bars.New(p.Total, mpb.BarStyle().Lbound("").Rbound("").Filler("━").Tip("━").Padding("╌"),
		mpb.PrependDecorators(decor.Name(p.File+" ", decor.WCSyncSpaceR)),
		mpb.AppendDecorators(decor.CountersKiloByte(" % .0f of % .0f "), decor.AverageSpeed(decor.SizeB1000(0), "% .0f")))}
}

// end forgets a file; after the last one the console is as it was.
func (d *downloads) end(key string) {
	if delete(d.files, key); len(d.files) == 0 {
		d.finish()
	}
}

// close ends the bars of downloads that came to nothing.
func (d *downloads) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, f := range d.files {
		if f.bar != nil {
			f.bar.Abort(false)
		}
	}
	clear(d.files)
	d.finish()
}

func (d *downloads) finish() {
	if d.bars != nil {
		d.bars.Wait()
		d.ui.stderr.swap(d.terminal)
		d.bars = nil
	}
}
