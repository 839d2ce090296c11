package prompt

import (
	"softprompt/models"
	"softprompt/onnx"
)

// PerLayerReplace returns the method between prompt tuning and prefix tuning
// of the reference (google-research/prompt-tuning,
// prompt_tuning/extended/train/per_layer.py, replace_prompt): the encoder's
// input gets P positions before it, and before every layer they are overwritten
// by vectors of that layer. Keys and values of them are made by the frozen
// projections.
//
// The reference tunes a prompt at the embeddings too, which the first layer
// overwrites unread; here the first layer's is the prompt. It is laid into the
// stream after the dropout of the embeddings, as there. The vectors of the other
// layers start uniform in [0,0.5) (configs/extended/models/
// t5_1_1_per_layer_prompt.gin).
//
// Graph inputs: prompts [K,P,d], encoder.<i>.prompt [K,P,d] of each layer from
// the second on, prompt_mask [K,P].
func PerLayerReplace(c models.Config, s Sizes) (*Method, error) {
	m := perLayer(c, s, MethodPerLayer, 1, upToHalf)
	m.Embeddings = func(s *Site, emb, mask string) (string, string) {
		visible := s.PerRow(PromptMask)
		shape := s.B.Concat(0, s.B.SizesOf(visible, 0, 2), s.B.Ints(int64(c.DModel)))
		return s.B.Concat(1, s.B.Fill(shape, 0, onnx.Float32), emb), s.B.Concat(1, visible, mask)
	}
	m.LayerInput = func(s *Site, h string) string {
		if s.Stack != "encoder" {
			return h
		}
		name := layerPrompt(s)
		if s.Layer == 0 {
			name = "prompts"
		}
		return s.B.Concat(1, s.PerRow(name), s.afterPrompt(h))
	}
	return m, nil
}

// PerLayerAdd is the other form of the reference (per_layer.py, add_prompt): a
// prompt is laid before the encoder's input as in [PromptTuning], and before
// every layer a learned delta is added to its P positions (Qin and Eisner 2021,
// "Learning how to ask", section 3.4, where the deltas start at 0).
//
// Graph inputs: prompts [K,P,d], encoder.<i>.prompt [K,P,d] of each layer,
// prompt_mask [K,P].
func PerLayerAdd(c models.Config, s Sizes) (*Method, error) {
	m := perLayer(c, s, MethodPerLayerAdd, 0, zeros)
	m.Embeddings = PromptTuning(c.DModel).Embeddings
	m.LayerInput = func(s *Site, h string) string {
		if s.Stack != "encoder" {
			return h
		}
		at := s.B.SizesOf(PromptMask, 1, 2)
		before := s.B.Slice(h, s.B.Ints(0), at, 1)
		return s.B.Concat(1, s.B.Add(before, s.PerRow(layerPrompt(s))), s.afterPrompt(h))
	}
	return m, nil
}

// perLayer has what both forms tune: the prompt and, from the given layer on,
// one matrix for each layer of the encoder, with its first values by init.
func perLayer(c models.Config, sizes Sizes, name string, from int, init func(*Rand, []float32)) *Method {
	base := PromptTuning(c.DModel)
	m := &Method{Name: name, Sizes: Sizes{Length: sizes.Length}, Trainables: base.Trainables, Inputs: base.Inputs}
	for i := from; i < c.NumLayers; i++ {
		s := &Site{Stack: "encoder", Layer: i}
		m.Trainables = append(m.Trainables, Trainable{
			Name: layerPrompt(s), Input: layerPrompt(s), Shape: base.Trainables[0].Shape, Init: init, MethodRate: true,
		})
	}
	return m
}

// upToHalf draws uniformly from [0,0.5).
func upToHalf(rng *Rand, values []float32) {
	for i := range values {
		values[i] = rng.Float32() / 2
	}
}

func layerPrompt(s *Site) string { return s.name() + ".prompt" }

// afterPrompt returns the positions [B,S,d] of the stream [B,P+S,d] that
// follow the prompt's.
func (s *Site) afterPrompt(h string) string {
	return s.B.Slice(h, s.B.SizesOf(PromptMask, 1, 2), s.B.Ints(onnx.End), 1)
}
