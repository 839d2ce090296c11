package tasks

import (
	"strings"
	"unicode/utf8"
)

// SquadEM is the percentage of texts that equal one of their example's
// answers once both are normalised: lower case, no ASCII punctuation, no
// articles, single spaces. It is SQuAD v1.1's exact match (evaluate-v1.1.py;
// T5's qa_utils.py has the same).
var SquadEM = Metric{"em", perExample(exactMatch)}

// SquadF1 is the mean F1 of the words that a text shares with its example's
// nearest answer, normalised as for [SquadEM]. Two texts without a word share
// none, so they have 0, though they match exactly.
var SquadF1 = Metric{"f1", perExample(sharedWords)}

// RecordEM is [SquadEM] over ReCoRD's queries: of the examples of one
// [Example.Group] only the first counts (T5's deduplicate_metric).
var RecordEM = Metric{"em", firstOfGroup(perExample(exactMatch))}

// RecordF1 is [SquadF1] over ReCoRD's queries, as [RecordEM].
var RecordF1 = Metric{"f1", firstOfGroup(perExample(sharedWords))}

// score is what a metric computes.
type score = func(gold []Example, pred []Prediction) float64

// perExample is the mean percentage that a measure, of 0 to 1, finds each text
// to have of the best of its example's answers.
func perExample(measure func(answer, text string) float64) score {
	return func(gold []Example, pred []Prediction) float64 {
		var sum float64
		for i, ex := range gold {
			best := 0.0
			for _, answer := range ex.Answers {
				best = max(best, measure(answer, pred[i].Text))
			}
			sum += best
		}
		return 100 * sum / float64(len(gold))
	}
}

// firstOfGroup scores the first example of each group alone.
func firstOfGroup(f score) score {
	return func(gold []Example, pred []Prediction) float64 {
		seen := map[string]bool{}
		var examples []Example
		var predictions []Prediction
		for i, ex := range gold {
			if group := groupOf(ex, i); !seen[group] {
				seen[group] = true
				examples, predictions = append(examples, ex), append(predictions, pred[i])
			}
		}
		return f(examples, predictions)
	}
}

func exactMatch(answer, text string) float64 {
	if strings.Join(squadWords(answer), " ") == strings.Join(squadWords(text), " ") {
		return 1
	}
	return 0
}

func sharedWords(answer, text string) float64 {
	want, got := squadWords(answer), squadWords(text)
	return fMeasure(overlap(want, got), len(want), len(got))
}

// overlap counts the words that two bags share.
func overlap(want, got []string) int {
	left := map[string]int{}
	for _, word := range want {
		left[word]++
	}
	same := 0
	for _, word := range got {
		if left[word] > 0 {
			left[word]--
			same++
		}
	}
	return same
}

// fMeasure is the harmonic mean of the shares that what is the same has in
// what was wanted and in what was got.
func fMeasure(same, want, got int) float64 {
	if same == 0 {
		return 0
	}
	precision, recall := float64(same)/float64(got), float64(same)/float64(want)
	return 2 * precision * recall / (precision + recall)
}

// squadWords normalises a text as SQuAD's script does and splits it.
func squadWords(text string) []string {
	text = strings.Map(func(r rune) rune {
		if asciiPunct(r) {
			return -1
		}
		return r
	}, pyLower(text))
	return strings.FieldsFunc(withoutArticles(text), pySpace)
}

// withoutArticles replaces the words a, an and the by spaces.
func withoutArticles(text string) string {
	var out strings.Builder
	for text != "" {
		end := strings.IndexFunc(text, func(r rune) bool { return !pyWord(r) })
		if end < 0 {
			end = len(text)
		}
		switch word := text[:end]; word {
		case "a", "an", "the":
			out.WriteByte(' ')
		default:
			out.WriteString(word)
		}
		_, size := utf8.DecodeRuneInString(text[end:])
		out.WriteString(text[end : end+size])
		text = text[end+size:]
	}
	return out.String()
}

// asciiPunct tells Python's string.punctuation, POSIX's [:punct:].
func asciiPunct(r rune) bool {
	return r < 0x80 && strings.ContainsRune("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", r)
}
