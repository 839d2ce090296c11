package models

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// fingerprintOf takes the fingerprint of weights in memory.
func fingerprintOf(t interface{ Fatal(...any) }, c Config, weights map[string][]float32) Fingerprint {
	f, err := NewFingerprint(c, func(name string, index int64) (float32, error) {
		values, ok := weights[name]
		if !ok || index >= int64(len(values)) {
			return 0, fmt.Errorf("%s has no value %d", name, index)
		}
		return values[index], nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func mapWeights(weights map[string][]float32, change func(name string, v float32) float32) map[string][]float32 {
	out := map[string][]float32{}
	for _, name := range slices.Sorted(maps.Keys(weights)) {
		values := make([]float32, len(weights[name]))
		for i, v := range weights[name] {
			values[i] = change(name, v)
		}
		out[name] = values
	}
	return out
}

func toF16(_ string, v float32) float32  { return Float16ToFloat32(Float32ToFloat16(v)) }
func toBF16(_ string, v float32) float32 { return BFloat16ToFloat32(Float32ToBFloat16(v)) }

// Conversions keep the fingerprint, in any order and one after the other.
func TestFingerprintSurvivesConversion(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, err := ParseConfig(smallConfig(map[string]any{"vocab_size": 40, "d_model": rapid.IntRange(2, 40).Draw(t, "d_model"), "num_layers": rapid.IntRange(1, 6).Draw(t, "num_layers")}))
		if err != nil {
			t.Fatal(err)
		}
		weights := randomWeights(c, rapid.Uint64().Draw(t, "seed"))
		want := fingerprintOf(t, c, weights)
		half := mapWeights(weights, toF16)
		brain := mapWeights(weights, toBF16)
		for name, other := range map[string]map[string][]float32{
			"f16": half, "bf16": brain,
			"f16 then bf16": mapWeights(half, toBF16), "bf16 then f16": mapWeights(brain, toF16),
		} {
			f := fingerprintOf(t, c, other)
			if err := want.Matches(f); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if err := f.Matches(want); err != nil {
				t.Errorf("%s, the other way: %v", name, err)
			}
		}
		if err := fingerprintOf(t, c, half).Matches(fingerprintOf(t, c, brain)); err != nil {
			t.Errorf("f16 against bf16: %v", err)
		}
	})
}

// Training on, even lightly, and other seeds do not pass, nor through a
// conversion.
func TestFingerprintTellsTrainedApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, err := ParseConfig(smallConfig(map[string]any{"vocab_size": 40, "num_layers": rapid.IntRange(1, 6).Draw(t, "num_layers")}))
		if err != nil {
			t.Fatal(err)
		}
		seed := rapid.Uint64().Draw(t, "seed")
		weights := randomWeights(c, seed)
		want := fingerprintOf(t, c, weights)
		rng := rand.New(rand.NewPCG(seed, 7))
		trained := mapWeights(weights, func(_ string, v float32) float32 { return v * float32(1+0.02*rng.NormFloat64()) })
		scaled := mapWeights(weights, func(_ string, v float32) float32 { return v * 1.01 })
		for name, other := range map[string]map[string][]float32{
			"2 % noise": trained, "1 % larger": scaled, "2 % noise in bf16": mapWeights(trained, toBF16),
			"another seed": randomWeights(c, seed+1),
			"swapped sign": mapWeights(weights, func(_ string, v float32) float32 { return -v }),
			"zeros":        mapWeights(weights, func(string, float32) float32 { return 0 }),
		} {
			wantFatal(t, name, want.Matches(fingerprintOf(t, c, other)), "other weights")
		}
	})
}

func wantFatal(t *rapid.T, name string, err error, part string) {
	if err == nil || !strings.Contains(err.Error(), part) {
		t.Fatalf("%s: %v, wanted an error with %q", name, err, part)
	}
}

// One matrix kind trained, as adapters merged into q and v leave it.
func TestFingerprintMergedAdapter(t *testing.T) {
	c := mustConfig(t, smallConfig(map[string]any{"num_layers": 12}))
	weights := randomWeights(c, 1)
	rng := rand.New(rand.NewPCG(1, 1))
	merged := mapWeights(weights, func(name string, v float32) float32 {
		if strings.Contains(name, "SelfAttention.q") || strings.Contains(name, "SelfAttention.v") {
			return v * float32(1+0.05*rng.NormFloat64())
		}
		return v
	})
	wantError(t, fingerprintOf(t, c, weights).Matches(fingerprintOf(t, c, merged)), "of 32 matrices differ")
}

