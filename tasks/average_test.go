package tasks

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The average prompts of Lester et al. 2021, table 3 (T5-XXL),
// tasks with two metrics averaged first.
func TestSuperGLUEScore(t *testing.T) {
	scores := map[string]float64{
		"boolq": 91.1, "cb": (99.3 + 99.0) / 2, "copa": 98.8, "multirc": (65.7 + 88.7) / 2,
		"record": (92.7 + 93.4) / 2, "rte": 92.6, "wic": 76.2, "wsc": 95.8,
		"sst2": 12, "axb": 0, // not of the score
	}
	mean, missing, ok := SuperGLUEScore(scores)
	if !ok || missing != nil || mean < 90.4 || mean > 90.6 {
		t.Errorf("%v, %v, %v; the paper has 90.5", mean, missing, ok)
	}
	delete(scores, "wsc")
	delete(scores, "copa")
	mean, missing, ok = SuperGLUEScore(scores)
	want := (91.1 + 99.15 + 77.2 + 93.05 + 92.6 + 76.2) / 6
	if diff := cmp.Diff([]string{"copa", "wsc"}, missing); diff != "" || !ok || mean-want > 1e-9 || want-mean > 1e-9 {
		t.Errorf("%v, want %v, %v\n%s", mean, want, ok, diff)
	}
	if mean, missing, ok := SuperGLUEScore(map[string]float64{"sst2": 90}); ok || mean != 0 || len(missing) != 8 {
		t.Errorf("of no task: %v, %v, %v", mean, missing, ok)
	}
}

// TestSpread has the sample's deviation, with one value less than there are.
func TestSpread(t *testing.T) {
	for _, c := range []struct {
		values          []float64
		mean, deviation float64
	}{
		{[]float64{3}, 3, 0},
		{[]float64{1, 3}, 2, math.Sqrt2},
		{[]float64{2, 4, 4, 4, 5, 5, 7, 9}, 5, math.Sqrt(32.0 / 7)},
	} {
		mean, deviation := Spread(c.values)
		if math.Abs(mean-c.mean) > 1e-12 || math.Abs(deviation-c.deviation) > 1e-12 {
			t.Errorf("%v: %v ± %v, want %v ± %v", c.values, mean, deviation, c.mean, c.deviation)
		}
	}
}
