package tasks

import (
	"fmt"
	"slices"
	"strings"
)

// metricsOfClasses and metricsOfTexts are what a task in YAML can name. F1 is
// that of class 1 against class 0.
func metricsOfClasses(classes int) []Metric {
	list := []Metric{Accuracy, MacroF1(classes), Matthews}
	if classes == 2 {
		list = append(list, F1)
	}
	return list
}

var metricsOfTexts = []Metric{SquadEM, SquadF1, Rouge1, Rouge2, RougeLsum, Pearson, Spearman}

// metricsByName returns metrics of so many classes, 0 for texts. Without a
// name it is accuracy, or exact match and F1 of words.
func metricsByName(names []string, classes int) ([]Metric, error) {
	known, usual := metricsOfClasses(classes), []Metric{Accuracy}
	if classes == 0 {
		known, usual = metricsOfTexts, []Metric{SquadEM, SquadF1}
	}
	if len(names) == 0 {
		return usual, nil
	}
	var out []Metric
	for i, name := range names {
		at := slices.IndexFunc(known, func(m Metric) bool { return m.Name == name })
		if at < 0 || slices.Contains(names[:i], name) {
			var all []string
			for _, m := range known {
				all = append(all, m.Name)
			}
			return nil, fmt.Errorf("metrics: %q, want some of %s, each once", name, strings.Join(all, ", "))
		}
		out = append(out, known[at])
	}
	return out, nil
}