func TestFingerprintSizes(t *testing.T) {
	c := mustConfig(t, smallConfig(nil))
	want := fingerprintOf(t, c, randomWeights(c, 1))
	for key, value := range map[string]any{"d_model": 32, "num_heads": 2, "num_decoder_layers": 3, "vocab_size": 8193, "relative_attention_max_distance": 64} {
		other := mustConfig(t, smallConfig(map[string]any{key: value}))
		wantError(t, want.Matches(fingerprintOf(t, other, randomWeights(other, 1))), "another model", fmt.Sprintf("%s is %v, wanted", key, value))
	}
	relu := mustConfig(t, smallConfig(map[string]any{"feed_forward_proj": "gated-relu"}))
	wantError(t, want.Matches(fingerprintOf(t, relu, randomWeights(relu, 1))), "gated-relu, wanted gated-gelu_new")
	umt5 := mustConfig(t, smallConfig(map[string]any{"model_type": "umt5"}))
	wantError(t, want.Matches(fingerprintOf(t, umt5, randomWeights(umt5, 1))), "another model")
}

// A tied model has one fingerprint whether its file repeats the embedding.
func TestFingerprintTiedHead(t *testing.T) {
	config := smallConfig(map[string]any{"tie_word_embeddings": true})
	c := mustConfig(t, config)
	weights := randomWeights(c, 1)
	without := open(t, writeModel(t, config, weights, F32))
	weights[headName] = weights[sharedName]
	with := open(t, writeModel(t, config, weights, BF16))
	a, err := without.Fingerprint()
	if err != nil {
		t.Fatal(err)
	}
	b, err := with.Fingerprint()
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Matches(b); err != nil {
		t.Error(err)
	}
}

// The tiny model's fingerprint must never change: prompts carry it.
func TestFingerprintTiny(t *testing.T) {
	m := open(t, "tiny")
	f, err := m.Fingerprint()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		write(t, "testdata/fingerprint_tiny.txt", []byte(f.String()+"\n"))
	}
	golden, err := ParseFingerprint(strings.TrimSpace(string(read(t, "testdata/fingerprint_tiny.txt"))))
	if err != nil {
		t.Fatal(err)
	}
	if golden != f {
		t.Errorf("the fingerprint is now\n%s", f)
	}
	wide, err := m.Float32File(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	values := map[string][]float32{}
	for _, name := range wide.Names() {
		if values[name], err = wide.Float32(name); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Matches(fingerprintOf(t, m.Config, mapWeights(values, toF16))); err != nil {
		t.Error(err)
	}
}

func TestFingerprintNaN(t *testing.T) {
	c := mustConfig(t, smallConfig(nil))
	for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1))} {
		_, err := NewFingerprint(c, func(string, int64) (float32, error) { return bad, nil })
		wantError(t, err, "shared.weight has the value", "hint:damaged")
	}
}

func TestFingerprintString(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, err := ParseConfig(smallConfig(map[string]any{"vocab_size": 40, "num_layers": rapid.IntRange(1, 3).Draw(t, "num_layers")}))
		if err != nil {
			t.Fatal(err)
		}
		f := fingerprintOf(t, c, randomWeights(c, rapid.Uint64().Draw(t, "seed")))
		s := f.String()
		if len(s) > 1000 || strings.ContainsAny(s, " \n\"\\") {
			t.Errorf("not one compact word: %s", s)
		}
		if back, err := ParseFingerprint(s); err != nil || back != f {
			t.Errorf("%s came back as %s, %v", s, back, err)
		}
	})
}

func TestParseFingerprintErrors(t *testing.T) {
	good := strings.TrimSpace(string(read(t, "testdata/fingerprint_tiny.txt")))
	parts := strings.Split(good, ":")
	with := func(i int, s string) string {
		p := slices.Clone(parts)
		p[i] = s
		return strings.Join(p, ":")
	}
	nan := make([]byte, sampleBytes)
	binary.LittleEndian.PutUint32(nan, 0x7fc00000)
	for s, want := range map[string]string{
		"":                           "starts with",
		"t5z" + good[3:]:             "starts with",
		strings.Join(parts[:5], ":"): "5 parts",
		with(1, "x"):                 "vocab_size",
		with(2, "-1"):                "d_model",
		with(2, "+256"):              "d_model",
		with(len(parts)-1, ""):       "0 bytes of samples",
		with(len(parts)-1, "!"):      "base64",
		with(len(parts)-1, parts[len(parts)-1]+"AAAA"):                "bytes of samples",
		with(len(parts)-1, strings.Repeat("A", 4*20*33/3)):            "bytes of samples",
		with(len(parts)-1, base64.RawURLEncoding.EncodeToString(nan)): "sample 0 has no size",
	} {
		_, err := ParseFingerprint(s)
		wantError(t, err, "reading a model fingerprint", want)
	}
}

func FuzzParseFingerprint(f *testing.F) {
	f.Add("t5a:1:2:3:4:5:6:7:8:9:relu:" + strings.Repeat("A", 80))
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParseFingerprint(s)
		if err != nil {
			return
		}
		if err := p.Matches(p); err != nil {
			t.Errorf("%s does not match itself: %v", s, err)
		}
		if back, err := ParseFingerprint(p.String()); err != nil || back != p {
			t.Errorf("%q came back as %q, %v", s, back, err)
		}
	})
}
