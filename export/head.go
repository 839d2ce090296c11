package export

import (
	"math"

	"softprompt/onnx"
)

// headBlock is the block of what turns the decoder's states into logits and a
// loss.
const headBlock = "head"

// logits returns the scores [B,T,V] of the decoder's states [B,T,d]. The head
// of a v1.0 model is the embedding itself, and the states are scaled by
// d_model^−½ (modeling_t5.py, T5ForConditionalGeneration.forward).
func (g *t5) logits(states string) string {
	g.at(headBlock, -1, "")
	alpha := 1.0
	if g.Config.ScaleDecoderOutputs {
		alpha = 1 / math.Sqrt(float64(g.Config.DModel))
	}
	return g.FusedMatMul(states, g.weight(g.Config.HeadName()), false, true, alpha)
}

// tokenScores is what a teacher-forced pass says of labels [B,T]; where a
// label is negative, all are 0.
type tokenScores struct {
	valid   string // 1 where there is a label
	logProb string // log-probability of the label
	logZ    string // log Σ exp(logits)
	safe    string // the labels, 0 where negative
}

// score compares logits [B,T,V] with labels [B,T].
func (g *t5) score(logits, labels string) tokenScores {
	safe := g.Max(labels, g.Int(0))
	valid := g.Cast(g.GreaterOrEqual(labels, g.Int(0)), onnx.Float32)
	pick := func(x string) string { return g.Squeeze(g.GatherElements(x, g.Unsqueeze(safe, -1), -1), -1) }
	logProb := pick(g.LogSoftmax(logits, -1))
	return tokenScores{
		valid:   valid,
		logProb: g.Mul(logProb, valid),
		logZ:    g.Mul(g.Sub(pick(logits), logProb), valid),
		safe:    safe,
	}
}

// loss adds the outputs loss [1], example_loss [B] and token_hits [B]:
//
//	loss         = Σ label_weights · (−log p + zLoss · (log Z)²)
//	example_loss = Σ over the row's labels of −log p
//	token_hits   = number of the row's labels that have the highest logit
//
// label_weights [B,T] makes the loss a sum (1), a mean (1/tokens), a part of
// an accumulated batch or one prompt's share; the paper's code sums (T5X
// losses.py). It returns the value to differentiate.
func (g *t5) loss(logits, labels string) string {
	s := g.score(logits, labels)
	weights := g.Input("label_weights", onnx.Float32, onnx.Sym("B"), onnx.Sym("T"))
	nll := g.Neg(s.logProb)
	total := nll
	if g.ZLoss != 0 {
		total = g.Add(nll, g.Scale(g.Mul(s.logZ, s.logZ), g.ZLoss))
	}
	loss := g.ReshapeTo(g.ReduceSum(g.Mul(total, weights), false), 1)
	if g.Method.Loss != nil {
		loss = g.Method.Loss(&g.site, loss)
	}
	hits := g.Cast(g.Equal(g.ArgMax(logits, -1, false), s.safe), onnx.Float32)
	g.Output("loss", loss)
	g.Output("example_loss", g.ReduceSum(nll, false, 1))
	g.Output("token_hits", g.ReduceSum(g.Mul(hits, s.valid), false, 1))
	return "loss"
}

// rankLoss adds the same outputs for a choice among the C candidates of each
// row, whose log-probabilities [B,C] are given:
//
//	loss         = Σ row_weights · example_loss
//	example_loss = log Σ p of all candidates − log Σ p of the right ones
//	token_hits   = 1 where a right one is the likeliest
//
// right [B,C] marks them with 1: several words may stand for one class. This
// is cross-entropy restricted to the label words (OpenPrompt,
// PromptForClassification); their share of all text plays no part in it.
func (g *t5) rankLoss(logProb string) string {
	b, c := onnx.Sym("B"), onnx.Sym("C")
	right := g.Input("right", onnx.Float32, b, c)
	weights := g.Input("row_weights", onnx.Float32, b)
	scores := g.LogSoftmax(logProb, -1)
	onlyRight := g.Add(scores, g.maskBias(right))
	example := g.Neg(g.Op("ReduceLogSumExp", []string{onlyRight, g.Ints(1)}, onnx.IntAttr("keepdims", 0)))
	loss := g.ReshapeTo(g.ReduceSum(g.Mul(example, weights), false), 1)
	if g.Method.Loss != nil {
		loss = g.Method.Loss(&g.site, loss)
	}
	best := g.Unsqueeze(g.ArgMax(scores, -1, false), 1)
	g.Output("loss", loss)
	g.Output("example_loss", example)
	g.Output("token_hits", g.Squeeze(g.GatherElements(right, best, 1), 1))
	return "loss"
}
