package tasks

import (
	"fmt"
	"maps"
	"slices"

	"softprompt/onnx/hint"
)

// Shots returns k examples of each class, in the order that they have: the
// few rows of few-shot tuning. The choice is random by seed, and that of k is
// part of that of k+1. Examples without a class, as those that are answered by
// text, are one class. k of 0 or less is all of them; a class that has fewer
// than k is an error.
func Shots(t *Task, examples []Example, k int, seed uint64) ([]Example, error) {
	if k <= 0 {
		return examples, nil
	}
	left := map[int]int{-1: k}
	for class := range t.Labels {
		left[class] = k
	}
	if len(t.Labels) > 0 {
		delete(left, -1)
	}
	var chosen []int
	for _, row := range byKey(len(examples), seed, streamShots) {
		if label := examples[row].Label; left[label] > 0 {
			left[label]--
			chosen = append(chosen, row)
		}
	}
	for _, class := range slices.Sorted(maps.Keys(left)) {
		if left[class] > 0 {
			of := "that are left"
			if class >= 0 {
				of = fmt.Sprintf("of the label %q", t.Labels[class])
			}
			return nil, hint.Wrap(fmt.Errorf("task %s: there are %d training rows %s, and shots wants %d", t.Name, k-left[class], of, k),
				"choose fewer shots, or keep fewer rows back")
		}
	}
	slices.Sort(chosen)
	few := make([]Example, len(chosen))
	for i, row := range chosen {
		few[i] = examples[row]
	}
	return few, nil
}

// Balance returns the examples with those of smaller classes repeated, so that
// every class has as many as the largest: whole copies as far as they go, then
// a choice that is random by seed. The order is kept, copies follow at the
// end. An epoch over the result shows every class equally often.
func Balance(examples []Example, seed uint64) []Example {
	classes := map[int][]int{}
	largest := 0
	for _, row := range byKey(len(examples), seed, streamBalance) {
		label := examples[row].Label
		classes[label] = append(classes[label], row)
		largest = max(largest, len(classes[label]))
	}
	out := slices.Clone(examples)
	for _, label := range slices.Sorted(maps.Keys(classes)) {
		rows := classes[label]
		for i := len(rows); i < largest; i++ {
			out = append(out, examples[rows[i%len(rows)]])
		}
	}
	return out
}
