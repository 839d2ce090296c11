package models

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"softprompt/onnx/hint"
)

// Format is the kind of file that a model's weights come in.
type Format string

// The formats of weights, the preferred first: safetensors may be used where
// they lie, PyTorch's files nearly always; an exported ONNX model is read when
// there is nothing else.
const (
	Safetensors Format = "safetensors"
	PyTorch     Format = "pytorch"
	ONNX        Format = "onnx"
)

// Files are the files of a folder or repository that make up a model, as
// slash-separated paths.
type Files struct {
	Format Format
	// Weights are opened by their first: a file, or the index of the shards
	// that follow. Of an exported ONNX model they are the encoder, the decoder
	// and their external data.
	Weights []string
	// Others are the configuration and what a tokenizer is made from.
	Others []string
}

// All returns every file.
func (f Files) All() []string { return slices.Concat(f.Others, f.Weights) }

// checkpoints has the names of checkpoints, the preferred first.
var checkpoints = []struct {
	format Format
	name   string
	shards *regexp.Regexp // what else belongs to it; nil for none
}{
	{Safetensors, "model.safetensors", nil},
	{Safetensors, "model.safetensors.index.json", regexp.MustCompile(`^model-\d+-of-\d+\.safetensors$`)},
	{PyTorch, "pytorch_model.bin", nil},
	{PyTorch, "pytorch_model.bin.index.json", regexp.MustCompile(`^pytorch_model-\d+-of-\d+\.bin$`)},
}

// ONNX files are named by part and variant: encoder_model.onnx,
// decoder_model_merged_fp16.onnx. Float32 comes first, then what loses least.
var (
	onnxFolders  = []string{"", "onnx/"}
	onnxVariants = []string{"", "_fp16", "_quantized", "_int8", "_uint8"}
	onnxDecoders = []string{"decoder_model", "decoder_model_merged"}
)

// besideWeights are the other files that a model may have.
var besideWeights = []string{"config.json", "tokenizer.json", "tokenizer_config.json", "spiece.model", "added_tokens.json", "special_tokens_map.json"}

// ChooseFiles returns which of a folder's or repository's files make up its
// model: the best weights that are there, and all that a tokenizer needs.
func ChooseFiles(names []string) (Files, error) {
	var f Files
	has := func(name string) bool { return slices.Contains(names, name) }
	for _, name := range besideWeights {
		if has(name) && !(name == "spiece.model" && has("tokenizer.json")) { // what would be made from it
			f.Others = append(f.Others, name)
		}
	}
	for _, c := range checkpoints {
		if !has(c.name) {
			continue
		}
		f.Format, f.Weights = c.format, []string{c.name}
		for _, name := range slices.Sorted(slices.Values(names)) {
			if c.shards != nil && c.shards.MatchString(name) {
				f.Weights = append(f.Weights, name)
			}
		}
		return f, nil
	}
	for _, folder := range onnxFolders {
		for _, variant := range onnxVariants {
			encoder := folder + "encoder_model" + variant + ".onnx"
			for _, d := range onnxDecoders {
				decoder := folder + d + variant + ".onnx"
				if has(encoder) && has(decoder) {
					f.Format, f.Weights = ONNX, []string{encoder, decoder}
					for _, name := range slices.Sorted(slices.Values(names)) {
						if strings.HasPrefix(name, encoder+"_data") || strings.HasPrefix(name, decoder+"_data") ||
							name == encoder+".data" || name == decoder+".data" {
							f.Weights = append(f.Weights, name)
						}
					}
					return f, nil
				}
			}
		}
	}
	return f, noWeights(names)
}

// otherWeights says what to do with files that are no weights of a T5 to us.
var otherWeights = []struct{ pattern, what, advice string }{
	{"*encoder_model*.onnx", "part of an exported ONNX model", "an exported T5 is encoder_model.onnx with decoder_model.onnx or decoder_model_merged.onnx, in float32, fp16 or int8"},
	{"*.onnx", "an ONNX model of another kind", "an exported T5 is encoder_model.onnx with decoder_model.onnx or decoder_model_merged.onnx"},
	{"adapter_model.*", "an adapter", "give the base model that the adapter was made for"},
	{"tf_model.h5", "TensorFlow weights", "get the model's safetensors, pytorch_model.bin or ONNX files"},
	{"flax_model*.msgpack", "Flax weights", "get the model's safetensors, pytorch_model.bin or ONNX files"},
	{"*.gguf", "weights for llama.cpp", "get the model's safetensors, pytorch_model.bin or ONNX files"},
}

// noWeights is the error of a folder without weights that can be read.
func noWeights(names []string) error {
	for _, other := range otherWeights {
		for _, name := range names {
			if ok, _ := path.Match(other.pattern, path.Base(name)); ok {
				return hint.Wrap(fmt.Errorf("no weights that softprompt reads, only %s (%s)", other.what, name), "%s", other.advice)
			}
		}
	}
	return hint.Wrap(fmt.Errorf("no model.safetensors, pytorch_model.bin or encoder_model.onnx"),
		"a model's folder holds config.json, its weights and its tokenizer")
}
