package tune

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"softprompt/export"
	"softprompt/models"
	"softprompt/tasks"
)

// sst2With is SST-2 with the bare sentence as input and the given words.
func sst2With(t *testing.T, words string) *tasks.Task {
	t.Helper()
	task, err := tasks.Lookup("sst2")
	if err != nil {
		t.Fatal(err)
	}
	v, err := tasks.ParseVerbalizer(words, task.Labels)
	if err != nil {
		t.Fatal(err)
	}
	if task, err = task.With("{sentence}", v); err != nil {
		t.Fatal(err)
	}
	return task
}

// TestJudge has the words of all classes as tokens, each with its class.
func TestJudge(t *testing.T) {
	f := freezeTiny(t, FreezeOptions{Method: "prompt-tuning"})
	j, err := f.NewJudge(sst2With(t, "negative=terrible,bad,not good;positive=great"), 32, 8)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(j.classes, []int{0, 0, 0, 1}) || len(j.candidates) != 4 {
		t.Fatalf("classes %v, candidates %v", j.classes, j.candidates)
	}
	for i, word := range []string{"terrible", "bad", "not good", "great"} {
		ids := j.candidates[i]
		if eos := int64(f.Model.Config.EOSID); ids[len(ids)-1] != eos || f.Tokenizer.Decode(ids[:len(ids)-1]) != word {
			t.Errorf("candidate %d is %v, want %q and EOS", i, ids, word)
		}
	}
	_, err = f.NewJudge(sst2With(t, "negative=terrible;positive=an uncommonly good thing"), 32, 4)
	if err == nil || !strings.Contains(err.Error(), `label word "an uncommonly good thing" has more than 4 tokens`) {
		t.Errorf("a word that is too long: %v", err)
	}
}

// TestClassesOfSeveralWords: a class has the probability of all its words, and
// each word's is that of scoring it alone.
func TestClassesOfSeveralWords(t *testing.T) {
	ctx := context.Background()
	f := freezeTiny(t, FreezeOptions{Method: "prompt-tuning"})
	rows := someRows(t, f)
	bank := bankOf(t, f, randomPrompt(t, f, 5, 2))
	alone := map[string][][]float64{}
	for _, words := range []string{"negative=terrible;positive=great", "negative=bad;positive=good"} {
		j, err := f.NewJudge(sst2With(t, words), 32, 8)
		if err != nil {
			t.Fatal(err)
		}
		if alone[words], err = f.Score(ctx, bank, rows, j.candidates); err != nil {
			t.Fatal(err)
		}
	}
	j, err := f.NewJudge(sst2With(t, "negative=terrible,bad;positive=great,good"), 32, 8)
	if err != nil {
		t.Fatal(err)
	}
	classes, err := f.Classes(ctx, bank, j, rows)
	if err != nil {
		t.Fatal(err)
	}
	for i, scores := range classes {
		for class, got := range scores {
			sum := 0.0
			for _, words := range alone {
				sum += math.Exp(words[i][class])
			}
			if want := math.Log(sum); math.Abs(got-want) > 1e-4 {
				t.Errorf("row %d, class %d: %.6f, its words together %.6f", i, class, got, want)
			}
		}
	}

	// Evaluation is of these scores.
	rows[1].Cut, rows[3].Cut = true, true
	ev, err := f.Evaluate(ctx, bank, j, rows)
	if err != nil {
		t.Fatal(err)
	}
	loss, hits := 0.0, 0
	for i, r := range rows {
		loss -= classes[i][r.Label] / float64(len(rows))
		best := tasks.Best(classes[i])
		if ev.Predictions[i].Class != best {
			t.Errorf("row %d is predicted as %d, its scores are %v", i, ev.Predictions[i].Class, classes[i])
		}
		if best == r.Label {
			hits++
		}
	}
	if want := 100 * float64(hits) / float64(len(rows)); math.Abs(ev.Loss-loss) > 1e-6 || math.Abs(ev.Score-want) > 1e-9 || math.Abs(ev.CutShare-0.4) > 1e-9 {
		t.Errorf("loss %v, score %v, cut %v; want %v, %v, 0.4", ev.Loss, ev.Score, ev.CutShare, loss, want)
	}
	if _, err := f.Evaluate(ctx, bank, j, nil); err == nil || !strings.Contains(err.Error(), "no examples") {
		t.Errorf("no rows: %v", err)
	}
}

