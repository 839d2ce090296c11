package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"softprompt/onnx/atomicfile"
)

// report is what one run of the benchmark found, as its file keeps it.
type report struct {
	Date     time.Time         `json:"date"`
	Command  string            `json:"command"`
	Machine  machine           `json:"machine"`
	Versions map[string]string `json:"versions"`
	Settings settings          `json:"settings"`
	Peaks    []peak            `json:"peaks"`
	Sizes    []sizeReport      `json:"sizes"`
	Starts   []startReport     `json:"starts,omitempty"`
	Texts    []*textReport     `json:"texts,omitempty"`
	Eval     *evalReport       `json:"eval,omitempty"`
	Many     *manyReport       `json:"many,omitempty"`
	Goals    []verdict         `json:"goals,omitempty"`
}

// settings is what all peers were told.
type settings struct {
	Shape     shape   `json:"shape"`
	Threads   int     `json:"threads"`
	Optimizer string  `json:"optimizer"`
	Dropout   float64 `json:"dropout"`
	Warmup    int     `json:"warmup"`
	Rounds    int     `json:"rounds"`
}

// sizeReport has the peers' measurements with one model.
type sizeReport struct {
	Size       string     `json:"size"`
	Parameters int64      `json:"parameters"`
	FLOPs      work       `json:"flops"`          // of one step in float32
	Int8       *work      `json:"int8,omitempty"` // of one step with products in integers
	Peers      []measured `json:"peers"`
}

// addPeak keeps the highest peak of each library and type.
func (r *report) addPeak(p peak) {
	for i := range r.Peaks {
		if q := r.Peaks[i]; q.Library == p.Library && q.Int8 == p.Int8 {
			if p.GFLOPS > q.GFLOPS {
				r.Peaks[i] = p
			}
			return
		}
	}
	r.Peaks = append(r.Peaks, p)
}

// best returns the highest of the peaks of a type.
func (r *report) best(int8 bool) peak {
	var best peak
	for _, p := range r.Peaks {
		if p.Int8 == int8 && p.GFLOPS > best.GFLOPS {
			best = p
		}
	}
	return best
}

// share returns which part of a step of that many seconds its products would
// take at the machine's peaks: those in float32 at that of float32, those in
// integers at that of integers.
func (r *report) share(w work, seconds float64) float64 {
	least := float64(w.total()-w.Int8) / r.best(false).GFLOPS
	if w.Int8 > 0 {
		least += float64(w.Int8) / r.best(true).GFLOPS
	}
	return least / 1e9 / seconds
}

// work returns the operations of a peer's step, ok if they are known: those of
// PEFT's graph are not.
func (s *sizeReport) work(peer string) (w work, ok bool) {
	switch {
	case peer == "softprompt":
		return s.FLOPs, true
	case peer == "softprompt-int8" && s.Int8 != nil:
		return *s.Int8, true
	}
	return w, false
}

// peer returns what was measured of a peer, or nil.
func (s *sizeReport) peer(name string) *measured {
	for i := range s.Peers {
		if s.Peers[i].Name == name {
			return &s.Peers[i]
		}
	}
	return nil
}

// path is where the report goes if nothing else is said.
func (r *report) path() string {
	return filepath.Join("tools", "bench", "results", r.Date.Format("20060102-1504")+"-"+r.Machine.slug()+".json")
}

func (r *report) write(path string) error {
	data, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return atomicfile.Write(path, append(data, '\n'))
}
