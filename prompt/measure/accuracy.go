package measure

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"softprompt/export"
	"softprompt/onnx/ort"
	"softprompt/prompt/tune"
	"softprompt/tasks"
)

// Tuned is what a reduced precision does to the score of a prompt: pairs of
// runs that differ in the precision they were tuned in, all scored in float32
// on the validation split.
type Tuned struct {
	Precision export.Precision `json:"precision"`
	Examples  int              `json:"examples"`
	Seeds     []SeedScore      `json:"seeds"`
	// Difference is the mean over seeds and examples of the accuracy with the
	// precision less that with float32, in points; Low and High are the ends of
	// its 95 % interval by the paired bootstrap.
	Difference float64 `json:"difference"`
	Low        float64 `json:"low"`
	High       float64 `json:"high"`
}

// SeedScore has the accuracies of one seed's pair, in points.
type SeedScore struct {
	Seed    uint64  `json:"seed"`
	Exact   float64 `json:"fp32"`
	Reduced float64 `json:"reduced"`
}

// resamples of the bootstrap: its ends move by less than the tenth of a point
// that is printed.
const resamples = 10_000

// Accuracy tunes with a reduced precision and with float32 from each of n
// seeds, the settings' and those after it, and compares the accuracies. start
// is told of each run before it begins; it may be nil.
func Accuracy(ctx context.Context, rt *ort.Runtime, s tune.Settings, reduced export.Precision, n int, opts tune.Options, start func(tune.Settings)) (*Tuned, error) {
	if n < 1 {
		return nil, fmt.Errorf("comparing accuracies: %d seeds, want at least 1", n)
	}
	if reduced == export.FP32 || reduced == "" {
		return nil, errors.New("comparing accuracies: fp32 is what others are compared with")
	}
	dir, err := os.MkdirTemp("", "softprompt-precision-")
	if err != nil {
		return nil, fmt.Errorf("comparing accuracies: %w", err)
	}
	defer os.RemoveAll(dir)
	t := &Tuned{Precision: reduced}
	hits := map[export.Precision][][]float64{}
	for range n {
		score := SeedScore{Seed: s.Seed}
		for _, side := range []struct {
			precision export.Precision
			points    *float64
		}{{export.FP32, &score.Exact}, {reduced, &score.Reduced}} {
			p := side.precision
			s.Precision = p
			opts.Out = filepath.Join(dir, fmt.Sprintf("%s-%d", p, s.Seed))
			if start != nil {
				start(s)
			}
			h, err := tuneAndScore(ctx, rt, s, opts)
			if err != nil {
				return nil, err
			}
			hits[p] = append(hits[p], h)
			*side.points = mean(h)
			t.Examples = len(h)
		}
		t.Seeds = append(t.Seeds, score)
		s.Seed++
	}
	t.Low, t.Difference, t.High, err = tasks.PairedBootstrap(hits[reduced], hits[export.FP32], 1, resamples)
	return t, err
}

// tuneAndScore makes a run and returns which validation rows its prompt gets
// right in float32, as [tasks.Hits] has it.
func tuneAndScore(ctx context.Context, rt *ort.Runtime, s tune.Settings, opts tune.Options) ([]float64, error) {
	if _, err := tune.Train(ctx, rt, s, opts); err != nil {
		return nil, err
	}
	device, err := ort.ParseDevice(s.Device)
	if err != nil {
		return nil, err
	}
	p, err := tune.NewPredictor(ctx, rt, opts.Out, tune.PredictOptions{Device: device, Threads: s.Threads, Open: opts.Open})
	if err != nil {
		return nil, err
	}
	defer p.Close()
	from := tasks.LoadOptions{Data: s.Data}
	examples, err := p.Task.Load(ctx, tasks.Validation, from)
	if err != nil {
		return nil, err
	}
	ev, err := p.ScoreSplit(ctx, tasks.Validation, from, false)
	if err != nil {
		return nil, err
	}
	gold := make([]int, len(examples))
	for i, e := range examples {
		gold[i] = e.Label
	}
	return tasks.Hits(gold, ev.ByClass()), nil
}

func mean(xs []float64) float64 {
	sum := 0.0
	for _, x := range xs {
		sum += x
	}
	return sum / float64(len(xs))
}
