package main

import (
	"fmt"
	"io"

	"softprompt/prompt/tune"
	"softprompt/tools/paired"
)

// bound is what the lower end of the interval must lie above, in points.
const bound = -1

// report is the result, and its JSON form.
type report struct {
	Date    string   `json:"date"`
	Runtime string   `json:"onnxruntime"`
	With    string   `json:"with"` // the setting that one side has and the other has not
	Tasks   []result `json:"tasks"`
}

// result is that of one task. Where two sides stand together, the changed one
// comes first and float32 second.
type result struct {
	Task         string        `json:"task"`
	Settings     tune.Settings `json:"settings"` // of the changed side, but for the seed
	Examples     int           `json:"examples"` // scored under each seed
	Apart        int           `json:"apart"`    // of these, training rows that no run saw
	Changed      []float64     `json:"changed"`
	Float32      []float64     `json:"float32"`
	Seconds      [2]float64    `json:"seconds"`      // that tuning a prompt took on average
	Disagreement float64       `json:"disagreement"` // share of the examples answered differently
	paired.Comparison
	Above bool `json:"above"` // the lower end lies above −1 point
}

// compare fills in what the answers of both sides say.
func (r *result) compare(changed, float32s []paired.Answers) (err error) {
	if r.Comparison, err = paired.Compare(changed, float32s); err != nil {
		return err
	}
	r.Changed, r.Float32 = paired.Accuracies(changed), paired.Accuracies(float32s)
	r.Examples = len(changed[0].Gold)
	r.Disagreement = paired.Disagreement(changed, float32s)
	r.Above = r.Low > bound
	return nil
}

// print writes the table and the verdict.
func (r *result) print(w io.Writer, with string) {
	fmt.Fprintf(w, "%s, %d rows (%d of the reported split, %d training rows kept apart), accuracy by rank in float32\n",
		r.Task, r.Examples, r.Examples-r.Apart, r.Apart)
	fmt.Fprintf(w, "| seed | tuned with %s | tuned in float32 |\n", with)
	fmt.Fprintln(w, "|---|---|---|")
	for i := range r.Changed {
		fmt.Fprintf(w, "| %d | %.2f | %.2f |\n", i+1, r.Changed[i], r.Float32[i])
	}
	fmt.Fprintf(w, "| mean | %.2f | %.2f |\n", r.Means[0], r.Means[1])
	fmt.Fprintf(w, "| seconds to tune | %.0f | %.0f |\n", r.Seconds[0], r.Seconds[1])
	fmt.Fprintf(w, "%v; %.1f %% of the answers differ\n", r.Comparison, 100*r.Disagreement)
	verdict := "does not lie"
	if r.Above {
		verdict = "lies"
	}
	fmt.Fprintf(w, "the lower end %s above %d point\n\n", verdict, bound)
}
