package tune

import (
	"context"
	"math"
	"slices"
	"testing"
)

// TestGenerateAgreesWithScore: what decoding through the cache says of its own
// answer is what scoring that answer in one pass says.
func TestGenerateAgreesWithScore(t *testing.T) {
	ctx := context.Background()
	f := freezeTiny(t, FreezeOptions{Method: "prompt-tuning"})
	rows := someRows(t, f)
	bank := bankOf(t, f, randomPrompt(t, f, 6, 1))
	for _, beams := range []int{1, 3} {
		found, err := f.Generate(ctx, bank, rows, GenerateOptions{MaxTokens: 5, Beams: beams})
		if err != nil {
			t.Fatal(err)
		}
		eos := int64(f.Model.Config.EOSID)
		for i, g := range found {
			ids := g.IDs
			if len(ids) < 5 {
				ids = append(slices.Clone(ids), eos)
			}
			scores, err := f.Score(ctx, bank, rows[i:i+1], [][]int64{ids})
			if err != nil {
				t.Fatal(err)
			}
			if got := scores[0][0]; math.Abs(got-g.LogProbability) > 1e-3 {
				t.Errorf("%d beams, row %d, %v: generated at %.5f, scored %.5f", beams, i, ids, g.LogProbability, got)
			}
		}
	}
}

// TestGreedyTakesTheLikeliest: no other first token scores higher.
func TestGreedyTakesTheLikeliest(t *testing.T) {
	ctx := context.Background()
	f := freezeTiny(t, FreezeOptions{Method: "prompt-tuning"})
	rows := someRows(t, f)[:2]
	bank := bankOf(t, f, randomPrompt(t, f, 3, 1))
	found, err := f.Generate(ctx, bank, rows, GenerateOptions{MaxTokens: 1})
	if err != nil {
		t.Fatal(err)
	}
	var candidates [][]int64
	for id := range int64(f.Tokenizer.VocabSize()) {
		if id%16 == 0 { // a sixteenth of them is enough, and quick
			candidates = append(candidates, []int64{id})
		}
	}
	scores, err := f.Score(ctx, bank, rows, candidates)
	if err != nil {
		t.Fatal(err)
	}
	for i, g := range found {
		if top := slices.Max(scores[i]); top > g.LogProbability+1e-4 {
			t.Errorf("row %d: greedy took %v at %.4f, another token has %.4f", i, g.IDs, g.LogProbability, top)
		}
	}
}

// TestBeamsFindMore: with no length penalty, more beams never end in a less
// likely answer of the same length than greedy decoding.
func TestBeamsFindMore(t *testing.T) {
	ctx := context.Background()
	f := freezeTiny(t, FreezeOptions{Method: "prompt-tuning"})
	rows := someRows(t, f)
	bank := bankOf(t, f, randomPrompt(t, f, 6, 4))
	greedy, err := f.Generate(ctx, bank, rows, GenerateOptions{MaxTokens: 4})
	if err != nil {
		t.Fatal(err)
	}
	beams, err := f.Generate(ctx, bank, rows, GenerateOptions{MaxTokens: 4, Beams: 6})
	if err != nil {
		t.Fatal(err)
	}
	better := 0
	for i := range rows {
		if beams[i].LogProbability < greedy[i].LogProbability-1e-4 && len(beams[i].IDs) >= len(greedy[i].IDs) {
			t.Errorf("row %d: beams found %v at %.4f, greedy %v at %.4f", i,
				beams[i].IDs, beams[i].LogProbability, greedy[i].IDs, greedy[i].LogProbability)
		}
		if beams[i].LogProbability > greedy[i].LogProbability+1e-4 {
			better++
		}
	}
	t.Logf("%d of %d rows have a likelier answer with 6 beams", better, len(rows))
}

// TestExtend checks the choice of continuations on numbers by hand.
func TestExtend(t *testing.T) {
	logits := []float32{
		0, 1, 2, 9, // token 3 is no word of the tokenizer
		5, 0, 0, 9,
	}
	beams := []beam{{logp: -1}, {logp: -2}}
	got := extend(beams, logits, 4, 3, 3)
	z0, z1 := logSumExp(logits[:4]), logSumExp(logits[4:])
	want := []candidate{{1, 0, -2 + 5 - z1}, {0, 2, -1 + 2 - z0}, {0, 1, -1 + 1 - z0}}
	for i := range want {
		if got[i].beam != want[i].beam || got[i].token != want[i].token || math.Abs(got[i].logp-want[i].logp) > 1e-9 {
			t.Errorf("choice %d: %+v, want %+v", i, got[i], want[i])
		}
	}
	if got := extend([]beam{{logp: math.Inf(-1)}, {logp: -2}}, logits, 4, 3, 1); got[0].beam != 1 {
		t.Errorf("a dead beam goes on: %+v", got)
	}
	// Of equal logits the lower token comes first.
	if got := extend([]beam{{}}, []float32{1, 3, 3, 3}, 4, 4, 2); got[0].token != 1 || got[1].token != 2 {
		t.Errorf("ties: %+v", got)
	}
}

func TestLengthPenalty(t *testing.T) {
	short, long := beam{ids: make([]int64, 1), logp: -2}, beam{ids: make([]int64, 7), logp: -3}
	if penalised(short, 0) <= penalised(long, 0) {
		t.Error("without a penalty the likelier beam must win")
	}
	if got, want := penalised(long, 1), -1.5; got != want {
		t.Errorf("((5+7)/6)^1 gives %v, want %v", got, want)
	}
	if got := best([]beam{short, long}, nil, 1, 1); got.LogProbability != -3 {
		t.Errorf("with a penalty of 1 the longer beam must win, got %+v", got)
	}
}
