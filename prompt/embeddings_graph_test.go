package prompt

import (
	"math"
	"slices"
	"testing"

	"softprompt/onnx"
)

// linearByHand is x·Wᵀ + b.
func linearByHand(p *Prompt, x [][]float64, weight, bias string) [][]float64 {
	b := p.Tensor(bias).Data
	return each(product(x, turned(tensorRows(p, weight))), func(_, j int, v float64) float64 { return v + float64(b[j]) })
}

func positive(_, _ int, v float64) float64 { return max(0, v) }

// embeddedByHand says, of each method, which vectors stand before the input and
// what becomes of the embedded tokens, from the formulas of the papers.
var embeddedByHand = map[string]struct {
	sizes  Sizes
	before func(p *Prompt) [][]float64
	tokens func(p *Prompt, e [][]float64) [][]float64
}{
	MethodPromptTuning: {before: plainRows},
	MethodDePT: {
		sizes: Sizes{Rank: 4, Rows: 9}, before: plainRows,
		tokens: func(p *Prompt, e [][]float64) [][]float64 {
			offset := product(tensorRows(p, TensorDePTA), tensorRows(p, TensorDePTB))
			return each(e, func(i, j int, v float64) float64 { return v + 8/math.Sqrt(4)*offset[i][j] })
		},
	},
	MethodADePT: {
		sizes: Sizes{Rank: 3}, before: plainRows,
		tokens: func(p *Prompt, e [][]float64) [][]float64 {
			b1, b2 := p.Tensor(TensorB1).Data, p.Tensor(TensorB2).Data
			hidden := product(e, tensorRows(p, TensorW1))
			each(hidden, func(_, j int, v float64) float64 { return max(0, v+float64(b1[j])) })
			move := product(hidden, tensorRows(p, TensorW2))
			return each(e, func(i, j int, v float64) float64 { return v + move[i][j] + float64(b2[j]) })
		},
	},
	MethodPTuning: {
		sizes: Sizes{Hidden: 5},
		before: func(p *Prompt) [][]float64 {
			x := each(linearByHand(p, tensorRows(p, TensorEmbedding), TensorW1, TensorB1), positive)
			x = each(linearByHand(p, x, TensorW2, TensorB2), positive)
			return linearByHand(p, x, TensorW3, TensorB3)
		},
	},
	MethodMultitask: {
		sizes: Sizes{Rank: 2},
		before: func(p *Prompt) [][]float64 {
			own := product(tensorRows(p, TensorU), tensorRows(p, TensorV))
			return each(plainRows(p), func(i, j int, v float64) float64 { return v * own[i][j] })
		},
	},
	MethodPerLayerAdd: {before: plainRows},
	MethodPerLayer: { // the first layer lays them
		before: func(p *Prompt) [][]float64 {
			return each(plainRows(p), func(int, int, float64) float64 { return 0 })
		},
	},
}

func plainRows(p *Prompt) [][]float64 { return tensorRows(p, TensorPrompt) }

// TestEmbeddings: what the encoder sees under each method is what the formulas
// say, for rows that use different prompts of one pass.
func TestEmbeddings(t *testing.T) {
	for name, hand := range embeddedByHand {
		t.Run(name, func(t *testing.T) {
			hand.sizes.Length = 3
			m := methodOf(t, name, hand.sizes)
			run := hookGraph(t, m, func(s *Site) {
				emb := s.B.Input("emb", onnx.Float32, onnx.Sym("B"), onnx.Sym("S"), onnx.Size(int64(hooked.DModel)))
				emb, mask := m.Embeddings(s, emb, s.B.Input("mask", onnx.Float32, onnx.Sym("B"), onnx.Sym("S")))
				s.B.Output("seen", emb)
				s.B.Output("seen_mask", mask)
			})
			prompts := []*Prompt{randomPromptOf(m, 1), randomPromptOf(m, 2)}
			rows := []int64{1, 0, 1}
			in := feed(m, rows, prompts...)
			in["emb"] = drawn(3, 3, 4, int64(hooked.DModel))
			in["mask"] = onnx.Floats("", []int64{3, 4}, []float32{1, 1, 1, 1, 1, 1, 0, 0, 1, 0, 0, 0})
			out := run(t, in)
			if got, want := out["seen_mask"].Float32s(), []float32{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0, 0, 0}; !slices.Equal(got, want) {
				t.Errorf("mask %v, want %v", got, want)
			}
			embedded, err := in["emb"].Float32s()
			if err != nil {
				t.Fatal(err)
			}
			var want [][]float64
			for b, k := range rows {
				e := rowsOf(embedded, hooked.DModel)[4*b : 4*b+4]
				if hand.tokens != nil {
					e = hand.tokens(prompts[k], e)
				}
				want = append(append(want, hand.before(prompts[k])...), e...)
			}
			wantRows(t, "the encoder's input", out["seen"].Float32s(), want)
		})
	}
}

// TestFoldedRows: the prompt that is kept of a method with a network has the
// vectors that its formula gives, its metadata, and no more of its sizes.
func TestFoldedRows(t *testing.T) {
	for _, name := range []string{MethodPTuning, MethodMultitask} {
		hand := embeddedByHand[name]
		hand.sizes.Length = 3
		m := methodOf(t, name, hand.sizes)
		p := randomPromptOf(m, 5)
		p.Meta.Task, p.Meta.Extra = "rte", map[string]string{"note": "kept"}
		folded, err := m.Fold(p)
		if err != nil {
			t.Fatal(err)
		}
		rows, length, width, err := folded.Matrix()
		if err != nil || length != 3 || width != hooked.DModel || folded.Check() != nil {
			t.Fatalf("%s: [%d,%d], %v, %v", name, length, width, err, folded.Check())
		}
		wantRows(t, name, rows, hand.before(p))
		if folded.Meta.Task != "rte" || folded.Meta.Extra["folded_from"] != name || folded.Meta.Extra["note"] != "kept" || folded.Meta.Sizes != nil {
			t.Errorf("%s: metadata %+v", name, folded.Meta)
		}
		if _, touched := p.Meta.Extra["folded_from"]; touched || p.Meta.Sizes == nil {
			t.Errorf("%s: folding changed what it was given: %+v", name, p.Meta)
		}
		p.Tensors = p.Tensors[1:]
		if _, err := m.Fold(p); err == nil || err.Error() != "folding a prompt of method "+name+": a prompt of method "+name+
			` has a tensor "`+m.Trainables[0].Name+`", and this one lacks it` {
			t.Errorf("%s without its first tensor: %v", name, err)
		}
	}
}
