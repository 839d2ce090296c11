package tasks

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"regexp"
	"strings"
)

// squad is the Stanford Question Answering Dataset v1.1 (Rajpurkar et al.
// 2016): a question about a paragraph, answered with a part of it. The
// development file gives several answers, of which the nearest counts; a prompt
// is trained on the first.
//
// The cast is T5's (t5/data/preprocessors.py, squad): spaces around all
// punctuation, in answers too, and a trained prompt writes them so. Scores do
// not see it, but for a full stop within a word: "U . S ." and "U.S." differ.
var squad = readingTask(Task{
	Name:        "squad",
	Description: "SQuAD v1.1: what part of a paragraph answers a question?",
	HeldOut:     500,
	Folders:     []string{"squad", "SQuAD", "."},
	Files: map[Split]File{
		Train:      {Name: "train-v1.1.json", Read: squadFile},
		Validation: {Name: "dev-v1.1.json", Read: squadFile},
	},
	Rows: map[Split]int{Train: 87599, Validation: 10570},
	Source: "https://rajpurkar.github.io/SQuAD-explorer/dataset/train-v1.1.json and dev-v1.1.json, " +
		"or as Parquet from Hugging Face's rajpurkar/squad",
})

// readingTask completes a task of SQuAD's kind.
func readingTask(t Task) *Task {
	t.Fields = []string{"question", "context"}
	t.Template = "question: {question} context: {context}"
	t.Metrics = []Metric{SquadEM, SquadF1}
	t.Tidy = tidyReading
	t.Prepare = padAnswers
	t.MaxInput, t.MaxTarget = 512, 64
	return &t
}

var (
	punctuation = regexp.MustCompile(`[[:punct:]]`)
	whitespace  = regexp.MustCompile(`\s+`)
)

// padded puts spaces around punctuation and makes one space of several (T5's
// _pad_punctuation; TensorFlow's expressions are RE2's, as Go's are).
func padded(text string) string {
	return whitespace.ReplaceAllString(punctuation.ReplaceAllString(text, " $0 "), " ")
}

// tidyReading pads a field. T5 joins the parts with single spaces, so those at
// the ends go, but for the one at the end of all.
func tidyReading(field, text string) string {
	text = strings.TrimLeft(padded(text), " ")
	if field == "question" {
		return strings.TrimRight(text, " ")
	}
	return text
}

// padAnswers pads the answers, which have to be there.
func padAnswers(r *Record) error {
	if len(r.Answers) == 0 {
		return errors.New("the question has no answer; SQuAD 2.0 has such, want version 1.1")
	}
	for i, answer := range r.Answers {
		if strings.TrimSpace(answer) == "" {
			return fmt.Errorf("answer %d is empty", i)
		}
		r.Answers[i] = padded(answer)
	}
	return nil
}

// maxArticle bounds an article with its questions; published ones have less
// than a megabyte.
const maxArticle = 16 << 20

// squadFile reads {"data": [article, …]}, each article with paragraphs, each
// paragraph with questions, one article at a time. A question is a row.
func squadFile(r io.Reader) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		d := json.NewDecoder(withoutMark(r))
		row, article := 0, 0
		more := true // rows are wanted
		err := eachItem(d, "data", func(raw json.RawMessage) (bool, error) {
			article++
			records, err := squadArticle(raw)
			if err != nil {
				return false, fmt.Errorf("article %d: %w", article, err)
			}
			for _, record := range records {
				row++
				record.Row = row
				if more = yield(record, nil); !more {
					return false, nil
				}
			}
			return true, nil
		})
		switch {
		case !more:
		case err != nil:
			yield(Record{}, fmt.Errorf("after row %d: %w", row, err))
		case row == 0:
			yield(Record{}, errors.New("the file has no rows"))
		}
	}
}

// eachItem gives the items of a list, which lies under a key of the file's one
// object, to a function until that says no.
func eachItem(d *json.Decoder, list string, do func(raw json.RawMessage) (bool, error)) error {
	if first, err := d.Token(); err != nil || first != json.Delim('{') {
		return fmt.Errorf("not a JSON object with %q in it: %w", list, orElse(err, errors.New("it begins otherwise")))
	}
	found := false
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return unexpected(err)
		}
		if key != list {
			if err := d.Decode(new(json.RawMessage)); err != nil {
				return unexpected(err)
			}
			continue
		}
		if open, err := d.Token(); err != nil || open != json.Delim('[') || found {
			return fmt.Errorf("%q: %w", list, orElse(err, errors.New("want one list")))
		}
		for found = true; d.More(); {
			var raw json.RawMessage
			if err := d.Decode(&raw); err != nil {
				return unexpected(err)
			}
			if more, err := do(raw); err != nil || !more {
				return err
			}
		}
		if _, err := d.Token(); err != nil {
			return unexpected(err)
		}
	}
	if _, err := d.Token(); err != nil {
		return fmt.Errorf("%w; the file is cut short", unexpected(err))
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("something follows the object")
	}
	if !found {
		return fmt.Errorf("the object has no %q", list)
	}
	return nil
}

// orElse is the error, or another in place of none.
func orElse(err, other error) error {
	if err != nil {
		return unexpected(err)
	}
	return other
}

// squadArticle reads the questions about an article.
func squadArticle(raw json.RawMessage) ([]Record, error) {
	if len(raw) > maxArticle {
		return nil, fmt.Errorf("longer than %d bytes", maxArticle)
	}
	if err := checkText(string(raw)); err != nil {
		return nil, err
	}
	article, err := parseObject(string(raw))
	if err != nil {
		return nil, fmt.Errorf("not a JSON object: %w", err)
	}
	paragraphs, err := article.objects("paragraphs")
	if err != nil {
		return nil, err
	}
	var records []Record
	for p, paragraph := range paragraphs {
		found, err := passageQuestions(paragraph, squadAnswers)
		if err != nil {
			return nil, fmt.Errorf("paragraph %d: %w", p+1, err)
		}
		records = append(records, found...)
	}
	return records, nil
}

// passageQuestions reads an object with a context and a list of questions,
// whose answers are read by a function.
func passageQuestions(passage jsonObject, answers func(qa jsonObject) ([]string, error)) ([]Record, error) {
	context, err := passage.text("context")
	if err != nil {
		return nil, err
	}
	questions, err := passage.objects("qas")
	if err != nil {
		return nil, err
	}
	var records []Record
	for i, qa := range questions {
		r := Record{Fields: map[string]string{"context": context}}
		if r.Fields["question"], err = qa.text("question"); err == nil {
			r.Answers, err = answers(qa)
		}
		if err != nil {
			return nil, fmt.Errorf("question %d: %w", i+1, err)
		}
		records = append(records, r)
	}
	return records, nil
}

// squadAnswers reads a list of objects with a text.
func squadAnswers(qa jsonObject) ([]string, error) {
	list, err := qa.objects("answers")
	if err != nil {
		return nil, err
	}
	var texts []string
	for i, answer := range list {
		text, err := answer.text("text")
		if err != nil {
			return nil, fmt.Errorf("answer %d: %w", i+1, err)
		}
		texts = append(texts, text)
	}
	return texts, nil
}
