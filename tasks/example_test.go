package tasks_test

import (
	"context"
	"fmt"
	"log"
	"math"

	"softprompt/onnx/hint"
	"softprompt/tasks"
)

func Example() {
	task, err := tasks.Lookup("sst2")
	if err != nil {
		log.Fatal(err)
	}
	examples, err := task.Load(context.Background(), tasks.Validation, tasks.LoadOptions{Limit: 2})
	if err != nil {
		log.Fatal(err)
	}
	for _, ex := range examples {
		fmt.Printf("%s %q -> %q\n", ex.ID, ex.Input, ex.Target)
	}
	// Output:
	// validation:0 "sentence: it 's a charming and often affecting journey . " -> "positive"
	// validation:1 "sentence: unflinchingly bleak and desperate " -> "negative"
}

func ExampleLookup() {
	_, err := tasks.Lookup("sst-2")
	fmt.Println("error:", err)
	fmt.Println("hint:", hint.Of(err))
	// Output:
	// error: no task named "sst-2"
	// hint: did you mean sst2?
}

func ExampleTask_With() {
	task, err := tasks.Lookup("sst2")
	if err != nil {
		log.Fatal(err)
	}
	words, err := tasks.ParseVerbalizer("negative=terrible;positive=great,good", task.Labels)
	if err != nil {
		log.Fatal(err)
	}
	task, err = task.With("{sentence} It was", words)
	if err != nil {
		log.Fatal(err)
	}
	input, err := task.CastText("a gorgeous , witty , seductive movie .")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(input)
	fmt.Println(task.Labels[task.Postprocess("good", tasks.Example{}).Class])
	// Output:
	// a gorgeous , witty , seductive movie . It was
	// positive
}

// Rank classification: a model has given each label word a log-probability.
func ExampleVerbalizer_Scores() {
	v := tasks.Verbalizer{
		Words:     [][]string{{"terrible", "awful"}, {"great"}},
		Aggregate: tasks.AggregateSum,
	}
	words := v.Group([]float64{math.Log(0.2), math.Log(0.2), math.Log(0.3)}) // in the order of v.List()
	scores := v.Scores(words)
	fmt.Printf("%.1f %.1f, class %d\n", math.Exp(scores[0]), math.Exp(scores[1]), tasks.Best(scores))
	// Output:
	// 0.4 0.3, class 0
}

func ExampleEvaluateClasses() {
	task, err := tasks.Lookup("sst2")
	if err != nil {
		log.Fatal(err)
	}
	report, err := tasks.EvaluateClasses(task, []int{0, 1, 1, 1}, []int{1, 1, 1, 1})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("accuracy %.1f, majority %.1f\n", report.Metrics["accuracy"], report.Majority)
	fmt.Println(report.Warning)
	// Output:
	// accuracy 75.0, majority 75.0
	// every legal prediction is "positive": the score says how common that label is, not how well the model tells labels apart
}
