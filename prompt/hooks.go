package prompt

import (
	"fmt"

	"softprompt/onnx"
)

// Method is a way of adapting a frozen model: what it trains, and where it
// reaches into the graph. It is a plain value; a hook that is nil leaves its
// place alone. Package export calls the hooks while it builds a graph, so one
// description serves training, scoring and generation, and package grad
// derives the gradient of whatever they build.
type Method struct {
	Name string
	// Sizes are those that the method has, defaults filled in.
	Sizes Sizes
	// Trainables are the tensors that are tuned. In the graph each is an
	// input with an axis K before its own: K prompts share one session.
	Trainables []Trainable
	// Inputs are graph inputs that are fed but not tuned.
	Inputs []onnx.Value

	// Embeddings gets the encoder's embedded input [B,S,d] and its mask [B,S]
	// (1 for a token, 0 for padding, float) and returns what the encoder sees;
	// it may be longer.
	Embeddings func(s *Site, emb, mask string) (string, string)
	// EncoderMask gets what hides padding in the encoder's self-attention, a
	// bias [B,1,1,E] that is added to its scores, and returns one that may hide
	// more from some queries, [B,1,E,E].
	EncoderMask func(s *Site, bias string) string
	// LayerInput gets the residual stream [B,L,d] before a layer.
	LayerInput func(s *Site, h string) string
	// KeysValues gets an attention's keys and values [B,h,L,d_kv] and the bias
	// [B or 1,h or 1,Q or 1,L] that will be added to its scores. If it
	// lengthens the keys it lengthens the bias too, and says so in LaysKeys.
	KeysValues func(s *Site, k, v, bias string) (string, string, string)
	// LaysKeys says that KeysValues lays P keys before those of every
	// attention: the dropout masks of attention probabilities are as much wider.
	LaysKeys bool
	// Hidden gets the feed-forward's activation [B,L,d_ff], after the
	// non-linearity.
	Hidden func(s *Site, h string) string
	// Weight gets a frozen weight under its Hugging Face name, [out,in] for a
	// product, and returns what is used in its place.
	Weight func(s *Site, name, w string) string
	// Loss gets the loss [1] and returns the one to minimise.
	Loss func(s *Site, loss string) string

	// Fold turns what was tuned into what is kept: another method's prompt
	// that does the same with less. nil keeps it as it is.
	Fold func(p *Prompt) (*Prompt, error)
}

// Trainable describes a tensor that a method tunes.
type Trainable struct {
	Name  string // in the prompt's file: "prompt"
	Input string // in the graph: "prompts", whose gradient is "grad.prompts"
	// Shape is the tensor's own, without K. Only P, the prompt's length, is
	// symbolic, and only as the first size: prompts of several lengths are
	// laid side by side.
	Shape onnx.Shape
	// Weight names the model's weight that the tensor starts as; "" is for
	// what the model does not have.
	Weight string
	// Init fills in the first values of another tensor; nil is for the matrix
	// [P,d] that the run's initialiser makes.
	Init func(rng *Rand, values []float32)
	// MethodRate says that the tensor moves at the learning rate method_rate,
	// where the settings have one.
	MethodRate bool
	// Shared says that runs of several tasks in one pass have one tensor
	// between them, which the gradients of all of them move.
	Shared bool
}

// Fits reports a shape that is not the trainable's.
func (t Trainable) Fits(shape []int64) error {
	ok := len(shape) == len(t.Shape)
	for i := 0; ok && i < len(shape); i++ {
		ok = !t.Shape[i].Known() || t.Shape[i].Size == shape[i]
	}
	if !ok {
		return fmt.Errorf("shape %v, want %v", shape, t.Shape)
	}
	return nil
}

// Part is the sub-layer that a [Site] belongs to.
type Part string

// The parts of a T5 layer. A site outside any of them has an empty Part.
const (
	SelfAttention  Part = "self-attention"
	CrossAttention Part = "cross-attention"
	FeedForward    Part = "feed-forward"
)

// Site is the place in the graph where a hook is called.
type Site struct {
	B     *onnx.Builder
	Stack string // "encoder", "decoder", or "" outside both
	Layer int    // −1 outside a layer
	Part  Part
	// Index names the value that says which of the K prompts each row uses
	// here; "" is [PromptIndex]. Where several candidates share a row of the
	// input, the decoder has more rows than the encoder.
	Index string
	// Made has the values that [Site.Once] has made in this graph.
	Made map[string]string
}

// The graph inputs that every method can rely on.
const (
	// PromptIndex names the input [B] that says which of the K prompts each
	// row of the batch uses.
	PromptIndex = "prompt_index"
	// PromptMask names the input [K,P] that is 0 where a prompt is padded on
	// the left, and 1 elsewhere.
	PromptMask = "prompt_mask"
)

// PerRow returns, for each row of the batch, its prompt's slice of a value
// with a leading K: [K,…] becomes [B,…].
func (s *Site) PerRow(value string) string {
	index := s.Index
	if index == "" {
		index = PromptIndex
	}
	return s.B.Gather(value, index, 0)
}

// Once returns what build makes, which is done when a key is first met in a
// graph: several places use one value, such as the hidden layer of an MLP whose
// outputs go to all attentions. It belongs to no layer.
func (s *Site) Once(key string, build func() string) string {
	if v, ok := s.Made[key]; ok {
		return v
	}
	block := s.B.Block
	s.B.Block = "prompt"
	v := build()
	s.B.Block = block
	if s.Made != nil {
		s.Made[key] = v
	}
	return v
}
