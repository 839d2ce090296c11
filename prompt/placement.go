package prompt

import (
	"fmt"
	"strings"

	"softprompt/models"
	"softprompt/onnx"
	"softprompt/onnx/hint"
)

// What prompt tuning does unless something else is said.
const (
	PlacementPrefix = "prefix"
	VisibilityFull  = "full"
)

// placement says where the vectors stand.
type placement struct {
	name string
	// before returns how many of the input's tokens [B,1] stay before the
	// vectors; nil is none.
	before func(b *onnx.Builder, tokens string) string
}

// placements are those of google-research/prompt-tuning, train/prompts.py:
// prefix_prompt, prefix_prompt_after_bos, and suffix_prompt with before_eos and
// without. The vectors stand beside a row's own tokens, never behind padding.
var placements = []placement{
	{PlacementPrefix, nil},
	{"after-first", func(b *onnx.Builder, tokens string) string { return b.Min(tokens, b.Int(1)) }},
	{"suffix", func(b *onnx.Builder, tokens string) string { return b.Max(b.Sub(tokens, b.Int(1)), b.Int(0)) }},
	{"suffix-after-eos", func(_ *onnx.Builder, tokens string) string { return tokens }},
}

// visibility says what the vectors see in the encoder. The input sees all.
type visibility struct {
	name  string
	input bool // they see the input
	// among says which vectors, at positions [1,E], one at [E,1] sees; nil is
	// all.
	among func(b *onnx.Builder, keys, query string) string
}

// visibilities are those of google-research/prompt-tuning, extended/masks.py,
// where the input's sight of itself and of the prompt is given, the rest is
// chosen, and a vector always sees itself.
var visibilities = []visibility{
	{VisibilityFull, true, nil},
	{"causal", true, (*onnx.Builder).LessOrEqual},
	{"input", true, (*onnx.Builder).Equal},
	{"prompt", false, nil},
	{"prompt-causal", false, (*onnx.Builder).LessOrEqual},
	{"self", false, (*onnx.Builder).Equal},
}

// Placements lists where prompt tuning can lay its vectors.
func Placements() (names []string) {
	for _, p := range placements {
		names = append(names, p.name)
	}
	return names
}

// Visibilities lists what prompt tuning can let its vectors see.
func Visibilities() (names []string) {
	for _, v := range visibilities {
		names = append(names, v.name)
	}
	return names
}

// lookupPlacement returns the entry of a name; "" is the first.
func lookupPlacement(name string) (placement, error) {
	for _, p := range placements {
		if p.name == name || name == "" {
			return p, nil
		}
	}
	return placement{}, hint.Wrap(fmt.Errorf("there is no placement %q", name), "placements: %s", strings.Join(Placements(), ", "))
}

// lookupVisibility returns the entry of a name; "" is the first.
func lookupVisibility(name string) (visibility, error) {
	for _, v := range visibilities {
		if v.name == name || name == "" {
			return v, nil
		}
	}
	return visibility{}, hint.Wrap(fmt.Errorf("there is no visibility %q", name), "visibilities: %s", strings.Join(Visibilities(), ", "))
}

// newPromptTuning is prompt tuning as its sizes say. Those of the method name
// a placement and a visibility only where they are not the default.
func newPromptTuning(c models.Config, s Sizes) (*Method, error) {
	p, err := lookupPlacement(s.Placement)
	if err != nil {
		return nil, err
	}
	v, err := lookupVisibility(s.Visibility)
	if err != nil {
		return nil, err
	}
	sizes := Sizes{Length: s.Length}
	if p.name != PlacementPrefix {
		sizes.Placement = p.name
	}
	if v.name != VisibilityFull {
		sizes.Visibility = v.name
	}
	m := PromptTuning(c.DModel)
	if sizes.Placement != "" || sizes.Visibility != "" {
		m = placedPrompt(c.DModel, p, v)
	}
	m.Sizes = sizes
	return m, nil
}

// The values that [placedPrompt] leaves in [Site.Made] for the encoder's mask.
const (
	madeAt   = "prompt.at"   // positions [E]
	madeLaid = "prompt.laid" // where the prompt is [B or 1,E]
)

// placedPrompt is prompt tuning in another place, or with other sight, than
// the paper's.
func placedPrompt(dModel int, p placement, v visibility) *Method {
	m := PromptTuning(dModel)
	plain := m.Embeddings
	m.Embeddings = func(s *Site, emb, mask string) (string, string) {
		b := s.B
		tokens := countOnes(b, mask)
		emb, mask = plain(s, emb, mask)
		at := b.Range(b.Int(0), b.Squeeze(b.SizesOf(mask, 1, 2), 0), b.Int(1))
		from := b.Unsqueeze(at, 0)
		if p.before != nil {
			from = s.order(from, p.before(b, tokens))
			rows := b.Unsqueeze(from, 2)
			emb, mask = b.GatherND(emb, rows, 1), b.GatherND(mask, rows, 1)
		}
		s.Made[madeAt], s.Made[madeLaid] = at, b.Less(from, b.SizesOf(PromptMask, 1, 2))
		return emb, mask
	}
	if v.name != VisibilityFull {
		m.EncoderMask = v.mask
	}
	return m
}

// order returns which of the vectors and tokens stands at each position: [B,E]
// of at [1,E], with before [B,1] tokens before the prompt. In [prompt; input]
// the prompt is padded on the left. That padding stays where it is, since a
// gap would move positions; the tokens change places with the p vectors of the
// row's own prompt:
//
//	z = P−p      | z padding | p vectors | c tokens | the others |
//	becomes      | z padding | c tokens | p vectors | the others |
func (s *Site) order(at, before string) string {
	b := s.B
	length := b.SizesOf(PromptMask, 1, 2)
	own := countOnes(b, s.PerRow(PromptMask))
	padding := b.Sub(length, own)
	moved := b.And(b.GreaterOrEqual(at, padding), b.Less(at, b.Add(length, before)))
	by := b.Where(b.Less(at, b.Add(padding, before)), own, b.Neg(before))
	return b.Add(at, b.Where(moved, by, b.Int(0)))
}

// countOnes returns the sum of each row of a mask [B,L], as an int64 [B,1].
func countOnes(b *onnx.Builder, mask string) string {
	return b.Cast(b.ReduceSum(mask, true, 1), onnx.Int64)
}

// hiddenScore is added to the score of what a vector does not see. Beside it the
// lowest float, which hides padding, stays finite.
const hiddenScore = -1e9

// mask hides from the prompt what it does not see: bias [B,1,1,E] becomes
// [B,1,E,E].
func (v visibility) mask(s *Site, bias string) string {
	b := s.B
	at, laid := s.Made[madeAt], s.Made[madeLaid]
	keys, queries := b.Unsqueeze(laid, 1), b.Unsqueeze(laid, 2)
	var unseen []string
	if !v.input {
		unseen = append(unseen, b.Not(keys))
	}
	if v.among != nil {
		unseen = append(unseen, b.And(keys, b.Not(v.among(b, b.Unsqueeze(at, 0), b.Unsqueeze(at, 1)))))
	}
	hide := unseen[0]
	for _, more := range unseen[1:] {
		hide = b.Or(hide, more)
	}
	hide = b.And(queries, hide) // [B,E,E]
	return b.Add(bias, b.Unsqueeze(b.Where(hide, b.Float(hiddenScore, bias), b.Float(0, bias)), 1))
}
