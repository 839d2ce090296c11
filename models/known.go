package models

import "slices"

// Known is a model that is on the hub.
type Known struct {
	Name   string // as on the hub
	Family string
	Config Config // its sizes, as its config.json gives them
}

// shape is what tells the sizes of one family apart.
type shape struct {
	size                    string // as in the name
	dModel, dFF, heads, dKV int
	layers, decoderLayers   int
}

// The sizes of T5 1.0, and those that all T5s after it share. Sources: the
// papers of T5 (arXiv 1910.10683) and mT5 (2010.11934), and the repositories'
// config.json.
var (
	sizes10 = []shape{
		{"small", 512, 2048, 8, 64, 6, 6},
		{"base", 768, 3072, 12, 64, 12, 12},
		{"large", 1024, 4096, 16, 64, 24, 24},
		{"3b", 1024, 16384, 32, 128, 24, 24},
		{"11b", 1024, 65536, 128, 128, 24, 24},
	}
	sizes11 = []shape{
		{"small", 512, 1024, 6, 64, 8, 8},
		{"base", 768, 2048, 12, 64, 12, 12},
		{"large", 1024, 2816, 16, 64, 24, 24},
		{"xl", 2048, 5120, 32, 64, 24, 24},
		{"xxl", 4096, 10240, 64, 64, 24, 24},
	}
	// ByT5 moves layers from the decoder to the encoder (arXiv 2105.13626).
	sizesByT5 = []shape{
		{"small", 1472, 3584, 6, 64, 12, 4},
		{"base", 1536, 3968, 12, 64, 18, 6},
		{"large", 1536, 3840, 16, 64, 36, 12},
		{"xl", 2560, 6720, 32, 64, 36, 12},
		{"xxl", 4672, 12352, 64, 64, 36, 12},
	}
)

// LMAdapted is the family of models that went on with language modelling, which
// take prompts best (Lester et al. 2021, section 3.2).
const LMAdapted = "LM-adapted T5"

// families lists the families by what their names begin and end with.
var families = []struct {
	name           string
	prefix, suffix string
	sizes          []shape
	without        string // a size that was not published
	config         Config // what the family's models share
}{
	{LMAdapted, "google/t5-", "-lm-adapt", sizes11, "", v11(32128)},
	{"T5 v1.1", "google/t5-v1_1-", "", sizes11, "", v11(32128)},
	{"Flan-T5", "google/flan-t5-", "", sizes11, "", v11(32128)},
	{"T5", "google-t5/t5-", "", sizes10, "", Config{ModelType: "t5", VocabSize: 32128, Activation: "relu", TieWordEmbeddings: true, ScaleDecoderOutputs: true}},
	{"mT5", "google/mt5-", "", sizes11, "", Config{ModelType: "mt5", VocabSize: 250112, Gated: true, Activation: "gelu_new"}},
	{"UMT5", "google/umt5-", "", sizes11, "large", Config{ModelType: "umt5", VocabSize: 256384, Gated: true, Activation: "gelu_new", PerLayerBias: true}},
	{"ByT5", "google/byt5-", "", sizesByT5, "", v11(384)},
}

// v11 is a T5 v1.1 of some vocabulary.
func v11(vocab int) Config {
	return Config{ModelType: "t5", VocabSize: vocab, Gated: true, Activation: "gelu_new"}
}

// KnownModels lists the published models of the T5 family, those that take
// soft prompts best (LM-adapted; Lester et al. 2021, section 3.2) first. Others
// of the family, by whomever, work as well.
func KnownModels() []Known {
	var all []Known
	for _, f := range families {
		for _, s := range f.sizes {
			if s.size == f.without {
				continue
			}
			c := f.config
			c.DModel, c.DFF, c.NumHeads, c.DKV = s.dModel, s.dFF, s.heads, s.dKV
			c.NumLayers, c.NumDecoderLayers = s.layers, s.decoderLayers
			c.NumBuckets, c.MaxDistance, c.LayerNormEpsilon, c.DropoutRate, c.EOSID = 32, 128, 1e-6, 0.1, 1
			all = append(all, Known{f.prefix + s.size + f.suffix, f.name, c})
		}
	}
	return slices.Clip(all)
}
