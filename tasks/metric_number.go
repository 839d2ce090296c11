package tasks

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Pearson is the correlation of the numbers in the predicted texts with those
// in the first answers, as STS-B is scored (T5's pearson_corrcoef, SciPy's
// pearsonr). A text that is no number counts as -1. It is not a number (NaN)
// where all texts or all answers are equal, or one is infinite.
var Pearson = numberMetric("pearson", pearson)

// Spearman is the correlation of the ranks of the same numbers, equal ones
// having the mean of their ranks (spearman_corrcoef, SciPy's spearmanr).
var Spearman = numberMetric("spearman", func(x, y []float64) float64 {
	if slices.ContainsFunc(x, math.IsNaN) || slices.ContainsFunc(y, math.IsNaN) {
		return math.NaN()
	}
	return pearson(ranks(x), ranks(y))
})

// numberMetric is a correlation of the numbers that texts hold.
func numberMetric(name string, correlation func(x, y []float64) float64) Metric {
	return Metric{name, func(gold []Example, pred []Prediction) float64 {
		g, p := make([]float64, len(gold)), make([]float64, len(pred))
		for i, ex := range gold {
			truth := ex.Target
			if len(ex.Answers) > 0 {
				truth = ex.Answers[0]
			}
			g[i], p[i] = parseNumber(truth), parseNumber(pred[i].Text)
		}
		return 100 * correlation(g, p)
	}}
}

// pearson is NaN for fewer than two numbers, of which SciPy says nothing.
func pearson(x, y []float64) float64 {
	if constant(x) || constant(y) {
		return math.NaN() // rounding would make some number of the deviations
	}
	mx, my := mean(x), mean(y)
	var xy, xx, yy float64
	for i := range x {
		dx, dy := x[i]-mx, y[i]-my
		xy += dx * dy
		xx += dx * dx
		yy += dy * dy
	}
	return max(-1, min(1, xy/(math.Sqrt(xx)*math.Sqrt(yy))))
}

func constant(x []float64) bool {
	return !slices.ContainsFunc(x, func(v float64) bool { return v != x[0] })
}

// ranks counts from 1; equal numbers have the mean of their ranks.
func ranks(x []float64) []float64 {
	order := make([]int, len(x))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		switch {
		case x[a] < x[b]:
			return -1
		case x[a] > x[b]:
			return 1
		}
		return 0
	})
	out := make([]float64, len(x))
	for first := 0; first < len(order); {
		last := first
		for last+1 < len(order) && x[order[last+1]] == x[order[first]] {
			last++
		}
		for _, i := range order[first : last+1] {
			out[i] = float64(first+last)/2 + 1
		}
		first = last + 1
	}
	return out
}

// number is what Python's float() takes, in ASCII digits.
var number = regexp.MustCompile(strings.ReplaceAll(
	`^[+-]?(?:(?:DIGITS\.?(?:DIGITS)?|\.DIGITS)(?:[eE][+-]?DIGITS)?|(?i:inf|infinity|nan))$`,
	"DIGITS", `[0-9]+(?:_[0-9]+)*`))

// parseNumber reads a number as T5's string_to_float does
// (t5/data/postprocessors.py): by Python's float(), and -1 for anything else.
func parseNumber(text string) float64 {
	text = strings.TrimFunc(text, pySpace)
	if !number.MatchString(text) {
		return -1
	}
	// What is out of range is infinite here as it is there.
	v, _ := strconv.ParseFloat(strings.ReplaceAll(text, "_", ""), 64)
	return v
}
