package tasks

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// classes makes examples and predictions of classes, -1 for none.
func classes(gold, pred []int) ([]Example, []Prediction) {
	examples, predictions := make([]Example, len(gold)), make([]Prediction, len(pred))
	for i := range gold {
		examples[i].Label, predictions[i].Class = gold[i], pred[i]
	}
	return examples, predictions
}

// near tells whether two scores are one but for rounding, NaN equal to itself.
func near(a, b float64) bool {
	return math.Abs(a-b) <= 1e-9 || math.IsNaN(a) && math.IsNaN(b)
}

// By hand; testdata/metrics.json.gz has what the official scorers say.
func TestClassMetrics(t *testing.T) {
	for _, c := range []struct {
		name       string
		metric     Metric
		gold, pred []int
		want       float64
	}{
		{"all right", F1, []int{0, 1, 1}, []int{0, 1, 1}, 100},
		{"one of each kind", F1, []int{1, 1, 0, 0}, []int{1, 0, 1, 0}, 50},
		{"no class 1", F1, []int{0, 0}, []int{0, 0}, 0},
		{"none named is the opposite", F1, []int{1, 1, 0}, []int{1, -1, -1}, 50}, // 2·1/(2+1+1)
		{"MultiRC pools all", MultiRCF1a, []int{1, 1, 0}, []int{1, -1, -1}, 50},
		{"a class that never comes", MacroF1(3), []int{0, 1}, []int{0, 1}, 200.0 / 3},
		{"none named only misses", MacroF1(2), []int{0, 0, 1}, []int{0, -1, 1}, 100 * (2.0/3 + 1) / 2},
		{"a perfect correlation", Matthews, []int{0, 1, 1}, []int{0, 1, 1}, 100},
		{"one class predicted", Matthews, []int{0, 1, 1}, []int{1, 1, 1}, 0},
		{"one class there", Matthews, []int{1, 1, 1}, []int{0, 1, 1}, 0},
		{"all wrong", Matthews, []int{0, 1, 0, 1}, []int{1, 0, 1, 0}, -100},
		{"none is a class", Matthews, []int{0, 1}, []int{0, -1}, 100 * 1 / math.Sqrt(4)},
	} {
		if got := c.metric.Score(classes(c.gold, c.pred)); !near(got, c.want) {
			t.Errorf("%s: %s is %v, want %v", c.name, c.metric.Name, got, c.want)
		}
	}
}

func TestMultiRCEM(t *testing.T) {
	gold, pred := classes([]int{0, 1, 1, 0, 1, 0}, []int{0, 1, 1, 1, 1, -1})
	for i, group := range []string{"a", "b", "a", "b", "", ""} {
		gold[i].Group = group
	}
	// a is right, b is not, and those without a group are questions of their own.
	if got := MultiRCEM.Score(gold, pred); got != 50 {
		t.Errorf("%v, want 50", got)
	}
}

// A metric does not depend on the order of the rows, and a right answer to all
// of them is 100 wherever class 1 is among them.
func TestClassMetricsProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 30).Draw(t, "n")
		gold := rapid.SliceOfN(rapid.IntRange(0, 1), n, n).Draw(t, "gold")
		pred := rapid.SliceOfN(rapid.IntRange(-1, 1), n, n).Draw(t, "pred")
		gold[0], gold[1] = 0, 1
		for _, m := range []Metric{F1, MacroF1(2), Matthews, MultiRCF1a, Accuracy} {
			if got := m.Score(classes(gold, gold)); !near(got, 100) {
				t.Fatalf("%s of the truth is %v", m.Name, got)
			}
			backGold, backPred := make([]int, n), make([]int, n)
			for i := range n {
				backGold[i], backPred[i] = gold[n-1-i], pred[n-1-i]
			}
			there, back := m.Score(classes(gold, pred)), m.Score(classes(backGold, backPred))
			if !near(there, back) || there > 100 || there < -100 {
				t.Fatalf("%s is %v, and %v backwards", m.Name, there, back)
			}
		}
	})
}
