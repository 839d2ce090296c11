package prompt

import (
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// The known answers of Random123 (kat_vectors, philox4x32 10).
func TestPhiloxKnownAnswers(t *testing.T) {
	const ones = 0xffffffff
	for _, c := range []struct {
		counter [4]uint32
		key     [2]uint32
		want    [4]uint32
	}{
		{
			[4]uint32{},
			[2]uint32{},
			[4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
		},
		{
			[4]uint32{ones, ones, ones, ones},
			[2]uint32{ones, ones},
			[4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
		},
		{
			[4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
			[2]uint32{0xa4093822, 0x299f31d0},
			[4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1},
		},
	} {
		if got := Philox(c.counter, c.key); got != c.want {
			t.Errorf("Philox(%08x, %08x) = %08x, want %08x", c.counter, c.key, got, c.want)
		}
	}
}

// A seed's own numbers are Philox of 0, 1, 2, … under the seed.
func TestRandDrawsBlocksInOrder(t *testing.T) {
	r := NewRand(0x299f31d0_a4093822)
	for block := range uint32(3) {
		for _, want := range Philox([4]uint32{block}, [2]uint32{0xa4093822, 0x299f31d0}) {
			if got := r.Uint32(); got != want {
				t.Fatalf("block %d: %08x, want %08x", block, got, want)
			}
		}
	}
}

// These values may never change: runs are replayed from their seeds. They were
// computed by a second implementation.
func TestRandIsPinned(t *testing.T) {
	r := NewRand(7, StreamDropout, 1, 2)
	a, b := r.Uint32(), r.Uint64()
	c := r.Float32()
	n, perm := r.IntN(1000), r.Perm(6)
	mask := make([]float32, 12)
	r.Dropout(mask, 0.5)
	got := []any{a, b, c, n, perm, mask}
	want := []any{
		uint32(0xff09155e), uint64(0x17b8f33cc61f370b), float32(0.43162310123443604), 918,
		[]int{1, 4, 3, 5, 0, 2},
		[]float32{2, 0, 0, 0, 0, 0, 0, 2, 2, 2, 2, 0},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestRandPaths(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		path := rapid.SliceOfN(rapid.Uint64(), 0, 5).Draw(t, "path")
		cut := rapid.IntRange(0, len(path)).Draw(t, "cut")
		whole := NewRand(seed, path...)
		parent := NewRand(seed, path[:cut]...)
		for range rapid.IntRange(0, 9).Draw(t, "drawn") {
			parent.Uint32()
		}
		parts := parent.Sub(path[cut:]...)
		first := whole.Uint64()
		if got := parts.Uint64(); got != first {
			t.Fatalf("the path in two parts draws %x, in one %x", got, first)
		}
		other := slices.Clone(path)
		other = append(other, rapid.Uint64Range(0, 3).Draw(t, "further"))
		if r := NewRand(seed, other...); r.Uint64() == first {
			t.Fatalf("paths %v and %v draw the same", path, other)
		}
		if r := NewRand(seed+1, path...); r.Uint64() == first {
			t.Fatalf("seeds %d and %d draw the same", seed, seed+1)
		}
	})
}

// Neighbouring streams and blocks must not show in each other: the mean of
// many streams' first numbers is as near to a half as chance allows.
func TestRandIsUniform(t *testing.T) {
	const n = 100_000
	drawn := map[string]func(i int) float64{
		"one stream": func() func(int) float64 {
			r := NewRand(1)
			return func(int) float64 { return float64(r.Float32()) }
		}(),
		"many streams": func(i int) float64 { r := NewRand(1, uint64(i)); return float64(r.Float32()) },
		"many seeds":   func(i int) float64 { r := NewRand(uint64(i), 5); return float64(r.Float32()) },
		"deep streams": func(i int) float64 { r := NewRand(1, 2, uint64(i), 3); return float64(r.Float32()) },
	}
	for name, draw := range drawn {
		var sum, squares, lagged, last float64
		for i := range n {
			x := draw(i)
			if x < 0 || x >= 1 {
				t.Fatalf("%s: %v is outside [0,1)", name, x)
			}
			sum += x
			squares += x * x
			lagged += (x - 0.5) * (last - 0.5)
			last = x
		}
		// Five standard deviations of each statistic.
		if got, bound := sum/n-0.5, 5*math.Sqrt(1.0/12/n); math.Abs(got) > bound {
			t.Errorf("%s: mean is off by %v", name, got)
		}
		if got, bound := squares/n-1.0/3, 5*math.Sqrt(4.0/45/n); math.Abs(got) > bound {
			t.Errorf("%s: mean square is off by %v", name, got)
		}
		if got, bound := lagged/n, 5.0/12/math.Sqrt(n); math.Abs(got) > bound {
			t.Errorf("%s: neighbours correlate by %v", name, got)
		}
	}
}

func TestIntN(t *testing.T) {
	r := NewRand(3)
	for _, n := range []int{-1, 0, 1} {
		if got := r.IntN(n); got != 0 {
			t.Errorf("IntN(%d) = %d", n, got)
		}
	}
	const n, draws = 7, 70_000
	var counts [n]int
	for range draws {
		counts[r.IntN(n)]++
	}
	var chi float64
	for _, c := range counts {
		chi += math.Pow(float64(c)-draws/n, 2) / (draws / n)
	}
	if chi > 30 { // six degrees of freedom: one in 25,000
		t.Errorf("counts %v, chi square %v", counts, chi)
	}
	if got := r.IntN(math.MaxInt); got < 0 {
		t.Errorf("IntN of the largest int is %d", got)
	}
}

func TestSample(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, k := rapid.IntRange(-1, 50).Draw(t, "n"), rapid.IntRange(-1, 60).Draw(t, "k")
		r := NewRand(rapid.Uint64().Draw(t, "seed"))
		got := r.Sample(n, k)
		if want := max(0, min(n, k)); len(got) != want {
			t.Fatalf("%d of %d: got %d", k, n, len(got))
		}
		slices.Sort(got)
		if len(slices.Compact(slices.Clone(got))) != len(got) || len(got) > 0 && (got[0] < 0 || got[len(got)-1] >= n) {
			t.Fatalf("%d of %d: %v", k, n, got)
		}
	})
	r := NewRand(1)
	var first [5]int
	for range 5000 {
		first[r.Perm(5)[0]]++
	}
	for i, c := range first {
		if c < 850 || c > 1150 { // five standard deviations around 1000
			t.Errorf("%d comes first %d times in 5000", i, c)
		}
	}
}

func TestDropout(t *testing.T) {
	const n = 100_000
	mask := make([]float32, n)
	for _, rate := range []float64{0.1, 0.5, 0.9} {
		r := NewRand(1, 2)
		r.Dropout(mask, rate)
		zeros, keep := 0, float32(1/(1-rate))
		for _, m := range mask {
			if m == 0 {
				zeros++
			} else if m != keep {
				t.Fatalf("rate %v: %v, want 0 or %v", rate, m, keep)
			}
		}
		if off := math.Abs(float64(zeros)/n - rate); off > 5*math.Sqrt(rate*(1-rate)/n) {
			t.Errorf("rate %v: %d of %d dropped", rate, zeros, n)
		}
	}
	for rate, want := range map[float64]float32{0: 1, -1: 1, math.NaN(): 1, 1: 0, 2: 0} {
		r := NewRand(1)
		before := r
		r.Dropout(mask[:9], rate)
		if slices.ContainsFunc(mask[:9], func(m float32) bool { return m != want }) || r != before {
			t.Errorf("rate %v: %v, want all %v and nothing drawn", rate, mask[:9], want)
		}
	}
}

func BenchmarkDropout(b *testing.B) {
	mask := make([]float32, 1<<20)
	r := NewRand(1)
	b.SetBytes(int64(4 * len(mask)))
	for b.Loop() {
		r.Dropout(mask, 0.1)
	}
}
