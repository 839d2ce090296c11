package tasks

import (
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Escaped text has no bare separator and is itself again, and parts that are
// joined by one are found again.
func TestEscapeProperties(t *testing.T) {
	text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a\\,;=]{0,8}`))
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(text, 1, 5).Draw(t, "parts")
		for _, separator := range []byte(",;=") {
			var escapedParts []string
			for _, part := range parts {
				if got := unescape(escape(part)); got != part {
					t.Fatalf("%q became %q", part, got)
				}
				escapedParts = append(escapedParts, escape(part))
			}
			var got []string
			for _, part := range split(strings.Join(escapedParts, string(separator)), separator) {
				got = append(got, unescape(part))
			}
			if !slices.Equal(got, parts) {
				t.Fatalf("%q by %c became %q", parts, separator, got)
			}
		}
	})
	for written, want := range map[string]string{
		`a\,b`: "a,b", `a\\b`: `a\b`, `a\b`: `a\b`, `a\`: `a\`, `\\\`: `\\`, `\;\=`: ";=", `\é`: `\é`, "": "",
	} {
		if got := unescape(written); got != want {
			t.Errorf("%q is read as %q, want %q", written, got, want)
		}
	}
}

// The nearest name is the one with the fewest edits, and none is near that is
// more than a third of the letters away.
func TestNearestByDefinition(t *testing.T) {
	name := rapid.StringMatching(`[ab12]{1,7}`)
	rapid.Check(t, func(t *rapid.T) {
		typed, names := name.Draw(t, "typed"), rapid.SliceOfN(name, 0, 5).Draw(t, "names")
		fewest := math.MaxInt
		for _, n := range names {
			fewest = min(fewest, naiveEdits(typed, n))
		}
		got := nearest(strings.ToUpper(typed), names)
		if near := fewest <= max(1, len(typed)/3); near != (got != "") {
			t.Fatalf("nearest to %q of %v is %q, %d edits away", typed, names, got, fewest)
		}
		if got != "" && (naiveEdits(typed, got) != fewest || !slices.Contains(names, got)) {
			t.Fatalf("nearest to %q of %v is %q, though one is %d edits away", typed, names, got, fewest)
		}
	})
	for typed, want := range map[string]string{"LABEL": "label", "lables": "label", "txet": "", "sentence": "sentence1", "premises": "premise", "x": ""} {
		if got := nearest(typed, []string{"text", "label", "premise", "sentence1", "sentence2"}); got != want {
			t.Errorf("nearest to %q is %q, want %q", typed, got, want)
		}
	}
}

// naiveEdits is the Levenshtein distance by its recursion.
func naiveEdits(a, b string) int {
	switch {
	case a == "" || b == "":
		return len(a) + len(b)
	case a[0] == b[0]:
		return naiveEdits(a[1:], b[1:])
	}
	return 1 + min(naiveEdits(a[1:], b), naiveEdits(a, b[1:]), naiveEdits(a[1:], b[1:]))
}

// Lower case is Python's: of a capital sigma it depends on what stands around
// it. The values are str.lower's of Python 3.11.
func TestPyLower(t *testing.T) {
	for text, want := range map[string]string{
		"ΑΣ": "ας", "Σ": "σ", "ΣΑ": "σα", "ΑΣΑ": "ασα", "ΑΣ Σ": "ας σ", "ΑΣ.": "ας.", "ΑΣ.Α": "ασ.α", "ΑΣ'": "ας'", "'Σ": "'σ",
		"Α'Σ": "α'ς", "1Σ": "1σ", "ΑΣ1": "ας1", "ΑΣ\u0301": "ας\u0301", "Α\u0301Σ": "α\u0301ς", "ΑΣΣ": "ασς", "ΑΣ\u00adΑ": "ασ\u00adα", "aΣ-b": "aς-b",
		"İΣ": "i\u0307ς", "İ": "i\u0307", "ẞ": "ß", "ABCÉ": "abcé", "ǅ": "ǆ", "": "", "ªΣ": "ªς", "ΑΣⅠ": "ασⅰ",
	} {
		if got := pyLower(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

// Spaces and letters of words are Python's, beyond ASCII too.
func TestPyClasses(t *testing.T) {
	for r, want := range map[rune][2]bool{ // str.isspace and \w
		' ': {true, false}, '\t': {true, false}, '\x1c': {true, false}, '\x1f': {true, false}, '\x1b': {}, '\u0085': {true, false},
		'\u00a0': {true, false}, '\u2028': {true, false}, '\u200b': {}, '\ufeff': {}, '_': {false, true}, 'a': {false, true}, 'é': {false, true},
		'٣': {false, true}, '½': {false, true}, '中': {false, true}, '-': {}, '’': {}, '\u0301': {}, 'Ⅷ': {false, true},
	} {
		if got := [2]bool{pySpace(r), pyWord(r)}; got != want {
			t.Errorf("%q: space and word %v, want %v", r, got, want)
		}
	}
}

// The score of a class does not depend on the order of its words but for the
// first one's, and a shift of all log-probabilities shifts every score.
func TestVerbalizerScoresShift(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.Float64Range(-50, 0), 1, 5).Draw(t, "words")
		order := rapid.Permutation(words).Draw(t, "order")
		by := rapid.Float64Range(-900, 0).Draw(t, "by")
		shifted := make([]float64, len(words))
		var plain float64 // the sum of probabilities, which here are no smaller than e^-50
		for i, w := range words {
			shifted[i] = w + by
			plain += math.Exp(w)
		}
		for aggregate := range aggregates {
			v := Verbalizer{Aggregate: aggregate}
			scores := v.Scores([][]float64{words, order, shifted})
			if aggregate != AggregateFirst && math.Abs(scores[0]-scores[1]) > 1e-9 {
				t.Fatalf("%s of %v is %v, in another order %v", aggregate, words, scores[0], scores[1])
			}
			if math.Abs(scores[0]+by-scores[2]) > 1e-9 {
				t.Fatalf("%s of %v is %v, shifted by %v %v", aggregate, words, scores[0], by, scores[2])
			}
			if aggregate == AggregateSum && math.Abs(scores[0]-math.Log(plain)) > 1e-9 {
				t.Fatalf("the sum of %v is %v, want %v", words, scores[0], math.Log(plain))
			}
		}
	})
}

// The best class is the first that no other exceeds.
func TestBestByDefinition(t *testing.T) {
	score := rapid.SampledFrom([]float64{-2, -1, 0, math.Inf(-1), math.Inf(1), math.NaN()})
	rapid.Check(t, func(t *rapid.T) {
		scores := rapid.SliceOfN(score, 0, 6).Draw(t, "scores")
		want := slices.IndexFunc(scores, func(s float64) bool {
			return s == s && !slices.ContainsFunc(scores, func(other float64) bool { return other > s })
		})
		if got := Best(scores); got != want {
			t.Fatalf("the best of %v is %d, want %d", scores, got, want)
		}
	})
}
