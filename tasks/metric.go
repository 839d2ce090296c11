package tasks

// Metric scores predictions against examples, both of equal length and not
// empty. A class of -1 is an output that names none and counts as wrong, in
// the way that the metric's official scorer has it. Scores are percentages,
// higher is better.
type Metric struct {
	Name  string
	Score func(gold []Example, pred []Prediction) float64
}

// classMetric is a metric of classes alone.
func classMetric(name string, score func(gold, pred []int) float64) Metric {
	return Metric{name, func(gold []Example, pred []Prediction) float64 {
		g, p := make([]int, len(gold)), make([]int, len(pred))
		for i := range gold {
			g[i], p[i] = gold[i].Label, pred[i].Class
		}
		return score(g, p)
	}}
}

// Accuracy is the percentage of classes that are right.
var Accuracy = classMetric("accuracy", func(gold, pred []int) float64 {
	hits := 0
	for i, g := range gold {
		if pred[i] == g {
			hits++
		}
	}
	return 100 * float64(hits) / float64(len(gold))
})
