package tasks

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// answered is one example and what was written.
func answered(text string, answers ...string) ([]Example, []Prediction) {
	return []Example{{Answers: answers}}, []Prediction{{Text: text}}
}

func TestSquadMetrics(t *testing.T) {
	for _, c := range []struct {
		text    string
		answers []string
		em, f1  float64
	}{
		{"Denver Broncos", []string{"Denver Broncos", "The Broncos"}, 100, 100},
		{"the  denver, broncos!", []string{"Denver Broncos"}, 100, 100},
		{"broncos", []string{"Denver Broncos", "Carolina Panthers"}, 0, 100 * 2.0 / 3},
		{"an apple a day", []string{"apple day"}, 100, 100},
		{"theatre", []string{"atre"}, 0, 0},              // an article within a word stays
		{"3 . 14", []string{"3.14"}, 0, 0},               // spacing makes other words
		{"a_n x", []string{"x"}, 100, 100},               // punctuation goes first: "an x"
		{"éa b", []string{"é b"}, 0, 50},                 // é is of the word
		{"", []string{"the"}, 100, 0},                    // nothing is left of both
		{"", []string{"apple"}, 0, 0},                    //
		{"apple", []string{""}, 0, 0},                    //
		{"to be or not to be", []string{"to be"}, 0, 50}, // bags: 2 of 6, 2 of 2
		{"İ", []string{"i\u0307"}, 100, 100},             //
		{"ΟΔΟΣ", []string{"οδος"}, 100, 100},             //
		{"ΣΑ", []string{"σα"}, 100, 100},                 //
		{"x\u00a0y\x1cz", []string{"x y z"}, 100, 100},   // spaces to Python
		{"apple", nil, 0, 0},                             //
		{"Bob's", []string{"bobs"}, 100, 100},            //
		{"“apple”", []string{"apple"}, 0, 0},             // only ASCII is taken off
		{"the the", []string{"a"}, 100, 0},               //
		{"x\xff the y", []string{"x\xff y"}, 100, 100},   // bytes that are no UTF-8
		{"of the people", []string{"The People"}, 0, 200.0 / 3},
	} {
		if em := SquadEM.Score(answered(c.text, c.answers...)); !near(em, c.em) {
			t.Errorf("%q for %q: EM %v, want %v", c.text, c.answers, em, c.em)
		}
		if f1 := SquadF1.Score(answered(c.text, c.answers...)); !near(f1, c.f1) {
			t.Errorf("%q for %q: F1 %v, want %v", c.text, c.answers, f1, c.f1)
		}
	}
}

// Of a query's copies the first counts, whatever was answered to the others.
func TestRecordMetrics(t *testing.T) {
	gold := []Example{
		{Group: "1:2", Answers: []string{"Ann"}},
		{Group: "1:2", Answers: []string{"Ann"}},
		{Group: "1:3", Answers: []string{"Bob Lee"}},
		{Answers: []string{"Cy"}},
		{Answers: []string{"Di"}},
	}
	pred := []Prediction{{Text: "ann"}, {Text: "Bob"}, {Text: "Bob"}, {Text: "cy"}, {Text: "x"}}
	if em, f1 := RecordEM.Score(gold, pred), RecordF1.Score(gold, pred); em != 50 || !near(f1, 100*(1+2.0/3+1)/4) {
		t.Errorf("EM %v, F1 %v", em, f1)
	}
}

func TestRouge(t *testing.T) {
	for _, c := range []struct {
		text, answer     string
		one, two, linear float64
	}{
		{"the cat sat", "The cat sat!", 1, 1, 1},
		{"the cat sat", "the cat ran", 2.0 / 3, 0.5, 2.0 / 3},
		{"sat cat the", "the cat sat", 1, 0, 1.0 / 3},
		{"", "the cat", 0, 0, 0},
		{"...", "the cat", 0, 0, 0},
		{"cat", "cat", 1, 0, 1},     // no pair of words
		{"b . a", "a . b", 1, 0, 1}, // lines are compared each with each
		{"b a", "a b", 1, 0, 0.5},
		{"a a a", "a", 0.5, 0, 0.5},        // none counts twice
		{"İstanbul", "i stanbul", 1, 1, 1}, // its dot is a mark of its own, and no letter
	} {
		gold, pred := answered(c.text, "nothing alike", c.answer)
		for _, m := range []struct {
			Metric
			want float64
		}{{Rouge1, c.one}, {Rouge2, c.two}, {RougeLsum, c.linear}} {
			if got := m.Score(gold, pred); !near(got, 100*m.want) {
				t.Errorf("%q for %q: %s %v, want %v", c.text, c.answer, m.Name, got, 100*m.want)
			}
		}
	}
}

