package tasks

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"softprompt/onnx/hint"
)

// How the scores of a class's words become the score of the class.
const (
	AggregateSum   = "sum"   // log of the summed probabilities: any of the words will do
	AggregateMean  = "mean"  // mean log-probability, OpenPrompt's manual verbalizer
	AggregateMax   = "max"   // the likeliest word alone
	AggregateFirst = "first" // the word the prompt is trained on alone
)

// How the log-probability of one word is scaled to its length in tokens.
const (
	NormNone   = "none"   // the reference's default
	NormLength = "length" // divided by the number of tokens, EOS included
)

// aggregates joins log-probabilities of the words of one class.
var aggregates = map[string]func(words []float64) float64{
	AggregateSum:   logSumExp,
	AggregateMean:  mean,
	AggregateMax:   slices.Max[[]float64],
	AggregateFirst: func(words []float64) float64 { return words[0] },
}

// norms scales the log-probability of one word of n tokens.
var norms = map[string]func(logprob float64, n int) float64{
	NormNone:   func(logprob float64, _ int) float64 { return logprob },
	NormLength: func(logprob float64, n int) float64 { return logprob / float64(max(n, 1)) },
}

// Verbalizer says which words stand for the classes. The zero Aggregate and
// Norm are "sum" and "none".
type Verbalizer struct {
	Words     [][]string `json:"words"`     // per class, the training target first
	Aggregate string     `json:"aggregate"` // AggregateSum, Mean, Max or First
	Norm      string     `json:"norm"`      // NormNone or NormLength
}

// ParseVerbalizer reads label words as the command line gives them,
// "negative=terrible,awful;positive=great", with every label of the task once
// and in any order. A backslash before a comma, semicolon, equals sign or
// backslash makes it part of the word.
func ParseVerbalizer(s string, labels []string) (Verbalizer, error) {
	v, err := parseVerbalizer(s, labels)
	if err != nil {
		return Verbalizer{}, hint.Wrap(fmt.Errorf("label words %q: %w", s, err),
			"write them as %s", form(labels))
	}
	return v, nil
}

func parseVerbalizer(s string, labels []string) (Verbalizer, error) {
	v := Verbalizer{Words: make([][]string, len(labels)), Aggregate: AggregateSum, Norm: NormNone}
	for _, part := range split(s, ';') {
		sides := split(part, '=')
		if len(sides) != 2 {
			return v, fmt.Errorf("%q is not label=word", part)
		}
		label := unescape(strings.TrimSpace(sides[0]))
		class := slices.Index(labels, label)
		if class < 0 {
			return v, fmt.Errorf("no label %q, want %s", label, strings.Join(labels, ", "))
		}
		if v.Words[class] != nil {
			return v, fmt.Errorf("label %q twice", label)
		}
		for _, word := range split(sides[1], ',') {
			v.Words[class] = append(v.Words[class], unescape(strings.TrimSpace(word)))
		}
	}
	return v, v.Validate(labels)
}

// form shows what ParseVerbalizer reads.
func form(labels []string) string {
	parts := make([]string, len(labels))
	for i, label := range labels {
		parts[i] = escape(label) + "=WORD"
	}
	return strings.Join(parts, ";") + ", more words of a label after a comma"
}

// String writes the words by the number of their class, "0=terrible;1=great".
// [Verbalizer.Format] writes what ParseVerbalizer reads.
func (v Verbalizer) String() string {
	labels := make([]string, len(v.Words))
	for i := range labels {
		labels[i] = fmt.Sprint(i)
	}
	return v.Format(labels)
}

// Format writes the words as [ParseVerbalizer] reads them.
func (v Verbalizer) Format(labels []string) string {
	var parts []string
	for class, words := range v.Words {
		if class == len(labels) {
			break
		}
		escaped := make([]string, len(words))
		for i, word := range words {
			escaped[i] = escape(word)
		}
		parts = append(parts, escape(labels[class])+"="+strings.Join(escaped, ","))
	}
	return strings.Join(parts, ";")
}

