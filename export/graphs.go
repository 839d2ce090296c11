package export

import (
	"errors"
	"fmt"

	"softprompt/grad"
	"softprompt/onnx"
	"softprompt/prompt"
)

// Train returns the graph of one training step: forward pass, loss and the
// gradient of the loss in each trainable of the method (or in inputs_embeds).
// Labels [B,T] that are −100 are ignored.
//
// With Spec.Rank the loss is that of choosing among the candidates of each row:
// candidate_ids [B,C,T] as for [Score], right [B,C] and row_weights [B] take the
// place of labels and label_weights, and ZLoss plays no part.
func Train(spec Spec) (*onnx.Model, error) {
	if spec.Prompt != nil {
		return nil, errors.New("exporting graph train: a prompt that is built in cannot be trained")
	}
	if err := spec.checkHalf("train"); err != nil {
		return nil, err
	}
	final := spec
	spec.Standard, spec.Precision = false, FP32 // passes run once, over the gradient too
	g, err := newGraph("train", spec)
	if err != nil {
		return nil, err
	}
	states, mask := g.encoder()
	var loss string
	if spec.Rank {
		loss = g.rankLoss(g.candidates(states, mask))
	} else {
		labels := g.Input("labels", onnx.Int64, onnx.Sym("B"), onnx.Sym("T"))
		loss = g.loss(g.teacherForced(states, mask, labels), labels)
	}
	m, err := g.finish()
	if err != nil {
		return nil, err
	}
	var wrt []string
	for _, t := range g.Method.Trainables {
		wrt = append(wrt, t.Input)
	}
	if spec.Embeds {
		wrt = []string{"inputs_embeds"}
	}
	if len(wrt) > 0 {
		if m, err = final.gradient(m, loss, wrt); err == nil && spec.Recompute {
			m, err = grad.Recompute(m, nil)
		}
		if err != nil {
			return nil, fmt.Errorf("exporting graph train%s: %w", spec.source(), err)
		}
	}
	return final.passes(m)
}

// Score returns the graph that rates candidate answers: the output
// log_probability [B,C] is the sum over the tokens of candidate_ids [B,C,T],
// C answers for each row of the input. −100 stands where a shorter one ends; an
// answer of nothing else, where a row has fewer than others, has the lowest
// float. The encoder runs once a row, whatever the number of candidates.
func Score(spec Spec) (*onnx.Model, error) {
	spec.Dropout = false
	g, err := newGraph("score", spec)
	if err != nil {
		return nil, err
	}
	g.Output("log_probability", g.candidates(g.encoder()))
	return g.finish()
}

// candidates adds the input of candidate answers and returns their
// log-probabilities [B,C].
func (g *t5) candidates(states, mask string) string {
	ids := g.Input("candidate_ids", onnx.Int64, onnx.Sym("B"), onnx.Sym("C"), onnx.Sym("T"))
	answers := g.SizesOf(ids, 0, 2)
	rows := g.Unsqueeze(g.positionsOf(ids, 0), 1)
	g.row = g.ReshapeTo(g.Expand(rows, answers), -1) // 0 C times, 1 C times, …
	if len(g.Method.Trainables) > 0 {
		g.index = g.Gather(prompt.PromptIndex, g.row, 0)
	}
	labels := g.Reshape(ids, g.Concat(0, g.Ints(-1), g.SizesOf(ids, 2, 3)))
	s := g.score(g.teacherForced(states, mask, labels), labels)
	sum := g.Add(g.ReduceSum(s.logProb, false, 1), g.maskBias(g.ReduceMax(s.valid, false, 1)))
	return g.Reshape(sum, answers)
}

// teacherForced returns the logits [N,T,V] of a decoder that reads labels
// [N,T] shifted right, looking at the encoder's states [B,E,d] row by row, or,
// with candidates, at each row several times.
func (g *t5) teacherForced(states, mask, labels string) string {
	if g.Graphs != nil {
		return g.exportedDecoder(states, mask, labels)
	}
	cross := g.cross(states, mask)
	g.at("decoder", -1, "")
	ids := g.shiftRight(labels)
	return g.logits(g.decoder(decoderInput{ids: ids, bias: g.causalBias(ids), cross: cross}))
}

