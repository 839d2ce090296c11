package export

import (
	"fmt"

	"softprompt/prompt"
)

// Cross-attention asks the encoder's states H [B,E,d] for what a decoder layer
// needs. As the model is written, each layer first turns all of H into keys and
// values:
//
//	scores = q·(H·Wkᵀ)ᵀ    out = p·(H·Wvᵀ)
//
// Matrix products may be grouped otherwise:
//
//	scores = (q·Wk)·Hᵀ     out = (p·H)·Wvᵀ
//
// The second form, folded, does not touch Wk and Wv for every position of the
// input but for every position of the target: with targets shorter than d_kv it
// takes T/d_kv of the operations, forward and backward, and keeps no keys and
// values for the way back. Prompt tuning's targets are a label word or two, and
// in T5 v1.1 small the first form is an eighth of a training step.

// crossAttention returns the cross-attention sub-layer: from the normed stream
// n [N,T,d] of decoder layer i to its output [N,T,d].
type crossAttention func(i int, n string) string

func crossName(i int) string { return fmt.Sprintf("decoder.block.%d.layer.1.EncDecAttention", i) }

// cross returns the cross-attention to the states [B,E,d] of an encoder with
// the given mask [B,E]. The N rows of the decoder look at B·C rows in turn: C
// label sequences share a row of the encoder.
func (g *t5) cross(states, mask string) crossAttention {
	if g.Method.KeysValues != nil || g.LongTargets {
		return g.crossDirect(states, mask)
	}
	return g.crossFolded(states, mask)
}

// crossDirect is the form with keys and values, which a method may change.
func (g *t5) crossDirect(states, mask string) crossAttention {
	k, v := g.crossKeysValues(states)
	g.at("decoder", -1, "")
	bias := g.Unsqueeze(g.maskBias(mask), 1, 2) // [B,1,1,E]
	if g.row != "" {
		bias = g.Gather(bias, g.row, 0)
		for i := range k {
			k[i], v[i] = g.Gather(k[i], g.row, 0), g.Gather(v[i], g.row, 0)
		}
	}
	return func(i int, n string) string { return g.attention(n, crossName(i), k[i], v[i], bias) }
}

// crossKeysValues returns, for each decoder layer, the keys and values
// [B,h,E,d_kv] that it takes from the encoder's states [B,E,d].
func (g *t5) crossKeysValues(states string) (k, v []string) {
	for i := range g.Config.NumDecoderLayers {
		g.at("decoder", i, prompt.CrossAttention)
		ki, vi := g.keysValues(states, crossName(i))
		k, v = append(k, ki), append(v, vi)
	}
	return k, v
}

// crossFolded is the form without keys and values. Label sequences of one row
// are laid end to end, C·T positions, and the heads below one another, so that
// each product with the states is one of matrices [h·C·T,d].
func (g *t5) crossFolded(states, mask string) crossAttention {
	g.at("decoder", -1, "")
	h, dkv, d := int64(g.Config.NumHeads), int64(g.Config.DKV), int64(g.Config.DModel)
	bias := g.Unsqueeze(g.maskBias(mask), 1) // [B,1,E]
	rows := g.SizesOf(states, 0, 1)
	byRow := g.Concat(0, g.Ints(h), rows, g.Ints(-1, d))
	return func(i int, n string) string {
		name := crossName(i)
		q := g.ReshapeTo(g.linear(n, name+".q.weight"), -1, h, dkv)
		q = g.MatMul(g.Transpose(q, 1, 0, 2), g.headWeight(name+".k.weight")) // [h,N·T,d]
		q = g.ReshapeTo(g.Transpose(g.Reshape(q, byRow), 1, 0, 2, 3), 0, -1, d)
		scores := g.Add(g.FusedMatMul(q, states, false, true, 1), bias) // [B,h·C·T,E]
		p := g.dropFolded(g.Softmax(scores, -1))
		o := g.MatMul(p, states) // [B,h·C·T,d]
		o = g.Transpose(g.Reshape(o, g.Concat(0, rows, g.Ints(h, -1, d))), 1, 0, 2, 3)
		o = g.FusedMatMul(g.ReshapeTo(o, h, -1, d), g.headWeight(name+".v.weight"), false, true, 1) // [h,N·T,d_kv]
		o = g.Reshape(g.Transpose(o, 1, 0, 2), g.Concat(0, g.SizesOf(n, 0, 2), g.Ints(h*dkv)))
		return g.linear(o, name+".o.weight")
	}
}

// dropFolded is the dropout of folded attention probabilities [B,h·C·T,E], whose
// mask is the same for all positions of a target.
func (g *t5) dropFolded(p string) string {
	if g.sites == nil {
		return p
	}
	heads := g.Concat(0, g.SizesOf(p, 0, 1), g.Ints(int64(g.Config.NumHeads), -1), g.SizesOf(p, 2, 3))
	row := g.row
	g.row = "" // the rows are the encoder's here
	dropped := g.drop(probabilities, g.Reshape(p, heads))
	g.row = row
	return g.Reshape(dropped, g.ShapeOf(p))
}

// headWeight returns a weight [h·d_kv,d] as matrices of the heads [h,d_kv,d]. A
// frozen one is named a second time where it lies: to reshape it would be to
// copy it.
func (g *t5) headWeight(name string) string {
	dims := []int64{int64(g.Config.NumHeads), int64(g.Config.DKV), int64(g.Config.DModel)}
	if g.Method.Weight != nil {
		return g.ReshapeTo(g.weight(name), dims...)
	}
	heads := name + ".heads"
	if _, ok := g.loaded[heads]; !ok {
		g.loaded[heads] = g.frozen(name, heads, dims)
	}
	return g.loaded[heads]
}