// Validate reports what is wrong with the verbalizer for a task with these
// labels: a class without words, an empty word, one word for two classes.
func (v Verbalizer) Validate(labels []string) error {
	if _, ok := aggregates[v.aggregate()]; !ok {
		return fmt.Errorf("aggregate %q, want one of %s", v.Aggregate, names(aggregates))
	}
	if _, ok := norms[v.norm()]; !ok {
		return fmt.Errorf("norm %q, want one of %s", v.Norm, names(norms))
	}
	if len(v.Words) != len(labels) {
		return fmt.Errorf("words for %d classes, want %d (%s)", len(v.Words), len(labels), strings.Join(labels, ", "))
	}
	owner := map[string]string{}
	for class, words := range v.Words {
		label := labels[class]
		if len(words) == 0 {
			return fmt.Errorf("label %q has no word", label)
		}
		for _, word := range words {
			switch other, taken := owner[word]; {
			case strings.TrimSpace(word) == "":
				return fmt.Errorf("label %q has an empty word", label)
			case strings.TrimSpace(word) != word:
				return fmt.Errorf("label %q: word %q begins or ends in a space, which no tokenizer keeps", label, word)
			case Clean(word) != word:
				return fmt.Errorf("label %q: word %q holds a NUL or bytes that are not UTF-8", label, word)
			case taken && other == label:
				return fmt.Errorf("label %q has the word %q twice", label, word)
			case taken:
				return fmt.Errorf("the word %q stands for both %q and %q", word, other, label)
			}
			owner[word] = label
		}
	}
	return nil
}

// Target returns the word that a prompt is trained to produce for a class:
// its first. It is "" for a class that does not exist, such as -1.
func (v Verbalizer) Target(class int) string {
	if class < 0 || class >= len(v.Words) || len(v.Words[class]) == 0 {
		return ""
	}
	return v.Words[class][0]
}

// List returns all words in class order, the candidates to score for each
// input; [Verbalizer.Group] brings their scores back into classes.
func (v Verbalizer) List() []string { return slices.Concat(v.Words...) }

// Group cuts the scores of one input's words, in the order of
// [Verbalizer.List], into one slice for each class. It returns nil where
// their number is not that of the words.
func (v Verbalizer) Group(scores []float64) [][]float64 {
	if len(scores) != len(v.List()) {
		return nil
	}
	groups := make([][]float64, len(v.Words))
	for class, words := range v.Words {
		groups[class], scores = scores[:len(words)], scores[len(words):]
	}
	return groups
}

// WordScore scales the log-probability of one word of n tokens, EOS included,
// as Norm says. [Verbalizer.Scores] takes its results.
func (v Verbalizer) WordScore(logprob float64, n int) float64 {
	if norm, ok := norms[v.norm()]; ok {
		return norm(logprob, n)
	}
	return logprob
}

// Scores joins the log-probabilities of the words, given per class, into one
// score a class as Aggregate says. A class without words scores -Inf. With
// Norm "none" and "sum" the scores are log-probabilities.
func (v Verbalizer) Scores(logprobs [][]float64) []float64 {
	aggregate, ok := aggregates[v.aggregate()]
	if !ok {
		aggregate = logSumExp
	}
	scores := make([]float64, len(logprobs))
	for class, words := range logprobs {
		scores[class] = math.Inf(-1)
		if len(words) > 0 {
			scores[class] = aggregate(words)
		}
	}
	return scores
}

// Best returns the class with the highest score, the first of equals as in
// the reference, or -1 where no score is a number.
func Best(scores []float64) int {
	best := -1
	for class, s := range scores {
		if !math.IsNaN(s) && (best < 0 || s > scores[best]) {
			best = class
		}
	}
	return best
}

func (v Verbalizer) aggregate() string { return cmp.Or(v.Aggregate, AggregateSum) }
func (v Verbalizer) norm() string      { return cmp.Or(v.Norm, NormNone) }

// logSumExp is log(Σ exp(x)), taken relative to the largest so that very
// small probabilities do not vanish.
func logSumExp(xs []float64) float64 {
	top := slices.Max(xs)
	if math.IsInf(top, 0) || math.IsNaN(top) {
		return top
	}
	var sum float64
	for _, x := range xs {
		sum += math.Exp(x - top)
	}
	return top + math.Log(sum)
}

func mean(xs []float64) float64 {
	var sum float64
	for _, x := range xs {
		sum += x
	}
	return sum / float64(len(xs))
}

func names[V any](table map[string]V) string {
	return strings.Join(slices.Sorted(maps.Keys(table)), ", ")
}
