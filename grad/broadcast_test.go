package grad

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"softprompt/onnx"
)

func TestStretched(t *testing.T) {
	b, s, one, q, n3 := onnx.Sym("B"), onnx.Sym("S"), onnx.Size(1), onnx.Unknown, onnx.Size(3)
	shape := func(d ...onnx.Dim) onnx.Shape { return append(onnx.Shape{}, d...) }
	for _, tc := range []struct {
		x, y   onnx.Shape
		others []onnx.Shape
		axes   []int64
		known  bool
	}{
		{shape(b, n3), shape(b, n3), []onnx.Shape{shape(b, n3)}, nil, true},
		{shape(n3), shape(b, s, n3), []onnx.Shape{shape(b, s, n3)}, []int64{0, 1}, true},
		{shape(b, one, n3), shape(b, s, n3), []onnx.Shape{shape(b, s, n3)}, []int64{1}, true},
		{shape(one), shape(one), []onnx.Shape{shape(one)}, nil, true},
		{shape(), shape(), []onnx.Shape{shape()}, nil, true},
		{shape(), shape(b, s), []onnx.Shape{shape(b, s)}, []int64{0, 1}, true},
		{shape(b), shape(q), []onnx.Shape{shape(s)}, nil, false},         // B or S may be 1
		{shape(q), shape(q), []onnx.Shape{shape(q)}, nil, false},         // either may be 1
		{shape(q), shape(q), []onnx.Shape{shape(one)}, nil, true},        // nothing stretches it
		{shape(q), shape(q), []onnx.Shape{shape()}, nil, true},           // likewise
		{shape(one), shape(q), []onnx.Shape{shape(q)}, []int64{0}, true}, // right for 1, too
		{shape(n3), shape(n3), []onnx.Shape{nil}, nil, true},             // 3 is never stretched
		{nil, nil, []onnx.Shape{shape()}, nil, true},                     // a scalar stretches nothing
		{nil, shape(b), []onnx.Shape{shape(b)}, nil, false},
		{shape(b), nil, []onnx.Shape{nil}, nil, false},
	} {
		axes, known := stretched(tc.x, tc.y, tc.others)
		if known != tc.known || known && !slices.Equal(axes, tc.axes) {
			t.Errorf("%v in %v beside %v: %v %v, want %v %v", tc.x, tc.y, tc.others, axes, known, tc.axes, tc.known)
		}
	}
}

// drawn returns a tensor of the given sizes with small integers that are not
// 0, so that sums and products of them are exact.
func drawn(t *rapid.T, name string, dims []int64) *onnx.Tensor {
	n := onnx.Tensor{Dims: dims}
	v := make([]float64, n.Len())
	for i := range v {
		v[i] = float64(rapid.IntRange(1, 4).Draw(t, name))
		if rapid.Bool().Draw(t, name+" negative") {
			v[i] = -v[i]
		}
	}
	return onnx.Doubles("", dims, v)
}

// sides draws two shapes that broadcast, and the shape of both.
func sides(t *rapid.T) (x, y, both []int64) {
	for range rapid.IntRange(0, 3).Draw(t, "rank") {
		both = append(both, rapid.Int64Range(1, 3).Draw(t, "size"))
	}
	side := func(name string) []int64 {
		s := slices.Clone(both[rapid.IntRange(0, len(both)).Draw(t, name+" lacks"):])
		for i := range s {
			if rapid.Bool().Draw(t, name+" stretched") {
				s[i] = 1
			}
		}
		return s
	}
	return side("x"), side("y"), both
}

// TestAnyShapes: the derivatives of a product of any two shapes that
// broadcast, however much is known of them, against plain loops.
func TestAnyShapes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dx, dy, both := sides(rt)
		x, y, g := drawn(rt, "x", dx), drawn(rt, "y", dy), drawn(rt, "g", both)
		for i := range both { // the output is as large as the larger operand
			at := func(s []int64) int64 {
				if j := i - len(both) + len(s); j >= 0 {
					return s[j]
				}
				return 1
			}
			g.Dims[i] = max(at(dx), at(dy))
		}
		for len(g.Dims) > max(len(dx), len(dy)) {
			g.Dims = g.Dims[1:]
		}
		g = drawn(rt, "g", g.Dims)
		b := onnx.NewBuilder(onnx.NewModel("any"))
		declare(rt, b, "x", x)
		declare(rt, b, "y", y)
		b.Output("z", b.Mul("x", "y"))
		m := must(Reverse(b.Model, "z", []string{"x", "y"}, Seed("g")))(t)
		out := run(t, m, map[string]*onnx.Tensor{"x": x, "y": y, "g": g})

		xs, ys, gs := values(t, x), values(t, y), values(t, g)
		gx, gy := make([]float64, len(xs)), make([]float64, len(ys))
		for k := range gs {
			i, j := offset(k, g.Dims, dx), offset(k, g.Dims, dy)
			gx[i] += gs[k] * ys[j]
			gy[j] += gs[k] * xs[i]
		}
		same(rt, "x", out["grad.x"], gx, dx)
		same(rt, "y", out["grad.y"], gy, dy)
	})
}

