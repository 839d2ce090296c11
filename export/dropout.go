package export

import (
	"softprompt/onnx"
	"softprompt/prompt"
)

// Dropout as the paper's code applies it (T5X, flaxformer: broadcast_dims −2):
// one mask serves all positions of a sequence. Masks are graph inputs, drawn
// by the trainer, so that a run can be replayed; an element is 0 or 1/(1−rate).
// The masks of all sites of a kind are stacked in one input, in the order in
// which the forward pass meets them.

// kind is a kind of dropout site.
type kind int

const (
	hidden        kind = iota // embeddings, sub-layer outputs, final norms
	feedForward               // the feed-forward's hidden activation
	probabilities             // attention probabilities
)

// The dropout inputs of a train graph and their shapes. Where a method lays
// keys before those of every attention, the last three have P more columns
// before the others.
const (
	DropoutHidden      = "dropout.hidden"       // [sites,B,1,d]
	DropoutFeedForward = "dropout.feed_forward" // [sites,B,1,d_ff]
	DropoutEncoder     = "dropout.encoder"      // [encoder layers,B,h,1,P+S]
	DropoutDecoder     = "dropout.decoder"      // [decoder layers,B,h,1,T]
	DropoutCross       = "dropout.cross"        // [decoder layers,B,h,1,P+S]
)

// addDropout declares the inputs for an encoder of so many positions.
func (g *t5) addDropout(positions onnx.Dim) {
	c := g.Config
	layers, decoders := int64(c.NumLayers), int64(c.NumDecoderLayers)
	heads := onnx.Size(int64(c.NumHeads))
	b, one := onnx.Sym("B"), onnx.Size(1)
	keys, targets := positions, onnx.Sym("T")
	if g.Method.LaysKeys {
		keys, targets = onnx.Sym("P").Plus(keys), onnx.Sym("P").Plus(targets)
	}
	g.sites = map[string]int64{}
	g.Input(DropoutHidden, onnx.Float32, onnx.Size(HiddenSites(c.NumLayers, c.NumDecoderLayers)), b, one, onnx.Size(int64(c.DModel)))
	g.Input(DropoutFeedForward, onnx.Float32, onnx.Size(layers+decoders), b, one, onnx.Size(int64(c.DFF)))
	g.Input(DropoutEncoder, onnx.Float32, onnx.Size(layers), b, heads, one, keys)
	g.Input(DropoutDecoder, onnx.Float32, onnx.Size(decoders), b, heads, one, targets)
	g.Input(DropoutCross, onnx.Float32, onnx.Size(decoders), b, heads, one, keys)
}

// HiddenSites returns how many masks [B,1,d] a train graph takes: for each
// stack its embeddings and its final norm, and each sub-layer's output.
func HiddenSites(layers, decoderLayers int) int64 {
	return int64(2 + 2*layers + 2 + 3*decoderLayers)
}

// drop multiplies x by the mask of the next site of its kind.
func (g *t5) drop(k kind, x string) string {
	if g.sites == nil {
		return x
	}
	input := DropoutHidden
	switch {
	case k == feedForward:
		input = DropoutFeedForward
	case k == probabilities && g.site.Stack == "encoder":
		input = DropoutEncoder
	case k == probabilities && g.site.Part == prompt.CrossAttention:
		input = DropoutCross
	case k == probabilities:
		input = DropoutDecoder
	}
	i := g.sites[input]
	g.sites[input]++
	mask := g.Gather(input, g.Int(i), 0)
	if g.row != "" && g.site.Stack == "decoder" {
		mask = g.Gather(mask, g.row, 0) // all candidates of a row share its masks
	}
	return g.Mul(x, mask)
}
