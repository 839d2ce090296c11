package tasks

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestEvaluate(t *testing.T) {
	gold := []int{0, 0, 0, 1, 1, 1, 1, 1}
	pred := []int{0, 1, -1, 1, 1, 1, 0, -1}
	got, err := EvaluateClasses(lookup(t, "sst2"), gold, pred)
	if err != nil {
		t.Fatal(err)
	}
	want := Report{
		Task: "sst2", Examples: 8, Labels: []string{"negative", "positive"},
		Metrics: map[string]float64{"accuracy": 50}, Score: 50,
		Majority: 62.5, MajorityLabel: "positive",
		Gold: []int{3, 5}, Predicted: []int{2, 4},
		Confusion: [][]int{{1, 1, 1}, {1, 3, 1}},
		Illegal:   2, IllegalShare: 0.25,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	wantText := `{"task":"sst2","examples":8,"labels":["negative","positive"],"metrics":{"accuracy":50},"score":50,` +
		`"majority":62.5,"majority_label":"positive","gold":[3,5],"predicted":[2,4],"confusion":[[1,1,1],[1,3,1]],` +
		`"illegal":2,"illegal_share":0.25}`
	if diff := cmp.Diff(wantText, string(text)); diff != "" {
		t.Error(diff)
	}
}

func TestEvaluateWarns(t *testing.T) {
	for name, c := range map[string]struct {
		gold, pred []int
		warning    string
	}{
		"one label":             {[]int{0, 1, 1}, []int{1, 1, 1}, `every legal prediction is "positive"`},
		"one label and illegal": {[]int{0, 1, 1}, []int{0, -1, 0}, `every legal prediction is "negative"`},
		"nothing legal":         {[]int{0, 1}, []int{-1, -1}, "no output is a label word"},
		"both labels":           {[]int{0, 1, 1}, []int{0, 1, 1}, ""},
		"both labels, wrong":    {[]int{0, 1}, []int{1, 0}, ""},
		"one gold label":        {[]int{1, 1}, []int{1, 1}, ""},
	} {
		r, err := EvaluateClasses(lookup(t, "sst2"), c.gold, c.pred)
		if err != nil || !strings.HasPrefix(r.Warning, c.warning) || (c.warning == "") != (r.Warning == "") {
			t.Errorf("%s: warning %q, %v; want %q", name, r.Warning, err, c.warning)
		}
	}
}

func TestEvaluateErrors(t *testing.T) {
	task := lookup(t, "sst2")
	free := *task
	free.Labels = nil
	for message, c := range map[string]struct {
		task       *Task
		gold, pred []int
	}{
		"evaluating sst2: 1 predictions for 2 examples":              {task, []int{0, 1}, []int{0}},
		"evaluating sst2: no examples":                               {task, nil, nil},
		"example 1 has the class -1, want 0 to 1: this split has no": {task, []int{0, -1}, []int{0, 0}},
		"example 0 has the class 2":                                  {task, []int{2}, []int{0}},
		"prediction 1 is the class 2, want -1 to 1":                  {task, []int{0, 1}, []int{0, 2}},
		"prediction 0 is the class -2":                               {task, []int{0}, []int{-2}},
		"example 0 has no answer: this split has none":               {&free, []int{0}, []int{0}},
	} {
		if _, err := EvaluateClasses(c.task, c.gold, c.pred); err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("error %v, want %q in it", err, message)
		}
	}
}

// A task with several metrics is scored by their mean.
func TestEvaluateMeansMetrics(t *testing.T) {
	task := *lookup(t, "sst2")
	task.Metrics = []Metric{Accuracy, {"constant", func([]Example, []Prediction) float64 { return 10 }}}
	r, err := EvaluateClasses(&task, []int{0, 1}, []int{0, 1})
	if err != nil || r.Score != 55 || r.Metrics["accuracy"] != 100 || r.Metrics["constant"] != 10 || r.Majority != 30 {
		t.Errorf("%+v, %v", r, err)
	}
}

