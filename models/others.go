package models

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"softprompt/onnx/hint"
)

// Many models come in the same files as a T5. These tables tell what somebody
// has in hand who gave another one.

const (
	familyHint = "softprompt tunes models of the T5 family: T5, T5 v1.1, LM-adapted T5, Flan-T5, mT5, UMT5"

	encoderOnly  = "an encoder alone, as BERT is"
	decoderOnly  = "a decoder alone, as GPT and Llama are"
	otherDecoder = "an encoder and decoder of another family"
)

// otherTypes has what the model types of others are.
var otherTypes = map[string][]string{
	encoderOnly: {"bert", "roberta", "xlm-roberta", "distilbert", "albert", "electra", "deberta", "deberta-v2", "mpnet", "camembert", "modernbert", "nomic_bert", "longformer", "big_bird", "ernie", "xlm"},
	decoderOnly: {
		"gpt2", "gpt_neo", "gpt_neox", "gptj", "gpt_bigcode", "gpt_oss", "opt", "bloom", "llama", "llama4", "mistral", "mixtral", "qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "gemma", "gemma2", "gemma3", "gemma3_text",
		"phi", "phi3", "falcon", "mpt", "starcoder2", "stablelm", "olmo", "olmo2", "cohere", "deepseek_v3", "granite", "mamba", "rwkv", "xlnet", "ctrl", "codegen", "smollm3",
	},
	otherDecoder: {"bart", "mbart", "pegasus", "marian", "m2m_100", "blenderbot", "led", "prophetnet", "longt5", "switch_transformers", "t5gemma", "bigbird_pegasus", "fsmt", "whisper", "nllb-moe", "pix2struct", "speecht5"},
}

// otherType is the error for a model_type that is not of the family.
func otherType(modelType string) error {
	for what, types := range otherTypes {
		if slices.Contains(types, modelType) {
			return hint.Wrap(fmt.Errorf("model_type %q is %s, wanted a T5, which has both: t5, mt5, umt5", modelType, what), familyHint)
		}
	}
	return hint.Wrap(fmt.Errorf("model_type %q is none of t5, mt5, umt5", modelType), familyHint)
}

// otherWeightNames has names of tensors by which others are known, those that
// more of them have last.
var otherWeightNames = []struct {
	name *regexp.Regexp
	what string
}{
	{regexp.MustCompile(`\b(encoder|decoder)\.layers\.0\.self_attn\.`), otherDecoder},
	{regexp.MustCompile(`\bembeddings\.(word_embeddings|tok_embeddings)\.`), encoderOnly},
	{regexp.MustCompile(`\bh\.0\.|\blayers\.0\.(self_attn|attention)\.|\bblocks\.0\.`), decoderOnly},
}

// otherModel is the error for a checkpoint that is no whole T5, nil if it may
// be one.
func otherModel(ck *Checkpoint) error {
	has := func(prefix string) bool {
		return slices.ContainsFunc(ck.Names(), func(n string) bool { return strings.HasPrefix(n, prefix) })
	}
	what := ""
	switch encoder, decoder := has("encoder.block.0."), has("decoder.block.0."); {
	case encoder && decoder:
		return nil
	case encoder:
		what = "the encoder of a T5 alone"
	case decoder:
		what = "the decoder of a T5 alone"
	default:
		for _, other := range otherWeightNames {
			if what == "" && slices.ContainsFunc(ck.Names(), other.name.MatchString) {
				what = other.what
			}
		}
	}
	if what == "" {
		return nil
	}
	return hint.Wrap(fmt.Errorf("%s holds %s, wanted a T5 with encoder and decoder", ck.Path, what), familyHint)
}
