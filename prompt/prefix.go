package prompt

import (
	"fmt"
	"math"
	"strings"

	"gonum.org/v1/gonum/blas/blas32"

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
// agree where the decoder's table of positions is 0. Values start from a normal
// distribution, as PEFT's.
//
// Graph inputs, with K before each: <site>.key and <site>.value [P,h·d_kv] of
// each attention, such as encoder.0.self-attention.key, and prompt_mask [K,P].
func Prefix(c models.Config, sizes Sizes) (*Method, error) {
	m := prefix(c, MethodPrefix, Sizes{Length: sizes.Length}, func(s *Site, tensor string) string { return s.PerRow(tensor) })
	inner := onnx.Size(int64(c.InnerDim()))
	for _, s := range attentions(c) {
		for _, x := range []string{s + ".key", s + ".value"} {
			m.Trainables = append(m.Trainables, Trainable{Name: x, Input: x, Shape: onnx.Shape{onnx.Sym("P"), inner}, Init: normal})
		}
	}
	return m, nil
}

// PrefixMLP is [Prefix] with the keys and values made by an MLP, which the
// authors found to train more steadily (Li and Liang 2021, section 4.3; PEFT,
// PrefixEncoder with prefix_projection): of each kind of attention there is a
// matrix of P embeddings, and
//
//	key, value = tanh(embedding · Aᵀ + a) · Bᵀ + b
//
// with an output B, b for each attention. PEFT's one matrix B of all layers is
// these below one another. A hidden width of 0 is d_model. Embeddings start from a
// normal distribution, weights and biases uniform in ±1/√inputs as PyTorch's
// layers. [Method.Fold] computes keys and values once, and what is kept is a
// prompt of [Prefix].
//
// Graph inputs, with K before each: of each kind x of attention, such as
// decoder.cross-attention, x.embedding [P,d], x.hidden.weight [hidden,d] and
// x.hidden.bias [hidden]; of each attention <site>.key.weight, <site>.value.weight
// [h·d_kv,hidden], <site>.key.bias and <site>.value.bias [h·d_kv]; prompt_mask
// [K,P].
func PrefixMLP(c models.Config, sizes Sizes) (*Method, error) {
	if sizes.Hidden == 0 {
		sizes.Hidden = c.DModel
	}
	m := prefix(c, MethodPrefixMLP, Sizes{Length: sizes.Length, Hidden: sizes.Hidden}, func(s *Site, tensor string) string {
		return s.PerRow(s.linear(s.prefixHidden(), tensor))
	})
	inner, width, d := onnx.Size(int64(c.InnerDim())), onnx.Size(int64(sizes.Hidden)), onnx.Size(int64(c.DModel))
	add := func(name string, init func(*Rand, []float32), shape ...onnx.Dim) {
		m.Trainables = append(m.Trainables, Trainable{Name: name, Input: name, Shape: shape, Init: init})
	}
	layer := func(name string, out, in onnx.Dim) {
		init := within(1 / math.Sqrt(float64(in.Size)))
		add(name+".weight", init, out, in)
		add(name+".bias", init, out)
	}
	for _, kind := range []string{
		kindName("encoder", SelfAttention), kindName("decoder", SelfAttention), kindName("decoder", CrossAttention),
	} {
		add(kind+".embedding", normal, onnx.Sym("P"), d)
		layer(kind+".hidden", width, d)
	}
	for _, s := range attentions(c) {
		layer(s+".key", inner, width)
		layer(s+".value", inner, width)
	}
	m.Fold = func(p *Prompt) (*Prompt, error) { return foldPrefix(m, attentions(c), p) }
	return m, nil
}

// foldPrefix computes the keys and values that the MLP makes and returns them
// as a prompt of [Prefix].
func foldPrefix(m *Method, sites []string, p *Prompt) (*Prompt, error) {
	if err := p.fits(m); err != nil {
		return nil, fmt.Errorf("folding a prompt of method %s: %w", p.Method, err)
	}
	layer := func(x blas32.General, name string) blas32.General {
		return affine(x, matrix(p.Tensor(name+".weight")), p.Tensor(name+".bias").Data)
	}
	hidden := map[string]blas32.General{}
	out := &Prompt{Method: MethodPrefix, Meta: p.Meta.folded(p.Method)}
	for _, site := range sites {
		stack, rest, _ := strings.Cut(site, ".")
		_, part, _ := strings.Cut(rest, ".")
		kind := kindName(stack, Part(part))
		if hidden[kind].Data == nil {
			h := layer(matrix(p.Tensor(kind+".embedding")), kind+".hidden")
			for i, v := range h.Data {
				h.Data[i] = float32(math.Tanh(float64(v)))
			}
			hidden[kind] = h
		}
		for _, x := range []string{site + ".key", site + ".value"} {
			rows := layer(hidden[kind], x)
			out.Tensors = append(out.Tensors, Tensor{Name: x, Shape: []int64{int64(rows.Rows), int64(rows.Cols)}, Data: rows.Data})
		}
	}
	return out, nil
}

// prefix lays keys and values before those of every attention; rows returns
// those of a tensor [B,P,h·d_kv].
func prefix(c models.Config, name string, sizes Sizes, rows func(s *Site, tensor string) string) *Method {
	return &Method{
		Name: name, Sizes: sizes, LaysKeys: true,
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
