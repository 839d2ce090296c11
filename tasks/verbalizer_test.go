package tasks

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"softprompt/onnx/hint"
)

var sentiment = []string{"negative", "positive"}

func TestParseVerbalizer(t *testing.T) {
	for s, want := range map[string][][]string{
		"negative=terrible;positive=great":                 {{"terrible"}, {"great"}},
		"negative=terrible,awful;positive=great":           {{"terrible", "awful"}, {"great"}},
		"positive=great;negative=terrible":                 {{"terrible"}, {"great"}},
		" negative = very bad , awful ; positive = great ": {{"very bad", "awful"}, {"great"}},
		`negative=a\,b,c\;d;positive=e\=f,g\\`:             {{"a,b", "c;d"}, {"e=f", `g\`}},
		`negative=a\b;positive=b`:                          {{`a\b`}, {"b"}},
		"negative=Bad;positive=bad":                        {{"Bad"}, {"bad"}}, // case matters
	} {
		v, err := ParseVerbalizer(s, sentiment)
		if err != nil {
			t.Errorf("%q: %v", s, err)
			continue
		}
		if diff := cmp.Diff(Verbalizer{want, AggregateSum, NormNone}, v); diff != "" {
			t.Errorf("%q:\n%s", s, diff)
		}
	}
}

func TestParseVerbalizerErrors(t *testing.T) {
	for s, message := range map[string]string{
		"":                                  `"" is not label=word`,
		"negative":                          `"negative" is not label=word`,
		"negative=a=b;positive=c":           `"negative=a=b" is not label=word`,
		"negative=bad;positive=good;":       `"" is not label=word`,
		"negative=bad":                      `label "positive" has no word`,
		"negative=bad;positive=":            `label "positive" has an empty word`,
		"negative=bad,,worse;positive=good": `label "negative" has an empty word`,
		"negative=bad;positive=good,bad":    `the word "bad" stands for both "negative" and "positive"`,
		"negative=bad,bad;positive=good":    `label "negative" has the word "bad" twice`,
		"negative=bad;negative=worse":       `label "negative" twice`,
		"negativ=bad;positive=good":         `no label "negativ", want negative, positive`,
		"negative=b\x00d;positive=good":     "holds a NUL",
		"negative=b\xffd;positive=good":     "not UTF-8",
	} {
		v, err := ParseVerbalizer(s, sentiment)
		if err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("%q: error %v, want %q in it", s, err, message)
		} else if want := "write them as negative=WORD;positive=WORD"; !strings.HasPrefix(hint.Of(err), want) {
			t.Errorf("%q: hint %q", s, hint.Of(err))
		}
		if v.Words != nil {
			t.Errorf("%q: words beside an error", s)
		}
	}
}

func TestVerbalizerValidate(t *testing.T) {
	words := [][]string{{"bad"}, {"good"}}
	for message, v := range map[string]Verbalizer{
		`aggregate "median", want one of first, max, mean, sum`:    {words, "median", ""},
		`norm "words", want one of length, none`:                   {words, "", "words"},
		"words for 0 classes, want 2 (negative, positive)":         {},
		"words for 3 classes, want 2":                              {append(slices.Clone(words), []string{"odd"}), "", ""},
		`label "negative": word " bad" begins or ends in a space`:  {[][]string{{" bad"}, {"good"}}, "", ""},
		`label "positive" has no word`:                             {[][]string{{"bad"}, {}}, "", ""},
		`label "negative" has an empty word`:                       {[][]string{{" "}, {"good"}}, "", ""},
		`the word "bad" stands for both "negative" and "positive"`: {[][]string{{"bad"}, {"good", "bad"}}, "", ""},
	} {
		if err := v.Validate(sentiment); err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("error %v, want %q in it", err, message)
		}
	}
	for _, a := range []string{"", "sum", "mean", "max", "first"} {
		for _, n := range []string{"", "none", "length"} {
			if err := (Verbalizer{words, a, n}).Validate(sentiment); err != nil {
				t.Errorf("%q, %q: %v", a, n, err)
			}
		}
	}
}

// Format and ParseVerbalizer are inverse, whatever the words.
func TestVerbalizerRoundTrip(t *testing.T) {
	word := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a,;=\\ ]{1,5}`)).Filter(func(s string) bool {
		return s != "" && strings.TrimSpace(s) == s && Clean(s) == s
	})
	rapid.Check(t, func(t *rapid.T) {
		labels := []string{"no", "yes", "may=be"}
		words := rapid.SliceOfNDistinct(word, 3, 9, rapid.ID[string]).Draw(t, "words")
		i := rapid.IntRange(1, len(words)-2).Draw(t, "i")
		j := rapid.IntRange(i+1, len(words)-1).Draw(t, "j")
		v := Verbalizer{Words: [][]string{words[:i], words[i:j], words[j:]}, Aggregate: AggregateSum, Norm: NormNone}
		got, err := ParseVerbalizer(v.Format(labels), labels)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(v, got); diff != "" {
			t.Fatalf("%q:\n%s", v.Format(labels), diff)
		}
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var back Verbalizer
		if err := json.Unmarshal(text, &back); err != nil || !cmp.Equal(v, back) {
			t.Fatalf("%s: %v, %v", text, back, err)
		}
	})
}

func TestVerbalizerString(t *testing.T) {
	v := Verbalizer{Words: [][]string{{"terrible", "awful"}, {"great"}}}
	if got, want := v.String(), "0=terrible,awful;1=great"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := v.Format(sentiment), "negative=terrible,awful;positive=great"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestVerbalizerTarget(t *testing.T) {
	v := Verbalizer{Words: [][]string{{"terrible", "awful"}, {"great"}, {}}}
	for class, want := range map[int]string{0: "terrible", 1: "great", 2: "", -1: "", 3: ""} {
		if got := v.Target(class); got != want {
			t.Errorf("Target(%d) = %q, want %q", class, got, want)
		}
	}
}

func TestVerbalizerListAndGroup(t *testing.T) {
	v := Verbalizer{Words: [][]string{{"a", "b"}, {"c"}, {"d", "e", "f"}}}
	if diff := cmp.Diff([]string{"a", "b", "c", "d", "e", "f"}, v.List()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([][]float64{{1, 2}, {3}, {4, 5, 6}}, v.Group([]float64{1, 2, 3, 4, 5, 6})); diff != "" {
		t.Error(diff)
	}
	for _, n := range []int{0, 5, 7} {
		if got := v.Group(make([]float64, n)); got != nil {
			t.Errorf("grouped %d scores of 6 words: %v", n, got)
		}
	}
}

func TestVerbalizerScores(t *testing.T) {
	ln := math.Log
	logprobs := [][]float64{{ln(0.1), ln(0.4)}, {ln(0.3)}}
	for aggregate, want := range map[string][]float64{
		"":             {ln(0.5), ln(0.3)},
		AggregateSum:   {ln(0.5), ln(0.3)},
		AggregateMean:  {ln(0.2), ln(0.3)}, // the geometric mean of 0.1 and 0.4
		AggregateMax:   {ln(0.4), ln(0.3)},
		AggregateFirst: {ln(0.1), ln(0.3)},
	} {
		got := Verbalizer{Aggregate: aggregate}.Scores(logprobs)
		for class := range want {
			if math.Abs(got[class]-want[class]) > 1e-12 {
				t.Errorf("%q: class %d scores %g, want %g", aggregate, class, got[class], want[class])
			}
		}
	}
	inf := math.Inf(-1)
	for aggregate := range aggregates {
		got := Verbalizer{Aggregate: aggregate}.Scores([][]float64{{inf, inf}, {}, {-2000}})
		if got[0] != inf || got[1] != inf || got[2] != -2000 {
			t.Errorf("%s: %v; want -Inf, -Inf, -2000", aggregate, got)
		}
	}
}

func TestWordScore(t *testing.T) {
	for _, c := range []struct {
		norm string
		n    int
		want float64
	}{{"", 3, -6}, {NormNone, 3, -6}, {NormLength, 3, -2}, {NormLength, 0, -6}} {
		if got := (Verbalizer{Norm: c.norm}).WordScore(-6, c.n); got != c.want {
			t.Errorf("%q, %d tokens: %g, want %g", c.norm, c.n, got, c.want)
		}
	}
}

// Whatever the probabilities: no aggregate falls where a word's probability
// rises, first and mean are at most max, max is at most sum, and a sum is
// at most n times the max.
func TestVerbalizerScoresProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.Float64Range(-800, 0), 1, 6).Draw(t, "words")
		score := map[string]float64{}
		for aggregate := range aggregates {
			score[aggregate] = Verbalizer{Aggregate: aggregate}.Scores([][]float64{words})[0]
		}
		const eps = 1e-9
		top := score[AggregateMax]
		if top != slices.Max(words) ||
			score[AggregateSum] < top-eps || score[AggregateSum] > top+math.Log(float64(len(words)))+eps ||
			score[AggregateMean] > top+eps || score[AggregateFirst] > top {
			t.Fatalf("%v of %v", score, words)
		}
		raised := slices.Clone(words)
		i := rapid.IntRange(0, len(words)-1).Draw(t, "i")
		raised[i] += rapid.Float64Range(0, 50).Draw(t, "by")
		for aggregate, before := range score {
			if after := (Verbalizer{Aggregate: aggregate}).Scores([][]float64{raised})[0]; after < before-eps {
				t.Fatalf("%s fell from %g to %g", aggregate, before, after)
			}
		}
	})
}

