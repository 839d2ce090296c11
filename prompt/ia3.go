package prompt

import (
	"softprompt/models"
	"softprompt/onnx"
)

// IA3 returns the method of Liu et al. 2022 ("Few-shot parameter-efficient
// fine-tuning is better and cheaper than in-context learning", section 3.3): in
// every attention of the encoder and the decoder keys and values are multiplied
// by a learned vector each, and in every feed-forward the hidden activation is.
// They start at 1, where the model is as it was.
//
// Where the feed-forward is gated the reference scales one of the two factors
// (google-research/prompt-tuning, prompt_tuning/extended/train/ia3.py); to scale
// their product is the same.
//
// Graph inputs, with K before each: <site>.key and <site>.value [h,d_kv] of
// each attention, <site>.hidden [d_ff] of each feed-forward, where a site is
// encoder.<i>.self-attention, decoder.<i>.cross-attention and so on.
func IA3(c models.Config, _ Sizes) (*Method, error) {
	head := onnx.Shape{onnx.Size(int64(c.NumHeads)), onnx.Size(int64(c.DKV))}
	m := &Method{Name: MethodIA3}
	add := func(name string, shape onnx.Shape) {
		m.Trainables = append(m.Trainables, Trainable{Name: name, Input: name, Shape: shape, Init: ones})
	}
	for _, s := range attentions(c) {
		add(s+".key", head)
		add(s+".value", head)
	}
	for _, s := range feedForwards(c) {
		add(s+".hidden", onnx.Shape{onnx.Size(int64(c.DFF))})
	}
	m.KeysValues = func(s *Site, k, v, bias string) (string, string, string) {
		scaled := func(x, which string) string {
			return s.B.Mul(x, s.B.Unsqueeze(s.PerRow(s.name()+which), 2)) // [B,h,1,d_kv]
		}
		return scaled(k, ".key"), scaled(v, ".value"), bias
	}
	m.Hidden = func(s *Site, h string) string {
		return s.B.Mul(h, s.B.Unsqueeze(s.PerRow(s.name()+".hidden"), 1)) // [B,1,d_ff]
	}
	return m, nil
}

// ones sets a tensor to 1.
func ones(_ *Rand, values []float32) {
	for i := range values {
		values[i] = 1
	}
}
