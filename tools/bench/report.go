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
	FLOPs      work       `json:"flops"` // of one step
	Peers      []measured `json:"peers"`
}

// addPeak keeps the highest peak of each library.
func (r *report) addPeak(p peak) {
	for i := range r.Peaks {
		if r.Peaks[i].Library == p.Library {
			if p.GFLOPS > r.Peaks[i].GFLOPS {
				r.Peaks[i] = p
			}
			return
		}
	}
	r.Peaks = append(r.Peaks, p)
}

// best returns the higher of the peaks.
func (r *report) best() peak {
	var best peak
	for _, p := range r.Peaks {
		if p.GFLOPS > best.GFLOPS {
			best = p
		}
	}
	return best
}

// share returns which part of the machine's float32 peak a step of that many
// seconds reaches.
func (r *report) share(w work, seconds float64) float64 {
	return float64(w.total()) / seconds / 1e9 / r.best().GFLOPS
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
