package tasks

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"softprompt/onnx/hint"
)

// indices are where examples stood in their split.
func indices(examples []Example) (out []int) {
	for _, ex := range examples {
		out = append(out, ex.Index)
	}
	return out
}

// Shots are k rows of each class in their order, the same for one seed, and
// the shots of k are among those of k+1.
func TestShotsProperties(t *testing.T) {
	task := &Task{Name: "x", Labels: []string{"a", "b", "c"}}
	rapid.Check(t, func(t *rapid.T) {
		labels := rapid.SliceOfN(rapid.IntRange(0, 2), 0, 30).Draw(t, "labels")
		labels = append(labels, 0, 1, 2)
		rows := sequence(labels)
		seed := rapid.Uint64().Draw(t, "seed")
		least := min(count(rows, 0), count(rows, 1), count(rows, 2))
		k := rapid.IntRange(1, least).Draw(t, "k")
		few, err := Shots(task, rows, k, seed)
		if err != nil || len(few) != 3*k || !slices.IsSorted(indices(few)) {
			t.Fatalf("%v, %v of %d shots", indices(few), err, k)
		}
		for class := range 3 {
			if n := count(few, class); n != k {
				t.Fatalf("%d of class %d, want %d", n, class, k)
			}
		}
		for _, ex := range few {
			if !cmp.Equal(ex, rows[ex.Index]) {
				t.Fatalf("%+v is none of the rows", ex)
			}
		}
		if again, _ := Shots(task, rows, k, seed); !cmp.Equal(few, again) {
			t.Fatal("one seed gave two choices")
		}
		more, err := Shots(task, rows, k+1, seed)
		if k == least {
			if err == nil {
				t.Fatalf("%d shots of a class with %d rows", k+1, least)
			}
			return
		}
		for _, i := range indices(few) {
			if !slices.Contains(indices(more), i) {
				t.Fatalf("%v is no part of %v", indices(few), indices(more))
			}
		}
	})
}

// Every row of a class is a shot about equally often.
func TestShotsAreUniform(t *testing.T) {
	task := &Task{Name: "x", Labels: []string{"a", "b"}}
	rows := sequence([]int{0, 1, 0, 0, 1, 0, 0, 1})
	times := make([]int, len(rows))
	const seeds = 3000
	for seed := range uint64(seeds) {
		few, err := Shots(task, rows, 1, seed)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range indices(few) {
			times[i]++
		}
	}
	for i, n := range times {
		want := seeds / 5
		if rows[i].Label == 1 {
			want = seeds / 3
		}
		if n < want-130 || n > want+130 { // 5 standard deviations
			t.Errorf("row %d of class %d is chosen %d times, want about %d", i, rows[i].Label, n, want)
		}
	}
}

// Too few rows of a class, or of a task of text, are an error that counts
// them; rows without a class are no shots of a task that has some.
func TestShotsErrors(t *testing.T) {
	classes := &Task{Name: "x", Labels: []string{"no", "yes"}}
	text := &Task{Name: "qa"}
	for _, c := range []struct {
		task   *Task
		labels []int
		k      int
		want   string
	}{
		{classes, []int{0, 0, 1}, 2, `task x: there are 1 training rows of the label "yes", and shots wants 2`},
		{classes, []int{1, 1}, 1, `task x: there are 0 training rows of the label "no", and shots wants 1`},
		{classes, nil, 1, `task x: there are 0 training rows of the label "no", and shots wants 1`},
		{classes, []int{-1, -1, 0, 1}, 2, `task x: there are 1 training rows of the label "no", and shots wants 2`},
		{text, []int{-1, -1}, 3, "task qa: there are 2 training rows that are left, and shots wants 3"},
	} {
		rows, err := Shots(c.task, sequence(c.labels), c.k, 1)
		if err == nil || rows != nil || err.Error() != c.want || hint.Of(err) != "choose fewer shots, or keep fewer rows back" {
			t.Errorf("%v: error %v, hint %q, want %s", c.labels, err, hint.Of(err), c.want)
		}
	}
	for _, c := range []struct {
		task   *Task
		labels []int
		k      int
		want   []int // labels
	}{
		{classes, []int{-1, 1, -1, 0}, 1, []int{1, 0}},
		{classes, []int{-1, 1, 0}, 0, []int{-1, 1, 0}},
		{classes, []int{-1, 1, 0}, -3, []int{-1, 1, 0}},
		{text, []int{-1, -1, -1}, 3, []int{-1, -1, -1}},
		{text, []int{-1, -1, -1}, 1, []int{-1}},
	} {
		rows, err := Shots(c.task, sequence(c.labels), c.k, 1)
		var got []int
		for _, ex := range rows {
			got = append(got, ex.Label)
		}
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%d shots of %v are %v, %v, want %v", c.k, c.labels, got, err, c.want)
		}
	}
}

