package main

import (
	"strings"
	"testing"

	"softprompt/export"
	"softprompt/models"
	"softprompt/onnx"
	"softprompt/prompt"
)

func TestCountProducts(t *testing.T) {
	tests := []struct {
		name  string
		build func(b *onnx.Builder) string
		want  int64
	}{
		{"a matrix by a weight", func(b *onnx.Builder) string {
			return b.MatMul(b.Input("x", onnx.Float32, onnx.Sym("B"), onnx.Size(3)), b.Input("w", onnx.Float32, onnx.Size(3), onnx.Size(5)))
		}, 2 * 7 * 3 * 5},
		{"a batch of positions by a weight stored [out,in]", func(b *onnx.Builder) string {
			return b.FusedMatMul(b.Input("x", onnx.Float32, onnx.Sym("B"), onnx.Sym("S"), onnx.Size(3)), b.Input("w", onnx.Float32, onnx.Size(5), onnx.Size(3)), false, true, 1)
		}, 2 * (7 * 11) * 3 * 5},
		{"scores of attention", func(b *onnx.Builder) string {
			q := b.Input("q", onnx.Float32, onnx.Sym("B"), onnx.Size(2), onnx.Sym("S"), onnx.Size(4))
			k := b.Input("k", onnx.Float32, onnx.Sym("B"), onnx.Size(2), onnx.Sym("S"), onnx.Size(4))
			return b.FusedMatMul(q, k, false, true, 1)
		}, 2 * (7 * 2) * 11 * 4 * 11},
		{"the left side transposed", func(b *onnx.Builder) string {
			return b.FusedMatMul(b.Input("x", onnx.Float32, onnx.Sym("S"), onnx.Size(3)), b.Input("y", onnx.Float32, onnx.Sym("S"), onnx.Size(5)), true, false, 0.5)
		}, 2 * 3 * 11 * 5},
		{"a Gemm, transposed", func(b *onnx.Builder) string {
			return b.Gemm(b.Input("x", onnx.Float32, onnx.Sym("S"), onnx.Size(3)), b.Input("y", onnx.Float32, onnx.Size(5), onnx.Sym("S")), true, true)
		}, 2 * 3 * 11 * 5},
		{"a vector", func(b *onnx.Builder) string {
			return b.MatMul(b.Input("x", onnx.Float32, onnx.Size(3)), b.Input("w", onnx.Float32, onnx.Size(3), onnx.Size(5)))
		}, 2 * 3 * 5},
		{"one left side for a batch of right ones", func(b *onnx.Builder) string {
			return b.MatMul(b.Input("x", onnx.Float32, onnx.Size(2), onnx.Size(3)), b.Input("y", onnx.Float32, onnx.Sym("B"), onnx.Size(3), onnx.Size(5)))
		}, 2 * 7 * 2 * 3 * 5},
		{"sizes known after a reshape", func(b *onnx.Builder) string {
			x := b.Reshape(b.Input("x", onnx.Float32, onnx.Sym("B"), onnx.Sym("S"), onnx.Size(6)), b.Ints(0, -1, 3))
			return b.MatMul(x, b.Input("w", onnx.Float32, onnx.Size(3), onnx.Size(5)))
		}, 2 * (7 * 22) * 3 * 5},
		{"no product", func(b *onnx.Builder) string {
			return b.Relu(b.Input("x", onnx.Float32, onnx.Sym("B")))
		}, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := onnx.NewBuilder(onnx.NewModel("test"))
			b.Output("out", test.build(b))
			if err := b.Err(); err != nil {
				t.Fatal(err)
			}
			w, err := count(b.Model, map[string]int64{"B": 7, "S": 11})
			if err != nil || w != (work{Forward: test.want}) {
				t.Errorf("got %+v, %v; want %d forward", w, err, test.want)
			}
		})
	}
}

