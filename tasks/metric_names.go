package tasks

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A metric by its name in a task's YAML. Some depend on the number of classes.
var (
	classMetrics = map[string]func(classes int) Metric{
		"accuracy": func(int) Metric { return Accuracy },
	}
	textMetrics = map[string]func(classes int) Metric{}
)

// metricsByName returns metrics of classes, or of texts where there are no
// labels; without a name, the usual ones.
func metricsByName(names []string, labels []string) ([]Metric, error) {
	table, usual := classMetrics, []string{"accuracy"}
	if len(labels) == 0 {
		table, usual = textMetrics, []string{"exact_match", "f1"}
	}
	if len(names) == 0 {
		names = usual
	}
	var out []Metric
	for i, name := range names {
		metric := table[name]
		if metric == nil || slices.Contains(names[:i], name) {
			return nil, fmt.Errorf("metrics: %q, want some of %s, each once", name, strings.Join(slices.Sorted(maps.Keys(table)), ", "))
		}
		out = append(out, metric(len(labels)))
	}
	return out, nil
}