func TestBest(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(-1)
	for _, c := range []struct {
		scores []float64
		want   int
	}{
		{[]float64{1, 2}, 1},
		{[]float64{2, 1}, 0},
		{[]float64{2, 2}, 0},
		{[]float64{-3}, 0},
		{[]float64{nan, -9}, 1},
		{[]float64{-9, nan}, 0},
		{[]float64{inf, inf}, 0},
		{[]float64{nan, nan}, -1},
		{nil, -1},
	} {
		if got := Best(c.scores); got != c.want {
			t.Errorf("Best(%v) = %d, want %d", c.scores, got, c.want)
		}
	}
}

func FuzzParseVerbalizer(f *testing.F) {
	for _, seed := range []string{"negative=terrible,awful;positive=great", "", ";", "=", `\`, `negative=\`, `negative=a\,;positive=b`, "negative=\x00;positive=\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := ParseVerbalizer(s, sentiment)
		if err != nil {
			return
		}
		if err := v.Validate(sentiment); err != nil {
			t.Errorf("%q parsed and is not valid: %v", s, err)
		}
		again, err := ParseVerbalizer(v.Format(sentiment), sentiment)
		if err != nil || !cmp.Equal(v, again) {
			t.Errorf("%q: %v became %v, %v", s, v, again, err)
		}
	})
}
