package models

import (
	"path/filepath"
	"testing"
)

func TestWeightShapesTiny(t *testing.T) {
	c := mustConfig(t, read(t, "tiny/config.json"))
	ck, err := OpenSafetensors("tiny/model.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer ck.Close()
	if err := CheckWeights(c, ck); err != nil {
		t.Fatal(err)
	}
	shapes := WeightShapes(c)
	if len(shapes) != len(ck.Names()) {
		t.Errorf("%d weights, the file has %d", len(shapes), len(ck.Names()))
	}
	var parameters int64
	for _, w := range shapes {
		n, _ := byteLength(w.Shape, 1)
		parameters += n
	}
	if parameters != 11_278_080 {
		t.Errorf("%d parameters", parameters)
	}
}

// Parameter counts as published for each family member, head counted where
// it is a weight of its own.
func TestWeightShapesPublished(t *testing.T) {
	for _, test := range []struct {
		name   string
		change map[string]any
		want   int64
	}{
		{"t5-small", map[string]any{"vocab_size": 32128, "d_model": 512, "d_kv": 64, "d_ff": 2048, "num_layers": 6, "num_heads": 8, "feed_forward_proj": "relu", "tie_word_embeddings": true}, 60_506_624},
		{"t5-base", map[string]any{"vocab_size": 32128, "d_model": 768, "d_kv": 64, "d_ff": 3072, "num_layers": 12, "num_heads": 12, "feed_forward_proj": "relu", "tie_word_embeddings": true}, 222_903_552},
		{"t5-v1_1-small", map[string]any{"vocab_size": 32128, "d_model": 512, "d_kv": 64, "d_ff": 1024, "num_layers": 8, "num_heads": 6}, 76_961_152},
		{"t5-v1_1-base", map[string]any{"vocab_size": 32128, "d_model": 768, "d_kv": 64, "d_ff": 2048, "num_layers": 12, "num_heads": 12}, 247_577_856},
	} {
		c := mustConfig(t, smallConfig(test.change))
		var got int64
		for _, w := range WeightShapes(c) {
			if w.Optional && c.TieWordEmbeddings {
				continue
			}
			n, _ := byteLength(w.Shape, 1)
			got += n
		}
		if got != test.want {
			t.Errorf("%s has %d parameters, wanted %d", test.name, got, test.want)
		}
	}
}

func TestWeightShapesPerLayerBias(t *testing.T) {
	tables := func(modelType string) (n int) {
		for _, w := range WeightShapes(mustConfig(t, smallConfig(map[string]any{"model_type": modelType}))) {
			if filepath.Ext(filepath.Base(w.Name)) == ".weight" && len(w.Shape) == 2 && w.Shape[0] == 32 {
				n++
			}
		}
		return n
	}
	if one, all := tables("t5"), tables("umt5"); one != 2 || all != 4 {
		t.Errorf("%d tables in T5, %d in UMT5", one, all)
	}
}

// build makes a checkpoint from named tensors.
func build(t *testing.T, tensors []NamedTensor) *Checkpoint {
	t.Helper()
	path := filepath.Join(t.TempDir(), "model.safetensors")
	if err := WriteSafetensors(path, tensors, nil); err != nil {
		t.Fatal(err)
	}
	ck, err := OpenSafetensors(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ck.Close() })
	return ck
}

func TestCheckWeightsErrors(t *testing.T) {
	c := mustConfig(t, smallConfig(nil))
	good := func() []NamedTensor { return namedTensors(c, randomWeights(c, 1), F32) }
	for _, test := range []struct {
		name   string
		change func([]NamedTensor) []NamedTensor
		want   []string
	}{
		{"missing", func(l []NamedTensor) []NamedTensor { return append(l[:5:5], l[7:]...) }, []string{"has no tensor", "encoder.block.0.layer.0.SelfAttention.o.weight", "more weights that do not fit"}},
		{"shape", func(l []NamedTensor) []NamedTensor { l[0].Shape = []int64{16, 8192}; return l }, []string{"shared.weight", "is [16 8192], wanted [8192 16]", "hint:of one model"}},
		{"rank", func(l []NamedTensor) []NamedTensor { l[0].Shape = []int64{8192, 16, 1}; return l }, []string{"is [8192 16 1]"}},
		{"head", func(l []NamedTensor) []NamedTensor {
			l[len(l)-1].Shape = []int64{4096, 32}
			return l
		}, []string{"lm_head.weight", "[4096 32]"}},
		{"type", func(l []NamedTensor) []NamedTensor {
			l[1] = NamedTensor{l[1].Name, "I8", l[1].Shape, make([]byte, 16)}
			return l
		}, []string{"is I8, wanted F32, F16 or BF16", "hint:quantised"}},
		{"block", func(l []NamedTensor) []NamedTensor {
			return append(l, NamedTensor{"encoder.block.2.layer.0.layer_norm.weight", F32, []int64{16}, make([]byte, 64)})
		}, []string{"encoder.block.2", "no layer that config.json describes"}},
		{"bias", func(l []NamedTensor) []NamedTensor {
			return append(l, NamedTensor{"decoder.block.0.layer.2.DenseReluDense.wo.bias", F32, []int64{16}, make([]byte, 64)})
		}, []string{"wo.bias", "no layer"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			ck := build(t, test.change(good()))
			wantError(t, CheckWeights(c, ck), append(test.want, ck.Path)...)
		})
	}
	relu := mustConfig(t, smallConfig(map[string]any{"feed_forward_proj": "relu"}))
	wantError(t, CheckWeights(relu, build(t, good())), "DenseReluDense.wi.weight")
}

