package onnx

import (
	"fmt"
	"strings"
	"testing"
)

// b returns a builder with inputs x [B,S,8], y [B,P+S,8], ids [B,S] and w [8,4].
func testBuilder() *Builder {
	b := NewBuilder(NewModel("test"))
	b.Input("x", Float32, Sym("B"), Sym("S"), Size(8))
	b.Input("y", Float32, Sym("B"), Sym("P+S"), Size(8))
	b.Input("p", Float32, Sym("K"), Sym("P"), Size(8))
	b.Input("m", Float32, Sym("B"), Sym("S"))
	b.Input("ids", Int64, Sym("B"), Sym("S"))
	b.Input("row", Int64, Sym("B"))
	b.Weight(Floats("w", []int64{8, 4}, make([]float32, 32)))
	return b
}

// patterns are what exporters and gradients write, and what is known of the
// result.
var patterns = []struct {
	name, want string
	make       func(b *Builder) string
}{
	{"matmul", "[B,S,4]", func(b *Builder) string { return b.MatMul("x", "w") }},
	{"fused matmul", "[B,S,S]", func(b *Builder) string { return b.FusedMatMul("x", "x", false, true, 1) }},
	{"scores", "[B,S,P+S]", func(b *Builder) string { return b.FusedMatMul("x", "y", false, true, 1) }},
	{"prompt before text", "[B,P+S,8]", func(b *Builder) string { return b.Concat(1, b.Gather("p", "row", 0), "x") }},
	{"concat twice", "[B,P+2*S,8]", func(b *Builder) string { return b.Concat(1, "x", "y") }},
	{"split heads", "[B,2,S,4]", func(b *Builder) string { return b.Transpose(b.ReshapeTo("x", 0, 0, 2, 4), 0, 2, 1, 3) }},
	{"split heads, length left", "[B,P+S,2,4]", func(b *Builder) string {
		return b.Reshape("y", b.Concat(0, b.SizesOf("y", 0, 1), b.Ints(-1, 2, 4)))
	}},
	{"join heads", "[B,P+S,8]", func(b *Builder) string {
		return b.Reshape(b.ReshapeTo("y", 0, 0, 2, 4), b.Concat(0, b.SizesOf("y", 0, 2), b.Ints(-1)))
	}},
	{"flatten rows", "[B*S,8]", func(b *Builder) string { return b.ReshapeTo("x", -1, 8) }},
	{"flatten and back", "[B,S,4]", func(b *Builder) string {
		return b.Reshape(b.MatMul(b.ReshapeTo("x", -1, 8), "w"), b.Concat(0, b.SizesOf("x", 0, 2), b.Ints(-1)))
	}},
	{"cut the prompt off", "[B,S,8]", func(b *Builder) string {
		return b.Slice("y", b.SizesOf("p", 1, 2), b.Ints(End), 1)
	}},
	{"cut the text off", "[B,P,8]", func(b *Builder) string {
		return b.Slice("y", b.Ints(0), b.SizesOf("p", 1, 2), 1)
	}},
	{"slice what may be short", "[B,?,8]", func(b *Builder) string { return b.SliceTo("x", 1, End, 1) }},
	{"pad back", "[B,P+S,8]", func(b *Builder) string {
		z := b.Ints(0)
		return b.Pad("x", b.Concat(0, z, b.SizesOf("p", 1, 2), z, z, z, z))
	}},
	{"split at the prompt", "[B,S,8]", func(b *Builder) string {
		return b.Split("y", 1, b.Concat(0, b.SizesOf("p", 1, 2), b.SizesOf("x", 1, 2)), 2)[1]
	}},
	{"torch expand", "[B,7,8]", func(b *Builder) string {
		target := b.Concat(0, b.SizesOf("x", 0, 1), b.Ints(7, -1))
		ones := b.Fill(b.ShapeOf(target), 1, Int64)
		minus := b.Mul(ones, b.Int(-1))
		x := b.Unsqueeze(b.Gather("x", b.Int(0), 1), 1)
		return b.Expand(x, b.Where(b.Equal(target, minus), ones, target))
	}},
	{"positions", "[1,1,S,P+S]", func(b *Builder) string {
		rng := func(x string) string {
			n := b.Gather(b.ShapeOf(x), b.Int(1), 0)
			return b.Range(b.Int(0), n, b.Int(1))
		}
		return b.Unsqueeze(b.Sub(b.Unsqueeze(rng("x"), 1), b.Unsqueeze(rng("y"), 0)), 0, 1)
	}},
	{"past plus now", "[P+S]", func(b *Builder) string {
		n := b.Add(b.Gather(b.ShapeOf("x"), b.Int(1), 0), b.Gather(b.ShapeOf("p"), b.Int(-2), 0))
		return b.Range(b.Int(0), n, b.Int(1))
	}},
	{"one hot", "[B,S,5]", func(b *Builder) string {
		return b.OneHot("ids", b.Int(5), b.Const(Floats("", []int64{2}, []float32{0, 1})))
	}},
	{"reduce", "[B,1,8]", func(b *Builder) string { return b.ReduceSum("x", true, 1) }},
	{"reduce away", "[B,8]", func(b *Builder) string { return b.ReduceMean("x", false, -2) }},
	{"tile", "[B,2*S,8]", func(b *Builder) string { return b.Tile("x", b.Ints(1, 2, 1)) }},
	{"gather elements", "[B,S]", func(b *Builder) string { return b.GatherElements("m", "ids", 1) }},
	{"packed attention", "[B,S,8]", func(b *Builder) string {
		x := b.ReshapeTo("x", 0, 0, 2, 1, 4)
		return b.Op("com.microsoft.MultiHeadAttention", []string{b.Tile(x, b.Ints(1, 1, 1, 3, 1))}, IntAttr("num_heads", 2))
	}},
	{"relative bias", "[1,4,S,P+S]", func(b *Builder) string {
		n := func(x string) string { return b.Gather(b.ShapeOf(x), b.Int(1), 0) }
		return b.Op("com.microsoft.RelativePositionBias", []string{"w", n("x"), n("y")})
	}},
	{"broadcast sym and one", "[B,S,8]", func(b *Builder) string { return b.Mul("x", b.Unsqueeze("m", 2)) }},
	{"broadcast two syms", "[B,?,8]", func(b *Builder) string { return b.Mul("x", "y") }},
}

