package tasks

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

func TestPermutationProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 300).Draw(t, "n")
		seed := rapid.Uint64().Draw(t, "seed")
		epoch := rapid.IntRange(0, 1000).Draw(t, "epoch")
		p := Permutation(n, seed, epoch)
		if !slices.Equal(p, Permutation(n, seed, epoch)) {
			t.Fatal("one seed and epoch gave two orders")
		}
		sorted := slices.Sorted(slices.Values(p))
		for i, v := range sorted {
			if v != i {
				t.Fatalf("not a permutation: %v", p)
			}
		}
		if len(p) != n {
			t.Fatalf("%d of %d numbers", len(p), n)
		}
		// Fewer rows keep their order.
		m := rapid.IntRange(1, n).Draw(t, "m")
		few := slices.DeleteFunc(slices.Clone(p), func(i int) bool { return i >= m })
		if !slices.Equal(few, Permutation(m, seed, epoch)) {
			t.Fatalf("the order of the first %d depends on n", m)
		}
	})
	for _, n := range []int{0, -1} {
		if p := Permutation(n, 1, 0); p != nil {
			t.Errorf("Permutation(%d) = %v", n, p)
		}
	}
}

// These numbers may never change, or runs could not be repeated. They were
// made by a second implementation, in Python's integers.
func TestPermutationIsFixed(t *testing.T) {
	for _, c := range []struct {
		seed  uint64
		epoch int
		want  []int
	}{
		{0, 0, []int{4, 8, 0, 1, 7, 6, 2, 5, 3, 9}},
		{1, 0, []int{3, 5, 2, 4, 1, 9, 0, 6, 8, 7}},
		{1, 1, []int{6, 1, 2, 9, 5, 0, 4, 3, 8, 7}},
		{18446744073709551615, 41, []int{7, 3, 6, 2, 10, 8, 9, 1, 5, 0, 11, 4}},
	} {
		if diff := cmp.Diff(c.want, Permutation(len(c.want), c.seed, c.epoch)); diff != "" {
			t.Errorf("seed %d, epoch %d:\n%s", c.seed, c.epoch, diff)
		}
	}
}

// Over many epochs each row comes to each place about equally often, and the
// orders of two epochs or seeds have nothing to do with each other.
func TestPermutationIsUniform(t *testing.T) {
	const n, epochs = 8, 20000
	var counts [n][n]float64
	for epoch := range epochs {
		for place, row := range Permutation(n, 7, epoch) {
			counts[row][place]++
		}
	}
	var chi2 float64
	for _, row := range counts {
		for _, c := range row {
			d := c - epochs/n
			chi2 += d * d / (epochs / n)
		}
	}
	if chi2 > 100 { // 49 degrees of freedom; above 94 once in 10,000
		t.Errorf("chi-squared %g", chi2)
	}
	a, b, c := Permutation(2000, 1, 0), Permutation(2000, 1, 1), Permutation(2000, 2, 0)
	for name, pair := range map[string][2][]int{"epochs": {a, b}, "seeds": {a, c}, "order": {a, slices.Sorted(slices.Values(a))}} {
		if r := correlation(pair[0], pair[1]); math.Abs(r) > 0.1 {
			t.Errorf("%s correlate: %g", name, r)
		}
	}
}

func correlation(a, b []int) float64 {
	mid := float64(len(a)-1) / 2
	var ab, aa float64
	for i := range a {
		x, y := float64(a[i])-mid, float64(b[i])-mid
		ab += x * y
		aa += x * x
	}
	return ab / aa
}

// sequence makes examples of the given classes.
func sequence(labels []int) []Example {
	examples := make([]Example, len(labels))
	for i, label := range labels {
		examples[i] = Example{Index: i, Label: label}
	}
	return examples
}

func TestHoldOutProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		examples := sequence(rapid.SliceOfN(rapid.IntRange(-1, 3), 0, 60).Draw(t, "labels"))
		n := rapid.IntRange(-2, len(examples)+2).Draw(t, "n")
		seed := rapid.Uint64().Draw(t, "seed")
		train, held := HoldOut(examples, n, seed)
		want := min(max(n, 0), len(examples))
		if len(held) != want || len(train) != len(examples)-want {
			t.Fatalf("%d and %d of %d, want %d held out", len(train), len(held), len(examples), want)
		}
		byIndex := func(a, b Example) int { return a.Index - b.Index }
		if !slices.IsSortedFunc(train, byIndex) || !slices.IsSortedFunc(held, byIndex) {
			t.Fatal("the order changed")
		}
		both := slices.SortedFunc(slices.Values(slices.Concat(train, held)), byIndex)
		if !cmp.Equal(both, examples, cmpopts.EquateEmpty()) {
			t.Fatalf("the two parts do not make up the whole: %v, %v", train, held)
		}
		// Each class keeps its share to within one example.
		for label := -1; label <= 3; label++ {
			share := float64(want) * float64(count(examples, label)) / float64(max(len(examples), 1))
			if got := float64(count(held, label)); math.Abs(got-share) >= 1 {
				t.Fatalf("class %d: %g held out, its share is %g", label, got, share)
			}
		}
		train2, held2 := HoldOut(examples, n, seed)
		if !cmp.Equal(train, train2) || !cmp.Equal(held, held2) {
			t.Fatal("one seed gave two splits")
		}
	})
}

