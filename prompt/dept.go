package prompt

import (
	"fmt"
	"math"

	"softprompt/models"
	"softprompt/onnx"
	"softprompt/onnx/hint"
)

// MethodDePT is the name of [DePT].
const MethodDePT = "dept"

// The tensors of [DePT] beside [TensorPrompt].
const (
	TensorDePTA = "a" // A [L,r]
	TensorDePTB = "b" // B [r,d]
)

// budgetRows is the length of the plain prompt whose parameters a method with
// a default rank stays within: 100 vectors.
const budgetRows = 100

// DePTRank returns the largest rank r with which P·d + r·(L+d) ≤ 100·d: no more
// parameters than a plain prompt of 100 vectors has (DePT, section 2.2). It is
// 0 if there is none.
func DePTRank(dModel, length, rows int) int {
	return max(0, (budgetRows-length)*dModel/(rows+dModel))
}

// deptScale returns s = 8/√r (DePT's code, prompt_tuning_lora.py: lora_alpha is
// fixed at 8, and divided by the root of the rank).
func deptScale(rank int) float64 { return 8 / math.Sqrt(float64(rank)) }

// DePT returns the method of Shi and Lipani 2024, decomposed prompt tuning: a
// short prompt P [P,d] before the input, and an offset of rank r added to the
// embedded input X [B,S,d] by position, whatever the token:
//
//	X' = X + 8/√r · A[:S]·B, with A [L,r] and B [r,d]
//
// (peft/tuners/prompt_tuning_lora.py and peft_model.py of the authors' code).
// The prompt gets no offset. An input of more than L tokens has no rows in A;
// who feeds the graph cuts it. A rank of 0 is [DePTRank]'s. A starts uniform in
// ±1/√r and B at 0, so that training starts from plain prompt tuning.
//
// Graph inputs: prompts [K,P,d], prompt_mask [K,P], dept.a [K,L,r], dept.b
// [K,r,d].
func DePT(c models.Config, s Sizes) (*Method, error) {
	if s.Rows < 1 {
		return nil, fmt.Errorf("the length of the inputs is not known, which says how many rows A has")
	}
	if s.Rank == 0 {
		if s.Rank = DePTRank(c.DModel, s.Length, s.Rows); s.Rank == 0 {
			return nil, noRank(s.Length)
		}
	}
	m := PromptTuning(c.DModel)
	m.Name, m.Sizes = MethodDePT, Sizes{Length: s.Length, Rank: s.Rank, Rows: s.Rows}
	rank := onnx.Size(int64(s.Rank))
	m.Trainables = append(m.Trainables,
		Trainable{
			Name: TensorDePTA, Input: "dept.a", Shape: onnx.Shape{onnx.Size(int64(s.Rows)), rank},
			Init: within(1 / math.Sqrt(float64(s.Rank))), MethodRate: true,
		},
		Trainable{
			Name: TensorDePTB, Input: "dept.b", Shape: onnx.Shape{rank, onnx.Size(int64(c.DModel))},
			Init: zeros, MethodRate: true,
		},
	)
	before := m.Embeddings
	m.Embeddings = func(site *Site, emb, mask string) (string, string) {
		b := site.B
		a := b.Slice("dept.a", b.Ints(0), b.SizesOf(emb, 1, 2), 1)            // [K,S,r]
		offset := b.FusedMatMul(a, "dept.b", false, false, deptScale(s.Rank)) // [K,S,d], once for all rows
		return before(site, b.Add(emb, site.PerRow(offset)), mask)
	}
	return m, nil
}

// noRank says that a default rank is not there.
func noRank(length int) error {
	return hint.Wrap(fmt.Errorf("%d vectors leave no parameters for a low-rank part within those of %d vectors", length, budgetRows),
		"use a shorter --length, or give a --rank")
}

// zeros leaves a tensor at 0.
func zeros(*Rand, []float32) {}

// within returns an initialiser that draws uniformly from ±bound.
func within(bound float64) func(*Rand, []float32) {
	return func(rng *Rand, values []float32) {
		for i := range values {
			values[i] = float32(bound) * (2*rng.Float32() - 1)
		}
	}
}