// TestEvaluateGenerated takes what the model writes for a label word where it
// is one exactly, and for an illegal answer elsewhere.
func TestEvaluateGenerated(t *testing.T) {
	ctx := context.Background()
	f := freezeTiny(t, FreezeOptions{Method: "prompt-tuning"})
	rows := someRows(t, f)
	bank := bankOf(t, f, randomPrompt(t, f, 5, 2))
	texts, err := f.Generate(ctx, bank, rows, GenerateOptions{MaxTokens: 3})
	if err != nil {
		t.Fatal(err)
	}
	said := make([]string, len(rows))
	for i, g := range texts {
		said[i] = f.Tokenizer.Decode(g.IDs)
	}
	for _, c := range []struct{ name, positive string }{
		{"its first answer", said[0]},
		{"another word", "zebra"},
	} {
		if strings.TrimSpace(c.positive) == "" {
			t.Fatalf("the model writes %q", said)
		}
		// By hand: the table of a run would refuse words with commas.
		task := *sst2With(t, "negative=terrible;positive=great")
		task.Verbalizer = tasks.Verbalizer{Words: [][]string{{"never said"}, {c.positive}}}
		hits, illegal := 0, 0
		for i, r := range rows {
			switch {
			case said[i] != c.positive:
				illegal++
			case r.Label == 1:
				hits++
			}
		}
		report, err := f.EvaluateGenerated(ctx, bank, &Judge{Task: &task, MaxInput: 32, MaxTarget: 3}, rows)
		if err != nil {
			t.Fatal(err)
		}
		if want := 100 * float64(hits) / float64(len(rows)); report.Illegal != illegal || math.Abs(report.Score-want) > 1e-9 {
			t.Errorf("%s: %d illegal answers and score %v, want %d and %v; it wrote %q", c.name, report.Illegal, report.Score, illegal, want, said)
		}
	}
	if _, err := f.EvaluateGenerated(ctx, bank, &Judge{Task: sst2With(t, "negative=a;positive=b")}, rows); err == nil || !strings.Contains(err.Error(), "at most 0 tokens") {
		t.Errorf("no room for an answer: %v", err)
	}
}

// TestByLength cuts rows into batches of similar length, each row once.
func TestByLength(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lengths := rapid.SliceOfN(rapid.IntRange(0, 9), 0, 40).Draw(t, "lengths")
		size := rapid.IntRange(1, 8).Draw(t, "size")
		rows := make([]Row, len(lengths))
		for i, n := range lengths {
			rows[i].IDs = make([]int64, n)
		}
		var order []int
		for i, batch := range byLength(rows, size) {
			if len(batch) == 0 || len(batch) > size || len(batch) < size && i != (len(rows)-1)/size {
				t.Fatalf("batch %d has %d rows", i, len(batch))
			}
			order = append(order, batch...)
		}
		if len(order) != len(rows) {
			t.Fatalf("%d rows of %d", len(order), len(rows))
		}
		for i := 1; i < len(order); i++ {
			a, b := order[i-1], order[i]
			if lengths[a] > lengths[b] || lengths[a] == lengths[b] && a >= b {
				t.Fatalf("row %d of length %d before row %d of length %d", a, lengths[a], b, lengths[b])
			}
		}
	})
}

