package tasks

import "testing"

// TestRight: classes by themselves, texts as SQuAD compares them.
func TestRight(t *testing.T) {
	classes := &Task{Labels: []string{"no", "yes"}}
	text := &Task{}
	for _, c := range []struct {
		task         *Task
		ex           Example
		p            Prediction
		right        bool
		gold, answer string
	}{
		{classes, Example{Label: 1}, Prediction{Class: 1, Text: "great"}, true, "yes", "yes"},
		{classes, Example{Label: 1}, Prediction{Class: 0}, false, "yes", "no"},
		{classes, Example{Label: 1}, Prediction{Class: -1, Text: "perhaps"}, false, "yes", "perhaps"},
		{classes, Example{Label: -1}, Prediction{Class: -1}, false, "", ""},
		{text, Example{Label: -1, Answers: []string{"Rome", "The City"}}, Prediction{Class: -1, Text: "city."}, true, "Rome", "city."},
		{text, Example{Label: -1, Answers: []string{"Rome"}}, Prediction{Class: -1, Text: "Roma"}, false, "Rome", "Roma"},
		{text, Example{Label: -1}, Prediction{Class: -1, Text: ""}, false, "", ""},
	} {
		if got := c.task.Right(c.ex, c.p); got != c.right {
			t.Errorf("%+v to %+v is right: %v", c.p, c.ex, got)
		}
		if g, a := c.task.Gold(c.ex), c.task.Answer(c.p); g != c.gold || a != c.answer {
			t.Errorf("%+v: gold %q and answer %q, want %q and %q", c.p, g, a, c.gold, c.answer)
		}
	}
}
