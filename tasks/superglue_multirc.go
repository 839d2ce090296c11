package tasks

import (
	"fmt"
	"strings"
)

// multiRC is questions about a paragraph, each with several answers of which
// any number is right. A row is one answer, and the answers to a question are a
// group: EM asks for all of them.
//
// T5 gives the order of the fields and takes the paragraphs' HTML away
// (t5/data/preprocessors.py, glue); the files of SuperGLUE v2 have none left.
// Three published answers are empty. In the built-in model's tokens a third of
// the inputs is over 512, and the end of the paragraph is cut.
var multiRC = superGLUETask("MultiRC", Task{
	Name:        "multirc",
	Description: "MultiRC: is an answer to a question about a paragraph right?",
	Fields:      []string{"question", "answer", "paragraph"},
	Blank:       []string{"answer"},
	Labels:      []string{"False", "True"},
	Template:    "question: {question} answer: {answer} paragraph: {paragraph}",
	Metrics:     []Metric{MultiRCF1a, MultiRCEM},
	Tidy:        withoutHTML,
	MaxInput:    512,
	Rows:        map[Split]int{Train: 27243, Validation: 4848},
	LabelValues: []string{"0", "1"},
}, multiRCFile)

// html is what T5 takes away, in its order.
var html = strings.NewReplacer("<br>", " ", "<b>", "", "</b>", "")

// withoutHTML cleans a field. T5 cleans the cast text, which differs only where
// a tag would begin in one field and end in the next.
func withoutHTML(_, text string) string { return html.Replace(text) }

// multiRCFile reads a passage with its questions and their answers from each
// line.
func multiRCFile(labelled bool) Reader {
	return jsonLines(func(line jsonObject) ([]Record, error) {
		number, passage, paragraph, err := superGLUEPassage(line)
		if err != nil {
			return nil, err
		}
		questions, err := passage.objects("questions")
		if err != nil {
			return nil, fmt.Errorf("in the passage: %w", err)
		}
		var records []Record
		for i, question := range questions {
			found, err := multiRCAnswers(question, labelled)
			if err != nil {
				return nil, fmt.Errorf("in question %d: %w", i, err)
			}
			for _, r := range found {
				r.Fields["paragraph"] = paragraph
				r.Group = fmt.Sprintf("%d:%s", number, r.Group)
				records = append(records, r)
			}
		}
		return records, nil
	})
}

// multiRCAnswers reads the answers to a question, whose number is their group.
func multiRCAnswers(question jsonObject, labelled bool) ([]Record, error) {
	number, err := question.integer("idx")
	if err != nil {
		return nil, err
	}
	text, err := question.text("question")
	if err != nil {
		return nil, err
	}
	answers, err := question.objects("answers")
	if err != nil {
		return nil, err
	}
	var records []Record
	for i, answer := range answers {
		fields := map[string]string{"question": text}
		if fields["answer"], err = answer.text("text"); err == nil && labelled {
			fields["label"], err = answer.field(JSONField{"label", JSONInteger})
		}
		if err != nil {
			return nil, fmt.Errorf("in answer %d: %w", i, err)
		}
		records = append(records, Record{Fields: fields, Group: fmt.Sprint(number)})
	}
	return records, nil
}
