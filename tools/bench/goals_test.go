package main

import (
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestVerdicts: each goal of the example has the quotient that its numbers
// give, and the precision it is for.
func TestVerdicts(t *testing.T) {
	want := []struct {
		goal, precision string
		measured        float64
		met             bool
	}{
		{"step time against PEFT float32", "float32", 0.5, true},
		{"step time against PEFT float32", "int8", 0.2, true},
		{"step time against PEFT bfloat16", "int8", 0.8, false},
		{"peak memory against PEFT float32", "float32", 0.5, false},
		{"peak memory against PEFT bfloat16", "int8", 0.4, true},
		{"furthest loss from float32", "int8", 0.02, true},
		{"share of the products' peak", "float32", 0.8, true},
		{"share of the products' peak", "int8", 0.875, true},
		{"start beyond a step", "float32", 1.75, true},
		{"start beyond a step", "int8", 5.1, false},
		{"rows a second against PEFT, padded to longest of the batch", "float32", 7.0 / 3, false},
		{"rows a second against PEFT, padded to max_length 128", "float32", 10.0 / 3, true},
		{"ranking, transformers with a pass a word", "float32", 3, true},
		{"ranking, transformers with a shared encoder pass", "float32", 2 / 1.1, false},
		{"greedy decoding against transformers", "float32", 2.25, true},
	}
	got := exampleReport().verdicts()
	if len(got) != len(want) {
		t.Fatalf("%d verdicts, want %d: %+v", len(got), len(want), got)
	}
	for i, w := range want {
		g := got[i]
		if g.Goal != w.goal || g.Precision != w.precision || math.Abs(g.Measured-w.measured) > 1e-9 || g.Met != w.met {
			t.Errorf("verdict %d is %+v, want %+v", i, g, w)
		}
		if !strings.Contains(g.Where, "small") {
			t.Errorf("verdict %d is of %q", i, g.Where)
		}
	}
}

// TestVerdictsOfPart: what was not measured is not judged.
func TestVerdictsOfPart(t *testing.T) {
	r := exampleReport()
	r.Starts, r.Texts, r.Eval = nil, nil, nil
	r.Sizes[0].Peers = slices.DeleteFunc(r.Sizes[0].Peers, func(m measured) bool { return m.Name != "softprompt" })
	got := r.verdicts()
	if len(got) != 1 || got[0].Goal != "share of the products' peak" {
		t.Errorf("of softprompt alone: %+v", got)
	}
	if got := (&report{}).verdicts(); len(got) != 0 {
		t.Errorf("of nothing: %+v", got)
	}
	alone := &textReport{Batch: 1, Runs: []*textRun{{Name: "peft", Seconds: []float64{1}}}}
	if got := alone.verdicts(); got != nil {
		t.Errorf("of PEFT alone: %+v", got)
	}
}

// TestJudge: a bound itself is met, from either side.
func TestJudge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		wanted := rapid.Float64Range(0.01, 10).Draw(t, "wanted")
		measured := rapid.OneOf(rapid.Just(wanted), rapid.Float64Range(0.01, 10)).Draw(t, "measured")
		most := judge(verdict{Wanted: wanted, Measured: measured}).Met
		least := judge(verdict{Wanted: wanted, Measured: measured, AtLeast: true}).Met
		if (most && least) != (measured == wanted) || !most && !least {
			t.Fatalf("%v against %v: at most %v, at least %v", measured, wanted, most, least)
		}
	})
}