func TestCountTellsBackwardFromForward(t *testing.T) {
	b := onnx.NewBuilder(onnx.NewModel("test"))
	x := b.Input("x", onnx.Float32, onnx.Size(2), onnx.Size(3))
	y := b.MatMul(x, b.Input("w", onnx.Float32, onnx.Size(3), onnx.Size(5)))
	b.From = "forward"
	b.Output("z", b.FusedMatMul(y, y, false, true, 1))
	w, err := count(b.Model, nil)
	if want := (work{Forward: 2 * 2 * 3 * 5, Backward: 2 * 2 * 5 * 2}); err != nil || w != want || w.total() != 100 {
		t.Errorf("got %+v, %v; want %+v", w, err, want)
	}
}

// TestCountInt8 keeps products of integers apart, each operator that the
// runtime has for them.
func TestCountInt8(t *testing.T) {
	weight := func(b *onnx.Builder) string { return b.Input("w", onnx.Int8, onnx.Size(3), onnx.Size(5)) }
	bytes := func(b *onnx.Builder) string {
		return b.Input("x", onnx.Uint8, onnx.Sym("B"), onnx.Sym("S"), onnx.Size(3))
	}
	one := func(b *onnx.Builder) string { return b.FloatOf(1, onnx.Float32) }
	for op, build := range map[string]func(b *onnx.Builder) string{
		"MatMulInteger": func(b *onnx.Builder) string {
			return b.Cast(b.Op("MatMulInteger", []string{bytes(b), weight(b)}), onnx.Float32)
		},
		"MatMulIntegerToFloat": func(b *onnx.Builder) string {
			return b.Op("com.microsoft.MatMulIntegerToFloat", []string{bytes(b), weight(b), one(b), one(b)})
		},
		"DynamicQuantizeMatMul": func(b *onnx.Builder) string {
			x := b.Input("x", onnx.Float32, onnx.Sym("B"), onnx.Sym("S"), onnx.Size(3))
			return b.Op("com.microsoft.DynamicQuantizeMatMul", []string{x, weight(b), one(b)})
		},
	} {
		b := onnx.NewBuilder(onnx.NewModel("test"))
		y := build(b)
		b.From = "forward"
		b.Output("z", b.FusedMatMul(y, y, false, true, 1)) // [7,11,11], sums of 5
		if err := b.Err(); err != nil {
			t.Fatalf("%s: %v", op, err)
		}
		w, err := count(b.Model, map[string]int64{"B": 7, "S": 11})
		integers := int64(2 * 7 * 11 * 3 * 5)
		if want := (work{Forward: integers, Backward: 2 * 7 * 11 * 11 * 5, Int8: integers}); err != nil || w != want {
			t.Errorf("%s: got %+v, %v; want %+v", op, w, err, want)
		}
	}
}

func TestCountRefuses(t *testing.T) {
	tests := []struct {
		name, want string
		build      func(b *onnx.Builder) string
	}{
		{"a size without a value", "size Q has no value", func(b *onnx.Builder) string {
			return b.Relu(b.Input("x", onnx.Float32, onnx.Sym("Q")))
		}},
		{"an operator with products inside", "Einsum", func(b *onnx.Builder) string {
			x := b.Input("x", onnx.Float32, onnx.Size(2), onnx.Size(2))
			return b.Op("Einsum", []string{x, x}, onnx.StringAttr("equation", "ij,jk->ik"))
		}},
		{"integers packed by four bits", "MatMulNBits", func(b *onnx.Builder) string {
			x := b.Input("x", onnx.Float32, onnx.Size(2), onnx.Size(32))
			w := b.Input("w", onnx.Uint8, onnx.Size(4), onnx.Size(1), onnx.Size(16))
			return b.Op("com.microsoft.MatMulNBits", []string{x, w, b.Input("s", onnx.Float32, onnx.Size(4))}, onnx.IntAttr("K", 32), onnx.IntAttr("N", 4), onnx.IntAttr("bits", 4), onnx.IntAttr("block_size", 32))
		}},
		{"a product of unknown size", "not known", func(b *onnx.Builder) string {
			x := b.Input("x", onnx.Float32, onnx.Size(2), onnx.Size(2))
			rows := b.Op("NonZero", []string{x})
			return b.MatMul(b.Op("Cast", []string{rows}, onnx.IntAttr("to", int64(onnx.Float32))), b.Input("w", onnx.Float32, onnx.Size(2), onnx.Size(2)))
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := onnx.NewBuilder(onnx.NewModel("test"))
			b.Output("out", test.build(b))
			if err := b.Err(); err != nil {
				t.Fatal(err)
			}
			if _, err := count(b.Model, nil); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want one with %q", err, test.want)
			}
		})
	}
}

