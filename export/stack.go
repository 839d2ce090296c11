package export

import (
	"fmt"

	"softprompt/onnx"
	"softprompt/prompt"
)

// encoder adds the inputs of an encoder pass and the encoder itself. It
// returns the hidden states [B,E,d] after the final norm and the mask [B,E],
// where E is P+S with a prompt laid before the input.
func (g *t5) encoder() (states, mask string) {
	g.at("encoder", -1, "")
	x, mask := g.encoderInput()
	if g.Graphs != nil {
		return g.exportedEncoder(x, mask), mask
	}
	if shape := g.Shape(mask); g.Spec.Dropout && len(shape) == 2 {
		g.addDropout(shape[1])
	}
	x = g.drop(hidden, x)

	positions := g.positions(mask)
	hide := g.Unsqueeze(g.maskBias(mask), 1, 2) // [B,1,1,E]
	if g.Method.EncoderMask != nil {
		hide = g.Method.EncoderMask(&g.site, hide) // [B,1,E,E]
	}
	bias := g.layerBias("encoder", func(table string) string {
		return g.Add(g.positionBias(table, positions, positions, true), hide) // [B,h,E,E]
	})
	for i := range g.Config.NumLayers {
		layer := fmt.Sprintf("encoder.block.%d.layer", i)
		x = g.layerInput("encoder", i, x)
		x = g.selfAttention("encoder", i, layer+".0", x, func(k, v string) (string, string, string) { return k, v, bias(i) })
		x = g.feedForward(x, i, "encoder", layer+".1")
	}
	g.at("encoder", -1, "")
	return g.drop(hidden, g.norm(x, "encoder.final_layer_norm.weight")), mask
}

// encoderInput returns the embedded input [B,E,d] and its mask [B,E].
func (g *t5) encoderInput() (emb, mask string) {
	b, s, d := onnx.Sym("B"), onnx.Sym("S"), onnx.Size(int64(g.Config.DModel))
	if g.Embeds {
		e := onnx.Sym("P").Plus(s)
		emb = g.Input("inputs_embeds", onnx.Float32, b, e, d)
		return emb, g.Cast(g.Input("attention_mask", onnx.Int64, b, e), onnx.Float32)
	}
	ids := g.Input("input_ids", onnx.Int64, b, s)
	mask = g.Cast(g.Input("attention_mask", onnx.Int64, b, s), onnx.Float32)
	g.methodInputs()
	emb = g.embedded(ids)
	if g.Method.Embeddings != nil {
		emb, mask = g.Method.Embeddings(&g.site, emb, mask)
	}
	return emb, mask
}

// embedded looks token ids [B,S] up: [B,S,d].
func (g *t5) embedded(ids string) string {
	if g.Graphs != nil {
		return g.exportedEmbedding(ids)
	}
	return g.Gather(g.weight("shared.weight"), ids, 0)
}

// methodInputs declares the graph inputs of the method.
func (g *t5) methodInputs() {
	if len(g.Method.Trainables) == 0 {
		return
	}
	if g.Spec.Prompt != nil {
		g.bake(g.Spec.Prompt)
		return
	}
	k := onnx.Sym("K")
	for _, t := range g.Method.Trainables {
		g.Input(t.Input, onnx.Float32, append([]onnx.Dim{k}, t.Shape...)...)
	}
	for _, v := range g.Method.Inputs {
		g.Input(v.Name, v.Type, v.Shape...)
	}
	g.Input(prompt.PromptIndex, onnx.Int64, onnx.Sym("B"))
}

// layerInput passes the stream through the method before a layer.
func (g *t5) layerInput(stack string, i int, x string) string {
	g.at(stack, i, "")
	if g.Method.LayerInput != nil {
		x = g.Method.LayerInput(&g.site, x)
	}
	return x
}

// selfAttention adds the first sub-layer of a layer. join gets the keys and
// values of x and returns all that it attends to, with their bias.
func (g *t5) selfAttention(stack string, i int, name, x string, join func(k, v string) (string, string, string)) string {
	g.at(stack, i, prompt.SelfAttention)
	n := g.norm(x, name+".layer_norm.weight")
	k, v, bias := join(g.keysValues(n, name+".SelfAttention"))
	return g.residual(x, g.attention(n, name+".SelfAttention", k, v, bias))
}

// decoderInput is what a decoder pass starts from.
type decoderInput struct {
	ids string // [B,T]
	// bias of the self-attention [B or 1,h,T,L] in a layer: positions and
	// visibility.
	bias  func(layer int) string
	cross crossAttention
	// join is called in each layer with its new keys and values and returns
	// those to attend to; nil leaves them.
	join func(layer int, k, v string) (string, string)
}

// decoder adds the decoder and returns its states [B,T,d] after the final norm.
func (g *t5) decoder(in decoderInput) string {
	g.at("decoder", -1, "")
	x := g.drop(hidden, g.Gather(g.weight("shared.weight"), in.ids, 0))
	for i := range g.Config.NumDecoderLayers {
		layer := fmt.Sprintf("decoder.block.%d.layer", i)
		x = g.layerInput("decoder", i, x)
		x = g.selfAttention("decoder", i, layer+".0", x, func(k, v string) (string, string, string) {
			if in.join != nil {
				k, v = in.join(i, k, v)
			}
			return k, v, in.bias(i)
		})
		g.at("decoder", i, prompt.CrossAttention)
		n := g.norm(x, layer+".1.layer_norm.weight")
		x = g.residual(x, in.cross(i, n))
		x = g.feedForward(x, i, "decoder", layer+".2")
	}
	g.at("decoder", -1, "")
	return g.drop(hidden, g.norm(x, "decoder.final_layer_norm.weight"))
}

// causalBias returns the decoder's self-attention bias [1,h,T,T] of a whole
// target: positions, and nothing later visible.
func (g *t5) causalBias(ids string) func(layer int) string {
	pos := g.positions(ids)
	visible := g.Cast(g.LessOrEqual(g.Unsqueeze(pos, 0), g.Unsqueeze(pos, 1)), onnx.Float32) // [T,T]
	hidden := g.maskBias(visible)
	return g.layerBias("decoder", func(table string) string {
		return g.Add(g.positionBias(table, pos, pos, false), hidden)
	})
}

// layerBias returns the self-attention bias of each layer of a stack, made
// from its table by build: one that all layers share, or UMT5's one a layer.
func (g *t5) layerBias(stack string, build func(table string) string) func(layer int) string {
	made := map[int]string{}
	return func(layer int) string {
		if !g.Config.PerLayerBias {
			layer = 0
		}
		if made[layer] == "" {
			made[layer] = build(fmt.Sprintf("%s.block.%d.layer.0.SelfAttention.relative_attention_bias.weight", stack, layer))
		}
		return made[layer]
	}
}

// shiftRight returns what the decoder reads to predict labels [B,T]: the start
// token, then all labels but the last; −100 becomes padding
// (modeling_t5.py, _shift_right).
func (g *t5) shiftRight(labels string) string {
	ids := g.Where(g.Less(labels, g.Int(0)), g.Int(int64(g.Config.PadID)), labels)
	start := g.Fill(g.Concat(0, g.SizesOf(labels, 0, 1), g.Ints(1)), float64(g.Config.DecoderStartID), onnx.Int64)
	return g.Slice(g.Concat(1, start, ids), g.Ints(0), g.SizesOf(labels, 1, 2), 1)
}
