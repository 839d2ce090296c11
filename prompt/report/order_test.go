package report

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"softprompt/prompt/tune"
)

// drawRuns draws runs that differ in a few settings, some of them in none.
func drawRuns(t *rapid.T) []*tune.Ended {
	texts := rapid.SampledFrom([]string{"", "9", "10", "1x", "x", "1e1", "0x10", "16", "NaN", "Inf", "a/b"})
	n := rapid.IntRange(1, 12).Draw(t, "runs")
	var runs []*tune.Ended
	for i := range n {
		e := &tune.Ended{Dir: fmt.Sprint("run-", i)}
		e.Settings = tune.Settings{
			Task: rapid.SampledFrom([]string{"rte", "sst2"}).Draw(t, "task"), Method: rapid.SampledFrom([]string{"dept", "prompt-tuning"}).Draw(t, "method"),
			Data: texts.Draw(t, "data"), Length: rapid.SampledFrom([]int{5, 20, 100}).Draw(t, "length"), LearningRate: rapid.SampledFrom([]float64{0.3, 1e-5}).Draw(t, "rate"),
			Balance: rapid.Bool().Draw(t, "balance"), Seed: rapid.Uint64Range(1, 3).Draw(t, "seed"), Threads: rapid.IntRange(0, 2).Draw(t, "threads"),
		}
		e.Validation = tune.Comparison{Metric: "accuracy", Examples: 4, Tuned: float64(rapid.IntRange(0, 400).Draw(t, "score")) / 4, NoPrompt: float64(rapid.IntRange(0, 100).Draw(t, "plain"))}
		runs = append(runs, e)
	}
	return runs
}

// loud are the settings of a run that an experiment can be about, among those
// that are drawn.
func loud(s tune.Settings) string {
	return fmt.Sprintf("%q %q %q %d %v %v", s.Task, s.Method, s.Data, s.Length, s.LearningRate, s.Balance)
}

// TestGroupsByHand: two runs are in one group if and only if all that an
// experiment can be about is the same in both, and a group's numbers are those
// of its runs.
func TestGroupsByHand(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		runs := drawRuns(t)
		r := New(runs)
		of := map[string]*Group{} // by what they are about
		total := 0
		for _, g := range r.Groups {
			what := loud(g.Runs[0].Settings)
			if of[what] != nil {
				t.Fatalf("two groups of %s", what)
			}
			of[what] = g
			total += len(g.Runs)
			var sum, squares, plain float64
			best := math.Inf(-1)
			for i, e := range g.Runs {
				if loud(e.Settings) != what || g.Folders[i] != e.Dir || g.Scores[i] != e.Validation.Tuned {
					t.Fatalf("run %s of %s is in the group of %s, %+v", e.Dir, loud(e.Settings), what, g)
				}
				sum, plain, best = sum+e.Validation.Tuned, plain+e.Validation.NoPrompt, max(best, e.Validation.Tuned)
			}
			n := float64(len(g.Runs))
			for _, e := range g.Runs {
				squares += (e.Validation.Tuned - sum/n) * (e.Validation.Tuned - sum/n)
			}
			if deviation := math.Sqrt(squares / max(1, n-1)); math.Abs(g.Mean-sum/n) > 1e-9 || math.Abs(g.Deviation-deviation) > 1e-9 || g.Best != best || math.Abs(g.NoPrompt-plain/n) > 1e-9 {
				t.Fatalf("%+v, want mean %v ± %v, best %v, without %v", g, sum/n, deviation, best, plain/n)
			}
			if len(g.Values) != len(r.Keys) || g.Values["task"] != g.Runs[0].Settings.Task {
				t.Fatalf("values %v of %v", g.Values, r.Keys)
			}
		}
		if total != len(runs) || r.Keys[0] != "task" || slices.Contains(r.Keys, "seed") || slices.Contains(r.Keys, "threads") {
			t.Fatalf("%d of %d runs in groups by %v", total, len(runs), r.Keys)
		}
	})
}

// TestOrderOfRuns: the same runs in another order give the same report, but for
// the order of runs within a group.
func TestOrderOfRuns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		runs := drawRuns(t)
		want := New(runs)
		got := New(rapid.Permutation(runs).Draw(t, "order"))
		if !slices.Equal(got.Keys, want.Keys) || len(got.Groups) != len(want.Groups) {
			t.Fatalf("%v and %d groups, or %v and %d", got.Keys, len(got.Groups), want.Keys, len(want.Groups))
		}
		for i, g := range got.Groups {
			w := want.Groups[i]
			slices.Sort(g.Folders)
			slices.Sort(w.Folders)
			if !slices.Equal(g.Folders, w.Folders) || math.Abs(g.Mean-w.Mean) > 1e-9 {
				t.Fatalf("group %d is %v of %v, or %v of %v", i, g.Values, g.Folders, w.Values, w.Folders)
			}
		}
		again, err := json.Marshal(New(runs))
		if first, _ := json.Marshal(New(runs)); err != nil || string(first) != string(again) {
			t.Fatalf("two reports of the same runs: %s and %s, %v", first, again, err)
		}
	})
}

