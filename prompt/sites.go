package prompt

import (
	"fmt"

	"softprompt/models"
)

// Names of the places inside the layers, which the tensors of methods that
// reach there begin with: "decoder.3.cross-attention".

// name returns that of a site inside a layer.
func (s *Site) name() string { return siteName(s.Stack, s.Layer, s.Part) }

func siteName(stack string, layer int, part Part) string {
	if part == "" {
		return fmt.Sprintf("%s.%d", stack, layer)
	}
	return fmt.Sprintf("%s.%d.%s", stack, layer, part)
}

// attentions lists the attentions of a model: those of the encoder, then those
// of the decoder's layers.
func attentions(c models.Config) []string {
	return sites(c, []Part{SelfAttention}, []Part{SelfAttention, CrossAttention})
}

// feedForwards lists the feed-forwards of a model.
func feedForwards(c models.Config) []string {
	return sites(c, []Part{FeedForward}, []Part{FeedForward})
}

// sites lists the given parts of each layer of the two stacks.
func sites(c models.Config, encoder, decoder []Part) []string {
	var list []string
	for _, s := range []struct {
		stack  string
		layers int
		parts  []Part
	}{{"encoder", c.NumLayers, encoder}, {"decoder", c.NumDecoderLayers, decoder}} {
		for i := range s.layers {
			for _, p := range s.parts {
				list = append(list, siteName(s.stack, i, p))
			}
		}
	}
	return list
}
