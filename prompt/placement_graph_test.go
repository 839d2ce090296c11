package prompt

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"softprompt/models"
	"softprompt/onnx"
)

// cell is what stands at a position of the encoder's input: the i-th vector of
// the prompt or the i-th token, either of which may be padding.
type cell struct {
	vector, padding bool
	at              int
}

// tokensBefore says how many of a row's tokens stand before the vectors.
var tokensBefore = map[string]func(tokens int) int{
	PlacementPrefix:    func(int) int { return 0 },
	"after-first":      func(n int) int { return min(n, 1) },
	"suffix":           func(n int) int { return max(n-1, 0) },
	"suffix-after-eos": func(n int) int { return n },
}

// laid lays out a row by hand: own of length vectors, padded on the left, and
// tokens of an input of size, padded on the right.
func laid(placement string, own, length, tokens, size int) (row []cell) {
	vectors := func(from, to int) {
		for i := from; i < to; i++ {
			row = append(row, cell{true, i < length-own, i})
		}
	}
	input := func(from, to int) {
		for i := from; i < to; i++ {
			row = append(row, cell{false, i >= tokens, i})
		}
	}
	before := tokensBefore[placement](tokens)
	vectors(0, length-own)
	input(0, before)
	vectors(length-own, length)
	input(before, size)
	return row
}

// batch is a drawn batch of rows, each with a prompt of its own length.
type batch struct {
	length, size int
	own, tokens  []int // of each row
	in           map[string]*onnx.Tensor
}

// drawBatch draws one. Vector i of prompt k is [100·(k+1)+i, …], token i of row
// b is −[10·b+i+1, …].
func drawBatch(t *rapid.T) batch {
	length, size, prompts := rapid.IntRange(1, 4).Draw(t, "length"), rapid.IntRange(1, 5).Draw(t, "size"), rapid.IntRange(1, 3).Draw(t, "prompts")
	lengths := rapid.SliceOfN(rapid.IntRange(1, length), prompts, prompts).Draw(t, "lengths")
	b := batch{length: length, size: size, tokens: rapid.SliceOfN(rapid.IntRange(1, size), 1, 4).Draw(t, "tokens")}
	index := rapid.SliceOfN(rapid.Int64Range(0, int64(prompts-1)), len(b.tokens), len(b.tokens)).Draw(t, "index")
	var vectors, visible, emb, mask []float32
	for k, own := range lengths {
		for i := range length {
			v := float32(100*(k+1) + i)
			vectors, visible = append(vectors, v, v+0.5), append(visible, flag(i >= length-own))
		}
	}
	for r, tokens := range b.tokens {
		b.own = append(b.own, lengths[index[r]])
		for i := range size {
			v := -float32(10*r + i + 1)
			emb, mask = append(emb, v, v-0.5), append(mask, flag(i < tokens))
		}
	}
	k, n, p, s := int64(prompts), int64(len(b.tokens)), int64(length), int64(size)
	b.in = map[string]*onnx.Tensor{
		PromptIndex: onnx.Longs("", []int64{n}, index),
		"prompts":   onnx.Floats("", []int64{k, p, 2}, vectors), PromptMask: onnx.Floats("", []int64{k, p}, visible),
		"emb": onnx.Floats("", []int64{n, s, 2}, emb), "mask": onnx.Floats("", []int64{n, s}, mask),
	}
	return b
}

func flag(b bool) float32 {
	if b {
		return 1
	}
	return 0
}

// placedGraph lays the vectors of prompt tuning, two wide, and has the encoder's
// bias made of what it is given.
func placedGraph(t *testing.T, placement, visibility string) runner {
	t.Helper()
	m, err := NewMethod(MethodPromptTuning, models.Config{DModel: 2}, Sizes{Length: 1, Placement: placement, Visibility: visibility})
	if err != nil {
		t.Fatal(err)
	}
	return hookGraph(t, m, func(s *Site) {
		emb := s.B.Input("emb", onnx.Float32, onnx.Sym("B"), onnx.Sym("S"), onnx.Size(2))
		emb, mask := m.Embeddings(s, emb, s.B.Input("mask", onnx.Float32, onnx.Sym("B"), onnx.Sym("S")))
		s.B.Output("seen", emb)
		s.B.Output("seen_mask", mask)
		if m.EncoderMask != nil {
			bias := s.B.Input("bias", onnx.Float32, onnx.Sym("B"), onnx.Size(1), onnx.Size(1), onnx.Sym("E"))
			s.B.Output("scores", m.EncoderMask(s, bias))
		}
	})
}

