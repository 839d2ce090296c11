package tasks

// Metric scores predicted classes against gold ones, both of equal length
// and not empty. A prediction of -1 is an output that names no class and
// counts as wrong. Scores are percentages, higher is better.
type Metric struct {
	Name  string
	Score func(gold, pred []int) float64
}

// Accuracy is the percentage of predictions that are right.
var Accuracy = Metric{"accuracy", func(gold, pred []int) float64 {
	hits := 0
	for i, g := range gold {
		if pred[i] == g {
			hits++
		}
	}
	return 100 * float64(hits) / float64(len(gold))
}}