// TestScoreManyRows gives each row its own score, though more rows than fit
// one batch are sorted and cut.
func TestScoreManyRows(t *testing.T) {
	ctx := context.Background()
	f := freezeTiny(t, FreezeOptions{Method: "prompt-tuning"})
	bank := bankOf(t, f, randomPrompt(t, f, 3, 7))
	some := someRows(t, f)
	candidates := [][]int64{some[0].Target, some[1].Target}
	want, err := f.Score(ctx, bank, some, candidates)
	if err != nil {
		t.Fatal(err)
	}
	var rows []Row
	for len(rows) <= 2*scoreBatch {
		rows = append(rows, some...)
	}
	got, err := f.Score(ctx, bank, rows, candidates)
	if err != nil {
		t.Fatal(err)
	}
	for i, scores := range got {
		for c, v := range scores {
			if w := want[i%len(some)][c]; math.Abs(v-w) > 1e-4 {
				t.Errorf("row %d, candidate %d: %.6f, want %.6f", i, c, v, w)
			}
		}
	}
	stopped, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := f.Score(stopped, bank, rows, candidates); err == nil || !strings.Contains(err.Error(), "context canceled") {
		t.Errorf("after the end of the context: %v", err)
	}
}

// TestSoftmax sums to 1, keeps the order, and does not mind where the scores
// lie.
func TestSoftmax(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		scores := rapid.SliceOfN(rapid.Float64Range(-50, 50), 1, 6).Draw(t, "scores")
		shift := rapid.Float64Range(-1e4, 1e4).Draw(t, "shift")
		moved := make([]float64, len(scores))
		for i, s := range scores {
			moved[i] = s + shift
		}
		got, other := softmax(scores), softmax(moved)
		sum := 0.0
		for i, p := range got {
			sum += p
			if math.Abs(p-other[i]) > 1e-9 {
				t.Fatalf("%v moved by %v: %v, was %v", scores, shift, other, got)
			}
			for k := range scores {
				if scores[i] > scores[k] && p < got[k] {
					t.Fatalf("%v gives %v", scores, got)
				}
			}
		}
		if math.Abs(sum-1) > 1e-12 {
			t.Fatalf("%v sums to %v", got, sum)
		}
	})
}

// TestSettled ends a search when nothing under way can win any more.
func TestSettled(t *testing.T) {
	of := func(logp float64, tokens int) []beam { return []beam{{ids: make([]int64, tokens), logp: logp}} }
	for _, c := range []struct {
		name       string
		done, live []beam
		k          int
		opts       GenerateOptions
		want       bool
	}{
		{"nothing done", nil, of(-1, 1), 1, GenerateOptions{MaxTokens: 5}, false},
		{"nothing under way", nil, nil, 2, GenerateOptions{MaxTokens: 5}, true},
		{"greedy and done", of(-9, 1), of(-1, 1), 1, GenerateOptions{MaxTokens: 5}, true},
		{"the one under way is likelier", of(-2, 3), of(-1, 3), 2, GenerateOptions{MaxTokens: 5}, false},
		{"it can only get worse", of(-1, 3), of(-2, 3), 2, GenerateOptions{MaxTokens: 5}, true},
		{"unless length is rewarded", of(-2, 1), of(-3, 3), 2, GenerateOptions{MaxTokens: 25, Alpha: 1}, false},
		{"but not without end", of(-2, 1), of(-3, 3), 2, GenerateOptions{MaxTokens: 3, Alpha: 1}, true},
	} {
		if got := settled(c.done, c.live, c.k, c.opts); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	// Where nothing ended, what is under way is the answer, EOS cut off.
	if g := best(nil, of(-3, 2), 1, 0.6); len(g.IDs) != 2 || g.LogProbability != -3 {
		t.Errorf("best %+v", g)
	}
	if g := best([]beam{{ids: []int64{7, 1}, logp: -1}}, of(0, 1), 1, 0.6); !slices.Equal(g.IDs, []int64{7}) {
		t.Errorf("best %+v", g)
	}
}

// TestFreezeRefuses what a model cannot be run under.
func TestFreezeRefuses(t *testing.T) {
	ctx := context.Background()
	m, err := export.Open(ctx, "tiny", models.Options{CacheDir: cache()})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if _, err := Freeze(ctx, nil, m, FreezeOptions{Method: "hypnosis"}); err == nil || !strings.Contains(err.Error(), `no method "hypnosis"`) {
		t.Errorf("error %v", err)
	}
	f, err := Freeze(ctx, nil, m, FreezeOptions{NoTokenizer: true})
	if err != nil || f.Tokenizer != nil || f.Method != nil {
		t.Errorf("without tokenizer and method: %+v, %v", f, err)
	}
}
