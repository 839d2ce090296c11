package main

import "fmt"

// verdict is a goal beside what was measured.
type verdict struct {
	Goal      string  `json:"goal"`
	Where     string  `json:"where"`
	Precision string  `json:"precision"`
	Wanted    float64 `json:"wanted"`
	AtLeast   bool    `json:"at_least,omitempty"` // Wanted is the lower end, not the upper
	Measured  float64 `json:"measured"`
	Met       bool    `json:"met"`
	Unit      string  `json:"unit,omitempty"` // "" for a quotient
}

// versus are the goals that hold one peer's steps against another's: their
// quotient may be the limit at most.
var versus = []struct {
	goal, own, other string
	limit            float64
	quotient         func(own, other *measured) float64
}{
	{"step time against PEFT float32", "softprompt", "peft", 0.5, timeRatio},
	{"step time against PEFT float32", "softprompt-int8", "peft", 0.25, timeRatio},
	{"step time against PEFT bfloat16", "softprompt-int8", "peft-bf16", 0.65, timeRatio},
	{"peak memory against PEFT float32", "softprompt", "peft", 0.4, memoryRatio},
	{"peak memory against PEFT bfloat16", "softprompt-int8", "peft-bf16", 0.4, memoryRatio},
	{"furthest loss from float32", "softprompt-int8", "softprompt", 0.05, (*measured).apart},
}

func timeRatio(own, other *measured) float64   { return ratio(own.Seconds, other.Seconds) }
func memoryRatio(own, other *measured) float64 { return float64(own.peak()) / float64(other.peak()) }

// ownGoals are what a peer of softprompt is to reach by itself.
var ownGoals = []struct {
	peer, precision string
	share, start    float64
}{
	{"softprompt", "float32", 0.7, 2},
	{"softprompt-int8", "int8", 0.5, 4},
}

// The goals for real text and for evaluation, in float32.
const (
	textGoal = 3
	evalGoal = 2
)

// verdicts judges what was measured, goal by goal.
func (r *report) verdicts() []verdict {
	var all []verdict
	for i := range r.Sizes {
		all = append(all, r.stepVerdicts(&r.Sizes[i])...)
	}
	for _, g := range ownGoals {
		for _, s := range r.Starts {
			if s.Name == g.peer {
				all = append(all, judge(verdict{Goal: "start beyond a step", Where: s.Size, Precision: g.precision, Wanted: g.start, Measured: s.beyond(), Unit: "s"}))
			}
		}
	}
	for _, t := range r.Texts {
		all = append(all, t.verdicts()...)
	}
	if r.Eval != nil {
		all = append(all, r.Eval.verdicts()...)
	}
	if r.Many != nil {
		all = append(all, r.Many.verdict())
	}
	return all
}

func (r *report) stepVerdicts(s *sizeReport) []verdict {
	var all []verdict
	for _, g := range versus {
		own, other := s.peer(g.own), s.peer(g.other)
		if own != nil && other != nil {
			all = append(all, judge(verdict{Goal: g.goal, Where: s.Size, Precision: own.Hello.DType, Wanted: g.limit, Measured: g.quotient(own, other)}))
		}
	}
	for _, g := range ownGoals {
		w, known := s.work(g.peer)
		if own := s.peer(g.peer); own != nil && known {
			share := r.share(w, median(own.Seconds))
			all = append(all, judge(verdict{Goal: "share of the products' peak", Where: s.Size, Precision: g.precision, Wanted: g.share, AtLeast: true, Measured: share}))
		}
	}
	return all
}

// verdicts judges softprompt's rate against PEFT's with each padding.
func (t *textReport) verdicts() []verdict {
	var all []verdict
	if len(t.Runs) == 0 || t.Runs[0].Name != "softprompt" {
		return nil
	}
	for _, run := range t.Runs[1:] {
		times := t.Runs[0].rate(t.Batch) / run.rate(t.Batch)
		all = append(all, judge(verdict{
			Goal: "rows a second against PEFT, padded to " + run.Padding, Where: t.Size + ", " + t.Text,
			Precision: "float32", Wanted: textGoal, AtLeast: true, Measured: times,
		}))
	}
	return all
}

// verdicts judges softprompt's rate against each way of transformers.
func (e *evalReport) verdicts() []verdict {
	var all []verdict
	for _, pair := range []struct{ goal, own, other string }{
		{"ranking, transformers with a pass a word", "rank", "rank"},
		{"ranking, transformers with a shared encoder pass", "rank", "rank-shared"},
		{"greedy decoding against transformers", "greedy", "greedy"},
	} {
		own, other := e.run("softprompt", pair.own), e.run("transformers", pair.other)
		if own != nil && other != nil {
			all = append(all, judge(verdict{
				Goal: pair.goal, Where: e.Size + ", SST-2", Precision: "float32",
				Wanted: evalGoal, AtLeast: true, Measured: ratio(other.Seconds, own.Seconds),
			}))
		}
	}
	return all
}

func judge(v verdict) verdict {
	v.Met = v.Measured <= v.Wanted
	if v.AtLeast {
		v.Met = v.Measured >= v.Wanted
	}
	return v
}

// goalTable shows the verdicts.
func goalTable(all []verdict) *table {
	t := &table{head: []string{"goal", "where", "precision", "wanted", "measured", ""}}
	for _, v := range all {
		bound, end := "≤", "missed"
		if v.AtLeast {
			bound = "≥"
		}
		if v.Met {
			end = "met"
		}
		unit := v.Unit
		if unit != "" {
			unit = " " + unit
		}
		t.add(v.Goal, v.Where, v.Precision, fmt.Sprintf("%s %g%s", bound, v.Wanted, unit), fmt.Sprintf("%.3g%s", v.Measured, unit), end)
	}
	return t
}
