package grad_test

import (
	"slices"
	"testing"

	"softprompt/grad"
	"softprompt/onnx"
	"softprompt/onnx/ort"
	"softprompt/onnx/ort/orttest"
)

// TestManyReadsOfOneRow reads the same large row many times over, so that the
// runtime has reason to split the sum of the gradients among threads, and
// finds that none of them is lost. The numbers are small integers: any order
// of adding them gives the same.
func TestManyReadsOfOneRow(t *testing.T) {
	const reads, width = 96, 6000
	build := map[string]func(b *onnx.Builder, x string) string{
		"Gather": func(b *onnx.Builder, x string) string {
			return b.Gather(x, b.Ints(make([]int64, reads)...), 0)
		},
		"Gather axis 1": func(b *onnx.Builder, x string) string {
			return b.Gather(b.Transpose(x, 1, 0), b.Ints(make([]int64, reads)...), 1)
		},
		"GatherND": func(b *onnx.Builder, x string) string {
			return b.GatherND(x, b.Const(onnx.Longs("", []int64{reads, 1}, make([]int64, reads))), 0)
		},
	}
	for name, read := range build {
		t.Run(name, func(t *testing.T) {
			m := onnx.NewModel("reads")
			b := onnx.NewBuilder(m)
			x := b.Input("x", onnx.Float32, onnx.Sym("K"), onnx.Size(width))
			y := read(b, x)
			b.Output("loss", b.ReshapeTo(b.ReduceSum(b.Mul(y, y), false), 1))
			if err := b.Err(); err != nil {
				t.Fatal(err)
			}
			g, err := grad.Reverse(m, "loss", []string{"x"})
			if err != nil {
				t.Fatal(err)
			}
			values := make([]float32, 2*width)
			want := make([]float32, 2*width)
			for i := range width {
				values[i] = float32(i % 7)
				want[i] = 2 * reads * values[i]
			}
			s := orttest.Session(t, g, ort.Config{Threads: 2})
			in, err := ort.FromFloats(values, 2, width)
			if err != nil {
				t.Fatal(err)
			}
			for i := range 10 {
				out := map[string]*ort.Tensor{"grad.x": nil}
				if err := s.Run(t.Context(), map[string]*ort.Tensor{"x": in}, out); err != nil {
					t.Fatal(err)
				}
				if got := out["grad.x"].Float32s(); !slices.Equal(got, want) {
					t.Fatalf("run %d: some of the %d gradients of a row were lost", i, reads)
				}
			}
		})
	}
}
