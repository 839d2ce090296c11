package main

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		values []float64
		want   float64
	}{
		{[]float64{3}, 3},
		{[]float64{3, 1}, 2},
		{[]float64{9, 1, 2}, 2},
		{[]float64{4, 1, 3, 2}, 2.5},
		{[]float64{1, 1, 1, 100}, 1},
	} {
		given := slices.Clone(test.values)
		if got := median(given); got != test.want {
			t.Errorf("median(%v) = %v, want %v", test.values, got, test.want)
		}
		if !slices.Equal(given, test.values) {
			t.Errorf("median reordered %v", test.values)
		}
	}
}

func TestMedianHasAsManyAboveAsBelow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(-1e6, 1e6), 1, 50).Draw(t, "values")
		m, above, below := median(values), 0, 0
		for _, v := range values {
			if v > m {
				above++
			}
			if v < m {
				below++
			}
		}
		if above > len(values)/2 || below > len(values)/2 {
			t.Fatalf("median %v has %d above and %d below of %d", m, above, below, len(values))
		}
	})
}

func TestSpread(t *testing.T) {
	if got, want := spreadOf([]float64{2, 8, 5}), (spread{5, 2, 8}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// A machine that is three times as slow for a while does not change a ratio of
// rounds, although it changes both medians.
func TestRatioIsOfRounds(t *testing.T) {
	a := []float64{2, 6, 6, 2, 6}
	b := []float64{1, 3, 3, 1, 3}
	if got := ratio(a, b); got != 2 {
		t.Errorf("ratio is %v, want 2", got)
	}
	if got := ratio(b, b); got != 1 {
		t.Errorf("ratio to itself is %v, want 1", got)
	}
	if got := ratio([]float64{1, 2, 30}, []float64{1, 1, 1}); math.Abs(got-2) > 1e-12 {
		t.Errorf("ratio is %v, want 2", got)
	}
}
