package tasks

import (
	"fmt"
	"math/bits"
	"slices"
)

// PairedBootstrap compares two systems over the same examples. a and b hold
// one score for each [seed][example], for accuracy what [Hits] returns; runs
// of one seed are the case of one row. It returns the mean of a - b and its
// 95 % percentile interval: in every round the examples, and the seeds where
// there are several, are drawn anew with replacement, the same ones for both
// systems, so that what makes an example hard or a seed lucky cancels.
//
// The interval excludes 0 where the difference is more than chance; a lower
// end above -1 says that a is less than one point worse than b.
func PairedBootstrap(a, b [][]float64, seed uint64, rounds int) (low, mean, high float64, err error) {
	diff, err := differences(a, b)
	if err != nil {
		return 0, 0, 0, fmt.Errorf("comparing two systems: %w", err)
	}
	if rounds < 1 {
		return 0, 0, 0, fmt.Errorf("comparing two systems: %d bootstrap rounds, want at least 1", rounds)
	}
	seeds, examples := len(diff), len(diff[0])
	counter := uint64(0)
	pick := func(n int) int { // uniform in [0,n); off by less than n in 2^64
		hi, _ := bits.Mul64(draw(seed, streamBootstrap, counter), uint64(n))
		counter++
		return int(hi)
	}
	means := make([]float64, rounds)
	perExample := make([]float64, examples) // summed over the seeds drawn
	for round := range means {
		clear(perExample)
		for range seeds {
			for i, d := range diff[pick(seeds)] {
				perExample[i] += d
			}
		}
		var sum float64
		for range examples {
			sum += perExample[pick(examples)]
		}
		means[round] = sum / float64(seeds*examples)
	}
	slices.Sort(means)
	return percentile(means, 0.025), total(diff) / float64(seeds*examples), percentile(means, 0.975), nil
}

// Hits scores each prediction for [PairedBootstrap]: 100 where it is right and
// 0 where not, so that means are accuracies in points.
func Hits(gold, pred []int) []float64 {
	hits := make([]float64, min(len(gold), len(pred)))
	for i := range hits {
		if gold[i] == pred[i] {
			hits[i] = 100
		}
	}
	return hits
}

// differences returns a - b, or an error where they are not of one shape.
func differences(a, b [][]float64) ([][]float64, error) {
	if len(a) != len(b) {
		return nil, fmt.Errorf("%d seeds against %d", len(a), len(b))
	}
	if len(a) == 0 || len(a[0]) == 0 {
		return nil, fmt.Errorf("no scores")
	}
	diff := make([][]float64, len(a))
	for s := range a {
		if len(a[s]) != len(a[0]) || len(b[s]) != len(a[0]) {
			return nil, fmt.Errorf("seed %d has %d and %d examples, want %d", s, len(a[s]), len(b[s]), len(a[0]))
		}
		diff[s] = make([]float64, len(a[s]))
		for i := range a[s] {
			diff[s][i] = a[s][i] - b[s][i]
		}
	}
	return diff, nil
}

// percentile interpolates between the two nearest of the sorted values.
func percentile(sorted []float64, p float64) float64 {
	at := p * float64(len(sorted)-1)
	i := int(at)
	if i+1 == len(sorted) {
		return sorted[i]
	}
	// The conversion forbids a fused multiply-add, which would round
	// differently from one processor to the next.
	return sorted[i] + float64((at-float64(i))*(sorted[i+1]-sorted[i]))
}

func total(rows [][]float64) float64 {
	var sum float64
	for _, row := range rows {
		for _, x := range row {
			sum += x
		}
	}
	return sum
}
