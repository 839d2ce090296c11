package tasks

import (
	"regexp"
	"strings"
)

// ROUGE of a predicted text with its example's answer, as T5 scores summaries
// (t5/evaluation/metrics.py over Google's rouge_score): the F measure without
// a stemmer, of the nearest answer where there are several, and the plain mean
// over the examples. T5 reports the middle of 1,000 resampled means instead,
// which scatters about this one by chance.
var (
	Rouge1 = Metric{"rouge1", perExample(rouge(1))}
	Rouge2 = Metric{"rouge2", perExample(rouge(2))}
	// RougeLsum goes by longest common subsequences of lines; " . " ends one.
	RougeLsum = Metric{"rougeLsum", perExample(rougeLsum)}
)

// notToken is what stands between tokens.
var notToken = regexp.MustCompile(`[^a-z0-9]+`)

func rougeTokens(text string) []string {
	return strings.Fields(notToken.ReplaceAllString(pyLower(text), " "))
}

// rouge compares the n-grams of two texts.
func rouge(n int) func(answer, text string) float64 {
	grams := func(text string) []string {
		tokens := rougeTokens(text)
		var out []string
		for i := 0; i+n <= len(tokens); i++ {
			out = append(out, strings.Join(tokens[i:i+n], " "))
		}
		return out
	}
	return func(answer, text string) float64 {
		want, got := grams(answer), grams(text)
		return fMeasure(overlap(want, got), len(want), len(got))
	}
}

// rougeLsum takes of each line of the answer the tokens that are in a longest
// common subsequence with any line of the text, none more often than both
// texts have it (Lin 2004, section 3.2, as ROUGE 1.5.5 counts).
func rougeLsum(answer, text string) float64 {
	want, got := rougeLines(answer), rougeLines(text)
	wanted, left := 0, map[string]int{}
	for _, line := range want {
		wanted += len(line)
	}
	given := 0
	for _, line := range got {
		given += len(line)
		for _, token := range line {
			left[token]++
		}
	}
	same := 0
	for _, line := range want {
		in := make([]bool, len(line))
		for _, other := range got {
			markCommon(in, line, other)
		}
		for i, token := range line {
			if in[i] && left[token] > 0 {
				left[token]--
				same++
			}
		}
	}
	return fMeasure(same, wanted, given)
}

// rougeLines returns the tokens of each line.
func rougeLines(text string) [][]string {
	var out [][]string
	for line := range strings.SplitSeq(strings.ReplaceAll(text, " . ", " .\n"), "\n") {
		out = append(out, rougeTokens(line))
	}
	return out
}

// markCommon marks the tokens of a that are in its longest common subsequence
// with b. Of several that are equally long, it finds the one that rouge_score
// does: which one matters for the union over lines.
func markCommon(in []bool, a, b []string) {
	width := len(b) + 1
	length := make([]int, (len(a)+1)*width) // of a[:i] and b[:j]
	for i := range a {
		for j := range b {
			at := (i+1)*width + j + 1
			if a[i] == b[j] {
				length[at] = length[at-width-1] + 1
			} else {
				length[at] = max(length[at-width], length[at-1])
			}
		}
	}
	for i, j := len(a), len(b); i > 0 && j > 0; {
		switch at := i*width + j; {
		case a[i-1] == b[j-1]:
			in[i-1] = true
			i, j = i-1, j-1
		case length[at-1] > length[at-width]:
			j--
		default:
			i--
		}
	}
}
