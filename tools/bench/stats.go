package main

import "slices"

// spread sums up repeated measurements.
type spread struct{ Median, Min, Max float64 }

func spreadOf(values []float64) spread {
	return spread{median(values), slices.Min(values), slices.Max(values)}
}

// median returns the middle of the values, of an even number the mean of the
// two in the middle.
func median(values []float64) float64 {
	s := slices.Sorted(slices.Values(values))
	n := len(s)
	if n%2 == 1 {
		return s[n/2]
	}
	return (s[n/2-1] + s[n/2]) / 2
}

// ratio returns the median over the rounds of a's time by b's in the same
// round. What slows the machine down for a while hits both sides of a
// quotient.
func ratio(a, b []float64) float64 {
	q := make([]float64, len(a))
	for i := range a {
		q[i] = a[i] / b[i]
	}
	return median(q)
}