// Balanced rows begin with all rows in their order, and every class has as many
// as the largest, no row repeated more than once oftener than another of it.
func TestBalanceProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		labels := rapid.SliceOfN(rapid.IntRange(-1, 3), 1, 40).Draw(t, "labels")
		rows := sequence(labels)
		seed := rapid.Uint64().Draw(t, "seed")
		got := Balance(rows, seed)
		if !cmp.Equal(got[:len(rows)], rows) || !cmp.Equal(got, Balance(rows, seed)) {
			t.Fatalf("%v of %v", indices(got), labels)
		}
		largest := 0
		for label := -1; label <= 3; label++ {
			largest = max(largest, count(rows, label))
		}
		times := map[int]int{}
		for _, ex := range got {
			times[ex.Index]++
		}
		for label := -1; label <= 3; label++ {
			before := count(rows, label)
			if n := count(got, label); before > 0 && n != largest || before == 0 && n != 0 {
				t.Fatalf("class %d has %d rows, want %d", label, n, largest)
			}
			for i, ex := range rows {
				if n := times[i]; ex.Label == label && (n < largest/before || n > largest/before+1) {
					t.Fatalf("row %d of %d of its class is there %d times of %d", i, before, n, largest)
				}
			}
		}
	})
	rows := sequence([]int{0, 0, 0, 1, 1})
	seen := map[string]bool{}
	for seed := range uint64(20) {
		seen[fmt.Sprint(indices(Balance(rows, seed)))] = true
	}
	if len(seen) != 2 {
		t.Errorf("over 20 seeds the copy is one of %v, want one of the two rows of class 1", seen)
	}
	if got := Balance(nil, 1); len(got) != 0 {
		t.Errorf("of no rows: %v", got)
	}
	even := sequence([]int{0, 1})
	Balance(even, 1)[0].Label = 7
	if even[0].Label != 0 {
		t.Error("the rows themselves can be changed")
	}
}

// A share of the rows for each class is what handing out one row at a time to
// the class that is furthest behind would give, the sum always n.
func TestSharesByDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.SliceOfN(rapid.IntRange(1, 30), 1, 5).Draw(t, "sizes")
		rows, total := map[int]int{}, 0
		for label, k := range sizes {
			rows[label] = k
			total += k
		}
		n := rapid.IntRange(0, total).Draw(t, "n")
		got, sum := shares(rows, n, total), 0
		for label, k := range sizes {
			sum += got[label]
			if down := n * k / total; got[label] < down || got[label] > down+1 || got[label] > k {
				t.Fatalf("%d of %v: class %d has %d", n, sizes, label, got[label])
			}
			for other, k2 := range sizes { // who was rounded up had no smaller remainder
				up := got[label] > n*k/total
				otherDown := got[other] == n*k2/total
				r, r2 := n*k%total, n*k2%total
				if up && otherDown && (r < r2 || r == r2 && label > other) {
					t.Fatalf("%d of %v: %v, and class %d was owed more than %d", n, sizes, got, other, label)
				}
			}
		}
		if sum != n {
			t.Fatalf("%d of %v: %v", n, sizes, got)
		}
	})
}

// How many rows a share or a number stands for.
func TestPartOf(t *testing.T) {
	for _, c := range []struct {
		heldOut float64
		n, want int
	}{{0.2, 50, 10}, {0.2, 2, 1}, {0.25, 10, 3}, {0.24, 10, 2}, {0.0001, 100, 1}, {0.999, 3, 3}, {1, 50, 1}, {7, 50, 7}, {99, 50, 99}, {0.5, 0, 1}} {
		if got := partOf(c.heldOut, c.n); got != c.want {
			t.Errorf("%v of %d is %d, want %d", c.heldOut, c.n, got, c.want)
		}
	}
}
