package tasks

import (
	"fmt"
	"math"
	"strconv"
)

// stsb asks how alike two sentences are, from 0 to 5. T5 writes the number: a
// prompt is trained on it rounded to fifths, and a written text is read as a
// number again. The row's answer is the number as published, which the metrics
// go by, as GLUE's own do; T5's are held against the rounded one.
var stsb = glueTask("STS-B", "STS-B", Task{
	Name:        "stsb",
	Description: "STS-B: how alike are two sentences, from 0 to 5?",
	Fields:      []string{"sentence1", "sentence2"},
	Template:    "sentence1: {sentence1} sentence2: {sentence2}",
	Metrics:     []Metric{Pearson, Spearman},
	Prepare:     readScore,
	Targets:     fifths,
	MaxInput:    192,
	HeldOut:     500,
	Rows:        map[Split]int{Train: 5749, Validation: 1500},
}, glueFiles{
	labelled: TSVFile{Columns: []string{"sentence1", "sentence2", "score"}, Among: true},
	bare:     TSVFile{Columns: []string{"sentence1", "sentence2"}, Among: true},
})

// readScore makes the score of a row its answer.
func readScore(r *Record) error {
	text, ok := r.Fields["score"]
	if !ok {
		return nil
	}
	if score, err := strconv.ParseFloat(text, 32); err != nil || !(score >= 0 && score <= 5) {
		return fmt.Errorf("the score is %.40q, want a number from 0 to 5", text)
	}
	r.Answers = []string{text}
	return nil
}

// fifths rounds a score to fifths and writes it with one digit, halves to the
// even fifth, in float32 (T5's stsb, t5/data/preprocessors.py).
func fifths(ex Example) []string {
	if len(ex.Answers) == 0 {
		return nil
	}
	score, err := strconv.ParseFloat(ex.Answers[0], 32)
	if err != nil {
		return nil
	}
	rounded := float32(math.RoundToEven(float64(float32(score)*5))) / 5
	return []string{fmt.Sprintf("%.1f", rounded)}
}
