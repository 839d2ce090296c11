package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"time"

	"softprompt/export"
)

// startReport says how long a process takes until it trains.
type startReport struct {
	Size string `json:"size"`
	Name string `json:"name"`
	// First has the seconds from the start of each process to the end of its
	// first step, Steps those of the step after it.
	First []float64 `json:"first_step_done_seconds"`
	Steps []float64 `json:"step_seconds"`
}

// beyond is what a start takes beside a step.
func (s startReport) beyond() float64 { return median(s.First) - median(s.Steps) }

// measureStarts times fresh processes of the last size, in turns. The model's
// file is in memory before, and its quantised weights are in the cache.
func (b *bench) measureStarts(ctx context.Context) error {
	size := b.sizes[len(b.sizes)-1]
	dir, err := modelDir(ctx, size, b.shape, b.interpreter)
	if err != nil {
		return err
	}
	if err := readThrough(filepath.Join(dir, "model.safetensors")); err != nil {
		return err
	}
	if b.has("softprompt-int8") {
		if _, _, err := trainGraph(ctx, dir, export.INT8); err != nil {
			return err
		}
	}
	all := make([]startReport, len(b.peers))
	for round := range b.starts {
		for i, side := range b.peers {
			first, step, err := b.start(ctx, side, dir)
			if err != nil {
				return err
			}
			s := &all[i]
			s.Size, s.Name = size, side.name
			s.First, s.Steps = append(s.First, first), append(s.Steps, step)
			b.say("%s: start %d of %d: %s %.2f s to the end of the first step, the next %.2f s", size, round+1, b.starts, side.name, first, step)
		}
	}
	b.Starts = all
	return nil
}

// start times one process: to the end of its first step, and its second step.
func (b *bench) start(ctx context.Context, s side, dir string) (first, step float64, err error) {
	passes, err := b.passes(ctx, s, dir, b.shape.Input, b.shape.Targets)
	if err != nil {
		return 0, 0, err
	}
	cmd, err := s.command(ctx, dir, b.options, passes...)
	began := time.Now()
	p, err := b.launch(ctx, s.name, cmd, err)
	if err != nil {
		return 0, 0, err
	}
	defer p.kill()
	if _, err := p.step(ctx); err != nil {
		return 0, 0, err
	}
	first = time.Since(began).Seconds()
	second, err := p.step(ctx)
	if err != nil {
		return 0, 0, err
	}
	_, err = p.finish(ctx)
	return first, second.Seconds, err
}

// readThrough reads a file so that the kernel keeps it in memory.
func readThrough(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(io.Discard, f)
	return err
}
