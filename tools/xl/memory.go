package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// phase is what one part of the work took.
type phase struct {
	Name      string  `json:"name"`
	Seconds   float64 `json:"seconds"`
	Anonymous int64   `json:"anonymous"` // bytes, at most; memory that is no file's
	Resident  int64   `json:"resident"`  // bytes, at most; with the mapped files' pages
}

// watcher looks at the process's memory every few milliseconds.
type watcher struct {
	mu     sync.Mutex
	phases []phase
	began  time.Time
	stop   chan struct{}
	done   sync.WaitGroup
	err    error
}

const watchInterval = 5 * time.Millisecond

// watch starts a watcher. It works on Linux alone.
func watch() (*watcher, error) {
	w := &watcher{stop: make(chan struct{})}
	if _, _, err := readMemory(); err != nil {
		return nil, err
	}
	w.done.Go(func() {
		for tick := time.NewTicker(watchInterval); ; {
			select {
			case <-w.stop:
				return
			case <-tick.C:
				w.look()
			}
		}
	})
	return w, nil
}

// look notes what the process has now.
func (w *watcher) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	anonymous, resident, err := readMemory()
	if err != nil {
		w.err = err
	}
	if n := len(w.phases); n > 0 {
		p := &w.phases[n-1]
		p.Anonymous, p.Resident = max(p.Anonymous, anonymous), max(p.Resident, resident)
	}
}

// phase ends the last phase and begins one.
func (w *watcher) phase(name string) {
	w.end()
	w.mu.Lock()
	w.phases = append(w.phases, phase{Name: name})
	w.began = time.Now()
	w.mu.Unlock()
	w.look()
}

func (w *watcher) end() {
	w.look()
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.phases); n > 0 && w.phases[n-1].Seconds == 0 {
		w.phases[n-1].Seconds = time.Since(w.began).Seconds()
	}
}

// close ends the watching and returns what was seen.
func (w *watcher) close() ([]phase, error) {
	w.end()
	close(w.stop)
	w.done.Wait()
	return w.phases, w.err
}

// readMemory returns the bytes that the process has resident, and those of
// them that are no file's.
func readMemory() (anonymous, resident int64, err error) {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, 0, fmt.Errorf("reading what memory the process takes, which works on Linux alone: %w", err)
	}
	return parseMemory(string(data))
}

// parseMemory reads them in the text of /proc/self/status.
func parseMemory(status string) (anonymous, resident int64, err error) {
	sizes := map[string]int64{}
	for line := range strings.Lines(status) {
		name, rest, _ := strings.Cut(line, ":")
		if number, ok := strings.CutSuffix(strings.TrimSpace(rest), " kB"); ok {
			if n, err := strconv.ParseInt(number, 10, 64); err == nil {
				sizes[name] = n << 10
			}
		}
	}
	if sizes["VmRSS"] == 0 || sizes["RssAnon"] == 0 {
		return 0, 0, fmt.Errorf("/proc/self/status has no VmRSS and RssAnon")
	}
	return sizes["RssAnon"], sizes["VmRSS"], nil
}
