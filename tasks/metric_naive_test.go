package tasks

import (
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// naiveMatthews is Gorodkin's R_K by its definition, the covariance of the rows
// of two indicator matrices, for classes from -1 up.
func naiveMatthews(gold, pred []int) float64 {
	n := float64(len(gold))
	covariance := func(x, y []int) (sum float64) {
		for class := -1; class < 5; class++ {
			var mx, my float64
			for i := range x {
				mx += indicator(x[i] == class) / n
				my += indicator(y[i] == class) / n
			}
			for i := range x {
				sum += (indicator(x[i] == class) - mx) * (indicator(y[i] == class) - my)
			}
		}
		return sum
	}
	xx, yy := covariance(gold, gold), covariance(pred, pred)
	if xx < 1e-9 || yy < 1e-9 {
		return 0
	}
	return 100 * covariance(gold, pred) / math.Sqrt(xx*yy)
}

func indicator(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// naiveF1 is the harmonic mean of precision and recall of one class.
func naiveF1(gold, pred []int, class int) float64 {
	var hits, said, there float64
	for i := range gold {
		hits += indicator(gold[i] == class && pred[i] == class)
		said += indicator(pred[i] == class)
		there += indicator(gold[i] == class)
	}
	if hits == 0 {
		return 0
	}
	precision, recall := hits/said, hits/there
	return 2 / (1/precision + 1/recall)
}

// Metrics of classes are what their definitions, written down plainly, give
// for any predictions, outputs that name no class included.
func TestClassMetricsByDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := rapid.IntRange(2, 5).Draw(t, "classes")
		n := rapid.IntRange(1, 25).Draw(t, "n")
		gold := rapid.SliceOfN(rapid.IntRange(0, k-1), n, n).Draw(t, "gold")
		pred := rapid.SliceOfN(rapid.IntRange(-1, k-1), n, n).Draw(t, "pred")
		var right, macro float64
		for i := range gold {
			right += 100 * indicator(gold[i] == pred[i]) / float64(n)
		}
		for class := range k {
			macro += 100 * naiveF1(gold, pred, class) / float64(k)
		}
		want := map[string]float64{"accuracy": right, "macro_f1": macro, "matthews": naiveMatthews(gold, pred)}
		for _, m := range []Metric{Accuracy, MacroF1(k), Matthews} {
			if got := m.Score(classes(gold, pred)); !near(got, want[m.Name]) {
				t.Fatalf("%s of %v for %v is %v, want %v", m.Name, pred, gold, got, want[m.Name])
			}
		}
		if k > 2 {
			return
		}
		mended := slices.Clone(pred) // what names none is the wrong one
		for i, p := range pred {
			if p < 0 {
				mended[i] = 1 - gold[i]
			}
		}
		for _, m := range []Metric{F1, MultiRCF1a} {
			if got := m.Score(classes(gold, pred)); !near(got, 100*naiveF1(gold, mended, 1)) {
				t.Fatalf("%s of %v for %v is %v, want %v", m.Name, pred, gold, got, 100*naiveF1(gold, mended, 1))
			}
		}
	})
}

// The names of classes mean nothing to metrics of all of them: renumbering
// changes no score, and Matthews does not tell gold from prediction.
func TestClassMetricsSymmetries(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 20).Draw(t, "n")
		gold := rapid.SliceOfN(rapid.IntRange(0, 2), n, n).Draw(t, "gold")
		pred := rapid.SliceOfN(rapid.IntRange(0, 2), n, n).Draw(t, "pred")
		order := rapid.Permutation([]int{0, 1, 2}).Draw(t, "order")
		rename := func(xs []int) []int {
			out := make([]int, len(xs))
			for i, x := range xs {
				out[i] = order[x]
			}
			return out
		}
		for _, m := range []Metric{Accuracy, MacroF1(3), Matthews} {
			one, other := m.Score(classes(gold, pred)), m.Score(classes(rename(gold), rename(pred)))
			back := m.Score(classes(pred, gold))
			if !near(one, other) || !near(one, back) {
				t.Fatalf("%s is %v, %v renumbered and %v with the two exchanged", m.Name, one, other, back)
			}
		}
		// One more right answer never lowers accuracy or F1 of its class.
		worse := slices.Clone(pred)
		i := rapid.IntRange(0, n-1).Draw(t, "i")
		worse[i] = (gold[i] + 1) % 3
		better := slices.Clone(worse)
		better[i] = gold[i]
		for _, m := range []Metric{Accuracy, MacroF1(3)} {
			if m.Score(classes(gold, better)) < m.Score(classes(gold, worse))-1e-9 {
				t.Fatalf("%s falls where answer %d of %v to %v is mended", m.Name, i, worse, gold)
			}
		}
	})
}

