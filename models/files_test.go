package models

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestChooseFiles holds the choice to folders as they are found on the hub.
func TestChooseFiles(t *testing.T) {
	for _, test := range []struct {
		name    string
		names   string // of the folder's files
		format  Format
		weights string
		others  string
	}{
		{
			"google-t5/t5-small", "config.json flax_model.msgpack generation_config.json model.safetensors onnx/decoder_model.onnx onnx/encoder_model.onnx pytorch_model.bin rust_model.ot spiece.model tf_model.h5 tokenizer.json tokenizer_config.json",
			Safetensors, "model.safetensors", "config.json tokenizer.json tokenizer_config.json",
		},
		{
			"google/t5-v1_1-base", ".gitattributes README.md config.json flax_model.msgpack generation_config.json pytorch_model.bin special_tokens_map.json spiece.model tf_model.h5 tokenizer_config.json",
			PyTorch, "pytorch_model.bin", "config.json tokenizer_config.json spiece.model special_tokens_map.json",
		},
		{
			"google/flan-t5-xl", "config.json model-00002-of-00002.safetensors model-00001-of-00002.safetensors model.safetensors.index.json pytorch_model-00001-of-00002.bin pytorch_model-00002-of-00002.bin pytorch_model.bin.index.json tokenizer.json",
			Safetensors, "model.safetensors.index.json model-00001-of-00002.safetensors model-00002-of-00002.safetensors", "config.json tokenizer.json",
		},
		{
			"sharded PyTorch", "config.json pytorch_model-00001-of-00002.bin pytorch_model-00002-of-00002.bin pytorch_model.bin.index.json",
			PyTorch, "pytorch_model.bin.index.json pytorch_model-00001-of-00002.bin pytorch_model-00002-of-00002.bin", "config.json",
		},
		{
			"a training run's folder", "config.json model.safetensors optimizer.bin training_args.bin model-00001-of-00002.safetensors",
			Safetensors, "model.safetensors", "config.json",
		},
		{
			"Xenova/flan-t5-small", "config.json onnx/decoder_model_merged.onnx onnx/decoder_model_merged_fp16.onnx onnx/decoder_model_merged_quantized.onnx onnx/encoder_model.onnx onnx/encoder_model_fp16.onnx onnx/encoder_model_quantized.onnx tokenizer.json",
			ONNX, "onnx/encoder_model.onnx onnx/decoder_model_merged.onnx", "config.json tokenizer.json",
		},
		{
			"Optimum", "config.json decoder_model.onnx decoder_with_past_model.onnx encoder_model.onnx spiece.model",
			ONNX, "encoder_model.onnx decoder_model.onnx", "config.json spiece.model",
		},
		{
			"external data", "decoder_model.onnx decoder_model.onnx_data decoder_model_merged.onnx decoder_model_merged.onnx_data encoder_model.onnx encoder_model.onnx_data encoder_model.onnx_data_1 encoder_model_fp16.onnx_data",
			ONNX, "encoder_model.onnx decoder_model.onnx decoder_model.onnx_data encoder_model.onnx_data encoder_model.onnx_data_1", "",
		},
		{
			"external data by torch", "encoder_model.onnx encoder_model.onnx.data decoder_model.onnx decoder_model.onnx.data",
			ONNX, "encoder_model.onnx decoder_model.onnx decoder_model.onnx.data encoder_model.onnx.data", "",
		},
		{
			"halves before bytes", "onnx/encoder_model_int8.onnx onnx/decoder_model_int8.onnx onnx/encoder_model_fp16.onnx onnx/decoder_model_merged_fp16.onnx",
			ONNX, "onnx/encoder_model_fp16.onnx onnx/decoder_model_merged_fp16.onnx", "",
		},
		{
			"parts of two variants do not mix", "encoder_model.onnx decoder_model_fp16.onnx onnx/encoder_model_uint8.onnx onnx/decoder_model_uint8.onnx",
			ONNX, "onnx/encoder_model_uint8.onnx onnx/decoder_model_uint8.onnx", "",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			names := strings.Fields(test.names)
			for range 5 { // in whatever order they are listed
				got, err := ChooseFiles(names)
				if err != nil {
					t.Fatal(err)
				}
				want := Files{test.format, strings.Fields(test.weights), nil}
				if test.others != "" {
					want.Others = strings.Fields(test.others)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatal(diff)
				}
				if all := got.All(); len(all) != len(want.Weights)+len(want.Others) || all[len(all)-1] != want.Weights[len(want.Weights)-1] {
					t.Errorf("all files: %v", all)
				}
				rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
			}
		})
	}
}

// TestChooseFilesErrors: what else a folder may hold is named, with a way out.
func TestChooseFilesErrors(t *testing.T) {
	for names, want := range map[string][]string{
		"":            {"no model.safetensors, pytorch_model.bin or encoder_model.onnx", "hint:config.json"},
		"config.json": {"no model.safetensors"},
		"config.json model-00001-of-00002.safetensors":              {"no model.safetensors"},
		"config.json tf_model.h5":                                   {"TensorFlow weights (tf_model.h5)", "hint:safetensors"},
		"config.json flax_model.msgpack":                            {"Flax weights", "hint:safetensors"},
		"flan-t5-small.gguf":                                        {"llama.cpp (flan-t5-small.gguf)", "hint:safetensors"},
		"adapter_config.json adapter_model.bin":                     {"an adapter (adapter_model.bin)", "hint:base model"},
		"adapter_model.safetensors":                                 {"an adapter", "hint:base model"},
		"config.json onnx/model.onnx":                               {"an ONNX model of another kind (onnx/model.onnx)", "hint:decoder_model.onnx"},
		"config.json encoder_model.onnx":                            {"part of an exported ONNX model (encoder_model.onnx)", "hint:decoder_model_merged.onnx"},
		"onnx/encoder_model_fp16.onnx decoder_model_fp16.onnx":      {"part of an exported ONNX model (onnx/encoder_model_fp16.onnx)"},
		"onnx/encoder_model_q4.onnx onnx/decoder_model_merged.onnx": {"part of an exported ONNX model", "hint:int8"},
	} {
		f, err := ChooseFiles(strings.Fields(names))
		wantError(t, err, want...)
		if f.Weights != nil || f.Format != "" {
			t.Errorf("%q: %+v beside the error", names, f)
		}
	}
}
