package tasks

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// scoresOf draws scores of some seeds and examples, of two systems.
func scoresOf(t *rapid.T) (a, b [][]float64) {
	seeds, examples := rapid.IntRange(1, 4).Draw(t, "seeds"), rapid.IntRange(1, 15).Draw(t, "examples")
	score := rapid.Map(rapid.IntRange(0, 4), func(i int) float64 { return 25 * float64(i) })
	rows := rapid.SliceOfN(rapid.SliceOfN(score, examples, examples), seeds, seeds)
	return rows.Draw(t, "a"), rows.Draw(t, "b")
}

// The mean is that of the differences, the ends lie within them, and the two
// systems exchanged give the interval's mirror image.
func TestPairedBootstrapSigns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := scoresOf(t)
		seed := rapid.Uint64().Draw(t, "seed")
		low, mean, high, err := PairedBootstrap(a, b, seed, 41) // the ends are at whole ranks, 1 and 39
		if err != nil {
			t.Fatal(err)
		}
		var sum, least, most float64 = 0, math.Inf(1), math.Inf(-1)
		for s := range a {
			for i := range a[s] {
				d := a[s][i] - b[s][i]
				sum += d / float64(len(a)*len(a[s]))
				least, most = min(least, d), max(most, d)
			}
		}
		if math.Abs(mean-sum) > 1e-9 || low > high || low < least-1e-9 || high > most+1e-9 {
			t.Fatalf("%v [%v, %v], want %v within [%v, %v]", mean, low, high, sum, least, most)
		}
		low2, mean2, high2, err := PairedBootstrap(b, a, seed, 41)
		if err != nil || math.Abs(low2+high) > 1e-9 || math.Abs(mean2+mean) > 1e-9 || math.Abs(high2+low) > 1e-9 {
			t.Fatalf("%v [%v, %v], and %v [%v, %v] the other way, %v", mean, low, high, mean2, low2, high2, err)
		}
	})
}

// Scores that count twice as much make an interval twice as wide, and what both
// systems have more of changes nothing.
func TestPairedBootstrapScales(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := scoresOf(t)
		seed := rapid.Uint64().Draw(t, "seed")
		low, mean, high, err := PairedBootstrap(a, b, seed, 60)
		if err != nil {
			t.Fatal(err)
		}
		change := func(rows [][]float64) [][]float64 {
			out := make([][]float64, len(rows))
			for s, row := range rows {
				for i, x := range row {
					out[s] = append(out[s], 2*x+float64(8*i)) // by powers of two, which is exact
				}
			}
			return out
		}
		low2, mean2, high2, err := PairedBootstrap(change(a), change(b), seed, 60)
		if err != nil || math.Abs(low2-2*low) > 1e-9 || math.Abs(mean2-2*mean) > 1e-9 || math.Abs(high2-2*high) > 1e-9 {
			t.Fatalf("%v [%v, %v] became %v [%v, %v], %v", mean, low, high, mean2, low2, high2, err)
		}
	})
}

// Nineteen in twenty intervals of samples hold the difference that the systems
// truly have.
func TestPairedBootstrapCovers(t *testing.T) {
	const trials, examples, truth = 300, 60, 10.0 // points, of 70 and 60 % right
	held, below := 0, 0
	for trial := range uint64(trials) {
		a, b := coin(examples, 0.7, 2*trial), coin(examples, 0.6, 2*trial+1)
		low, _, high, err := PairedBootstrap([][]float64{a}, [][]float64{b}, trial, 300)
		if err != nil {
			t.Fatal(err)
		}
		if low <= truth && truth <= high {
			held++
		}
		if high < truth {
			below++
		}
	}
	if held < 270 || held == trials { // 285 are expected, 4 standard deviations less is 270
		t.Errorf("%d of %d intervals hold the difference", held, trials)
	}
	if below > 20 {
		t.Errorf("%d of %d intervals lie below it", below, trials)
	}
}

// A percentile lies between its neighbours, where their weights put it.
func TestPercentileByDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sorted := rapid.SliceOfN(rapid.Float64Range(-100, 100), 1, 12).Draw(t, "values")
		slices.Sort(sorted)
		p := rapid.Float64Range(0, 1).Draw(t, "p")
		got := percentile(sorted, p)
		// The piecewise linear function through (i/(n-1), sorted[i]), as a sum of
		// its steps.
		want, n := sorted[0], float64(len(sorted)-1)
		for i := 1; i < len(sorted); i++ {
			want += (sorted[i] - sorted[i-1]) * min(1, max(0, p*n-float64(i-1)))
		}
		if math.Abs(got-want) > 1e-9 {
			t.Fatalf("percentile %v of %v is %v, want %v", p, sorted, got, want)
		}
		if percentile(sorted, 0) != sorted[0] || percentile(sorted, 1) != sorted[len(sorted)-1] {
			t.Fatalf("the ends of %v are not its percentiles 0 and 1", sorted)
		}
	})
}

// A mean moves with its values and a deviation does not; the deviation is half
// the mean square of all pairs' differences.
func TestSpreadProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(0, 100), 2, 10).Draw(t, "values")
		mean, deviation := Spread(values)
		var pairs float64
		for _, x := range values {
			for _, y := range values {
				pairs += (x - y) * (x - y)
			}
		}
		n := float64(len(values))
		if want := math.Sqrt(pairs / 2 / n / (n - 1)); math.Abs(deviation-want) > 1e-9 {
			t.Fatalf("%v deviate by %v, want %v", values, deviation, want)
		}
		if mean < slices.Min(values)-1e-9 || mean > slices.Max(values)+1e-9 {
			t.Fatalf("%v have the mean %v", values, mean)
		}
		moved := make([]float64, len(values))
		for i, x := range values {
			moved[i] = 50 - x
		}
		mean2, deviation2 := Spread(moved)
		if math.Abs(mean2-(50-mean)) > 1e-9 || math.Abs(deviation2-deviation) > 1e-9 {
			t.Fatalf("moved: %v ± %v, and %v ± %v", mean, deviation, mean2, deviation2)
		}
	})
	if mean, deviation := Spread(nil); mean != 0 || deviation != 0 {
		t.Errorf("of nothing: %v ± %v", mean, deviation)
	}
}
