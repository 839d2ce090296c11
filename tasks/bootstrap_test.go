package tasks

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestHits(t *testing.T) {
	if diff := cmp.Diff([]float64{100, 0, 0}, Hits([]int{1, 1, 0}, []int{1, 0, -1})); diff != "" {
		t.Error(diff)
	}
	if got := Hits([]int{1, 1}, []int{1}); len(got) != 1 {
		t.Errorf("%d hits of one prediction", len(got))
	}
}

// coin makes n scores of 0 or 100, 100 with probability p, by stream.
func coin(n int, p float64, stream uint64) []float64 {
	scores := make([]float64, n)
	for i := range scores {
		if float64(draw(99, stream, uint64(i))>>11)/(1<<53) < p {
			scores[i] = 100
		}
	}
	return scores
}

// For one seed the interval is that of the mean of the differences, whose
// standard error is known.
func TestPairedBootstrapMatchesTheory(t *testing.T) {
	a, b := coin(872, 0.8, 1), coin(872, 0.7, 2)
	low, mean, high, err := PairedBootstrap([][]float64{a}, [][]float64{b}, 1, 10000)
	if err != nil {
		t.Fatal(err)
	}
	var sum, squares float64
	for i := range a {
		d := a[i] - b[i]
		sum += d
		squares += d * d
	}
	n := float64(len(a))
	wantMean := sum / n
	half := 1.96 * math.Sqrt((squares/n-wantMean*wantMean)/n)
	if math.Abs(mean-wantMean) > 1e-9 || math.Abs(low-(wantMean-half)) > 0.2 || math.Abs(high-(wantMean+half)) > 0.2 {
		t.Errorf("%.3f [%.3f, %.3f], want %.3f [%.3f, %.3f]", mean, low, high, wantMean, wantMean-half, wantMean+half)
	}
}

// What two systems share cancels: equal ones differ by exactly nothing, and a
// constant step is found exactly, however hard the examples.
func TestPairedBootstrapCancelsWhatIsShared(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seeds, examples := rapid.IntRange(1, 4).Draw(t, "seeds"), rapid.IntRange(1, 20).Draw(t, "examples")
		step := float64(rapid.IntRange(-8, 8).Draw(t, "step"))
		a, b := make([][]float64, seeds), make([][]float64, seeds)
		for s := range a {
			a[s], b[s] = make([]float64, examples), make([]float64, examples)
			for i := range a[s] {
				b[s][i] = float64(rapid.IntRange(0, 100).Draw(t, "score"))
				a[s][i] = b[s][i] + step
			}
		}
		low, mean, high, err := PairedBootstrap(a, b, rapid.Uint64().Draw(t, "seed"), 50)
		if err != nil || low != step || mean != step || high != step {
			t.Fatalf("%g [%g, %g], %v; want %g", mean, low, high, err, step)
		}
	})
}

// Where the seeds disagree, an interval over seeds is wider than one that
// takes their average for granted.
func TestPairedBootstrapResamplesSeeds(t *testing.T) {
	const examples = 400
	flat := make([]float64, examples)
	var a, b [][]float64
	average := make([]float64, examples)
	for s := range 5 {
		row := coin(examples, 0.2*float64(s), uint64(s)) // one seed at 0, one at 80
		for i, x := range row {
			average[i] += x / 5
		}
		a, b = append(a, row), append(b, flat)
	}
	low, mean, high, err := PairedBootstrap(a, b, 3, 4000)
	if err != nil {
		t.Fatal(err)
	}
	low1, mean1, high1, err := PairedBootstrap([][]float64{average}, [][]float64{flat}, 3, 4000)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(mean-mean1) > 1e-9 || high-low < 4*(high1-low1) {
		t.Errorf("%.2f [%.2f, %.2f] over seeds, %.2f [%.2f, %.2f] over examples alone", mean, low, high, mean1, low1, high1)
	}
}

func TestPairedBootstrapIsDeterministic(t *testing.T) {
	a, b := [][]float64{coin(100, 0.6, 1)}, [][]float64{coin(100, 0.5, 2)}
	interval := func(seed uint64) [2]float64 {
		low, _, high, err := PairedBootstrap(a, b, seed, 500)
		if err != nil {
			t.Fatal(err)
		}
		return [2]float64{low, high}
	}
	if interval(1) != interval(1) {
		t.Error("one seed gave two intervals")
	}
	seen := map[[2]float64]bool{}
	for seed := range uint64(8) {
		seen[interval(seed)] = true
	}
	if len(seen) < 2 {
		t.Error("the seed changes nothing")
	}
}

func TestPairedBootstrapErrors(t *testing.T) {
	one, two := []float64{1}, []float64{1, 2}
	for message, c := range map[string]struct {
		a, b   [][]float64
		rounds int
	}{
		"1 seeds against 2":                   {[][]float64{one}, [][]float64{one, one}, 1},
		"no scores":                           {nil, nil, 1},
		"no scores ":                          {[][]float64{{}}, [][]float64{{}}, 1},
		"seed 0 has 1 and 2 examples, want 1": {[][]float64{one}, [][]float64{two}, 1},
		"seed 1 has 2 and 1 examples, want 1": {[][]float64{one, two}, [][]float64{one, one}, 1},
		"0 bootstrap rounds, want at least 1": {[][]float64{one}, [][]float64{one}, 0},
	} {
		if _, _, _, err := PairedBootstrap(c.a, c.b, 1, c.rounds); err == nil || !strings.Contains(err.Error(), strings.TrimSpace(message)) {
			t.Errorf("error %v, want %q in it", err, message)
		}
	}
}

func TestPercentile(t *testing.T) {
	sorted := []float64{0, 10, 20, 30, 40}
	for p, want := range map[float64]float64{0: 0, 0.25: 10, 0.5: 20, 0.625: 25, 1: 40} {
		if got := percentile(sorted, p); got != want {
			t.Errorf("percentile %g is %g, want %g", p, got, want)
		}
	}
	if got := percentile([]float64{7}, 0.975); got != 7 {
		t.Errorf("percentile of one value is %g", got)
	}
}
