package tasks

import (
	"fmt"
	"io"
	"iter"
	"strings"
)

// trec is TREC's questions by what they ask for, in the six coarse classes (Li
// and Roth 2002): 5,452 to train on, and TREC 10's 500 to test on, which
// Validation and Test both name. T5 and the reference do not have it. Classes
// are in the order of Hugging Face's CogComp/trec; label words say what their
// codes mean.
var trec = func() *Task {
	t := Task{
		Name:        "trec",
		Description: "TREC-6: does a question ask for an abbreviation, thing, description, person, place or number?",
		Fields:      []string{"text"},
		Labels:      []string{"ABBR", "ENTY", "DESC", "HUM", "LOC", "NUM"},
		Template:    "question: {text}",
		Metrics:     []Metric{Accuracy},
		MaxInput:    96,
		HeldOut:     500,
		Folders:     []string{"trec", "TREC", "."},
		Files: map[Split]File{
			Train:      {Name: "train_5500.label", Read: trecFile},
			Validation: {Name: "TREC_10.label", Read: trecFile},
			Test:       {Name: "TREC_10.label", Read: trecFile},
		},
		Rows:        map[Split]int{Train: 5452, Validation: 500, Test: 500},
		LabelValues: []string{"ABBR", "ENTY", "DESC", "HUM", "LOC", "NUM"},
		Source: "https://cogcomp.seas.upenn.edu/Data/QA/QC/train_5500.label and TREC_10.label, " +
			"or as Parquet from Hugging Face's CogComp/trec",
	}.withWords()
	t.Verbalizer = sameWords([]string{"abbreviation", "entity", "description", "human", "location", "number"})
	return t
}()

// trecFile reads lines like "DESC:manner How do fish breathe ?", in Latin-1.
func trecFile(r io.Reader) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		rows := 0
		for line, err := range lines(&latin1{r: r}) {
			label, text, _ := strings.Cut(line.text, " ")
			coarse, _, fine := strings.Cut(label, ":")
			if err == nil && !fine {
				err = fmt.Errorf("it begins with %.40q, want a label as DESC:manner%s", label, line.cut())
			}
			if err != nil {
				yield(Record{}, fmt.Errorf("line %d: %w", line.number, err))
				return
			}
			rows++
			if !yield(Record{Line: line.number, Fields: map[string]string{"label": coarse, "text": strings.TrimSpace(text)}}, nil) {
				return
			}
		}
		if rows == 0 {
			yield(Record{}, errNoRows)
		}
	}
}

// latin1 turns Latin-1 into UTF-8. The byte 0xF0 is a space: the one in the
// published file stands for one, as TFDS and Hugging Face have it too.
type latin1 struct {
	r    io.Reader
	left []byte // UTF-8 that did not fit
}

func (l *latin1) Read(p []byte) (int, error) {
	var err error
	if len(l.left) == 0 {
		raw := make([]byte, max(1, len(p)))
		var n int
		n, err = l.r.Read(raw)
		for _, b := range raw[:n] {
			if b == 0xF0 {
				b = ' '
			}
			l.left = append(l.left, string(rune(b))...)
		}
	}
	n := copy(p, l.left)
	l.left = l.left[n:]
	if len(l.left) > 0 {
		err = nil // said again when all is read
	}
	return n, err
}