func TestParseNumber(t *testing.T) {
	for text, want := range map[string]float64{
		"3.8": 3.8, " 3.8\n": 3.8, "-2": -2, "+.5": 0.5, "4.": 4, "1e1": 10, "1_0.5": 10.5, "0": 0, "007": 7,
		"inf": math.Inf(1), "-Infinity": math.Inf(-1), "1e999": math.Inf(1), "NaN": math.NaN(), "1e-999": 0,
		// not Python's float: -1
		"": -1, ".": -1, "3,8": -1, "3.8.": -1, "0x1p4": -1, "1__0": -1, "_1": -1, "1_": -1, "1_.5": -1, "3 8": -1,
		"3.8 out of 5": -1, "e5": -1, "+-1": -1, "infinit": -1, "--1": -1, "1e": -1, "1e1.5": -1,
	} {
		if got := parseNumber(text); !near(got, want) && got != want {
			t.Errorf("%q is %v, want %v", text, got, want)
		}
	}
}

// numbers makes examples and predictions of texts.
func numbers(gold, pred string) ([]Example, []Prediction) {
	var examples []Example
	var predictions []Prediction
	for _, g := range strings.Fields(gold) {
		examples = append(examples, Example{Answers: []string{g}, Target: "not read"})
	}
	for _, p := range strings.Fields(pred) {
		predictions = append(predictions, Prediction{Text: p})
	}
	return examples, predictions
}

func TestCorrelations(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		gold, pred        string
		pearson, spearman float64
	}{
		{"1 2 3", "2 4 6", 100, 100},
		{"1 2 3", "6 4 2", -100, -100},
		{"1 2 3 4", "1 2 3 100", 100 * 149 / math.Sqrt(5*7205), 100},
		{"1 2 3", "3.8 3.8 3.8", nan, nan}, // 0.1 and its like do not have themselves as their mean
		{"1.1 1.1 1.1", "1 2 3", nan, nan},
		{"1", "1", nan, nan},
		{"1 2 3", "x y z", nan, nan}, // each -1
		{"1 2 3", "x 0 1", 100, 100},
		{"1 2 3", "1 2 nan", nan, nan},
		{"1 2 3", "1 2 inf", nan, 100},
		{"1 2 3 4", "1 1 2 2", 100 * 2 / math.Sqrt(5), 100 * 2 / math.Sqrt(5)},
	} {
		gold, pred := numbers(c.gold, c.pred)
		if got := Pearson.Score(gold, pred); !near(got, c.pearson) {
			t.Errorf("%s and %s: Pearson %v, want %v", c.gold, c.pred, got, c.pearson)
		}
		if got := Spearman.Score(gold, pred); !near(got, c.spearman) {
			t.Errorf("%s and %s: Spearman %v, want %v", c.gold, c.pred, got, c.spearman)
		}
	}
	// Without a list of answers the target is the truth.
	gold, pred := []Example{{Target: "1"}, {Target: "2"}}, []Prediction{{Text: "3"}, {Text: "9"}}
	if got := Pearson.Score(gold, pred); !near(got, 100) {
		t.Errorf("by targets: %v", got)
	}
}

// A text is its own best answer, F1 is at least EM but for texts without
// words, and swapping answer and text changes no F measure but RougeLsum's.
func TestTextMetricsProperties(t *testing.T) {
	words := rapid.StringMatching(`([a-dA Σİ.' \n]|the | \. ){0,12}`)
	rapid.Check(t, func(t *rapid.T) {
		a, b := words.Draw(t, "a"), words.Draw(t, "b")
		for _, m := range []Metric{SquadEM, SquadF1, Rouge1, Rouge2, RougeLsum} {
			there, back := m.Score(answered(a, b)), m.Score(answered(b, a))
			if m.Name != "rougeLsum" && !near(there, back) {
				t.Fatalf("%s is %v, and %v the other way", m.Name, there, back)
			}
			if there < 0 || there > 100+1e-9 {
				t.Fatalf("%s is %v", m.Name, there)
			}
			best := m.Score(answered(a, b, a))
			if best < there || best < m.Score(answered(a, a)) {
				t.Fatalf("%s with the text among its answers is %v", m.Name, best)
			}
		}
		if em, f1 := SquadEM.Score(answered(a, b)), SquadF1.Score(answered(a, b)); em > f1+1e-9 && len(squadWords(a)) > 0 {
			t.Fatalf("EM %v, F1 %v", em, f1)
		}
	})
}
