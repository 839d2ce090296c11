package report

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"softprompt/prompt/tune"
	"softprompt/tasks"
)

// Report is runs in groups.
type Report struct {
	// Keys name the settings that tell groups apart, the task first.
	Keys   []string `json:"keys"`
	Groups []*Group `json:"groups"`
	// Alone has a folder of each group that [Report.Against] found nothing to
	// compare with.
	Alone []string `json:"alone,omitempty"`
}

// Group is runs that differ in their seed alone, or in what decides nothing.
type Group struct {
	Values    map[string]string `json:"settings"` // of the report's keys
	Runs      []*tune.Ended     `json:"-"`
	Folders   []string          `json:"folders"`
	Metric    string            `json:"metric"`
	Examples  int               `json:"examples"`
	Scores    []float64         `json:"scores"` // of each run
	Mean      float64           `json:"mean"`
	Deviation float64           `json:"deviation"` // the sample's, 0 of one run
	Best      float64           `json:"best"`
	NoPrompt  float64           `json:"no_prompt"` // mean
	Majority  float64           `json:"majority"`
	// Chosen says that a step was chosen on the reported rows.
	Chosen  bool     `json:"chosen_on_it,omitempty"`
	Against *Against `json:"against,omitempty"`
}

// quiet are settings that are no experiment's subject: they say where and how
// a run was made, or which of several alike it was.
var quiet = []string{"seed", "device", "threads", "micro_batch", "workers", "log_every", "memory"}

// first are the settings that name an experiment; others follow in the order
// in which settings are declared.
var first = []string{"task", "model", "method"}

// New groups runs. A setting tells groups apart if two runs differ in it that
// agree in all that come before it: what follows from the task or the method,
// as a learning rate, is not named again.
func New(runs []*tune.Ended) *Report {
	values := make([]map[string]string, len(runs))
	for i, r := range runs {
		values[i] = settingsOf(r.Settings)
	}
	r := &Report{Keys: []string{"task"}}
	for _, key := range order() {
		if key != "task" && tells(values, r.Keys, key) {
			r.Keys = append(r.Keys, key)
		}
	}
	for i, run := range runs {
		own := only(values[i], r.Keys)
		at := slices.IndexFunc(r.Groups, func(g *Group) bool { return maps.Equal(g.Values, own) })
		if at < 0 {
			at = len(r.Groups)
			r.Groups = append(r.Groups, &Group{Values: own})
		}
		r.Groups[at].add(run)
	}
	for _, g := range r.Groups {
		g.sum()
	}
	slices.SortStableFunc(r.Groups, func(a, b *Group) int {
		for _, k := range r.Keys {
			if d := compareValues(a.Values[k], b.Values[k]); d != 0 {
				return d
			}
		}
		return 0
	})
	return r
}

// compareValues orders numbers by size, and behind them texts by their letters.
func compareValues(a, b string) int {
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	switch {
	case errX == nil && errY == nil:
		return cmp.Or(cmp.Compare(x, y), strings.Compare(a, b))
	case errX == nil:
		return -1
	case errY == nil:
		return 1
	}
	return strings.Compare(a, b)
}

// order lists the settings that can tell groups apart.
func order() []string {
	keys := slices.Clone(first)
	t := reflect.TypeFor[tune.Settings]()
	for i := range t.NumField() {
		key := t.Field(i).Tag.Get("yaml")
		if !slices.Contains(keys, key) && !slices.Contains(quiet, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// settingsOf returns settings as text, by key.
func settingsOf(s tune.Settings) map[string]string {
	out := map[string]string{}
	v := reflect.ValueOf(s)
	for i := range v.NumField() {
		out[v.Type().Field(i).Tag.Get("yaml")] = fmt.Sprint(v.Field(i).Interface())
	}
	return out
}

func only(values map[string]string, keys []string) map[string]string {
	out := map[string]string{}
	for _, k := range keys {
		out[k] = values[k]
	}
	return out
}

// tells reports whether two runs that agree in the keys differ in another.
func tells(values []map[string]string, keys []string, key string) bool {
	seen := map[string]string{}
	for _, v := range values {
		var before strings.Builder
		for _, k := range keys {
			fmt.Fprintf(&before, "%q ", v[k])
		}
		was, ok := seen[before.String()]
		if ok && was != v[key] {
			return true
		}
		seen[before.String()] = v[key]
	}
	return false
}

func (g *Group) add(r *tune.Ended) {
	g.Runs = append(g.Runs, r)
	g.Folders = append(g.Folders, r.Dir)
	v := r.Validation
	g.Metric, g.Examples, g.Majority = v.Metric, v.Examples, v.Majority
	g.Chosen = g.Chosen || v.Chosen
	g.Scores = append(g.Scores, v.Tuned)
	g.NoPrompt += v.NoPrompt
}

func (g *Group) sum() {
	n := float64(len(g.Runs))
	g.NoPrompt /= n
	g.Mean, g.Deviation = tasks.Spread(g.Scores)
	g.Best = slices.Max(g.Scores)
}

// SuperGLUE is the benchmark's score of groups that differ in the task alone.
type SuperGLUE struct {
	Values  map[string]string `json:"settings"` // of the report's keys but the task
	Score   float64           `json:"score"`
	Missing []string          `json:"missing,omitempty"` // tasks without a run
}

// SuperGLUE returns the benchmark's score over the tasks that were run, for
// each set of settings under which at least two of them were.
func (r *Report) SuperGLUE() []SuperGLUE {
	var out []SuperGLUE
	var sets []map[string]float64
	for _, g := range r.Groups {
		own := only(g.Values, r.Keys[1:])
		at := slices.IndexFunc(out, func(s SuperGLUE) bool { return maps.Equal(s.Values, own) })
		if at < 0 {
			at = len(out)
			out, sets = append(out, SuperGLUE{Values: own}), append(sets, map[string]float64{})
		}
		sets[at][g.Values["task"]] = g.Mean
	}
	var kept []SuperGLUE
	for i, s := range out {
		var ok bool
		if s.Score, s.Missing, ok = tasks.SuperGLUEScore(sets[i]); ok && len(s.Missing) < 7 {
			kept = append(kept, s)
		}
	}
	return kept
}
