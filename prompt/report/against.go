package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"softprompt/onnx/hint"
	"softprompt/prompt/tune"
	"softprompt/tasks"
)

// Against is a group against the baseline of its task: the difference of the
// shares of right answers in points, with its 95 % interval by a paired
// bootstrap over examples and seeds.
type Against struct {
	Difference float64 `json:"difference"`
	Low        float64 `json:"low"`
	High       float64 `json:"high"`
	Seeds      int     `json:"seeds"` // that both have
}

// rounds of the bootstrap.
const rounds = 10_000

// Against compares every group with the one that has the baseline's values and
// agrees in all other keys, seed by seed and answer by answer. Groups without
// such a partner, or without answers or seeds in common, are named in Alone.
func (r *Report) Against(baseline map[string]string) error {
	for key := range baseline {
		if !slices.Contains(r.Keys, key) {
			return hint.Wrap(fmt.Errorf("the runs do not differ in %q", key), "they differ in %s", strings.Join(r.Keys, ", "))
		}
	}
	found := false
	r.Alone = nil // of another baseline
	for _, g := range r.Groups {
		g.Against = nil
		wanted := maps.Clone(g.Values)
		maps.Copy(wanted, baseline)
		at := slices.IndexFunc(r.Groups, func(o *Group) bool { return maps.Equal(o.Values, wanted) })
		if at < 0 {
			r.Alone = append(r.Alone, g.Folders[0])
			continue
		}
		found = true
		if r.Groups[at] == g {
			continue
		}
		var err error
		if g.Against, err = compare(g, r.Groups[at]); err != nil {
			return fmt.Errorf("comparing %s: %w", strings.Join(g.Folders, ", "), err)
		}
		if g.Against == nil {
			r.Alone = append(r.Alone, g.Folders[0])
		}
	}
	if !found {
		return fmt.Errorf("no runs have the baseline's settings %v", baseline)
	}
	return nil
}

// compare returns nil where there is nothing that both groups answered.
func compare(g, base *Group) (*Against, error) {
	var a, b [][]float64
	for _, x := range g.Runs {
		at := slices.IndexFunc(base.Runs, func(y *tune.Ended) bool { return y.Settings.Seed == x.Settings.Seed })
		if at < 0 || len(x.Predictions) == 0 || len(base.Runs[at].Predictions) == 0 {
			continue
		}
		y := base.Runs[at]
		if !slices.EqualFunc(x.Predictions, y.Predictions, func(p, q tune.Predicted) bool { return p.ID == q.ID && p.Gold == q.Gold }) {
			return nil, fmt.Errorf("it and %s did not answer the same rows", y.Dir)
		}
		a, b = append(a, hits(x.Predictions)), append(b, hits(y.Predictions))
	}
	if len(a) == 0 {
		return nil, nil
	}
	low, mean, high, err := tasks.PairedBootstrap(a, b, 1, rounds)
	return &Against{mean, low, high, len(a)}, err
}

// hits are 100 for right answers and 0 for others.
func hits(answers []tune.Predicted) []float64 {
	out := make([]float64, len(answers))
	for i, p := range answers {
		if p.Right {
			out[i] = 100
		}
	}
	return out
}
