package models

import (
	"encoding/binary"
	"encoding/json"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"softprompt/onnx/hint"
)

// smallConfig is a config.json of a model that takes milliseconds to make.
func smallConfig(change map[string]any) []byte {
	c := map[string]any{
		"model_type": "t5", "vocab_size": 8192, "d_model": 16, "d_kv": 4, "d_ff": 24, "num_layers": 2,
		"num_heads": 3, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": false,
	}
	maps.Copy(c, change)
	for k, v := range c {
		if v == nil {
			delete(c, k)
		}
	}
	data, err := json.Marshal(c)
	if err != nil {
		panic(err)
	}
	return data
}

func mustConfig(t testing.TB, data []byte) Config {
	t.Helper()
	c, err := ParseConfig(data)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// encodeFloats writes values as a floating-point type.
func encodeFloats(values []float32, dtype DType) []byte {
	out := make([]byte, int64(len(values))*dtypeSizes[dtype])
	for i, v := range values {
		switch dtype {
		case F32:
			binary.LittleEndian.PutUint32(out[4*i:], math.Float32bits(v))
		case F16:
			binary.LittleEndian.PutUint16(out[2*i:], Float32ToFloat16(v))
		case BF16:
			binary.LittleEndian.PutUint16(out[2*i:], Float32ToBFloat16(v))
		}
	}
	return out
}

// randomWeights draws weights of a T5, each with a scale of its own.
func randomWeights(c Config, seed uint64) map[string][]float32 {
	rng := rand.New(rand.NewPCG(seed, 1))
	weights := map[string][]float32{}
	for _, w := range WeightShapes(c) {
		if w.Optional && c.TieWordEmbeddings {
			continue
		}
		n := int64(1)
		for _, d := range w.Shape {
			n *= d
		}
		scale := math.Exp(10*rng.Float64() - 5)
		values := make([]float32, n)
		for i := range values {
			values[i] = float32(scale * rng.NormFloat64())
		}
		weights[w.Name] = values
	}
	return weights
}

func namedTensors(c Config, weights map[string][]float32, dtype DType) []NamedTensor {
	var list []NamedTensor
	for _, w := range WeightShapes(c) {
		if v, ok := weights[w.Name]; ok {
			list = append(list, NamedTensor{w.Name, dtype, w.Shape, encodeFloats(v, dtype)})
		}
	}
	return list
}

// writeModel writes a model's folder: configuration, weights, and the
// tokenizer of the tiny model.
func writeModel(t testing.TB, config []byte, weights map[string][]float32, dtype DType) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "config.json"), config)
	if err := WriteSafetensors(filepath.Join(dir, "model.safetensors"), namedTensors(mustConfig(t, config), weights, dtype), map[string]string{"format": "pt"}); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "tokenizer.json"), read(t, "tiny/tokenizer.json"))
	return dir
}

// randomModel writes a model of smallConfig with weights of a seed.
func randomModel(t testing.TB, change map[string]any, seed uint64, dtype DType) string {
	config := smallConfig(change)
	return writeModel(t, config, randomWeights(mustConfig(t, config), seed), dtype)
}

func open(t testing.TB, ref string) *Model {
	t.Helper()
	m, err := Open(t.Context(), ref, Options{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// wantError holds an error to every one of the parts, and to having a hint if
// one of them is "hint:" and more.
func wantError(t testing.TB, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, wanted one with %q", parts)
	}
	for _, p := range parts {
		if advice, ok := strings.CutPrefix(p, "hint:"); ok {
			if got := hint.Of(err); got == "" || !strings.Contains(got, advice) {
				t.Errorf("error %q\nhas the hint %q, wanted %q in it", err, got, advice)
			}
		} else if !strings.Contains(err.Error(), p) {
			t.Errorf("error %q\nlacks %q", err, p)
		}
	}
}
