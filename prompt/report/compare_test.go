package report

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"softprompt/onnx/hint"
	"softprompt/prompt/tune"
)

// drawPair draws the answers of two methods over the same rows and seeds.
func drawPair(t *rapid.T, tt *testing.T) []*tune.Ended {
	seeds, rows := rapid.IntRange(1, 3).Draw(t, "seeds"), rapid.IntRange(1, 8).Draw(t, "rows")
	right := rapid.SliceOfN(rapid.Bool(), rows, rows)
	var runs []*tune.Ended
	for s := range seeds {
		for _, method := range []string{"dept", "ia3"} {
			runs = append(runs, ended(tt, of(method, 5, uint64(s+1)), right.Draw(t, method)...))
		}
	}
	return runs
}

// TestDifference: a group's difference from the baseline is that of the shares of
// right answers over all seeds, it lies in its interval, and the other way round
// it is the negative.
func TestDifference(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		runs := drawPair(rt, t)
		r := New(runs)
		if len(r.Groups) != 2 {
			rt.Fatalf("%d groups", len(r.Groups))
		}
		want := r.Groups[0].Mean - r.Groups[1].Mean // dept, ia3
		for i, method := range []string{"ia3", "dept"} {
			if err := r.Against(map[string]string{"method": method}); err != nil {
				rt.Fatal(err)
			}
			a := r.Groups[i].Against
			if a == nil || r.Groups[1-i].Against != nil || r.Alone != nil {
				rt.Fatalf("against %s: %+v, %+v, alone %v", method, a, r.Groups[1-i].Against, r.Alone)
			}
			if math.Abs(a.Difference-want) > 1e-9 || a.Low > want+1e-9 || a.High < want-1e-9 || a.Seeds != len(runs)/2 {
				rt.Fatalf("against %s: %+v, want %v over %d seeds", method, a, want, len(runs)/2)
			}
			want = -want
		}
	})
}

// TestSameAnswers: against its own answers a group differs by 0, surely.
func TestSameAnswers(t *testing.T) {
	var runs []*tune.Ended
	for seed := range uint64(3) {
		for _, method := range []string{"dept", "ia3"} {
			runs = append(runs, ended(t, of(method, 5, seed), true, false, seed > 1, true))
		}
	}
	r := New(runs)
	if err := r.Against(map[string]string{"method": "ia3"}); err != nil {
		t.Fatal(err)
	}
	if a := r.Groups[0].Against; a == nil || *a != (Against{0, 0, 0, 3}) {
		t.Errorf("%+v", a)
	}
}

// TestPartners: each task and each length has a baseline of its own, seeds that
// one side lacks are left out, and what has no partner is named.
func TestPartners(t *testing.T) {
	on := func(task, method string, length int, seed uint64, right ...bool) *tune.Ended {
		e := ended(t, func(s *tune.Settings) { of(method, length, seed)(s); s.Task = task }, right...)
		e.Dir = fmt.Sprintf("%s-%s-%d-%d", task, method, length, seed)
		return e
	}
	unanswered := on("cb", "dept", 5, 1, true, true)
	unanswered.Predictions = nil // of a run from before they were kept
	r := New([]*tune.Ended{
		on("rte", "dept", 5, 1, true, true), on("rte", "dept", 5, 4, false, false), on("rte", "ia3", 5, 1, true, false), on("rte", "ia3", 5, 2, false, false),
		on("rte", "dept", 7, 1, false, false), on("rte", "ia3", 7, 1, true, true),
		on("wic", "dept", 5, 1, true, false), on("wic", "ia3", 5, 2, true, true), // no seed in common
		on("copa", "dept", 5, 1, true, true), // no baseline at all
		unanswered, on("cb", "ia3", 5, 1, true, true),
	})
	for range 2 { // twice is once
		if err := r.Against(map[string]string{"method": "ia3"}); err != nil {
			t.Fatal(err)
		}
	}
	got := map[string]Against{}
	for _, g := range r.Groups {
		if g.Against != nil {
			got[g.Folders[0]] = Against{Difference: g.Against.Difference, Seeds: g.Against.Seeds}
		}
	}
	want := map[string]Against{"rte-dept-5-1": {Difference: 50, Seeds: 1}, "rte-dept-7-1": {Difference: -100, Seeds: 1}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
	if want := []string{"cb-dept-5-1", "copa-dept-5-1", "wic-dept-5-1"}; !slices.Equal(r.Alone, want) {
		t.Errorf("alone are %v, want %v", r.Alone, want)
	}
}

// TestAgainstTexts: runs that cannot be compared are named in full, with the rows
// or settings that they lack.
func TestAgainstTexts(t *testing.T) {
	answers := func(change func(p []tune.Predicted) []tune.Predicted) error {
		a, b := ended(t, of("dept", 5, 1), true, true), ended(t, of("ia3", 5, 1), true, true)
		b.Predictions = change(b.Predictions)
		return New([]*tune.Ended{a, b}).Against(map[string]string{"method": "ia3"})
	}
	const want = "comparing dept-5-1: it and ia3-5-1 did not answer the same rows"
	for name, change := range map[string]func(p []tune.Predicted) []tune.Predicted{
		"fewer rows":   func(p []tune.Predicted) []tune.Predicted { return p[:1] },
		"another row":  func(p []tune.Predicted) []tune.Predicted { p[1].ID = "test:1"; return p },
		"another gold": func(p []tune.Predicted) []tune.Predicted { p[1].Gold = "negative"; return p },
		"other order":  func(p []tune.Predicted) []tune.Predicted { p[0], p[1] = p[1], p[0]; return p },
	} {
		if err := answers(change); err == nil || err.Error() != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := answers(func(p []tune.Predicted) []tune.Predicted { p[1].Answer = "other"; return p }); err != nil {
		t.Errorf("another answer: %v", err)
	}
	r := New([]*tune.Ended{ended(t, of("dept", 5, 1), true), ended(t, of("ia3", 7, 1), true)})
	if err := r.Against(map[string]string{"length": "5"}); err == nil || err.Error() != `the runs do not differ in "length"` || hint.Of(err) != "they differ in task, method" {
		t.Errorf("%v, hint %q", err, hint.Of(err))
	}
	if err := r.Against(map[string]string{"method": "lora"}); err == nil || err.Error() != "no runs have the baseline's settings map[method:lora]" {
		t.Error(err)
	}
}

// TestSuperGLUESets: settings under which two or more of the benchmark's tasks
// were run have a score, the mean of the tasks' means, and tasks that are none
// of it count nothing.
func TestSuperGLUESets(t *testing.T) {
	all := []string{"boolq", "cb", "copa", "multirc", "record", "rte", "wic", "wsc"}
	for n := range len(all) + 1 {
		runs := []*tune.Ended{ended(t, func(s *tune.Settings) { s.Task = "sst2" }, false)}
		var want float64
		for i, task := range all[:n] {
			for seed := range uint64(2) {
				runs = append(runs, ended(t, func(s *tune.Settings) { s.Task, s.Seed = task, seed }, seed == 0, i%2 == 0))
			}
			want += []float64{75, 25}[i%2] / float64(n) // of both seeds
		}
		got := New(runs).SuperGLUE()
		if n < 2 {
			if got != nil {
				t.Errorf("%d tasks have the score %+v", n, got)
			}
			continue
		}
		if len(got) != 1 || math.Abs(got[0].Score-want) > 1e-9 || !slices.Equal(got[0].Missing, all[n:]) || len(got[0].Values) != 0 {
			t.Errorf("%d tasks: %+v, want %v without %v", n, got, want, all[n:])
		}
	}
}