// Groups stay whole, and with them the rest holds as far as it can.
func TestHoldOutGroups(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		examples := sequence(rapid.SliceOfN(rapid.IntRange(-1, 2), 1, 80).Draw(t, "labels"))
		for i := range examples {
			examples[i].Group = rapid.SampledFrom([]string{"", "a", "b", "c", "d", "e", "f", "g"}).Draw(t, "group")
		}
		n := rapid.IntRange(0, len(examples)).Draw(t, "n")
		seed := rapid.Uint64().Draw(t, "seed")
		train, held := HoldOut(examples, n, seed)
		if len(held) > n || len(train)+len(held) != len(examples) {
			t.Fatalf("%d and %d of %d, want %d held out at most", len(train), len(held), len(examples), n)
		}
		byIndex := func(a, b Example) int { return a.Index - b.Index }
		both := slices.SortedFunc(slices.Values(slices.Concat(train, held)), byIndex)
		if !cmp.Equal(both, examples) || !slices.IsSortedFunc(train, byIndex) || !slices.IsSortedFunc(held, byIndex) {
			t.Fatal("the two parts do not make up the whole in order")
		}
		apart := map[string]bool{}
		for _, ex := range held {
			apart[ex.Group] = true
		}
		for _, ex := range train {
			if ex.Group != "" && apart[ex.Group] {
				t.Fatalf("group %s is in both parts", ex.Group)
			}
		}
		// No class has more than its share, and no group that was left would fit.
		rows := map[int]int{}
		for _, ex := range examples {
			rows[ex.Label]++
		}
		room := shares(rows, n, len(examples))
		for _, ex := range held {
			if room[ex.Label]--; room[ex.Label] < 0 {
				t.Fatalf("class %d has more than its share", ex.Label)
			}
		}
		for _, group := range groupRows(train) {
			if takes(room, train, group) {
				t.Fatalf("the rows %v would have fitted", group)
			}
		}
	})
}

// Groups of a few answers, as MultiRC's, leave hardly a row of n unused, and
// large groups are as likely held out as small ones.
func TestHoldOutManyGroups(t *testing.T) {
	var examples []Example
	sizes := map[string]int{}
	for group := 0; len(examples) < 20000; group++ {
		name := fmt.Sprint(group)
		sizes[name] = 2 + group%8
		for i := range sizes[name] {
			examples = append(examples, Example{Index: len(examples), Label: i * 3 % 7 % 2, Group: name})
		}
	}
	_, held := HoldOut(examples, 2000, 1)
	if len(held) < 1990 || len(held) > 2000 {
		t.Errorf("%d rows held out, want 2000 or a few less", len(held))
	}
	share := func(of []Example) float64 { return float64(count(of, 1)) / float64(len(of)) }
	if math.Abs(share(held)-share(examples)) > 0.005 {
		t.Errorf("class 1 has %.3f of the rows held out, %.3f of all", share(held), share(examples))
	}
	var mean float64
	for _, ex := range held {
		mean += float64(sizes[ex.Group]) / float64(len(held))
	}
	var want float64
	for _, ex := range examples {
		want += float64(sizes[ex.Group]) / float64(len(examples))
	}
	if math.Abs(mean-want) > 0.3 {
		t.Errorf("a row held out is of a group of %.2f, of all rows of one of %.2f", mean, want)
	}
}

func count(examples []Example, label int) int {
	n := 0
	for _, ex := range examples {
		if ex.Label == label {
			n++
		}
	}
	return n
}

func TestHoldOutSeeds(t *testing.T) {
	examples, err := load(t, Train, LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, a := HoldOut(examples, 500, 1)
	_, b := HoldOut(examples, 500, 2)
	if cmp.Equal(a, b) {
		t.Error("two seeds held out the same examples")
	}
	if negative := count(a, 0); negative != 221 { // 500 * 4414 / 10000 = 220.7
		t.Errorf("%d of 500 negative, want 221", negative)
	}
}

// Which rows are held out may never change either. The numbers are those of
// the version before there were groups.
func TestHoldOutIsFixed(t *testing.T) {
	labels := []int{0, 1, 1, 0, 1, 0, 0, 1, 1, 1, 0, 1, 2, 1, 0, 2}
	var got []int
	_, held := HoldOut(sequence(labels), 6, 3)
	for _, ex := range held {
		got = append(got, ex.Index)
	}
	if diff := cmp.Diff([]int{0, 1, 2, 5, 7, 12}, got); diff != "" {
		t.Error(diff)
	}
}