// A question of MultiRC is right where none of its answers is wrong, in
// whatever order the rows come.
func TestMultiRCEMByDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 25).Draw(t, "n")
		gold, pred := classes(rapid.SliceOfN(rapid.IntRange(0, 1), n, n).Draw(t, "gold"), rapid.SliceOfN(rapid.IntRange(-1, 1), n, n).Draw(t, "pred"))
		wrong := map[string]int{}
		for i := range gold {
			gold[i].Group = rapid.SampledFrom([]string{"0:0", "0:1", "1:0", "1:1", "2:0"}).Draw(t, "group")
			wrong[gold[i].Group] += int(indicator(gold[i].Label != pred[i].Class))
		}
		right := 0.0
		for _, n := range wrong {
			right += indicator(n == 0)
		}
		if got, want := MultiRCEM.Score(gold, pred), 100*right/float64(len(wrong)); !near(got, want) {
			t.Fatalf("%v, want %v", got, want)
		}
		shuffle(t, gold, pred)
		if got, want := MultiRCEM.Score(gold, pred), 100*right/float64(len(wrong)); !near(got, want) {
			t.Fatalf("shuffled %v, want %v", got, want)
		}
	})
}

// shuffle puts examples and predictions into another order, the same for both.
func shuffle(t *rapid.T, gold []Example, pred []Prediction) {
	places := make([]int, len(gold))
	for i := range places {
		places[i] = i
	}
	g, p := slices.Clone(gold), slices.Clone(pred)
	for i, from := range rapid.Permutation(places).Draw(t, "places") {
		gold[i], pred[i] = g[from], p[from]
	}
}

// naiveRank is one more than the numbers below x, and half of the others that
// equal it.
func naiveRank(x float64, all []float64) float64 {
	rank := 0.5
	for _, other := range all {
		rank += indicator(other < x) + indicator(other == x)/2
	}
	return rank
}

// Correlations are what their definitions give, change with no scale of the
// numbers, and Spearman's with nothing that keeps their order.
func TestCorrelationsByDefinition(t *testing.T) {
	naive := func(x, y []float64) float64 { // by the sums of products
		n := float64(len(x))
		var sx, sy, sxy, sxx, syy float64
		for i := range x {
			sx, sy, sxy, sxx, syy = sx+x[i], sy+y[i], sxy+x[i]*y[i], sxx+x[i]*x[i], syy+y[i]*y[i]
		}
		return (n*sxy - sx*sy) / math.Sqrt((n*sxx-sx*sx)*(n*syy-sy*sy))
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 20).Draw(t, "n")
		numbers := rapid.SliceOfN(rapid.Map(rapid.IntRange(-20, 20), func(i int) float64 { return float64(i) / 4 }), n, n)
		x, y := numbers.Draw(t, "x"), numbers.Draw(t, "y")
		x[0], x[1], y[0], y[1] = -6, 6, -6, 6 // none is constant
		ranksOf := func(xs []float64) (out []float64) {
			for _, v := range xs {
				out = append(out, naiveRank(v, xs))
			}
			return out
		}
		if !slices.Equal(ranks(x), ranksOf(x)) {
			t.Fatalf("ranks of %v are %v, want %v", x, ranks(x), ranksOf(x))
		}
		if got, want := pearson(x, y), naive(x, y); math.Abs(got-want) > 1e-9 {
			t.Fatalf("%v and %v: %v, want %v", x, y, got, want)
		}
		if got, want := pearson(ranks(x), ranks(y)), naive(ranksOf(x), ranksOf(y)); math.Abs(got-want) > 1e-9 {
			t.Fatalf("ranks of %v and %v: %v, want %v", x, y, got, want)
		}
		scaled, bent := make([]float64, n), make([]float64, n)
		for i, v := range x {
			scaled[i], bent[i] = 3-2*v, math.Exp(v)
		}
		if got, want := pearson(scaled, y), -pearson(x, y); math.Abs(got-want) > 1e-9 {
			t.Fatalf("turned about: %v, want %v", got, want)
		}
		if !slices.Equal(ranks(bent), ranks(x)) {
			t.Fatalf("what keeps the order of %v changes its ranks", x)
		}
	})
}

// naiveShared counts the words of one text that another has, by striking them
// out.
func naiveShared(want, got []string) (same int) {
	left := slices.Clone(want)
	for _, word := range got {
		if i := slices.Index(left, word); i >= 0 {
			left = slices.Delete(left, i, i+1)
			same++
		}
	}
	return same
}

