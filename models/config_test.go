package models

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseConfigTiny(t *testing.T) {
	got := mustConfig(t, read(t, "tiny/config.json"))
	want := Config{
		ModelType: "t5", VocabSize: 8192, DModel: 256, DKV: 64, DFF: 640, NumLayers: 4, NumDecoderLayers: 4,
		NumHeads: 4, NumBuckets: 32, MaxDistance: 128, LayerNormEpsilon: 1e-6, DropoutRate: 0.1,
		Gated: true, Activation: "gelu_new", PadID: 0, EOSID: 1, DecoderStartID: 0,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got.InnerDim() != 256 || got.HeadName() != "lm_head.weight" {
		t.Errorf("inner %d, head %s", got.InnerDim(), got.HeadName())
	}
}

// An early t5-small config.json has no model_type, no decoder's layers, no
// maximum distance, no feed_forward_proj and no tying.
func TestParseConfigOldDefaults(t *testing.T) {
	c := mustConfig(t, []byte(`{"architectures": ["T5WithLMHeadModel"], "vocab_size": 32128, "d_model": 512,
		"d_kv": 64, "d_ff": 2048, "num_layers": 6, "num_heads": 8, "relative_attention_num_buckets": 32,
		"initializer_factor": 1.0, "n_positions": 512, "task_specific_params": {"x": {"y": [1]}}}`))
	want := Config{
		ModelType: "t5", VocabSize: 32128, DModel: 512, DKV: 64, DFF: 2048, NumLayers: 6, NumDecoderLayers: 6,
		NumHeads: 8, NumBuckets: 32, MaxDistance: 128, LayerNormEpsilon: 1e-6, DropoutRate: 0.1, Activation: "relu",
		TieWordEmbeddings: true, ScaleDecoderOutputs: true, PadID: 0, EOSID: 1,
	}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Error(diff)
	}
}

func TestParseConfigClasses(t *testing.T) {
	for _, test := range []struct {
		change      map[string]any
		tied, scale bool
		gated, bias bool
		activation  string
	}{
		{map[string]any{"tie_word_embeddings": nil, "feed_forward_proj": nil}, true, true, false, false, "relu"},
		{map[string]any{"tie_word_embeddings": nil, "feed_forward_proj": nil, "model_type": "mt5"}, false, false, true, false, "gelu_new"},
		{map[string]any{"tie_word_embeddings": nil, "feed_forward_proj": nil, "model_type": "umt5"}, true, true, true, true, "gelu_new"},
		{map[string]any{"tie_word_embeddings": false}, false, false, true, false, "gelu_new"},
		{map[string]any{"tie_word_embeddings": true}, true, true, true, false, "gelu_new"},
		// Transformers 5: tied in name, the scaling said beside it.
		{map[string]any{"tie_word_embeddings": true, "scale_decoder_outputs": false}, true, false, true, false, "gelu_new"},
		{map[string]any{"tie_word_embeddings": false, "scale_decoder_outputs": true}, false, true, true, false, "gelu_new"},
		{map[string]any{"feed_forward_proj": "gelu"}, false, false, false, false, "gelu"},
		{map[string]any{"feed_forward_proj": "gated-relu"}, false, false, true, false, "relu"},
		{map[string]any{"feed_forward_proj": "gated-silu"}, false, false, true, false, "silu"},
		{map[string]any{"feed_forward_proj": "swish"}, false, false, false, false, "silu"},
		{map[string]any{"feed_forward_proj": "gated-gelu_pytorch_tanh"}, false, false, true, false, "gelu_new"},
		{map[string]any{"feed_forward_proj": "gelu_python"}, false, false, false, false, "gelu"},
		{map[string]any{"feed_forward_proj": "gated-quick_gelu"}, false, false, true, false, "quick_gelu"},
		// What transformers 4 derived and saved wins over what it was derived from.
		{map[string]any{"dense_act_fn": "gelu_new", "is_gated_act": true}, false, false, true, false, "gelu_new"},
		{map[string]any{"dense_act_fn": "gelu"}, false, false, true, false, "gelu"},
		{map[string]any{"feed_forward_proj": "relu", "is_gated_act": true}, false, false, true, false, "relu"},
		{map[string]any{"is_gated_act": false}, false, false, false, false, "gelu_new"},
	} {
		c := mustConfig(t, smallConfig(test.change))
		if c.TieWordEmbeddings != test.tied || c.ScaleDecoderOutputs != test.scale || c.Gated != test.gated ||
			c.PerLayerBias != test.bias || c.Activation != test.activation {
			t.Errorf("%v gave %+v", test.change, c)
		}
	}
}

