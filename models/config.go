package models

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"softprompt/onnx/hint"
)

// Config is what config.json says about a T5, with the defaults of Hugging
// Face's classes filled in.
type Config struct {
	ModelType string // t5, mt5 or umt5

	VocabSize        int // rows of the embedding; the tokenizer may know fewer ids
	DModel           int // width of the residual stream
	DKV              int // width of one attention head; heads times this may differ from DModel
	DFF              int // width inside the feed-forward layer
	NumLayers        int // encoder blocks
	NumDecoderLayers int
	NumHeads         int
	NumBuckets       int // rows of a relative position table
	MaxDistance      int // from which on distances share the last bucket

	LayerNormEpsilon float64
	DropoutRate      float64
	Gated            bool   // wi_0 and wi_1 in place of wi
	Activation       string // relu, gelu (erf), gelu_new (tanh), silu and others, see activations

	// TieWordEmbeddings says that the head is shared.weight. Open sets it by
	// what the checkpoint has, as config.json cannot be trusted with it.
	TieWordEmbeddings bool
	// ScaleDecoderOutputs says that the decoder's output is multiplied by
	// d_model^-0.5 before the head.
	ScaleDecoderOutputs bool
	// ScaleStated says that config.json has scale_decoder_outputs itself;
	// otherwise the scaling follows the tying.
	ScaleStated bool
	// PerLayerBias says that every self-attention layer has its own table of
	// relative positions (UMT5), not only the first of each stack.
	PerLayerBias bool

	PadID, EOSID, DecoderStartID int
}

// HeadName returns the weight that turns decoder output into logits.
func (c Config) HeadName() string {
	if c.TieWordEmbeddings {
		return sharedName
	}
	return headName
}

// InnerDim returns the width of all heads together, the output size of q, k
// and v.
func (c Config) InnerDim() int { return c.NumHeads * c.DKV }

// modelTypes holds the class defaults that old config.json files leave out.
// Sources: configuration_t5.py, configuration_mt5.py, configuration_umt5.py.
var modelTypes = map[string]struct {
	feedForward  string
	tied         bool
	perLayerBias bool
}{
	"t5":   {"relu", true, false},
	"mt5":  {"gated-gelu", false, false},
	"umt5": {"gated-gelu", true, true},
}

// activations maps the names that config.json may use to those that
// Config.Activation speaks, one for each function: transformers' ACT2FN
// (activations.py) without prelu and xielu, which have weights of their own.
var activations = map[string]string{
	"relu": "relu", "relu2": "relu2", "relu6": "relu6", "leaky_relu": "leaky_relu",
	"gelu": "gelu", "gelu_python": "gelu", "gelu_10": "gelu_10",
	"gelu_new": "gelu_new", "gelu_fast": "gelu_new", "gelu_accurate": "gelu_new",
	"gelu_pytorch_tanh": "gelu_new", "gelu_python_tanh": "gelu_new",
	"quick_gelu": "quick_gelu",
	"silu":       "silu", "swish": "silu", "hardswish": "hardswish", "mish": "mish",
	"sigmoid": "sigmoid", "tanh": "tanh", "laplace": "laplace", "sqrtsoftplus": "sqrtsoftplus",
	"linear": "linear",
}

// rawConfig is config.json; a pointer stays nil where the key is absent or null.
type rawConfig struct {
	ModelType     *string  `json:"model_type"`
	Architectures []string `json:"architectures"`

	VocabSize        *int `json:"vocab_size"`
	DModel           *int `json:"d_model"`
	DKV              *int `json:"d_kv"`
	DFF              *int `json:"d_ff"`
	NumLayers        *int `json:"num_layers"`
	NumDecoderLayers *int `json:"num_decoder_layers"`
	NumHeads         *int `json:"num_heads"`
	NumBuckets       *int `json:"relative_attention_num_buckets"`
	MaxDistance      *int `json:"relative_attention_max_distance"`

	LayerNormEpsilon *float64 `json:"layer_norm_epsilon"`
	DropoutRate      *float64 `json:"dropout_rate"`
	FeedForwardProj  *string  `json:"feed_forward_proj"`
	DenseActFn       *string  `json:"dense_act_fn"`
	IsGatedAct       *bool    `json:"is_gated_act"`

	TieWordEmbeddings   *bool `json:"tie_word_embeddings"`
	ScaleDecoderOutputs *bool `json:"scale_decoder_outputs"`

	PadID          *int `json:"pad_token_id"`
	EOSID          *ids `json:"eos_token_id"`
	DecoderStartID *int `json:"decoder_start_token_id"`
}

// ids is a token id or a list of them, of which the first counts.
type ids int

func (v *ids) UnmarshalJSON(b []byte) error {
	var list []int
	if len(b) == 0 || b[0] != '[' {
		list = []int{0}
		if err := json.Unmarshal(b, &list[0]); err != nil {
			return err
		}
	} else if err := json.Unmarshal(b, &list); err != nil {
		return err
	}
	if len(list) == 0 {
		return fmt.Errorf("an empty list of token ids")
	}
	*v = ids(list[0])
	return nil
}