func TestCheckWeightsIgnores(t *testing.T) {
	c := mustConfig(t, smallConfig(nil))
	l := namedTensors(c, randomWeights(c, 1), BF16)
	l = append(l,
		NamedTensor{"decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight", F32, []int64{32, 3}, make([]byte, 4*96)},
		NamedTensor{"encoder.embed_tokens.weight", BF16, l[0].Shape, l[0].Data},
		NamedTensor{"classification_head.dense.weight", F32, []int64{1}, make([]byte, 4)})
	if err := CheckWeights(c, build(t, l)); err != nil {
		t.Error(err)
	}
}

// Which weight is the head, and is its input scaled: by what the file says
// and what the checkpoint has.
func TestSettle(t *testing.T) {
	const absent, own, twin = "absent", "its own", "a copy of the embedding"
	for _, test := range []struct {
		name         string
		tie, scale   any // nil: not in config.json
		head         string
		tied, scaled bool
	}{
		{"T5 v1.0 without the key", nil, nil, absent, true, true},
		{"T5 v1.0 that keeps the alias", nil, nil, twin, true, true},
		{"T5 v1.1", false, nil, own, false, false},
		{"T5 v1.1 saved by transformers 5", true, false, own, false, false},
		{"T5 v1.0 saved by transformers 5", true, true, absent, true, true},
		{"T5 v1.1 saved by transformers 5 before the fix", true, nil, own, false, false},
		{"scaling stated for a head of its own", true, true, own, false, true},
		{"untied, but nothing to be the head", false, nil, absent, true, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			change := map[string]any{"tie_word_embeddings": test.tie, "scale_decoder_outputs": test.scale}
			c := mustConfig(t, smallConfig(change))
			untied := mustConfig(t, smallConfig(nil))
			weights := randomWeights(untied, 1)
			switch test.head {
			case absent:
				delete(weights, headName)
			case twin:
				weights[headName] = weights[sharedName]
			}
			ck := build(t, namedTensors(untied, weights, F32))
			settle(&c, ck)
			if c.TieWordEmbeddings != test.tied || c.ScaleDecoderOutputs != test.scaled {
				t.Errorf("tied %v, scaled %v", c.TieWordEmbeddings, c.ScaleDecoderOutputs)
			}
			if _, ok := ck.Lookup(c.HeadName()); !ok {
				t.Errorf("there is no %s", c.HeadName())
			}
		})
	}
}

// Writers that drop tied tensors keep one name, not always shared.weight.
func TestSharedAlias(t *testing.T) {
	config := smallConfig(map[string]any{"tie_word_embeddings": true})
	c := mustConfig(t, config)
	for _, name := range sharedAliases {
		l := namedTensors(c, randomWeights(c, 1), F32)
		l[0].Name = name
		dir := t.TempDir()
		write(t, filepath.Join(dir, "config.json"), config)
		if err := WriteSafetensors(filepath.Join(dir, "model.safetensors"), l, nil); err != nil {
			t.Fatal(err)
		}
		m := open(t, dir)
		if info, ok := m.Checkpoint.Lookup(sharedName); !ok || info.Name != sharedName || info.Length != 4*8192*16 {
			t.Errorf("%s: %+v %v", name, info, ok)
		}
		if m.Config.HeadName() != sharedName {
			t.Errorf("the head is %s", m.Config.HeadName())
		}
	}
}
