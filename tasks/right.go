package tasks

import "slices"

// Right tells whether a prediction answers an example rightly: its class, or
// one of its answers as SQuAD compares texts. It is what runs are compared by,
// answer for answer, whatever the task's own metric.
func (t *Task) Right(ex Example, p Prediction) bool {
	if len(t.Labels) > 0 {
		return ex.Label >= 0 && p.Class == ex.Label
	}
	return slices.ContainsFunc(ex.Answers, func(answer string) bool { return exactMatch(answer, p.Text) == 1 })
}

// Gold says what is right, for people: the class's name or the first answer.
func (t *Task) Gold(ex Example) string {
	switch {
	case ex.Label >= 0:
		return t.Labels[ex.Label]
	case len(ex.Answers) > 0:
		return ex.Answers[0]
	}
	return ""
}

// Answer says what a prediction is, for people: a class's name, or the text.
func (t *Task) Answer(p Prediction) string {
	if p.Class >= 0 && p.Class < len(t.Labels) {
		return t.Labels[p.Class]
	}
	return p.Text
}