// Encode returns the graph that reads the input once for generation. It gives
// what the decoder takes from the encoder: cross.<i>.key and cross.<i>.value
// [B,h,E,d_kv] of each decoder layer i, and encoder_mask [B,E].
func Encode(spec Spec) (*onnx.Model, error) {
	spec.Dropout = false
	g, err := newGraph("encode", spec)
	if err != nil {
		return nil, err
	}
	states, mask := g.encoder()
	k, v := g.crossKeysValues(states)
	for i := range k {
		g.Output(fmt.Sprintf("cross.%d.key", i), k[i])
		g.Output(fmt.Sprintf("cross.%d.value", i), v[i])
	}
	g.Output("encoder_mask", mask)
	return g.finish()
}

// Decode returns the graph of one step of generation: from the last token
// input_ids [B,1] to logits [B,V]. The cache past.<i>.key and past.<i>.value
// [B,h,L,d_kv] holds the positions before, aligned on the right, with
// past_mask [B,L] 0 where a row has none; L may be 0. beam_index [B] picks the
// rows of the cache that go on. The outputs present.<i>.… have one position
// more, and present_mask [B,L+1] goes with them.
func Decode(spec Spec) (*onnx.Model, error) {
	spec.Dropout = false
	g, err := newGraph("decode", spec)
	if err != nil {
		return nil, err
	}
	g.at("decoder", -1, "")
	b, l, e := onnx.Sym("B"), onnx.Sym("L"), onnx.Sym("E")
	h, dkv := onnx.Size(int64(g.Config.NumHeads)), onnx.Size(int64(g.Config.DKV))

	in := decoderInput{ids: g.Input("input_ids", onnx.Int64, b, onnx.Size(1))}
	if m := g.Method; m.LayerInput != nil || m.KeysValues != nil || m.Hidden != nil || m.Weight != nil {
		g.methodInputs() // a method that stops at the encoder's input is not needed here
	}
	mask := g.Input("encoder_mask", onnx.Float32, b, e)
	pastMask := g.Input("past_mask", onnx.Float32, b, l)
	beam := g.Input("beam_index", onnx.Int64, b)
	layers := g.Config.NumDecoderLayers
	pastKeys, pastValues := make([]string, layers), make([]string, layers)
	crossKeys, crossValues := make([]string, layers), make([]string, layers)
	for i := range layers {
		crossKeys[i] = g.Input(fmt.Sprintf("cross.%d.key", i), onnx.Float32, b, h, e, dkv)
		crossValues[i] = g.Input(fmt.Sprintf("cross.%d.value", i), onnx.Float32, b, h, e, dkv)
		pastKeys[i] = g.Input(fmt.Sprintf("past.%d.key", i), onnx.Float32, b, h, l, dkv)
		pastValues[i] = g.Input(fmt.Sprintf("past.%d.value", i), onnx.Float32, b, h, l, dkv)
	}

	presentMask := g.Concat(1, g.Gather(pastMask, beam, 0),
		g.Fill(g.Concat(0, g.SizesOf(in.ids, 0, 1), g.Ints(1)), 1, onnx.Float32)) // [B,L+1]
	keys := g.positions(presentMask)
	last := g.SliceTo(keys, -1, onnx.End, 0) // the query stands last
	absent := g.Unsqueeze(g.maskBias(presentMask), 1, 2)
	in.bias = g.layerBias("decoder", func(table string) string {
		return g.Add(g.positionBias(table, last, keys, false), absent)
	})
	crossBias := g.Unsqueeze(g.maskBias(mask), 1, 2)
	in.cross = func(i int, n string) string {
		return g.attention(n, crossName(i), crossKeys[i], crossValues[i], crossBias)
	}
	in.join = func(i int, k, v string) (string, string) {
		k = g.Concat(2, g.Gather(pastKeys[i], beam, 0), k)
		v = g.Concat(2, g.Gather(pastValues[i], beam, 0), v)
		g.Output(fmt.Sprintf("present.%d.key", i), k)
		g.Output(fmt.Sprintf("present.%d.value", i), v)
		return k, v
	}
	logits := g.logits(g.decoder(in))
	g.Output("logits", g.Squeeze(logits, 1))
	g.Output("present_mask", presentMask)
	return g.finish()
}