// Whatever the predictions, the counts agree with one another and accuracy
// with the diagonal.
func TestReportProperties(t *testing.T) {
	task := *lookup(t, "sst2")
	task.Labels = []string{"a", "b", "c"}
	rapid.Check(t, func(t *rapid.T) {
		gold := rapid.SliceOfN(rapid.IntRange(0, 2), 1, 40).Draw(t, "gold")
		pred := rapid.SliceOfN(rapid.IntRange(-1, 2), len(gold), len(gold)).Draw(t, "pred")
		r, err := EvaluateClasses(&task, gold, pred)
		if err != nil {
			t.Fatal(err)
		}
		columns, diagonal := make([]int, 4), 0
		for class, row := range r.Confusion {
			sum := 0
			for p, n := range row {
				sum += n
				columns[p] += n
			}
			if sum != r.Gold[class] {
				t.Fatalf("row %d of %v sums to %d, gold %v", class, r.Confusion, sum, r.Gold)
			}
			diagonal += row[class]
		}
		if diff := cmp.Diff(columns, append(append([]int{}, r.Predicted...), r.Illegal)); diff != "" {
			t.Fatal(diff)
		}
		if want := 100 * float64(diagonal) / float64(len(gold)); math.Abs(r.Metrics["accuracy"]-want) > 1e-9 {
			t.Fatalf("accuracy %g, want %g", r.Metrics["accuracy"], want)
		}
		if r.Majority < 100.0/3-1e-9 || r.Majority > 100 {
			t.Fatalf("majority %g of three classes", r.Majority)
		}
	})
}

// A task of text is scored by its answers; what can be right is counted.
func TestEvaluateTexts(t *testing.T) {
	same := Metric{"same", func(gold []Example, pred []Prediction) float64 {
		hits := 0.0
		for i, ex := range gold {
			if slices.Contains(ex.Answers, pred[i].Text) {
				hits += 100
			}
		}
		return hits / float64(len(gold))
	}}
	task := &Task{Name: "qa", Metrics: []Metric{same}}
	gold := []Example{
		{Answers: []string{"Paris", "the city of Paris"}, Target: "Paris"},
		{Answers: []string{"1990"}, Target: "1990"},
		{Answers: []string{"Paris"}, Target: "Paris"},
		{Answers: []string{"Rome"}, Target: "Rome", Choices: []string{"Rome", "Pisa"}},
	}
	write := func(texts ...string) []Prediction {
		var pred []Prediction
		for _, text := range texts {
			pred = append(pred, Prediction{Class: -1, Text: text})
		}
		return pred
	}
	got, err := Evaluate(task, gold, write("the city of Paris", "", "Oslo", "Bari"))
	want := Report{
		Task: "qa", Examples: 4, Metrics: map[string]float64{"same": 25}, Score: 25,
		Majority: 50, MajorityLabel: "Paris", Illegal: 2, IllegalShare: 0.5,
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	got, err = Evaluate(task, gold, write("a", "a", "a", "a"))
	if err != nil || !strings.HasPrefix(got.Warning, `every prediction is "a"`) {
		t.Errorf("warning %q, %v", got.Warning, err)
	}
}

// The correlation with a constant is none. A report has 0 then, which JSON can
// hold, and says what is wrong.
func TestEvaluateUndefined(t *testing.T) {
	task := &Task{Name: "similar", Metrics: []Metric{Pearson, Spearman}}
	gold, pred := numbers("1 2 3", "2 2 2")
	got, err := Evaluate(task, gold, pred)
	if err != nil || got.Score != 0 || got.Metrics["pearson"] != 0 || got.Majority != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := json.Marshal(got); err != nil || !strings.Contains(got.Warning, `every prediction is "2"`) {
		t.Errorf("warning %q, JSON %v", got.Warning, err)
	}
	gold, pred = numbers("1 2 3", "2 3 4")
	if got, err := Evaluate(task, gold, pred); err != nil || !near(got.Score, 100) || got.Warning != "" {
		t.Errorf("%+v, %v", got, err)
	}
}