// TestCountT5 holds the count of a whole train graph against the sum that the
// paper's description of T5 gives.
func TestCountT5(t *testing.T) {
	m, err := models.Open(t.Context(), "tiny", models.Options{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	weights, err := m.Float32File(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	g, err := export.Train(export.Spec{Config: m.Config, Weights: weights, Method: prompt.PromptTuning(m.Config.DModel)})
	if err != nil {
		t.Fatal(err)
	}
	s := shape{Prompt: 5, Input: 9, Targets: 3, Batch: 2}
	w, err := count(g, s.sizes())
	if err != nil {
		t.Fatal(err)
	}
	c := m.Config
	d, inner, ff, b := int64(c.DModel), int64(c.InnerDim()), int64(c.DFF), s.Batch
	e, n := s.Prompt+s.Input, s.Targets // positions of encoder and decoder in a row
	matrices := int64(2)                // of a feed-forward layer
	if c.Gated {
		matrices = 3
	}
	linear := func(rows, in, out int64) int64 { return 2 * rows * in * out }
	attention := func(queries, keys int64) int64 { return 2 * linear(b*queries, inner, keys) }
	projections := func(rows int64) int64 { return linear(b*rows, d, inner) }
	feedForward := func(rows int64) int64 { return matrices * linear(b*rows, d, ff) }

	encoder := int64(c.NumLayers) * (4*projections(e) + attention(e, e) + feedForward(e))
	// Cross-attention multiplies each head's queries by the matrix of its keys,
	// and what it gathers by that of its values: the encoder's hidden states
	// stand in for both.
	cross := 4*projections(n) + 2*linear(b*n*int64(c.NumHeads), d, e)
	decoder := int64(c.NumDecoderLayers) * (4*projections(n) + attention(n, n) + cross + feedForward(n))
	head := linear(b*n, d, int64(c.VocabSize))
	if want := encoder + decoder + head; w.Forward != want {
		t.Errorf("forward is %d, want %d", w.Forward, want)
	}
	// A frozen weight costs one product backward, one of attention two; the
	// first layer of the decoder's own attention sees nothing of the prompt.
	if low, high := w.Forward*9/10, w.Forward*2; w.Backward < low || w.Backward > high {
		t.Errorf("backward is %d, want %d to %d", w.Backward, low, high)
	}
}

// TestCountT5Int8: the graph with products of integers multiplies as much, and
// most of it in integers.
func TestCountT5Int8(t *testing.T) {
	dir := testModel(t)
	t.Setenv("SOFTPROMPT_CACHE", t.TempDir())
	s := shape{Prompt: 5, Input: 9, Targets: 3, Batch: 2}
	_, float, err := stepWork(t.Context(), dir, export.FP32, s)
	if err != nil {
		t.Fatal(err)
	}
	_, integers, err := stepWork(t.Context(), dir, export.INT8, s)
	if err != nil {
		t.Fatal(err)
	}
	if float.Int8 != 0 || integers.total() != float.total() || 2*integers.Int8 < integers.total() {
		t.Errorf("in float32 %+v, in integers %+v", float, integers)
	}
}
