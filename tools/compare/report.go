package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"softprompt/onnx/atomicfile"
	"softprompt/tasks"
)

// report is the result, and its JSON form.
type report struct {
	Date       string    `json:"date"`
	Runtime    string    `json:"onnxruntime"`
	Settings   any       `json:"settings"` // of the first seed
	Softprompt []float64 `json:"softprompt"`
	PEFT       []float64 `json:"peft"`
	// Means are softprompt's and PEFT's; their difference comes with its 95 %
	// interval, in points.
	Means      [2]float64 `json:"means"`
	Low        float64    `json:"low"`
	Difference float64    `json:"difference"`
	High       float64    `json:"high"`
}

// compare fills in the accuracies of each seed, their means, and the bootstrap
// of the difference. Both sides must have answered the same examples.
func (r *report) compare(ours, theirs []answers) (err error) {
	if len(ours) == 0 || len(ours) != len(theirs) {
		return fmt.Errorf("comparing %d runs with %d", len(ours), len(theirs))
	}
	var hits [2][][]float64
	for i, a := range ours {
		b := theirs[i]
		if !slices.Equal(a.Gold, b.Gold) {
			return errors.New("the two sides did not answer the same examples")
		}
		r.Softprompt, r.PEFT = append(r.Softprompt, a.Accuracy), append(r.PEFT, b.Accuracy)
		r.Means[0] += a.Accuracy / float64(len(ours))
		r.Means[1] += b.Accuracy / float64(len(ours))
		hits[0] = append(hits[0], tasks.Hits(a.Gold, a.Predictions))
		hits[1] = append(hits[1], tasks.Hits(b.Gold, b.Predictions))
	}
	r.Low, r.Difference, r.High, err = tasks.PairedBootstrap(hits[0], hits[1], 1, 10_000)
	return err
}

// print writes the table.
func (r *report) print(w io.Writer) {
	fmt.Fprintln(w, "SST-2 development set, accuracy by rank classification")
	fmt.Fprintln(w, "| seed | softprompt | PEFT |")
	fmt.Fprintln(w, "|---|---|---|")
	for i := range r.Softprompt {
		fmt.Fprintf(w, "| %d | %.2f | %.2f |\n", i+1, r.Softprompt[i], r.PEFT[i])
	}
	fmt.Fprintf(w, "| mean | %.2f | %.2f |\n", r.Means[0], r.Means[1])
	fmt.Fprintf(w, "difference %+.2f points, 95 %% interval %+.2f to %+.2f\n", r.Difference, r.Low, r.High)
}

// write keeps the result as JSON.
func (r *report) write(path string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return atomicfile.Write(path, append(data, '\n'))
}
