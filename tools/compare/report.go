package main

import (
	"fmt"
	"io"

	"softprompt/tools/paired"
)

// report is the result, and its JSON form.
type report struct {
	Date       string    `json:"date"`
	Runtime    string    `json:"onnxruntime"`
	Settings   any       `json:"settings"` // of the first seed
	Softprompt []float64 `json:"softprompt"`
	PEFT       []float64 `json:"peft"`
	paired.Comparison
}

// compare fills in the accuracies of each seed and how the sides compare.
func (r *report) compare(ours, theirs []paired.Answers) (err error) {
	r.Softprompt, r.PEFT = paired.Accuracies(ours), paired.Accuracies(theirs)
	r.Comparison, err = paired.Compare(ours, theirs)
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
	fmt.Fprintln(w, r.Comparison)
}
