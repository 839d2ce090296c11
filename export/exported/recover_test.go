package exported

import (
	"log/slog"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"softprompt/models"
)

// read returns the recovered weights by name.
func (r *Recovery) all(t testing.TB, dir string) (*models.Checkpoint, map[string][]float32) {
	t.Helper()
	ck, err := r.Checkpoint(t.Context(), dir, "m", nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ck.Close() })
	out := map[string][]float32{}
	for _, name := range ck.Names() {
		if out[name], err = ck.Float32(name); err != nil {
			t.Fatal(err)
		}
	}
	return ck, out
}

// check holds recovered weights against those that the author wrote. A
// quantised one may be off by half a step, which is a share of the largest.
func checkWeights(t testing.TB, c models.Config, got map[string][]float32, step float64) {
	t.Helper()
	for _, w := range models.WeightShapes(c) {
		if w.Name == headWeight && c.TieWordEmbeddings {
			if got[w.Name] != nil {
				t.Errorf("a tied head was written")
			}
			continue
		}
		n := int64(1)
		for _, d := range w.Shape {
			n *= d
		}
		want := pseudo(w.Name, n)
		if len(got[w.Name]) != len(want) {
			t.Fatalf("%s has %d numbers, want %d", w.Name, len(got[w.Name]), len(want))
		}
		for i, v := range got[w.Name] {
			if math.Abs(float64(v)-float64(want[i])) > step/2*1.001 {
				t.Fatalf("%s: number %d is %v, want %v", w.Name, i, v, want[i])
			}
		}
	}
}

// TestRecoverForms: the same model in other words gives the same weights.
func TestRecoverForms(t *testing.T) {
	for name, c := range map[string]struct {
		linear func(a *author, x, name string) string
		norm   func(a *author, x, scale string) string
		step   float64
	}{
		"matmul":                           {linear: matMul},
		"transposed constant":              {linear: transposed},
		"fused matmul":                     {linear: fusedMatMul},
		"gemm":                             {linear: gemm},
		"float16 behind a cast":            {linear: half, step: 1. / (1 << 10)},
		"dequantised":                      {linear: dequantised(false), step: 2. / 254},
		"dequantised by channel":           {linear: dequantised(true), step: 2. / 254},
		"integer product":                  {linear: integerMatMul, step: 2. / 254},
		"dynamically quantised":            {linear: dynamicMatMul, step: 2. / 254},
		"integer product to float":         {linear: integerToFloat, step: 2. / 254},
		"4 bits in blocks":                 {linear: nBits(4, false), step: 2. / 14},
		"4 bits with zero points":          {linear: nBits(4, true), step: 2. / 14},
		"8 bits in blocks":                 {linear: nBits(8, false), step: 2. / 254},
		"norm with reciprocal":             {norm: reciprocalNorm},
		"norm scaled first":                {norm: scaledFirstNorm},
		"fused norm":                       {norm: simplifiedNorm},
		"norm in float64 and back":         {norm: doubleNorm},
		"everything fused by ONNX Runtime": {linear: fusedMatMul, norm: simplifiedNorm},
	} {
		t.Run(name, func(t *testing.T) {
			f := plainForms()
			if c.linear != nil {
				f.linear = c.linear
			}
			if c.norm != nil {
				f.norm = c.norm
			}
			e, d := f.write(t, smallConfig())
			r, err := Recover(smallConfig(), e, d)
			if err != nil {
				t.Fatal(err)
			}
			_, got := r.all(t, t.TempDir())
			checkWeights(t, smallConfig(), got, c.step)
		})
	}
}

// TestRecoverActivations: each activation is told from all others, in plain
// and in gated layers.
func TestRecoverActivations(t *testing.T) {
	for name, write := range activationForms {
		for _, gated := range []bool{false, true} {
			c := smallConfig()
			c.Activation, c.Gated = name, gated
			f := plainForms()
			f.activation = write
			e, d := f.write(t, c)
			r, err := Recover(c, e, d)
			if err != nil {
				t.Errorf("%s, gated %t: %v", name, gated, err)
				continue
			}
			checkWeights(t, c, r.direct(), 0)
			for other := range referenceActivations {
				if other == name {
					continue
				}
				c.Activation = other
				if _, err := Recover(c, e, d); err == nil || !strings.Contains(err.Error(), "computes "+name+", wanted "+other) {
					t.Errorf("%s taken for %s: %v", name, other, err)
				}
			}
		}
	}
	for name := range referenceActivations {
		if activationForms[name] == nil {
			t.Errorf("no test writes %s", name)
		}
	}
}

// TestRecoverHeads: tied or not, scaled or not, the graph says.
func TestRecoverHeads(t *testing.T) {
	for _, tied := range []bool{false, true} {
		for _, scaled := range []bool{false, true} {
			written := smallConfig()
			written.TieWordEmbeddings, written.ScaleDecoderOutputs = tied, scaled
			e, d := plainForms().write(t, written)
			r, err := Recover(smallConfig(), e, d)
			if err != nil {
				t.Fatal(err)
			}
			_, got := r.all(t, t.TempDir())
			checkWeights(t, written, got, 0)
			if r.Config.ScaleDecoderOutputs != scaled || !r.Config.ScaleStated {
				t.Errorf("tied %t: found scaled %t, want %t", tied, r.Config.ScaleDecoderOutputs, scaled)
			}
		}
	}
}

// TestRecoverAnySizes: sizes do not matter, those that are equal included.
func TestRecoverAnySizes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		size := func(name string, low, high int) int { return rapid.IntRange(low, high).Draw(rt, name) }
		c := smallConfig()
		c.VocabSize, c.DModel, c.DKV, c.DFF = size("vocab", 2, 9), size("d_model", 2, 9), size("d_kv", 1, 5), size("d_ff", 1, 9)
		c.NumHeads, c.NumLayers, c.NumDecoderLayers = size("heads", 1, 4), size("layers", 1, 3), size("decoder layers", 1, 3)
		c.NumBuckets = 2 * size("half the buckets", 2, 8)
		c.MaxDistance = c.NumBuckets/2 + size("distance", 1, 90)
		c.Gated, c.PerLayerBias = rapid.Bool().Draw(rt, "gated"), rapid.Bool().Draw(rt, "per layer")
		f := plainForms()
		f.linear = rapid.SampledFrom([]func(*author, string, string) string{matMul, transposed, fusedMatMul, gemm}).Draw(rt, "linear")
		f.norm = rapid.SampledFrom([]func(*author, string, string) string{arithmeticNorm, reciprocalNorm, simplifiedNorm}).Draw(rt, "norm")
		e, d := f.write(t, c)
		r, err := Recover(c, e, d)
		if err != nil {
			rt.Fatalf("%+v: %v", c, err)
		}
		checkWeights(t, c, r.direct(), 0)
	})
}

// direct returns the recovered weights by name without writing them.
func (r *Recovery) direct() map[string][]float32 {
	out := map[string][]float32{}
	for _, w := range r.weights {
		out[w.Name] = make([]float32, w.rows*w.cols)
		w.read(out[w.Name], 0)
	}
	return out
}