// ParseConfig reads a config.json of the T5 family and checks every value, so
// that sizes computed from it cannot overflow. Errors name the key.
func ParseConfig(data []byte) (Config, error) {
	var raw rawConfig
	if err := json.Unmarshal(data, &raw); err != nil {
		return Config{}, hint.Wrap(fmt.Errorf("config.json cannot be read: %w", err),
			"copy or download the model's config.json again")
	}
	modelType, err := raw.modelType()
	if err != nil {
		return Config{}, err
	}
	class := modelTypes[modelType]
	c := Config{
		ModelType:        modelType,
		LayerNormEpsilon: or(raw.LayerNormEpsilon, 1e-6),
		DropoutRate:      or(raw.DropoutRate, 0.1),
		PerLayerBias:     class.perLayerBias,
		PadID:            or(raw.PadID, 0),
		EOSID:            int(or(raw.EOSID, 1)),
	}
	c.DecoderStartID = or(raw.DecoderStartID, c.PadID)

	// Transformers 4 scales where it ties; 5 ties always, at least in name,
	// and writes the scaling beside it.
	c.TieWordEmbeddings = or(raw.TieWordEmbeddings, class.tied)
	c.ScaleDecoderOutputs = or(raw.ScaleDecoderOutputs, c.TieWordEmbeddings)
	c.ScaleStated = raw.ScaleDecoderOutputs != nil

	if c.Gated, c.Activation, err = raw.feedForward(class.feedForward); err != nil {
		return Config{}, err
	}
	if err := raw.sizes(&c); err != nil {
		return Config{}, err
	}
	return c, c.check()
}

func or[T any](p *T, value T) T {
	if p != nil {
		return *p
	}
	return value
}

// modelType returns the class of the model; files from before model_type was
// written name it among the architectures.
func (r rawConfig) modelType() (string, error) {
	if r.ModelType == nil && slices.ContainsFunc(r.Architectures, func(a string) bool { return strings.HasPrefix(a, "T5") }) {
		return "t5", nil
	}
	name := or(r.ModelType, "")
	if _, ok := modelTypes[name]; !ok {
		return "", otherType(name)
	}
	return name, nil
}

// feedForward reads feed_forward_proj: an activation, or gated- and an
// activation, where gated-gelu means the tanh form by old custom. What
// transformers 4 derived from it and saved, dense_act_fn and is_gated_act,
// wins where it is there, as it does when transformers reads it.
func (r rawConfig) feedForward(fallback string) (gated bool, activation string, err error) {
	projection := or(r.FeedForwardProj, fallback)
	name, gated := strings.CutPrefix(projection, "gated-")
	if gated && name == "gelu" {
		name = "gelu_new"
	}
	activation, ok := activations[name]
	if !ok {
		return false, "", fmt.Errorf("feed_forward_proj %q is none that softprompt knows: %s, each also with gated- before it", projection, knownActivations())
	}
	if r.DenseActFn != nil {
		if activation, ok = activations[*r.DenseActFn]; !ok {
			return false, "", fmt.Errorf("dense_act_fn %q is none that softprompt knows: %s", *r.DenseActFn, knownActivations())
		}
	}
	return or(r.IsGatedAct, gated), activation, nil
}

func knownActivations() string {
	return strings.Join(slices.Sorted(maps.Keys(activations)), ", ")
}

// sizes fills in the sizes, each at least one and no larger than any T5 could
// plausibly have; the product of two stays far from overflow.
func (r rawConfig) sizes(c *Config) error {
	buckets, distance := 32, 128
	decoder := r.NumDecoderLayers
	if decoder == nil {
		decoder = r.NumLayers
	}
	for _, size := range []struct {
		key   string
		value *int
		into  *int
		limit int
	}{
		{"vocab_size", r.VocabSize, &c.VocabSize, 1 << 24},
		{"d_model", r.DModel, &c.DModel, 1 << 16},
		{"d_kv", r.DKV, &c.DKV, 1 << 12},
		{"d_ff", r.DFF, &c.DFF, 1 << 20},
		{"num_layers", r.NumLayers, &c.NumLayers, 1 << 10},
		{"num_decoder_layers", decoder, &c.NumDecoderLayers, 1 << 10},
		{"num_heads", r.NumHeads, &c.NumHeads, 1 << 10},
		{"relative_attention_num_buckets", orPtr(r.NumBuckets, &buckets), &c.NumBuckets, 1 << 16},
		{"relative_attention_max_distance", orPtr(r.MaxDistance, &distance), &c.MaxDistance, 1 << 24},
	} {
		if size.value == nil {
			return fmt.Errorf("%s is missing", size.key)
		}
		if v := *size.value; v < 1 || v > size.limit {
			return fmt.Errorf("%s is %d, wanted 1 to %d", size.key, v, size.limit)
		}
		*size.into = *size.value
	}
	return nil
}

// orPtr returns the first pointer that is not nil.
func orPtr(p, fallback *int) *int {
	if p != nil {
		return p
	}
	return fallback
}

// check holds the other values against each other.
func (c Config) check() error {
	// The encoder halves the buckets by direction and again into exact and
	// logarithmic ones; the logarithm needs room above the exact ones.
	if c.NumBuckets < 4 {
		return fmt.Errorf("relative_attention_num_buckets is %d, wanted at least 4", c.NumBuckets)
	}
	if c.MaxDistance <= c.NumBuckets/2 {
		return fmt.Errorf("relative_attention_max_distance is %d, wanted more than half of the %d buckets", c.MaxDistance, c.NumBuckets)
	}
	if !(c.LayerNormEpsilon > 0 && c.LayerNormEpsilon < 1) {
		return fmt.Errorf("layer_norm_epsilon is %v, wanted more than 0 and less than 1", c.LayerNormEpsilon)
	}
	if !(c.DropoutRate >= 0 && c.DropoutRate < 1) {
		return fmt.Errorf("dropout_rate is %v, wanted 0 or more and less than 1", c.DropoutRate)
	}
	for _, id := range []struct {
		key   string
		value int
	}{{"pad_token_id", c.PadID}, {"eos_token_id", c.EOSID}, {"decoder_start_token_id", c.DecoderStartID}} {
		if id.value < 0 || id.value >= c.VocabSize {
			return fmt.Errorf("%s is %d, wanted 0 to %d (vocab_size less one)", id.key, id.value, c.VocabSize-1)
		}
	}
	return nil
}
