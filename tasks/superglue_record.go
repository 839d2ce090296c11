package tasks

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// record is ReCoRD: which of the entities that a news text names belongs at
// the gap in a query about it. The row's choices are the entities, its answers
// those that are right, each of which is a target of its own in training (T5's
// record, t5/data/preprocessors.py). Where the paper starts from class labels
// it takes the words of the task's name (appendix, as there are no classes).
var record = superGLUETask("ReCoRD", Task{
	Name:        "record",
	Description: "ReCoRD: which entity of a news text fills the gap in a sentence about it?",
	Fields:      []string{"query", "entities", "passage"},
	Template:    "query: {query} entities: {entities} passage: {passage}",
	Metrics:     []Metric{RecordEM, RecordF1},
	InitWords:   []string{"commonsense", "reasoning", "reading", "comprehension"},
	Prepare:     castRecord,
	Targets:     func(ex Example) []string { return ex.Answers },
	MaxInput:    512,
	MaxTarget:   32,
	Rows:        map[Split]int{Train: 100730, Validation: 10000},
}, recordFile)

var (
	highlightAfterStop = regexp.MustCompile(`([.?!"'])\n@highlight\n`)
	highlight          = regexp.MustCompile(`\n@highlight\n`)
)

// castRecord makes sentences of the passage's highlights, and lists the
// entities.
func castRecord(r *Record) error {
	passage := highlightAfterStop.ReplaceAllString(r.Fields["passage"], "$1 ")
	r.Fields["passage"] = highlight.ReplaceAllString(passage, ". ")
	r.Fields["entities"] = strings.Join(r.Choices, ", ")
	return nil
}

// recordFile reads a passage with its queries from each line.
func recordFile(labelled bool) Reader {
	return jsonLines(func(line jsonObject) ([]Record, error) {
		number, passage, text, err := superGLUEPassage(line)
		if err != nil {
			return nil, err
		}
		entities, err := recordEntities(passage, text)
		if err != nil {
			return nil, fmt.Errorf("in the passage: %w", err)
		}
		queries, err := line.objects("qas")
		if err != nil {
			return nil, err
		}
		var records []Record
		for i, query := range queries {
			r, err := recordQuery(query, labelled)
			if err != nil {
				return nil, fmt.Errorf("in query %d: %w", i, err)
			}
			r.Fields["passage"], r.Choices = text, entities
			r.Group = fmt.Sprintf("%d:%s", number, r.Group)
			records = append(records, r)
		}
		return records, nil
	})
}

// recordEntities cuts the entities out of the text: sorted, each once (TFDS's
// _get_record_entities). Offsets count characters, and the end is within.
func recordEntities(passage jsonObject, text string) ([]string, error) {
	spans, err := passage.objects("entities")
	if err != nil {
		return nil, err
	}
	characters := []rune(text)
	var entities []string
	for i, span := range spans {
		start, err := span.integer("start")
		if err != nil {
			return nil, fmt.Errorf("in entity %d: %w", i, err)
		}
		end, err := span.integer("end")
		if err != nil {
			return nil, fmt.Errorf("in entity %d: %w", i, err)
		}
		if start < 0 || end < start || end >= len(characters) {
			return nil, fmt.Errorf("entity %d is from %d to %d of a text of %d characters", i, start, end, len(characters))
		}
		entities = append(entities, string(characters[start:end+1]))
	}
	return sortedOnce(entities), nil
}

// recordQuery reads a query, whose number is its group, and its answers.
func recordQuery(query jsonObject, labelled bool) (Record, error) {
	number, err := query.integer("idx")
	if err != nil {
		return Record{}, err
	}
	text, err := query.text("query")
	if err != nil {
		return Record{}, err
	}
	r := Record{Fields: map[string]string{"query": text}, Group: fmt.Sprint(number)}
	if !labelled {
		return r, nil
	}
	answers, err := query.objects("answers")
	if err != nil {
		return Record{}, err
	}
	for i, answer := range answers {
		text, err := answer.text("text")
		if err != nil {
			return Record{}, fmt.Errorf("in answer %d: %w", i, err)
		}
		r.Answers = append(r.Answers, text)
	}
	if r.Answers = sortedOnce(r.Answers); len(r.Answers) == 0 {
		return Record{}, fmt.Errorf("it has no answer")
	}
	return r, nil
}

// sortedOnce sorts texts by code point, as Python does, and drops repetitions.
func sortedOnce(texts []string) []string {
	slices.Sort(texts)
	return slices.Compact(texts)
}
