package models

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"softprompt/onnx/hint"
)

const (
	sharedName = "shared.weight"  // embeds encoder and decoder ids
	headName   = "lm_head.weight" // absent where the head is shared.weight
)

// sharedAliases are the names under which a file may hold the shared
// embedding alone: writers that drop tied tensors keep one name of several.
var sharedAliases = []string{"encoder.embed_tokens.weight", "decoder.embed_tokens.weight"}

// Weight is a tensor that a T5 reads. Linear layers are [out,in].
type Weight struct {
	Name     string
	Shape    []int64
	Optional bool // only lm_head.weight: shared.weight stands in for it
}

// WeightShapes lists the weights of a T5 in the order of its blocks: the
// shared embedding [V,d], the encoder, the decoder, the head [V,d].
func WeightShapes(c Config) []Weight {
	d, inner, ff := int64(c.DModel), int64(c.InnerDim()), int64(c.DFF)
	var list []Weight
	add := func(name string, shape ...int64) { list = append(list, Weight{Name: name, Shape: shape}) }
	attention := func(layer, kind string, table bool) {
		add(layer+".layer_norm.weight", d)
		for _, x := range []string{"q", "k", "v"} {
			add(layer+"."+kind+"."+x+".weight", inner, d)
		}
		add(layer+"."+kind+".o.weight", d, inner)
		if table {
			add(layer+"."+kind+".relative_attention_bias.weight", int64(c.NumBuckets), int64(c.NumHeads))
		}
	}
	feedForward := func(layer string) {
		add(layer+".layer_norm.weight", d)
		if c.Gated {
			add(layer+".DenseReluDense.wi_0.weight", ff, d)
			add(layer+".DenseReluDense.wi_1.weight", ff, d)
		} else {
			add(layer+".DenseReluDense.wi.weight", ff, d)
		}
		add(layer+".DenseReluDense.wo.weight", d, ff)
	}

	add(sharedName, int64(c.VocabSize), d)
	for i := range c.NumLayers {
		block := fmt.Sprintf("encoder.block.%d.layer.", i)
		attention(block+"0", "SelfAttention", i == 0 || c.PerLayerBias)
		feedForward(block + "1")
	}
	add("encoder.final_layer_norm.weight", d)
	for i := range c.NumDecoderLayers {
		block := fmt.Sprintf("decoder.block.%d.layer.", i)
		attention(block+"0", "SelfAttention", i == 0 || c.PerLayerBias)
		attention(block+"1", "EncDecAttention", false)
		feedForward(block + "2")
	}
	add("decoder.final_layer_norm.weight", d)
	add(headName, int64(c.VocabSize), d)
	list[len(list)-1].Optional = true
	return list
}

// unusedWeight matches what checkpoints may hold beside the weights: aliases
// of the embedding, and a table in cross-attention that early T5 models were
// saved with and no T5 reads.
var unusedWeight = regexp.MustCompile(`^(encoder|decoder)\.embed_tokens\.weight$|EncDecAttention\.relative_attention_bias\.weight$`)

// CheckWeights reports whether the checkpoint holds every weight that a T5 of
// this configuration reads, in its shape and as a floating-point type, and no
// block that the configuration leaves out. The error names the first tensor
// that does not fit and counts the others, or says of which other model the
// checkpoint is.
func CheckWeights(c Config, ck *Checkpoint) error {
	var problems []error
	known := map[string]bool{}
	for _, w := range WeightShapes(c) {
		known[w.Name] = true
		if err := checkWeight(w, ck); err != nil {
			problems = append(problems, err)
		}
	}
	for _, name := range ck.Names() {
		part := strings.HasPrefix(name, "encoder.") || strings.HasPrefix(name, "decoder.")
		if part && !known[name] && !unusedWeight.MatchString(name) {
			t, _ := ck.Lookup(name)
			problems = append(problems, fmt.Errorf("tensor %q in %s belongs to no layer that config.json describes", name, t.File))
		}
	}
	if len(problems) == 0 {
		return nil
	}
	if err := otherModel(ck); err != nil {
		return err
	}
	err := problems[0]
	if n := len(problems) - 1; n > 0 {
		err = fmt.Errorf("%w (and %d more weights that do not fit)", err, n)
	}
	if hint.Of(err) != "" {
		return err
	}
	return hint.Wrap(err, "config.json and the weights must be of one model, a T5 with encoder and decoder: copy or download both again")
}

func checkWeight(w Weight, ck *Checkpoint) error {
	t, ok := ck.tensors[w.Name]
	switch {
	case !ok && w.Optional:
		return nil
	case !ok:
		return fmt.Errorf("%s has no tensor %q, wanted %v", ck.Path, w.Name, w.Shape)
	case !slices.Equal(t.Shape, w.Shape):
		return fmt.Errorf("tensor %q in %s is %v, wanted %v by config.json", w.Name, t.File, t.Shape, w.Shape)
	case !isFloat(t.DType):
		return ck.notFloat(t)
	}
	return nil
}

// settle makes configuration and checkpoint agree on what files leave open:
// the name of the embedding, which weight is the head, and whether its input
// is scaled.
//
// config.json alone cannot say. Transformers 5 writes tie_word_embeddings true
// whatever the model does, for a while without scale_decoder_outputs beside it,
// and with that turned the scaling on for models that never had it (pull
// requests 41541 and 43681). What is sure: a head of its own that differs from
// the embedding is not tied, and a model with such a head does not scale.
func settle(c *Config, ck *Checkpoint) {
	if _, ok := ck.Lookup(sharedName); !ok {
		i := slices.IndexFunc(sharedAliases, func(n string) bool { _, ok := ck.Lookup(n); return ok })
		if i >= 0 {
			ck.alias(sharedName, sharedAliases[i])
		}
	}
	head, ok := ck.tensors[headName]
	if ok && head.equal(ck.tensors[sharedName]) {
		ok = false // a copy of the embedding, as a pytorch_model.bin has it
	}
	if ok && c.TieWordEmbeddings && !c.ScaleStated {
		c.ScaleDecoderOutputs = false
	}
	c.TieWordEmbeddings = !ok
}
