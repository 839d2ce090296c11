package prompt

import (
	"math"

	"softprompt/models"
	"softprompt/onnx"
)

// Prefix returns prefix tuning (Li and Liang 2021): P learned keys and values
// stand before those of every attention, of the encoder's self-attention, the
// decoder's self-attention and its cross-attention, as the authors have it for
// an encoder-decoder (XiangLi1999/PrefixTuning, seq2seq/prefixTuning.py: one
// table each). Without an MLP this is also P-tuning v2 (Liu et al. 2022).
//
// A prefix has no position: its keys get the bias 0. transformers and so PEFT,
// which lays prefixes into the decoder's cache, count them there as tokens
// before the text (modeling_t5.py, T5Attention.forward: past_seen_tokens), and
// PEFT has none in the encoder and in cross-attention
// (peft_model.py, get_prompt). With positions a prefix would look far from the
// end of a long text, and from the encoder's side there is no place for it. Both
// agree where the decoder's table of positions is 0.
//
// Graph inputs, with K before each: <site>.key and <site>.value [P,h·d_kv] of
// each attention, such as encoder.0.self-attention.key, and prompt_mask [K,P].
func Prefix(c models.Config) *Method {
	m := prefix(c, MethodPrefix, func(s *Site, tensor string) string { return s.PerRow(tensor) })
	inner := onnx.Size(int64(c.InnerDim()))
	for _, s := range attentions(c) {
		for _, x := range []string{s + ".key", s + ".value"} {
			m.Trainables = append(m.Trainables, Trainable{Name: x, Input: x, Shape: onnx.Shape{onnx.Sym("P"), inner}})
		}
	}
	return m
}

// PrefixMLP is [Prefix] with the keys and values made by an MLP, which the
// authors found to train more steadily (Li and Liang 2021, section 4.3; PEFT,
// PrefixEncoder with prefix_projection): of each kind of attention there is a
// matrix of P embeddings, and
//
//	key, value = tanh(embedding · Aᵀ + a) · Bᵀ + b
//
// with an output B, b for each attention. PEFT's one matrix B of all layers is
// these below one another. hidden is the MLP's width.
//
// Graph inputs, with K before each: of each kind x of attention, such as
// decoder.cross-attention, x.embedding [P,d], x.hidden.weight [hidden,d] and
// x.hidden.bias [hidden]; of each attention <site>.key.weight, <site>.value.weight
// [h·d_kv,hidden], <site>.key.bias and <site>.value.bias [h·d_kv]; prompt_mask
// [K,P].
func PrefixMLP(c models.Config, hidden int) *Method {
	m := prefix(c, MethodPrefixMLP, func(s *Site, tensor string) string {
		return s.PerRow(s.linear(s.prefixHidden(), tensor))
	})
	inner, width, d := onnx.Size(int64(c.InnerDim())), onnx.Size(int64(hidden)), onnx.Size(int64(c.DModel))
	add := func(name string, shape ...onnx.Dim) {
		m.Trainables = append(m.Trainables, Trainable{Name: name, Input: name, Shape: shape})
	}
	for _, kind := range []string{
		kindName("encoder", SelfAttention), kindName("decoder", SelfAttention), kindName("decoder", CrossAttention),
	} {
		add(kind+".embedding", onnx.Sym("P"), d)
		add(kind+".hidden.weight", width, d)
		add(kind+".hidden.bias", width)
	}
	for _, s := range attentions(c) {
		for _, x := range []string{s + ".key", s + ".value"} {
			add(x+".weight", inner, width)
			add(x+".bias", inner)
		}
	}
	return m
}

// prefix lays keys and values before those of every attention; rows returns
// those of a tensor [B,P,h·d_kv].
func prefix(c models.Config, name string, rows func(s *Site, tensor string) string) *Method {
	return &Method{
		Name: name, LaysKeys: true,
		Inputs: PromptTuning(c.DModel).Inputs,
		KeysValues: func(s *Site, k, v, bias string) (string, string, string) {
			lay := func(x, which string) string {
				p := s.B.ReshapeTo(rows(s, s.name()+which), 0, 0, int64(c.NumHeads), int64(c.DKV))
				return s.B.Concat(2, s.B.Transpose(p, 0, 2, 1, 3), x) // [B,h,P+L,d_kv]
			}
			return lay(k, ".key"), lay(v, ".value"), s.prefixBias(bias)
		},
	}
}

// prefixBias lays the bias of a prefix [B,1,1,P] before an attention's
// [B or 1,h or 1,Q or 1,L]: 0 for its keys, the lowest float where it is
// padding.
func (s *Site) prefixBias(bias string) string {
	return s.Once("prefix bias before "+bias, func() string {
		b := s.B
		mask := s.PerRow(PromptMask)
		own := b.Mul(b.Sub(b.Float(1, mask), mask), b.Float(-math.MaxFloat32, mask))
		rest := b.SizesOf(bias, 1, 3)
		own = b.Expand(b.Unsqueeze(own, 1, 2), b.Concat(0, b.Ints(1), rest, b.Ints(1)))
		rows := b.SizesOf(mask, 0, 1)
		bias = b.Expand(bias, b.Concat(0, rows, rest, b.Ints(1)))
		return b.Concat(3, own, bias)
	})
}

// prefixHidden is the MLP's hidden layer [K,P,hidden] of the kind of attention
// that the site is in.
func (s *Site) prefixHidden() string {
	kind := kindName(s.Stack, s.Part)
	return s.Once(kind+" prefix", func() string {
		return s.B.Tanh(s.linear(kind+".embedding", kind+".hidden"))
	})
}

func kindName(stack string, p Part) string { return stack + "." + string(p) }

// linear returns x·Wᵀ+b for each of K prompts: x [K,P,in] becomes [K,P,out] by
// name.weight [K,out,in] and name.bias [K,out].
func (s *Site) linear(x, name string) string {
	return s.B.Add(s.B.FusedMatMul(x, name+".weight", false, true, 1), s.B.Unsqueeze(name+".bias", 1))
}