// TestSymbolicShapes checks what is known of the patterns' results.
func TestSymbolicShapes(t *testing.T) {
	for _, c := range patterns {
		t.Run(c.name, func(t *testing.T) {
			b := testBuilder()
			got := b.Shape(c.make(b))
			if b.Err() != nil {
				t.Fatal(b.Err())
			}
			if got.String() != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// TestWrongOperands checks that what cannot be fails where it is made, and
// that the message has the node, the shapes and the reason.
func TestWrongOperands(t *testing.T) {
	for _, c := range []struct {
		name, want string
		make       func(b *Builder) string
	}{
		{"inner sizes", "MatMul node enc/MatMul of (w float32[8,4], w float32[8,4]): inner sizes 4 and 8 differ", func(b *Builder) string { return b.MatMul("w", "w") }},
		{"scalar factor", "scalar cannot be multiplied", func(b *Builder) string { return b.MatMul("x", b.Float(1, "x")) }},
		{"types", "operand types float32 and int64 differ", func(b *Builder) string { return b.Add("m", "ids") }},
		{"broadcast", "do not broadcast", func(b *Builder) string { return b.Add("x", "w") }},
		{"axis", "axis 3 is out of range for rank 3", func(b *Builder) string { return b.Softmax("x", 3) }},
		{"axis twice", "given twice", func(b *Builder) string { return b.ReduceSum("x", true, 1, -2) }},
		{"reshape", "32 elements do not divide by 5", func(b *Builder) string { return b.ReshapeTo("w", 5, -1) }},
		{"reshape count", "numbers of elements differ", func(b *Builder) string { return b.ReshapeTo("w", 8, 2) }},
		{"reshape symbolic count", "numbers of elements differ", func(b *Builder) string { return b.ReshapeTo("x", 0, 0, 4) }},
		{"reshape two open", "at most one", func(b *Builder) string { return b.ReshapeTo("w", -1, -1) }},
		{"reshape copy", "does not have", func(b *Builder) string { return b.ReshapeTo("w", 8, 4, 0) }},
		{"perm", "no permutation", func(b *Builder) string { return b.Transpose("x", 0, 0, 1) }},
		{"concat rank", "ranks 3 and 2 differ", func(b *Builder) string { return b.Concat(0, "x", "m") }},
		{"concat size", "sizes 8 and 4 of axis 2 differ", func(b *Builder) string { return b.Concat(1, "x", b.MatMul("x", "w")) }},
		{"cond", "operand 0 is float32, want [bool]", func(b *Builder) string { return b.Where("m", "m", "m") }},
		{"float index", "operand 1 is float32, want [int64 int32]", func(b *Builder) string { return b.Gather("x", "m", 0) }},
		{"index past end", "index 9 is out of range", func(b *Builder) string { return b.Gather("w", b.Int(9), 0) }},
		{"squeeze", "axis 0 has size 8, want 1", func(b *Builder) string { return b.Squeeze("w", 0) }},
		{"split", "add up to 5", func(b *Builder) string { return b.Split("w", 1, b.Ints(2, 3), 2)[0] }},
		{"split count", "3 sizes for 2 outputs", func(b *Builder) string { return b.Split("w", 1, b.Ints(2, 1, 1), 2)[0] }},
		{"missing", "operand 1 is missing", func(b *Builder) string { return b.Op("MatMul", []string{"w"}) }},
		{"too many", "takes at most 2", func(b *Builder) string { return b.Op("MatMul", []string{"w", "w", "w"}) }},
		{"norm", "does not fit the normalised axes", func(b *Builder) string {
			y, _ := b.RMSNorm("x", b.Const(Floats("", []int64{4}, make([]float32, 4))), 1e-6)
			return y
		}},
		{"scatter", "updates have shape", func(b *Builder) string {
			return b.ScatterND("w", b.Const(Longs("", []int64{1, 1}, []int64{3})), "w", "add")
		}},
		{"pads", "4 pads for 3 axes", func(b *Builder) string { return b.Pad("x", b.Ints(1, 1, 1, 1)) }},
		{"expand", "cannot expand [8,4] to [8,5]", func(b *Builder) string { return b.Expand("w", b.Ints(8, 5)) }},
		{"tile", "2 repeats for 3 axes", func(b *Builder) string { return b.Tile("x", b.Ints(1, 2)) }},
		{"gemm", "rank 3, want 2", func(b *Builder) string { return b.Gemm("x", "w", false, false) }},
		{"range", "step is 0", func(b *Builder) string { return b.Range(b.Int(0), b.Int(4), b.Int(0)) }},
		{"negative fill", "negative", func(b *Builder) string { return b.Fill(b.Ints(2, -1), 0, Float32) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := testBuilder()
			b.Block = "enc"
			c.make(b)
			if b.Err() == nil || !strings.Contains(b.Err().Error(), c.want) {
				t.Errorf("error %v, want one with %q", b.Err(), c.want)
			}
			if b.Err() != nil && !strings.Contains(b.Err().Error(), "node enc/") {
				t.Errorf("error %v does not name the node", b.Err())
			}
		})
	}
}

// TestElems checks arithmetic on shapes.
func TestElems(t *testing.T) {
	b := testBuilder()
	size := func(x string, axis int64) string { return b.Gather(b.ShapeOf(x), b.Int(axis), 0) }
	for _, c := range []struct{ name, value, want string }{
		{"shape", b.ShapeOf("y"), "[B P+S 8]"},
		{"shape range", b.SizesOf("y", -2, End), "[P+S 8]"},
		{"element", size("y", -1), "[8]"},
		{"sum", b.Add(size("x", 1), size("y", 1)), "[P+2*S]"},
		{"difference", b.Sub(size("y", 1), size("p", 1)), "[S]"},
		{"difference that may be negative", b.Sub(size("x", 1), b.Int(1)), "[]"},
		{"product", b.Op("ReduceProd", []string{b.ShapeOf("x")}, IntAttr("keepdims", 0)), "[8*B*S]"},
		{"size", b.Op("Size", []string{"x"}), "[8*B*S]"},
		{"quotient", b.Div(b.Op("Size", []string{"x"}), size("x", 2)), "[B*S]"},
		{"slice", b.SliceTo(b.ShapeOf("y"), 1, End, 0), "[P+S 8]"},
		{"reversed", b.Op("Slice", []string{b.ShapeOf("x"), b.Ints(-1), b.Ints(-End), b.Ints(0), b.Ints(-1)}), "[8 S B]"},
		{"cast", b.Cast(b.Cast(b.ShapeOf("x"), Int32), Int64), "[B S 8]"},
		{"constant arithmetic", b.Div(b.Sub(b.Ints(3, 20), b.Ints(1)), b.Int(4)), "[0 4]"},
		{"range", b.Range(b.Int(5), b.Int(0), b.Int(-2)), "[5 3 1]"},
		{"mixed with negative", b.Concat(0, b.SizesOf("x", 0, 1), b.Ints(-1)), "[B ?]"},
	} {
		if got := fmt.Sprint(b.Elems(c.value)); got != c.want {
			t.Errorf("%s: got %v, want %v (error %v)", c.name, got, c.want, b.Err())
		}
	}
	if b.Err() != nil {
		t.Error(b.Err())
	}
	if got := b.Constant(b.Sub(b.Ints(1), b.Int(4))); got == nil {
		t.Error("1 − 4 is not constant")
	} else if v, err := got.Int64s(); err != nil || len(v) != 1 || v[0] != -3 {
		t.Errorf("1 − 4 = %v, %v", v, err)
	}
}
