package tasks

import (
	"fmt"
	"math"
)

// F1 is the F1 of class 1, of a task with two. An output that names neither
// class counts as the wrong one, as in T5's f1_score_with_invalid
// (t5/evaluation/metrics.py), so it is a false positive or a false negative.
// It is 0 where class 1 is neither there nor predicted, as in scikit-learn.
var F1 = classMetric("f1", binaryF1)

// MultiRCF1a is MultiRC's F1a: [F1] over the answers to all questions
// (multirc_f1_over_all_answers).
var MultiRCF1a = classMetric("f1a", binaryF1)

func binaryF1(gold, pred []int) float64 {
	var n counts
	for i, g := range gold {
		p := pred[i]
		if p != 0 && p != 1 {
			p = 1 - g
		}
		n.add(g == 1, p == 1)
	}
	return 100 * n.f1()
}

// MacroF1 is the mean of the F1 of each of a task's classes, as CB is scored
// (T5's mean_multiclass_f1, scikit-learn's f1_score with average="macro" and
// the labels given). A class that is neither there nor predicted has 0 and
// counts; an output that names none only misses its class.
func MacroF1(classes int) Metric {
	return classMetric("macro_f1", func(gold, pred []int) float64 {
		var sum float64
		for class := range classes {
			var n counts
			for i, g := range gold {
				n.add(g == class, pred[i] == class)
			}
			sum += n.f1()
		}
		return 100 * sum / float64(classes)
	})
}

// counts are what F1 of a class is made from.
type counts struct{ hits, wrong, missed int }

func (n *counts) add(is, said bool) {
	switch {
	case is && said:
		n.hits++
	case said:
		n.wrong++
	case is:
		n.missed++
	}
}

func (n *counts) f1() float64 {
	all := 2*n.hits + n.wrong + n.missed
	if all == 0 {
		return 0
	}
	return float64(2*n.hits) / float64(all)
}

// MultiRCEM is MultiRC's exact match: the percentage of questions with every
// answer judged right. [Example.Group] says which question an answer is to.
var MultiRCEM = Metric{"em", func(gold []Example, pred []Prediction) float64 {
	right := map[string]bool{}
	for i, ex := range gold {
		group := groupOf(ex, i)
		before, known := right[group]
		right[group] = (before || !known) && pred[i].Class == ex.Label
	}
	hits := 0
	for _, ok := range right {
		if ok {
			hits++
		}
	}
	return 100 * float64(hits) / float64(len(right))
}}

// groupOf is the group of the example at index i. One without a group stands
// alone.
func groupOf(ex Example, i int) string {
	if ex.Group == "" {
		return fmt.Sprintf("\x00%d", i)
	}
	return ex.Group
}

// Matthews is Matthews' correlation over all classes (scikit-learn's
// matthews_corrcoef, Gorodkin 2004), in which an output that names none is a
// class of its own. Where all examples or all predictions are of one class,
// it is 0.
var Matthews = classMetric("matthews", func(gold, pred []int) float64 {
	is, said := map[int]float64{}, map[int]float64{}
	var hits float64
	for i, g := range gold {
		is[g]++
		said[pred[i]]++
		if g == pred[i] {
			hits++
		}
	}
	n := float64(len(gold))
	both, golds, preds := hits*n, n*n, n*n
	for class, k := range is {
		both -= k * said[class]
		golds -= k * k
	}
	for _, k := range said {
		preds -= k * k
	}
	if golds == 0 || preds == 0 {
		return 0
	}
	return 100 * both / math.Sqrt(golds*preds)
})