// naiveCommon is the length of a longest common subsequence, by trying.
func naiveCommon(a, b []string) int {
	if len(a) == 0 || len(b) == 0 {
		return 0
	}
	if a[0] == b[0] {
		return 1 + naiveCommon(a[1:], b[1:])
	}
	return max(naiveCommon(a[1:], b), naiveCommon(a, b[1:]))
}

// Measures of texts are what their definitions give for words that no
// normalisation changes; RougeLsum of single lines is ROUGE-L.
func TestTextMetricsByDefinition(t *testing.T) {
	f := func(same, want, got int) float64 {
		if same == 0 {
			return 0
		}
		return 100 * 2 * float64(same) / float64(want+got)
	}
	pairs := func(words []string) (out []string) {
		for i := range len(words) - 1 {
			out = append(out, words[i]+" "+words[i+1])
		}
		return out
	}
	words := rapid.SliceOfN(rapid.SampledFrom([]string{"b", "c", "d", "xy", "7"}), 1, 7)
	rapid.Check(t, func(t *rapid.T) {
		want, got := words.Draw(t, "want"), words.Draw(t, "got")
		gold, pred := answered(strings.Join(got, " "), strings.Join(want, " "))
		wantPairs, gotPairs := pairs(want), pairs(got)
		for _, c := range []struct {
			metric Metric
			want   float64
		}{
			{SquadEM, 100 * indicator(slices.Equal(want, got))},
			{SquadF1, f(naiveShared(want, got), len(want), len(got))},
			{Rouge1, f(naiveShared(want, got), len(want), len(got))},
			{Rouge2, f(naiveShared(wantPairs, gotPairs), len(wantPairs), len(gotPairs))},
			{RougeLsum, f(naiveCommon(want, got), len(want), len(got))},
		} {
			if score := c.metric.Score(gold, pred); !near(score, c.want) {
				t.Fatalf("%s of %v for %v is %v, want %v", c.metric.Name, got, want, score, c.want)
			}
		}
	})
}

// A score of several rows is the mean of theirs, in any order, and another
// answer that is right never lowers it.
func TestTextMetricsAreMeans(t *testing.T) {
	text := rapid.StringMatching(`[b-d ]{0,5}`)
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(t, "n")
		var gold []Example
		var pred []Prediction
		for range n {
			g, p := answered(text.Draw(t, "text"), rapid.SliceOfN(text, 1, 3).Draw(t, "answers")...)
			gold, pred = append(gold, g...), append(pred, p...)
		}
		for _, m := range []Metric{SquadEM, SquadF1, Rouge1, Rouge2, RougeLsum} {
			var sum float64
			for i := range gold {
				sum += m.Score(gold[i:i+1], pred[i:i+1])
			}
			whole := m.Score(gold, pred)
			if !near(whole, sum/float64(n)) {
				t.Fatalf("%s is %v, the mean of its rows %v", m.Name, whole, sum/float64(n))
			}
			more := slices.Clone(gold)
			more[0].Answers = append(slices.Clone(more[0].Answers), text.Draw(t, "another"))
			if m.Score(more, pred) < whole-1e-9 {
				t.Fatalf("%s falls from %v by another answer", m.Name, whole)
			}
			shuffle(t, gold, pred)
			if got := m.Score(gold, pred); !near(got, whole) {
				t.Fatalf("%s is %v in another order, want %v", m.Name, got, whole)
			}
		}
	})
}

// Metrics of a task's YAML are found by the names that reports show, and F1 is
// for two classes alone.
func TestMetricsByName(t *testing.T) {
	for _, c := range []struct {
		names   string
		classes int
		want    string
	}{
		{"", 2, "accuracy"},
		{"", 7, "accuracy"},
		{"", 0, "em f1"},
		{"f1 accuracy", 2, "f1 accuracy"},
		{"matthews macro_f1", 3, "matthews macro_f1"},
		{"rougeLsum rouge1 rouge2", 0, "rougeLsum rouge1 rouge2"},
		{"spearman pearson em", 0, "spearman pearson em"},
		{"f1", 3, `metrics: "f1", want some of accuracy, macro_f1, matthews, each once`},
		{"accuracy", 0, `metrics: "accuracy", want some of em, f1, rouge1, rouge2, rougeLsum, pearson, spearman, each once`},
		{"accuracy matthews accuracy", 2, `metrics: "accuracy", want some of accuracy, macro_f1, matthews, f1, each once`},
		{"Accuracy", 2, `metrics: "Accuracy", want some of accuracy, macro_f1, matthews, f1, each once`},
	} {
		list, err := metricsByName(strings.Fields(c.names), c.classes)
		var names []string
		for _, m := range list {
			names = append(names, m.Name)
		}
		got := strings.Join(names, " ")
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%q of %d classes: %s, want %s", c.names, c.classes, got, c.want)
		}
	}
}