// TestOrderOfValues: numbers come by size and texts behind them, in an order that
// any three values agree on.
func TestOrderOfValues(t *testing.T) {
	sorted := []string{"NaN", "nan", "-1", "0", "0.5", "9", "10", "100", "1e2", "Inf", "", "10 steps", "9x", "T5", "dept", "prompt-tuning"}
	for i, a := range sorted {
		for j, b := range sorted {
			if got := compareValues(a, b); (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("%q and %q: %d", a, b, got)
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		one := rapid.OneOf(rapid.StringMatching(`[0-9.ex-]{0,4}`), rapid.Map(rapid.Int(), strconv.Itoa), rapid.String())
		a, b, c := one.Draw(t, "a"), one.Draw(t, "b"), one.Draw(t, "c")
		if compareValues(a, b) != -compareValues(b, a) || (compareValues(a, b) == 0) != (a == b) {
			t.Fatalf("%q and %q: %d, %d", a, b, compareValues(a, b), compareValues(b, a))
		}
		if compareValues(a, b) < 0 && compareValues(b, c) < 0 && compareValues(a, c) >= 0 {
			t.Fatalf("%q < %q < %q, and %d", a, b, c, compareValues(a, c))
		}
	})
}

// TestKeys: a setting is a column where two runs differ in it that agree in all
// columns before, whatever else follows from those.
func TestKeys(t *testing.T) {
	set := func(task, method string, length int, rate float64, seed uint64) *tune.Ended {
		return &tune.Ended{Settings: tune.Settings{Task: task, Method: method, Length: length, LearningRate: rate, Seed: seed, LogEvery: int(seed), Device: fmt.Sprint("cuda:", seed)}}
	}
	for _, c := range []struct {
		runs []*tune.Ended
		want string
	}{
		{[]*tune.Ended{set("rte", "dept", 5, 0.1, 1)}, "task"},
		{[]*tune.Ended{set("rte", "dept", 5, 0.1, 1), set("rte", "dept", 5, 0.1, 2)}, "task"},
		{[]*tune.Ended{set("rte", "dept", 5, 0.1, 1), set("cb", "ia3", 7, 0.2, 1)}, "task"},
		{[]*tune.Ended{set("rte", "dept", 5, 0.1, 1), set("rte", "ia3", 7, 0.2, 1)}, "task method"},
		{[]*tune.Ended{set("rte", "dept", 5, 0.1, 1), set("rte", "dept", 7, 0.2, 1)}, "task length"},
		{[]*tune.Ended{set("rte", "dept", 5, 0.1, 1), set("rte", "ia3", 7, 0.2, 1), set("rte", "ia3", 7, 0.3, 1)}, "task method learning_rate"},
		{[]*tune.Ended{set("rte", "dept", 5, 0.1, 1), set("rte", "dept", 7, 0.1, 1), set("rte", "dept", 7, 0.3, 1)}, "task length learning_rate"},
	} {
		if got := strings.Join(New(c.runs).Keys, " "); got != c.want {
			t.Errorf("%d runs: columns %s, want %s", len(c.runs), got, c.want)
		}
	}
	if r := New(nil); len(r.Groups) != 0 || !slices.Equal(r.Keys, []string{"task"}) || r.SuperGLUE() != nil {
		t.Errorf("of no runs: %+v", r)
	}
}

// TestReportJSON: what --json prints has these names, and no group's runs.
func TestReportJSON(t *testing.T) {
	e := ended(t, of("dept", 5, 1), true, false)
	e.Validation.Chosen = true
	other := ended(t, of("ia3", 5, 1), true, true)
	r := New([]*tune.Ended{e, other})
	if err := r.Against(map[string]string{"method": "ia3"}); err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	group := func(method, dir string, score, best float64, more string) string {
		return fmt.Sprintf(`{"settings":{"method":"%s","task":"sst2"},"folders":["%s"],"metric":"accuracy","examples":2,"scores":[%v],"mean":%v,"deviation":0,"best":%v,"no_prompt":40,"majority":50%s}`, method, dir, score, score, best, more)
	}
	low := strconv.FormatFloat(r.Groups[0].Against.Low, 'f', -1, 64)
	want := `{"keys":["task","method"],"groups":[` + group("dept", "dept-5-1", 50, 50, `,"chosen_on_it":true,"against":{"difference":-50,"low":`+low+`,"high":0,"seeds":1}`) + "," + group("ia3", "ia3-5-1", 100, 100, "") + "]}"
	if string(got) != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}
