package tasks

import (
	"math"
	"slices"
)

// superGLUE are the tasks of the benchmark's score. Its two diagnostic sets
// have no part in it.
var superGLUE = []string{"boolq", "cb", "copa", "multirc", "record", "rte", "wic", "wsc"}

// SuperGLUEScore is the benchmark's score: the mean over its tasks, of which
// one with several metrics enters with their mean, as [Report.Score] is (Wang
// et al. 2019, section 4). The scores are by the name of the task, others are
// ignored. The mean is over the tasks that are there; where some are missing
// it cannot be compared with a published score, and ok is false where all are.
func SuperGLUEScore(scores map[string]float64) (mean float64, missing []string, ok bool) {
	n := 0
	for _, name := range superGLUE {
		score, there := scores[name]
		if !there {
			missing = append(missing, name)
			continue
		}
		mean += score
		n++
	}
	if n == 0 {
		return 0, slices.Clone(superGLUE), false
	}
	return mean / float64(n), missing, true
}

// Spread returns the mean and the sample's standard deviation, 0 of one value.
func Spread(values []float64) (mean, deviation float64) {
	n := float64(len(values))
	for _, v := range values {
		mean += v / n
	}
	if n < 2 {
		return mean, 0
	}
	for _, v := range values {
		deviation += (v - mean) * (v - mean)
	}
	return mean, math.Sqrt(deviation / (n - 1))
}