func TestParseConfigIDs(t *testing.T) {
	c := mustConfig(t, smallConfig(map[string]any{"pad_token_id": 5, "eos_token_id": []int{7, 8}, "num_decoder_layers": 1}))
	if c.PadID != 5 || c.EOSID != 7 || c.DecoderStartID != 5 || c.NumDecoderLayers != 1 {
		t.Errorf("%+v", c)
	}
	c = mustConfig(t, smallConfig(map[string]any{"decoder_start_token_id": 3}))
	if c.DecoderStartID != 3 {
		t.Errorf("%+v", c)
	}
}

func TestParseConfigErrors(t *testing.T) {
	for _, test := range []struct {
		change map[string]any
		want   string
	}{
		{map[string]any{"vocab_size": nil}, "vocab_size is missing"},
		{map[string]any{"d_model": 0}, "d_model is 0, wanted 1 to 65536"},
		{map[string]any{"d_model": -16}, "d_model is -16"},
		{map[string]any{"d_ff": 1 << 40}, "d_ff is 1099511627776"},
		{map[string]any{"num_layers": 1 << 30}, "num_layers is"},
		{map[string]any{"num_decoder_layers": 0}, "num_decoder_layers is 0"},
		{map[string]any{"num_heads": 1.5}, "num_heads"},
		{map[string]any{"d_kv": "64"}, "d_kv"},
		{map[string]any{"vocab_size": 1e30}, "vocab_size"},
		{map[string]any{"relative_attention_num_buckets": 3}, "relative_attention_num_buckets is 3"},
		{map[string]any{"relative_attention_max_distance": 16}, "relative_attention_max_distance is 16"},
		{map[string]any{"layer_norm_epsilon": 0}, "layer_norm_epsilon is 0"},
		{map[string]any{"dropout_rate": 1}, "dropout_rate is 1"},
		{map[string]any{"dropout_rate": -0.1}, "dropout_rate is -0.1"},
		{map[string]any{"pad_token_id": 8192}, "pad_token_id is 8192, wanted 0 to 8191"},
		{map[string]any{"eos_token_id": -1}, "eos_token_id is -1"},
		{map[string]any{"eos_token_id": []int{}}, "empty list"},
		{map[string]any{"eos_token_id": "</s>"}, "config.json cannot be read"},
		{map[string]any{"feed_forward_proj": "gated-gated-gelu"}, `feed_forward_proj "gated-gated-gelu"`},
		{map[string]any{"feed_forward_proj": ""}, `feed_forward_proj ""`},
		{map[string]any{"feed_forward_proj": "relu-gated"}, `feed_forward_proj "relu-gated"`},
		{map[string]any{"feed_forward_proj": "prelu"}, "gelu_new, gelu_python"}, // has weights of its own
		{map[string]any{"dense_act_fn": "xielu"}, `dense_act_fn "xielu"`},
		{map[string]any{"model_type": "bert"}, `model_type "bert"`},
		{map[string]any{"model_type": nil}, `model_type ""`},
	} {
		_, err := ParseConfig(smallConfig(test.change))
		wantError(t, err, test.want)
	}
	for _, text := range []string{"", "{", "[]", "null extra", `"t5"`, "<html>", `{"vocab_size": NaN}`} {
		_, err := ParseConfig([]byte(text))
		wantError(t, err, "config.json cannot be read", "hint:again")
	}
	_, err := ParseConfig(smallConfig(map[string]any{"model_type": "gpt2"}))
	wantError(t, err, "hint:T5 family")
}

// Whatever passes can be multiplied out without overflow.
func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(`{"architectures": ["T5"]}`))
	f.Add(smallConfig(nil))
	f.Add(smallConfig(map[string]any{"vocab_size": 1 << 24, "d_model": 1 << 16, "num_heads": 1 << 10, "d_kv": 1 << 12, "num_layers": 3}))
	f.Add(smallConfig(map[string]any{"model_type": "umt5", "eos_token_id": []int{1, 2}}))
	f.Add(smallConfig(map[string]any{"feed_forward_proj": "gated-silu", "dense_act_fn": "gelu", "is_gated_act": false}))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseConfig(data)
		if err != nil {
			return
		}
		for _, w := range WeightShapes(c) {
			if n, err := byteLength(w.Shape, 4); err != nil || n <= 0 {
				t.Errorf("%s %v: %d bytes, %v", w.Name, w.Shape, n, err)
			}
		}
	})
}
