package onnx_test

import (
	"math"
	"testing"

	"softprompt/onnx"
	"softprompt/onnx/ort/orttest"
)

// The operands of TestBuilderMethods.
var (
	xs = []float32{1, -2, 3, -4, 0.5, 6} // x [2,3]
	ys = []float32{2, 3, -4}             // y [3]
)

// numbers is an expected result.
func numbers(v ...float64) []float64 { return v }

// mapped applies a function to x.
func mapped(f func(float64) float64) []float64 {
	out := make([]float64, len(xs))
	for i, v := range xs {
		out[i] = f(float64(v))
	}
	return out
}

// paired applies a function to x and y, which broadcasts.
func paired(f func(x, y float64) float64) []float64 {
	out := make([]float64, len(xs))
	for i, v := range xs {
		out[i] = f(float64(v), float64(ys[i%3]))
	}
	return out
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// TestBuilderMethods runs each method's node on ONNX Runtime and holds the
// result against what its comment promises.
func TestBuilderMethods(t *testing.T) {
	type B = *onnx.Builder
	positive := func(b B) string { return b.Abs("x") }
	mask := func(b B) string { return b.Greater("x", b.Float(0, "x")) }
	asInt := func(b B, cond string) string { return b.Cast(cond, onnx.Int64) }
	for _, c := range []struct {
		name string
		make func(b B) string
		dims []int64
		want []float64
	}{
		{"Add", func(b B) string { return b.Add("x", "y") }, []int64{2, 3}, paired(func(x, y float64) float64 { return x + y })},
		{"Sub", func(b B) string { return b.Sub("x", "y") }, []int64{2, 3}, paired(func(x, y float64) float64 { return x - y })},
		{"Mul", func(b B) string { return b.Mul("x", "y") }, []int64{2, 3}, paired(func(x, y float64) float64 { return x * y })},
		{"Div", func(b B) string { return b.Div("x", "y") }, []int64{2, 3}, paired(func(x, y float64) float64 { return x / y })},
		{"Scale", func(b B) string { return b.Scale("x", 2.5) }, []int64{2, 3}, mapped(func(x float64) float64 { return 2.5 * x })},
		{"Scale by 1", func(b B) string { return b.Scale("x", 1) }, []int64{2, 3}, mapped(func(x float64) float64 { return x })},
		{"Pow", func(b B) string { return b.Pow("x", b.Float(3, "x")) }, []int64{2, 3}, mapped(func(x float64) float64 { return x * x * x })},
		{"Neg", func(b B) string { return b.Neg("x") }, []int64{2, 3}, mapped(func(x float64) float64 { return -x })},
		{"Abs", func(b B) string { return b.Abs("x") }, []int64{2, 3}, mapped(math.Abs)},
		{"Sign", func(b B) string { return b.Sign("x") }, []int64{2, 3}, mapped(func(x float64) float64 { return math.Copysign(1, x) })},
		{"Sqrt", func(b B) string { return b.Sqrt(positive(b)) }, []int64{2, 3}, mapped(func(x float64) float64 { return math.Sqrt(math.Abs(x)) })},
		{"Reciprocal", func(b B) string { return b.Reciprocal("x") }, []int64{2, 3}, mapped(func(x float64) float64 { return 1 / x })},
		{"Exp", func(b B) string { return b.Exp("x") }, []int64{2, 3}, mapped(math.Exp)},
		{"Log", func(b B) string { return b.Log(positive(b)) }, []int64{2, 3}, mapped(func(x float64) float64 { return math.Log(math.Abs(x)) })},
		{"Sin", func(b B) string { return b.Sin("x") }, []int64{2, 3}, mapped(math.Sin)},
		{"Cos", func(b B) string { return b.Cos("x") }, []int64{2, 3}, mapped(math.Cos)},
		{"Erf", func(b B) string { return b.Erf("x") }, []int64{2, 3}, mapped(math.Erf)},
		{"Tanh", func(b B) string { return b.Tanh("x") }, []int64{2, 3}, mapped(math.Tanh)},
		{"Sigmoid", func(b B) string { return b.Sigmoid("x") }, []int64{2, 3}, mapped(func(x float64) float64 { return 1 / (1 + math.Exp(-x)) })},
		{"Relu", func(b B) string { return b.Relu("x") }, []int64{2, 3}, mapped(func(x float64) float64 { return max(x, 0) })},
		{"FastGelu", func(b B) string { return b.FastGelu("x") }, []int64{2, 3}, mapped(func(x float64) float64 {
			return 0.5 * x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
		})},
		{"Min", func(b B) string { return b.Min("x", "y") }, []int64{2, 3}, paired(math.Min)},
		{"Max", func(b B) string { return b.Max("x", "y") }, []int64{2, 3}, paired(math.Max)},
		{"Where", func(b B) string { return b.Where(mask(b), "x", "y") }, []int64{2, 3}, paired(func(x, y float64) float64 {
			if x > 0 {
				return x
			}
			return y
		})},
		{"Equal", func(b B) string { return asInt(b, b.Equal("x", "x")) }, []int64{2, 3}, numbers(1, 1, 1, 1, 1, 1)},
		{"Less", func(b B) string { return asInt(b, b.Less("x", "y")) }, []int64{2, 3}, paired(func(x, y float64) float64 { return truth(x < y) })},
		{"LessOrEqual", func(b B) string { return asInt(b, b.LessOrEqual("x", "x")) }, []int64{2, 3}, numbers(1, 1, 1, 1, 1, 1)},
		{"Greater", func(b B) string { return asInt(b, b.Greater("x", "y")) }, []int64{2, 3}, paired(func(x, y float64) float64 { return truth(x > y) })},
		{"GreaterOrEqual", func(b B) string { return asInt(b, b.GreaterOrEqual("x", "y")) }, []int64{2, 3}, paired(func(x, y float64) float64 { return truth(x >= y) })},
		{"Not", func(b B) string { return asInt(b, b.Not(mask(b))) }, []int64{2, 3}, mapped(func(x float64) float64 { return truth(x <= 0) })},
		{"And", func(b B) string { return asInt(b, b.And(mask(b), b.Less("x", "y"))) }, []int64{2, 3}, paired(func(x, y float64) float64 { return truth(x > 0 && x < y) })},
		{"Or", func(b B) string { return asInt(b, b.Or(mask(b), b.Less("x", "y"))) }, []int64{2, 3}, paired(func(x, y float64) float64 { return truth(x > 0 || x < y) })},
		{"Cast", func(b B) string { return b.Cast("x", onnx.Int64) }, []int64{2, 3}, mapped(math.Trunc)},
		{"Float of a half type", func(b B) string {
			half := b.Cast("x", onnx.Float16)
			return b.Cast(b.Add(half, b.Float(0.5, half)), onnx.Float32)
		}, []int64{2, 3}, mapped(func(x float64) float64 { return x + 0.5 })},
		{"Identity", func(b B) string { return b.Identity("x") }, []int64{2, 3}, mapped(func(x float64) float64 { return x })},

		{"MatMul", func(b B) string { return b.MatMul("x", "y") }, []int64{2}, numbers(1*2-2*3-3*4, -4*2+0.5*3-6*4)},
		{"FusedMatMul", func(b B) string { return b.FusedMatMul("x", "x", false, true, 0.5) }, []int64{2, 2}, numbers(7, 6.5, 6.5, 26.125)},
		{"FusedMatMul of nothing to fuse", func(b B) string { return b.FusedMatMul("x", "y", false, false, 1) }, []int64{2}, numbers(-16, -30.5)},
		{"Gemm", func(b B) string { return b.Gemm("x", "x", false, true) }, []int64{2, 2}, numbers(14, 13, 13, 52.25)},
		{"ReduceSum", func(b B) string { return b.ReduceSum("x", true, 1) }, []int64{2, 1}, numbers(2, 2.5)},
		{"ReduceSum of all", func(b B) string { return b.ReduceSum("x", false) }, nil, numbers(4.5)},
		{"ReduceMean", func(b B) string { return b.ReduceMean("x", false, 0) }, []int64{3}, numbers(-1.5, -0.75, 4.5)},
		{"ReduceMax", func(b B) string { return b.ReduceMax("x", false, -1) }, []int64{2}, numbers(3, 6)},
		{"ReduceMin", func(b B) string { return b.ReduceMin("x", false, -1) }, []int64{2}, numbers(-2, -4)},
		{"ReduceSumOver", func(b B) string { return b.ReduceSumOver("x", b.Ints(0)) }, []int64{1, 3}, numbers(-3, -1.5, 9)},
		{"ReduceSumOver nothing", func(b B) string { return b.ReduceSumOver("x", b.Ints()) }, []int64{2, 3}, mapped(func(x float64) float64 { return x })},
		{"ArgMax", func(b B) string { return b.ArgMax("x", 1, false) }, []int64{2}, numbers(2, 2)},
		{"Softmax", func(b B) string { return b.ReduceSum(b.Softmax("x", -1), false, 1) }, []int64{2}, numbers(1, 1)},
		{"LogSoftmax", func(b B) string { return b.Sub(b.Exp(b.LogSoftmax("x", 1)), b.Softmax("x", 1)) }, []int64{2, 3}, make([]float64, 6)},
		{"RMSNorm", func(b B) string { y, _ := b.RMSNorm("x", "y", 0); return y }, []int64{2, 3}, func() []float64 {
			a, c := math.Sqrt(3/14.0), math.Sqrt(3/52.25)
			return numbers(2*a, -6*a, -12*a, -8*c, 1.5*c, -24*c)
		}()},
		{"RMSNorm's factor", func(b B) string { _, inv := b.RMSNorm("x", "y", 0); return inv }, []int64{2, 1}, numbers(math.Sqrt(3/14.0), math.Sqrt(3/52.25))},
		{"OneHot", func(b B) string {
			return b.OneHot(b.Ints(1, 0), b.Int(3), b.Const(onnx.Floats("", []int64{2}, []float32{0, 5})))
		}, []int64{2, 3}, numbers(0, 5, 0, 5, 0, 0)},

		{"Transpose", func(b B) string { return b.Transpose("x", 1, 0) }, []int64{3, 2}, numbers(1, -4, -2, 0.5, 3, 6)},
		{"ReshapeTo", func(b B) string { return b.ReshapeTo("x", 3, -1) }, []int64{3, 2}, numbers(1, -2, 3, -4, 0.5, 6)},
		{"Unsqueeze", func(b B) string { return b.Unsqueeze("y", 0, -1) }, []int64{1, 3, 1}, numbers(2, 3, -4)},
		{"Squeeze", func(b B) string { return b.Squeeze(b.Unsqueeze("y", 0), 0) }, []int64{3}, numbers(2, 3, -4)},
		{"Expand", func(b B) string { return b.Expand("y", b.ShapeOf("x")) }, []int64{2, 3}, numbers(2, 3, -4, 2, 3, -4)},
		{"Tile", func(b B) string { return b.Tile("y", b.Ints(2)) }, []int64{6}, numbers(2, 3, -4, 2, 3, -4)},
		{"Concat", func(b B) string { return b.Concat(0, "y", "y") }, []int64{6}, numbers(2, 3, -4, 2, 3, -4)},
		{"Concat of one", func(b B) string { return b.Concat(0, "y") }, []int64{3}, numbers(2, 3, -4)},
		{"Split", func(b B) string { return b.Split("x", 1, b.Ints(1, 2), 2)[1] }, []int64{2, 2}, numbers(-2, 3, 0.5, 6)},
		{"Slice", func(b B) string { return b.SliceTo("x", -2, onnx.End, 1) }, []int64{2, 2}, numbers(-2, 3, 0.5, 6)},
		{"Pad", func(b B) string { return b.Pad("y", b.Ints(1, 2)) }, []int64{6}, numbers(0, 2, 3, -4, 0, 0)},
		{"Gather", func(b B) string { return b.Gather("x", b.Ints(2, 0), 1) }, []int64{2, 2}, numbers(3, 1, 6, -4)},
		{"GatherElements", func(b B) string {
			return b.GatherElements("x", b.Const(onnx.Longs("", []int64{2, 1}, []int64{2, 0})), 1)
		}, []int64{2, 1}, numbers(3, -4)},
		{"GatherND", func(b B) string {
			return b.GatherND("x", b.Const(onnx.Longs("", []int64{2, 1}, []int64{2, 0})), 1)
		}, []int64{2}, numbers(3, -4)},
		{"ScatterND", func(b B) string {
			return b.ScatterND("y", b.Const(onnx.Longs("", []int64{2, 1}, []int64{1, 1})), b.Const(onnx.Floats("", []int64{2}, []float32{5, 6})), "add")
		}, []int64{3}, numbers(2, 14, -4)},
		{"ScatterElements", func(b B) string {
			return b.ScatterElements("y", b.Ints(2, 0), b.Const(onnx.Floats("", []int64{2}, []float32{5, 6})), 0, "none")
		}, []int64{3}, numbers(6, 3, 5)},
		{"ShapeOf", func(b B) string { return b.ShapeOf("x") }, []int64{2}, numbers(2, 3)},
		{"SizesOf", func(b B) string { return b.SizesOf("x", 1, 2) }, []int64{1}, numbers(3)},
		{"Fill", func(b B) string { return b.Fill(b.Ints(2, 1), 1.5, onnx.Float32) }, []int64{2, 1}, numbers(1.5, 1.5)},
		{"Range", func(b B) string { return b.Range(b.Int(1), b.Int(8), b.Int(3)) }, []int64{3}, numbers(1, 4, 7)},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := onnx.NewBuilder(onnx.NewModel("method"))
			b.Input("x", onnx.Float32, onnx.Sym("B"), onnx.Size(3))
			b.Input("y", onnx.Float32, onnx.Size(3))
			b.Output("out", c.make(b))
			if b.Err() != nil {
				t.Fatal(b.Err())
			}
			got := orttest.Run(t, b.Model, map[string]*onnx.Tensor{
				"x": onnx.Floats("x", []int64{2, 3}, xs),
				"y": onnx.Floats("y", []int64{3}, ys),
			})["out"]
			var values []float64
			if floats, err := got.Float32s(); err == nil {
				for _, v := range floats {
					values = append(values, float64(v))
				}
			} else if longs, err := got.Int64s(); err == nil {
				for _, v := range longs {
					values = append(values, float64(v))
				}
			}
			if s := onnx.Fixed(c.dims...); !got.Shape().Same(s) || len(values) != len(c.want) {
				t.Fatalf("shape %v, want %v", got.Shape(), s)
			}
			for i, want := range c.want {
				if math.Abs(values[i]-want) > 1e-5*max(1, math.Abs(want)) {
					t.Errorf("got %v, want %v", values, c.want)
					break
				}
			}
		})
	}
}
