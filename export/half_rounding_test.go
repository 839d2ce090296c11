package export

import (
	"math"
	"testing"

	"softprompt/models"
	"softprompt/onnx"
	"softprompt/onnx/ort/orttest"
)

// The processor has no products of halves. For float16 the runtime computes in
// float32 and leaves out casts that would be undone, and with them the rounding
// of what goes into a product; for bfloat16 it refuses. So the graphs are run
// with each half as a float32 that arithmetic has rounded to the half's digits
// and range: what goes into a product, and what comes out, as on a card, which
// sums in float32.

// rounded returns x [..] float32 with the digits and the range of a half type.
func rounded(b *onnx.Builder, x string, half onnx.DType) string {
	f := func(v float64) string { return b.FloatOf(v, onnx.Float32) }
	// Dekker's split: of x·(2ᵏ+1) the lower k digits cancel.
	k := map[onnx.DType]float64{onnx.Float16: 1<<13 + 1, onnx.BFloat16: 1<<16 + 1}[half]
	c := b.Mul(x, f(k))
	y := b.Sub(c, b.Sub(c, x))
	if half == onnx.BFloat16 {
		return y // the range is float32's
	}
	size := b.Abs(x)
	tiny := b.Sub(b.Add(x, f(0.75)), f(0.75)) // in units of 2⁻²⁴
	y = b.Where(b.Less(size, f(math.Exp2(-14))), tiny, y)
	return b.Where(b.Less(size, f(65520)), y, b.Mul(x, f(math.Inf(1))))
}

// simulated writes a graph of halves with float32 and roundings.
func simulated(t *testing.T, m *onnx.Model, half onnx.DType) *onnx.Model {
	t.Helper()
	made := map[*onnx.Node]onnx.DType{}
	from := map[*onnx.Node]onnx.DType{}
	for _, n := range typed(t, m) {
		made[n.Node], from[n.Node] = n.made, n.types[0]
	}
	out, err := rewrite(m, func(b *onnx.Builder, n *onnx.Node) bool {
		switch {
		case n.Op == "Cast" && made[n] == half:
			b.Alias(n.Output(0), rounded(b, n.Inputs[0], half))
		case n.Op == "Cast" && from[n] == half:
			b.Alias(n.Output(0), n.Inputs[0])
		case made[n] == half && (n.Op == "MatMul" || n.Op == "FusedMatMul"):
			op := n.Op
			if n.Domain != "" {
				op = n.Domain + "." + op
			}
			b.Alias(n.Output(0), rounded(b, b.Op(op, n.Inputs, n.Attrs...), half))
		default:
			return false
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range typed(t, out) {
		for _, dt := range n.types {
			if dt == half {
				t.Fatalf("%v is still on halves", n)
			}
		}
	}
	return out
}

// TestRounded holds the arithmetic against the conversion of halves.
func TestRounded(t *testing.T) {
	values := []float32{0, 1, -1, 1.0004, 3.1415927, -2.7182817, 65504, 65519, 65520, -70000, 6.1e-5, 6.0975e-5, 3e-5, 1e-7, -5e-8, 2e-8, 1234.567, 0.1}
	for half, there := range map[onnx.DType]func(float32) float32{
		onnx.Float16:  func(x float32) float32 { return models.Float16ToFloat32(models.Float32ToFloat16(x)) },
		onnx.BFloat16: func(x float32) float32 { return models.BFloat16ToFloat32(models.Float32ToBFloat16(x)) },
	} {
		b := onnx.NewBuilder(onnx.NewModel("round"))
		b.Output("y", rounded(b, b.Input("x", onnx.Float32, onnx.Sym("N")), half))
		if err := b.Err(); err != nil {
			t.Fatal(err)
		}
		in := map[string]*onnx.Tensor{"x": onnx.Floats("", []int64{int64(len(values))}, values)}
		got, err := orttest.Run(t, b.Model, in)["y"].Float32s()
		if err != nil {
			t.Fatal(err)
		}
		for i, x := range values {
			if got[i] != there(x) {
				t.Errorf("%v of %g: %g, want %g", half, x, got[i], there(x))
			}
		}
	}
}

// TestHalfRounding holds losses and gradients of both half types, rounded as on
// a card, against PyTorch's float32. What differs is the length of the
// gradients' difference, since rounding turns a relu on or off here and there.
func TestHalfRounding(t *testing.T) {
	within := map[Precision]struct{ loss, grad float64 }{FP16: {5e-4, 5e-3}, BF16: {4e-3, 6e-2}}
	for _, name := range []string{"v1_0-2x2", "v1_1-2x2", "silu-1x1"} {
		g := openGolden(t, name, "io")
		for p, tolerance := range within {
			g.spec.Precision = p
			m, err := Train(g.spec)
			if err != nil {
				t.Fatal(err)
			}
			in := g.inputs(m)
			g.weigh(in, "mean")
			out := orttest.Run(t, simulated(t, m, halfTypes[p]), in)
			near(t, name+" loss in "+string(p), out["loss"], g.want("loss.mean"), tolerance.loss)
			var off, size float64
			want := g.want("grad.mean")
			for i, v := range g.floats(out["grad.prompts"]) {
				off += math.Pow(float64(v-want[i]), 2)
				size += math.Pow(float64(want[i]), 2)
			}
			if d := math.Sqrt(off / size); !(d <= tolerance.grad) || d < 1e-5 {
				t.Errorf("%s gradient in %s: off by %.2g of its length", name, p, d)
			} else {
				t.Logf("%s gradient in %s: off by %.2g of its length", name, p, d)
			}
		}
	}
}