// TestPlacedRows: in every placement, vectors and tokens come in the order that
// it is named after, whatever of a row is padding.
func TestPlacedRows(t *testing.T) {
	if len(tokensBefore) != len(Placements()) {
		t.Errorf("placements are %v", Placements())
	}
	for _, placement := range Placements() {
		run := placedGraph(t, placement, "")
		rapid.Check(t, func(t *rapid.T) {
			b := drawBatch(t)
			index, err := b.in[PromptIndex].Int64s()
			if err != nil {
				t.Fatal(err)
			}
			var rows, mask [][]float64
			for r := range b.tokens {
				for _, c := range laid(placement, b.own[r], b.length, b.tokens[r], b.size) {
					v := float64(100*(int(index[r])+1) + c.at)
					row := []float64{v, v + 0.5}
					if !c.vector {
						v = -float64(10*r + c.at + 1)
						row = []float64{v, v - 0.5}
					}
					rows, mask = append(rows, row), append(mask, []float64{float64(flag(!c.padding))})
				}
			}
			out := run(t, b.in)
			wantRows(t, placement+": rows", out["seen"].Float32s(), rows)
			wantRows(t, placement+": mask", out["seen_mask"].Float32s(), mask)
		})
	}
}

// sight says what a vector at position q of a row sees at position k.
var sight = map[string]func(key cell, q, k int) bool{
	"causal":        func(key cell, q, k int) bool { return !key.vector || k <= q },
	"input":         func(key cell, q, k int) bool { return !key.vector || k == q },
	"prompt":        func(key cell, _, _ int) bool { return key.vector },
	"prompt-causal": func(key cell, q, k int) bool { return key.vector && k <= q },
	"self":          func(_ cell, q, k int) bool { return k == q },
}

// TestSight: a token sees all, a vector what its visibility says, in every
// placement; what is padding stays hidden, and every score stays finite.
func TestSight(t *testing.T) {
	if len(sight) != len(Visibilities())-1 {
		t.Errorf("visibilities are %v", Visibilities())
	}
	for visibility, sees := range sight {
		run := map[string]runner{}
		for _, placement := range Placements() {
			run[placement] = placedGraph(t, placement, visibility)
		}
		rapid.Check(t, func(t *rapid.T) {
			placement := rapid.SampledFrom(Placements()).Draw(t, "placement")
			b := drawBatch(t)
			var bias []float32
			var rows [][]cell
			for r := range b.tokens {
				rows = append(rows, laid(placement, b.own[r], b.length, b.tokens[r], b.size))
				for _, c := range rows[r] {
					bias = append(bias, -math.MaxFloat32*flag(c.padding))
				}
			}
			n, e := len(rows), b.length+b.size
			b.in["bias"] = onnx.Floats("", []int64{int64(n), 1, 1, int64(e)}, bias)
			scores := run[placement](t, b.in)["scores"].Float32s()
			if len(scores) != n*e*e {
				t.Fatalf("%d scores, want %d", len(scores), n*e*e)
			}
			for r, row := range rows {
				for q, query := range row {
					if query.padding {
						continue // nobody reads what it sees
					}
					for k, key := range row {
						got, hidden := scores[(r*e+q)*e+k], key.padding || query.vector && !sees(key, q, k)
						if math.IsInf(float64(got), 0) || hidden != (got <= -1e9) || !hidden && got != 0 {
							t.Fatalf("%s %s: row %d of %v: %d sees %d with a bias of %v", placement, visibility, r, row, q, k, got)
						}
					}
				}
			}
		})
	}
}
