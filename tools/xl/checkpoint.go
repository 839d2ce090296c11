package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"softprompt/models"
	"softprompt/onnx/atomicfile"
)

// size is what config.json says of a T5 v1.1.
type size struct{ dModel, dFF, layers, heads, vocab int }

// sizes has those of google/t5-v1_1-*, which google/t5-*-lm-adapt share, and
// one that is made at once.
var sizes = map[string]size{
	"toy":   {32, 64, 2, 2, 8192}, // as many as the tokenizer has
	"small": {512, 1024, 8, 6, 32128},
	"base":  {768, 2048, 12, 12, 32128},
	"large": {1024, 2816, 24, 16, 32128},
	"xl":    {2048, 5120, 24, 32, 32128},
	"xxl":   {4096, 10240, 24, 64, 32128},
}

func sizeNames() string { return strings.Join(slices.Sorted(maps.Keys(sizes)), ", ") }

// shardSize is what files grow to, as transformers has it.
const shardSize = 5e9

// written says what writeCheckpoint made.
type written struct{ parameters, bytes int64 }

// writeCheckpoint makes a model's folder: config.json, the tokenizer of the
// tiny model, and random weights in shards with their index.
func writeCheckpoint(ctx context.Context, dir, name string, dtype models.DType) (written, error) {
	s, ok := sizes[name]
	if !ok {
		return written{}, fmt.Errorf("no size %q: %s", name, sizeNames())
	}
	if encoders[dtype].bytes == 0 {
		return written{}, fmt.Errorf("no type %q: F32, F16 or BF16", dtype)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return written{}, err
	}
	text, err := json.MarshalIndent(map[string]any{
		"architectures": []string{"T5ForConditionalGeneration"}, "model_type": "t5", "feed_forward_proj": "gated-gelu", "tie_word_embeddings": false,
		"d_model": s.dModel, "d_ff": s.dFF, "d_kv": 64, "num_layers": s.layers, "num_heads": s.heads, "vocab_size": s.vocab,
	}, "", "  ")
	if err != nil {
		return written{}, err
	}
	if err := atomicfile.Write(filepath.Join(dir, "config.json"), text); err != nil {
		return written{}, err
	}
	config, err := models.ParseConfig(text)
	if err != nil {
		return written{}, err
	}
	if err := copyTokenizer(ctx, dir); err != nil {
		return written{}, err
	}
	return writeWeights(ctx, dir, config, dtype, shardSize)
}

// copyTokenizer gives the model a tokenizer, which export copies. Its words are
// not the model's, whose weights mean nothing either.
func copyTokenizer(ctx context.Context, dir string) error {
	tiny, err := models.Open(ctx, "tiny", models.Options{})
	if err != nil {
		return err
	}
	defer tiny.Close()
	data, err := os.ReadFile(filepath.Join(tiny.Dir, "tokenizer.json"))
	if err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(dir, "tokenizer.json"), data)
}

// encoders writes values of each type.
var encoders = map[models.DType]struct {
	bytes int
	put   func(b []byte, v float32)
}{
	models.F32:  {4, func(b []byte, v float32) { binary.LittleEndian.PutUint32(b, math.Float32bits(v)) }},
	models.F16:  {2, func(b []byte, v float32) { binary.LittleEndian.PutUint16(b, models.Float32ToFloat16(v)) }},
	models.BF16: {2, func(b []byte, v float32) { binary.LittleEndian.PutUint16(b, models.Float32ToBFloat16(v)) }},
}

// writeWeights writes shards of at most limit bytes, a tensor at a time, and
// their index.
func writeWeights(ctx context.Context, dir string, c models.Config, dtype models.DType, limit int64) (written, error) {
	var w written
	var shards [][]models.TensorInfo
	room := int64(0)
	for _, weight := range models.WeightShapes(c) {
		n := int64(1)
		for _, d := range weight.Shape {
			n *= d
		}
		t := models.TensorInfo{Name: weight.Name, DType: dtype, Shape: weight.Shape, Length: n * int64(encoders[dtype].bytes)}
		if t.Length > room {
			shards, room = append(shards, nil), limit
		}
		shards[len(shards)-1] = append(shards[len(shards)-1], t)
		room -= t.Length
		w.parameters += n
		w.bytes += t.Length
	}
	weightMap := map[string]string{}
	for i, shard := range shards {
		file := fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, len(shards))
		for _, t := range shard {
			weightMap[t.Name] = file
		}
		err := models.StreamSafetensors(filepath.Join(dir, file), shard, map[string]string{"format": "pt"}, func(i int, out io.Writer) error {
			return writeRandom(ctx, out, c, shard[i])
		})
		if err != nil {
			return w, err
		}
	}
	index, err := json.MarshalIndent(map[string]any{"metadata": map[string]any{"total_size": w.bytes}, "weight_map": weightMap}, "", "  ")
	if err != nil {
		return w, err
	}
	return w, atomicfile.Write(filepath.Join(dir, "model.safetensors.index.json"), index)
}

// writeRandom writes a tensor's values, which its name seeds: uniform, with the
// deviation that T5 starts training from, so that activations stay in bounds.
func writeRandom(ctx context.Context, out io.Writer, c models.Config, t models.TensorInfo) error {
	if strings.HasSuffix(t.Name, "layer_norm.weight") {
		return writeValues(ctx, out, t, func() float32 { return 1 })
	}
	var seed [32]byte
	copy(seed[:], t.Name[max(0, len(t.Name)-32):])
	seed[0] ^= byte(len(t.Name))
	for i, b := range []byte(t.Name) {
		seed[i%len(seed)] += b
	}
	rng := rand.NewChaCha8(seed)
	scale := deviation(c, t.Name) * math.Sqrt(3) / (1 << 31) // of a uniform int32
	return writeValues(ctx, out, t, func() float32 { return float32(scale * float64(int32(rng.Uint64()>>32))) })
}

// deviation is the standard deviation of a new T5's weights (transformers,
// modeling_t5.py, _init_weights, factor 1).
func deviation(c models.Config, name string) float64 {
	d, inner := float64(c.DModel), float64(c.InnerDim())
	variance := 1.0
	switch {
	case strings.HasSuffix(name, ".q.weight"):
		variance = 1 / (d * float64(c.DKV))
	case strings.HasSuffix(name, ".o.weight"):
		variance = 1 / inner
	case strings.HasSuffix(name, ".wo.weight"):
		variance = 1 / float64(c.DFF)
	case name == "lm_head.weight": // as a trained one, so that the loss is one
		variance = 1 / d
	case strings.HasPrefix(name, "encoder.") || strings.HasPrefix(name, "decoder."):
		variance = 1 / d
	}
	return math.Sqrt(variance)
}

// writeValues writes a tensor's values, a chunk at a time.
func writeValues(ctx context.Context, out io.Writer, t models.TensorInfo, next func() float32) error {
	e := encoders[t.DType]
	buf := make([]byte, 1<<20)
	for left := t.Length; left > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		part := buf[:min(left, int64(len(buf)))]
		for i := 0; i < len(part); i += e.bytes {
			e.put(part[i:], next())
		}
		if _, err := out.Write(part); err != nil {
			return err
		}
		left -= int64(len(part))
	}
	return nil
}
