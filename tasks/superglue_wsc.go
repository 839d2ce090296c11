package tasks

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// wsc is the Winograd schema challenge as TFDS's wsc.fixed has it: to whom a
// pronoun refers. The model is shown the text with the pronoun between stars
// and writes whom it takes it for; the class says whether that is the noun that
// the row asks about. So there are no label words: a prompt is trained on the
// rows whose noun is the right one, and scored on all by what it writes. Where
// the paper starts from class labels it takes words for the task.
//
// A row's one answer is the noun that it asks about, right or not.
var wsc = superGLUETask("WSC", Task{
	Name:        "wsc",
	Description: "WSC: does a pronoun refer to a given noun?",
	Fields:      []string{"text"},
	Labels:      []string{"False", "True"},
	Template:    "{text}",
	Metrics:     []Metric{Accuracy},
	InitWords:   []string{"commonsense", "pronoun", "resolution"},
	Prepare:     castWSC,
	Targets:     wscTargets,
	Class:       wscClass,
	MaxInput:    128,
	MaxTarget:   32,
	HeldOut:     50,
	Rows:        map[Split]int{Train: 554, Validation: 104},
	LabelValues: []string{"false", "true"},
}, wscFile)

// wscFile reads a text with two spans: the noun and the pronoun.
func wscFile(labelled bool) Reader {
	return jsonLines(func(line jsonObject) ([]Record, error) {
		text, err := line.text("text")
		if err != nil {
			return nil, err
		}
		target, err := line.object("target")
		if err != nil {
			return nil, err
		}
		r := Record{Fields: map[string]string{"text": text}}
		for _, span := range []string{"span1", "span2"} {
			var words string
			var at int
			if words, err = target.text(span + "_text"); err == nil {
				at, err = target.integer(span + "_index")
			}
			if err == nil {
				words, err = fixSpan(text, words, at)
			}
			if err != nil {
				return nil, fmt.Errorf("in the target: %w", err)
			}
			r.Fields[span+"_text"], r.Fields[span+"_index"] = words, fmt.Sprint(at)
		}
		r.Answers = []string{r.Fields["span1_text"]}
		if labelled {
			if r.Fields["label"], err = line.field(JSONField{"label", JSONBool}); err != nil {
				return nil, err
			}
		}
		return []Record{r}, nil
	})
}

// fixSpan makes a span a part of the text where it is none: its first letter
// is written as the text has it, full stops at its end go, a line break is a
// space (TFDS's _fix_wst, text/super_glue.py).
func fixSpan(text, span string, at int) (string, error) {
	words := strings.Fields(text)
	if at < 0 || at >= len(words) {
		return "", fmt.Errorf("word %d of a text of %d words", at, len(words))
	}
	if strings.Contains(text, span) || slices.Contains(apart, span) {
		return span, nil
	}
	first, size := utf8.DecodeRuneInString(span)
	if has, _ := utf8.DecodeRuneInString(words[at]); unicode.IsLower(has) {
		first = unicode.ToLower(first)
	} else {
		first = unicode.ToUpper(first)
	}
	fixed := string(first) + strings.TrimRight(span[size:], ".")
	fixed = strings.ReplaceAll(fixed, "\n", " ")
	if !strings.Contains(text, fixed) {
		return "", fmt.Errorf("%q is not in the text", span)
	}
	return fixed, nil
}

// apart are spans with text in between that they leave out.
var apart = []string{"Kamenev and Zinoviev", "Kamenev, Zinoviev, and Stalin"}

// marked are the two texts whose pronoun is not the word of its index, as
// T5's _wsc_inputs mends them.
var marked = map[string]string{
	`The boy continued to whip the pony , and eventually the pony threw him over. John laughed out quite loud. "Good for him," he said. `:                                                                         `The boy continued to whip the pony , and eventually the pony threw him over. John laughed out quite loud. "Good for *him* ," he said.`,
	`When they had eventually calmed down a bit , and had gotten home, Mr. Farley put the magic pebble in an iron safe . Some day they might want to use it , but really for now, what more could they wish for?`: `When they had eventually calmed down a bit , and had gotten home, Mr. Farley put the magic pebble in an iron safe . Some day they might want to use *it* , but really for now, what more could they wish for?`,
}

// castWSC puts the pronoun between stars (T5's wsc_simple). T5 writes X for it
// and then a starred pronoun for every X that stands alone, which is the same
// for texts without one.
func castWSC(r *Record) error {
	text, pronoun := r.Fields["text"], r.Fields["span2_text"]
	if whole, ok := marked[text]; ok {
		r.Fields["text"] = whole
		return nil
	}
	words := strings.Split(text, " ")
	var at int
	if _, err := fmt.Sscan(r.Fields["span2_index"], &at); err != nil {
		return fmt.Errorf("the span2_index is %q, want an integer", r.Fields["span2_index"])
	}
	if at < 0 || at >= len(words) || words[at] != pronoun {
		return fmt.Errorf("word %d of the text is not %q", at, pronoun)
	}
	words[at] = "*" + pronoun + "*"
	r.Fields["text"] = strings.Join(words, " ")
	return nil
}

// wscTargets trains on the nouns that are right (T5's correct_referent_only).
func wscTargets(ex Example) []string {
	if ex.Label != 1 {
		return nil
	}
	return ex.Answers
}

// determiners do not tell nouns apart.
var determiners = strings.Fields("a an few her his each every many much my our some that the their these this those which whose your")

// wscClass tells whether a written text names the noun of a row, T5's
// wsc_simple (t5/data/postprocessors.py): the words of one are among those of
// the other, so that "bunny" is the fuzzy bunny, but Bob is not Bob's hat. It
// is −1 for no words.
func wscClass(written string, ex Example) int {
	said := wscWords(written)
	if strings.Join(said, " ") == "" || len(ex.Answers) == 0 {
		return -1
	}
	noun := wscWords(ex.Answers[0])
	apostrophe := func(words []string) bool { return strings.Contains(strings.Join(words, " "), "'") }
	if apostrophe(said) == apostrophe(noun) && (subset(said, noun) || subset(noun, said)) {
		return 1
	}
	return 0
}

// wscWords splits a text at single spaces, without case and determiners. As in
// Python a text of none is one empty word.
func wscWords(text string) []string {
	text = pyLower(strings.TrimFunc(text, pySpace))
	kept := slices.DeleteFunc(strings.Split(text, " "), func(w string) bool { return slices.Contains(determiners, w) })
	return strings.Split(strings.Join(kept, " "), " ")
}

// subset tells whether all words are among others.
func subset(words, others []string) bool {
	return !slices.ContainsFunc(words, func(w string) bool { return !slices.Contains(others, w) })
}
