package prompt

import (
	"math"

	"softprompt/models"
	"softprompt/onnx"
)

// MethodADePT is the name of [ADePT].
const MethodADePT = "adept"

// The tensors of a method with a network, beside [TensorPrompt].
const (
	TensorW1 = "w1"
	TensorB1 = "b1"
	TensorW2 = "w2"
	TensorB2 = "b2"
	TensorW3 = "w3"
	TensorB3 = "b3"
)

// ADePTRank returns the largest width r of the network with which
// P·d + 2·d·r + r + d ≤ 100·d: no more parameters than a plain prompt of 100
// vectors has. It is 0 if there is none.
func ADePTRank(dModel, length int) int {
	return max(0, (budgetRows-1-length)*dModel/(2*dModel+1))
}

// ADePT returns the method of Tang et al. 2025, adaptive decomposed prompt
// tuning: a short prompt P [P,d] before the input, and a small network that
// moves each token's embedding e [d] by what the token is, not by where it
// stands:
//
//	e' = e + ReLU(e·W1 + b1)·W2 + b2, with W1 [d,r], b1 [r], W2 [r,d], b2 [d]
//
// (prompt_tuning_lorax.py of the authors' code, where they are A, a, B and b).
// The prompt does not pass through it, and there is no scale. A rank of 0 is
// [ADePTRank]'s. W1 starts uniform in ±1/√r and all else at 0, so that training
// starts from plain prompt tuning. The authors' code also drops a tenth of the
// hidden units in training; the paper's formula does not, and nor does this.
//
// Graph inputs: prompts [K,P,d], prompt_mask [K,P], adept.w1 [K,d,r],
// adept.b1 [K,r], adept.w2 [K,r,d], adept.b2 [K,d].
func ADePT(c models.Config, s Sizes) (*Method, error) {
	if s.Rank == 0 {
		if s.Rank = ADePTRank(c.DModel, s.Length); s.Rank == 0 {
			return nil, noRank(s.Length)
		}
	}
	m := PromptTuning(c.DModel)
	m.Name, m.Sizes = MethodADePT, Sizes{Length: s.Length, Rank: s.Rank}
	d, r := onnx.Size(int64(c.DModel)), onnx.Size(int64(s.Rank))
	add := func(name string, init func(*Rand, []float32), shape ...onnx.Dim) {
		m.Trainables = append(m.Trainables, Trainable{Name: name, Input: "adept." + name, Shape: shape, Init: init, MethodRate: true})
	}
	add(TensorW1, within(1/math.Sqrt(float64(s.Rank))), d, r)
	add(TensorB1, zeros, r)
	add(TensorW2, zeros, r, d)
	add(TensorB2, zeros, d)
	before := m.Embeddings
	m.Embeddings = func(site *Site, emb, mask string) (string, string) {
		b := site.B
		bias := func(name string) string { return b.Unsqueeze(site.PerRow("adept."+name), 1) } // [B,1,·]
		hidden := b.Relu(b.Add(b.MatMul(emb, site.PerRow("adept."+TensorW1)), bias(TensorB1)))
		offset := b.Add(b.MatMul(hidden, site.PerRow("adept."+TensorW2)), bias(TensorB2))
		return before(site, b.Add(emb, offset), mask)
	}
	return m, nil
}
