package models

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestOtherConfigs: a config.json of another family says what it is of.
func TestOtherConfigs(t *testing.T) {
	for modelType, want := range map[string]string{
		"bert": encoderOnly, "roberta": encoderOnly, "deberta-v2": encoderOnly,
		"gpt2": decoderOnly, "llama": decoderOnly, "qwen3": decoderOnly, "gemma2": decoderOnly,
		"bart": otherDecoder, "longt5": otherDecoder, "marian": otherDecoder,
		"clip": `model_type "clip" is none of t5, mt5, umt5`,
	} {
		_, err := ParseConfig([]byte(`{"model_type":"` + modelType + `","vocab_size":30522,"hidden_size":768}`))
		wantError(t, err, `"`+modelType+`"`, want, "t5, mt5, umt5", "hint:Flan-T5")
	}
	seen := map[string]string{}
	for what, types := range otherTypes {
		for _, name := range types {
			if _, ok := modelTypes[name]; ok || seen[name] != "" {
				t.Errorf("%s is %s and %q", name, what, seen[name])
			}
			seen[name] = what
		}
	}
}

// named is a checkpoint of scalars.
func named(t *testing.T, names ...string) *Checkpoint {
	t.Helper()
	var list []NamedTensor
	for _, n := range names {
		list = append(list, scalar(n, 1))
	}
	return build(t, list)
}

// TestOtherWeights: weights of another model beside a T5's config.json.
func TestOtherWeights(t *testing.T) {
	c := mustConfig(t, smallConfig(nil))
	for _, test := range []struct{ names, want string }{
		{"bert.embeddings.word_embeddings.weight bert.encoder.layer.0.attention.self.query.weight", encoderOnly},
		{"embeddings.word_embeddings.weight encoder.layer.0.attention.self.query.weight", encoderOnly},
		{"distilbert.embeddings.word_embeddings.weight distilbert.transformer.layer.0.attention.q_lin.weight", encoderOnly},
		{"model.embed_tokens.weight model.layers.0.self_attn.q_proj.weight lm_head.weight", decoderOnly},
		{"wte.weight h.0.attn.c_attn.weight", decoderOnly},
		{"transformer.wte.weight transformer.h.0.attn.c_attn.weight", decoderOnly},
		{"gpt_neox.embed_in.weight gpt_neox.layers.0.attention.dense.weight", decoderOnly},
		{"model.decoder.layers.0.self_attn.k_proj.weight", otherDecoder},
		{"model.shared.weight model.encoder.layers.0.self_attn.k_proj.weight", otherDecoder},
		{"shared.weight encoder.block.0.layer.0.SelfAttention.q.weight encoder.final_layer_norm.weight", "the encoder of a T5 alone"},
		{"shared.weight decoder.block.0.layer.0.SelfAttention.q.weight", "the decoder of a T5 alone"},
		{"weight bias", `has no tensor "shared.weight"`},
		{"shared.weight encoder.block.0.layer.0.SelfAttention.q.weight decoder.block.0.layer.0.SelfAttention.q.weight", `"shared.weight" in`},
	} {
		ck := named(t, strings.Fields(test.names)...)
		err := CheckWeights(c, ck)
		wantError(t, err, ck.Path, test.want, "hint:T5")
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("%q is more than a line", err)
		}
	}
}

// TestOpenOtherModels: the folder of another model is refused with one line.
func TestOpenOtherModels(t *testing.T) {
	for config, want := range map[string]string{
		`{"architectures":["BertForMaskedLM"],"model_type":"bert","hidden_size":768}`:    `config.json: model_type "bert" is an encoder alone`,
		`{"architectures":["LlamaForCausalLM"],"model_type":"llama","hidden_size":768}`:  `config.json: model_type "llama" is a decoder alone`,
		string(smallConfig(map[string]any{"architectures": []string{"T5EncoderModel"}})): "model.safetensors holds the encoder of a T5 alone",
	} {
		c := mustConfig(t, smallConfig(nil))
		encoder := map[string][]float32{}
		for name, v := range randomWeights(c, 1) {
			if strings.HasPrefix(name, "encoder.") || name == sharedName {
				encoder[name] = v
			}
		}
		dir := writeModel(t, smallConfig(nil), encoder, BF16)
		write(t, filepath.Join(dir, "config.json"), []byte(config))
		_, err := Open(t.Context(), dir, Options{CacheDir: t.TempDir()})
		wantError(t, err, dir, want, "hint:T5")
	}
}
