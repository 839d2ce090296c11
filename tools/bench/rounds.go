package main

import (
	"context"
	"fmt"
	"math"
)

// measured is what one peer did.
type measured struct {
	Name    string    `json:"name"`
	Hello   ready     `json:"ready"`
	Seconds []float64 `json:"seconds"` // of each round
	Losses  []float64 `json:"losses"`  // of each step, those before the rounds included
	// Loading is the most memory that was resident until the rounds began,
	// Memory.Peak the most during them.
	Loading int64  `json:"loading_peak_rss_bytes"`
	Memory  memory `json:"memory"`
}

// measure runs the peers' steps in turn, one of each a round, so that whatever
// else the machine does meets all alike. Steps before the rounds warm up
// caches and allocators and do not count: they are rounds below 0.
func measure(ctx context.Context, peers []*peer, warmup, rounds int, progress func(round int, name string, s stepped)) ([]measured, error) {
	if err := comparable(peers); err != nil {
		return nil, err
	}
	all := make([]measured, len(peers))
	for round := -warmup; round < rounds; round++ {
		if round == 0 {
			for i, p := range peers {
				all[i].Loading = restartPeak(p.cmd.Process.Pid)
			}
		}
		for i, p := range peers {
			s, err := p.step(ctx)
			if err != nil {
				return nil, err
			}
			all[i].Losses = append(all[i].Losses, s.Loss)
			if round >= 0 {
				all[i].Seconds = append(all[i].Seconds, s.Seconds)
			}
			progress(round, p.name, s)
		}
	}
	for i, p := range peers {
		m, err := p.finish(ctx)
		if err != nil {
			return nil, err
		}
		all[i].Name, all[i].Hello, all[i].Memory = p.name, p.hello, m
	}
	return all, nil
}

// lossTolerance is how far apart the losses of two float32 peers may lie.
const lossTolerance = 1e-3

// agree reports peers in float32 whose losses show that they did not compute
// the same thing. With dropout there is nothing to compare.
func agree(all []measured) error {
	var first *measured
	for i := range all {
		m := &all[i]
		if m.Hello.DType != "float32" || m.Hello.Dropout != 0 {
			continue
		}
		if first == nil {
			first = m
			continue
		}
		for step, a := range first.Losses {
			if b := m.Losses[step]; math.Abs(a-b) > lossTolerance*math.Abs(b) {
				return fmt.Errorf("step %d: the loss is %.6f in %s and %.6f in %s, more than %g apart: they do not compute the same",
					step+1, a, first.Name, b, m.Name, lossTolerance)
			}
		}
	}
	return nil
}

// apart returns how far the losses of two peers are apart at most, by the
// other's.
func (m *measured) apart(other *measured) float64 {
	var most float64
	for i, a := range m.Losses {
		b := other.Losses[i]
		most = max(most, math.Abs(a-b)/math.Abs(b))
	}
	return most
}