// TestAnyProducts is the same for matrix products, with batches that
// broadcast and operands that may be transposed.
func TestAnyProducts(t *testing.T) {
	dtype := onnx.Float32 // products of small integers are exact in it
	rapid.Check(t, func(rt *rapid.T) {
		bx, by, _ := sides(rt)
		size := func(name string) int64 { return rapid.Int64Range(1, 3).Draw(rt, name) }
		m, k, n := size("m"), size("k"), size("n")
		tx, ty := rapid.Bool().Draw(rt, "transA"), rapid.Bool().Draw(rt, "transB")
		matrix := func(batch []int64, rows, columns int64, swap bool) []int64 {
			if swap {
				rows, columns = columns, rows
			}
			return append(slices.Clone(batch), rows, columns)
		}
		x := drawn(rt, "x", matrix(bx, m, k, tx))
		y := drawn(rt, "y", matrix(by, k, n, ty))
		b := onnx.NewBuilder(onnx.NewModel("any"))
		for name, v := range map[string]**onnx.Tensor{"x": &x, "y": &y} {
			*v = floats(dtype, (*v).Dims, values(t, *v))
			_ = name
		}
		declare(rt, b, "x", x)
		declare(rt, b, "y", y)
		b.Output("z", b.FusedMatMul("x", "y", tx, ty, 1))
		b.Output("loss", b.ReduceSum("z", false))
		r := must(Reverse(b.Model, "loss", []string{"x", "y"}))(t)
		out := run(t, r, map[string]*onnx.Tensor{"x": x, "y": y})

		// With ones for g, dA[i,p] = Σⱼ B[p,j] and dB[p,j] = Σᵢ A[i,p], summed
		// over the batch.
		z := out["z"].Dims
		batch := z[:len(z)-2]
		count := (&onnx.Tensor{Dims: batch}).Len()
		xs, ys := values(t, x), values(t, y)
		gx, gy := make([]float64, len(xs)), make([]float64, len(ys))
		at := func(e, row, column, rows, columns int64, b []int64, swap bool) int64 {
			base := int64(offset(int(e), batch, b)) * rows * columns
			if swap {
				return base + column*rows + row
			}
			return base + row*columns + column
		}
		for e := range count {
			for i := range m {
				for p := range k {
					for j := range n {
						a, c := at(e, i, p, m, k, bx, tx), at(e, p, j, k, n, by, ty)
						gx[a] += ys[c]
						gy[c] += xs[a]
					}
				}
			}
		}
		same(rt, "x", out["grad.x"], gx, x.Dims)
		same(rt, "y", out["grad.y"], gy, y.Dims)
	})
}

// declare adds an input of which as much is known as is drawn.
func declare(t *rapid.T, b *onnx.Builder, name string, x *onnx.Tensor) {
	shape := x.Shape()
	what := rapid.IntRange(0, 3).Draw(t, name+" known")
	for i := range shape {
		switch what {
		case 1:
			shape[i] = onnx.Sym(fmt.Sprint(name, i))
		case 2:
			shape[i] = onnx.Unknown
		}
	}
	if what == 3 {
		shape = nil
	}
	b.Model.Graph.Inputs = append(b.Model.Graph.Inputs, onnx.Value{Name: name, Type: x.Type, Shape: shape})
	*b = *onnx.NewBuilder(b.Model)
}

// offset returns where the k-th element of a tensor of shape whole comes from
// in one of shape part that was broadcast to it.
func offset(k int, whole, part []int64) int {
	at, stride := 0, 1
	for i := len(whole) - 1; i >= 0; i-- {
		index := k % int(whole[i])
		k /= int(whole[i])
		j := i - len(whole) + len(part)
		if j < 0 {
			continue
		}
		if part[j] > 1 {
			at += index * stride
		}
		stride *= int(part[j])
	}
	return at
}

func same(t *rapid.T, name string, got *onnx.Tensor, want []float64, dims []int64) {
	v, err := got.Float64s()
	if got.Type == onnx.Float32 {
		var w []float32
		w, err = got.Float32s()
		for _, f := range w {
			v = append(v, float64(f))
		}
	}
	if err != nil || !slices.Equal(v, want) || !slices.Equal(got.Dims, dims) {
		t.Fatalf("gradient in %s: %v of shape %v, want %v of shape %v (%v)", name, v, got.Dims, want, dims, err)
	}
}
