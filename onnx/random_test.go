package onnx_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"softprompt/onnx"
	"softprompt/onnx/ort"
	"softprompt/onnx/ort/orttest"
)

// pair builds one random graph twice: with symbolic inputs, and with the sizes
// that the symbols stand for, which say what may be done next.
type pair struct {
	t        *rapid.T
	symbolic *onnx.Builder
	concrete *onnx.Builder
	sizes    map[string]int64
	pool     []string // float values made so far
}

// do makes the same nodes in both graphs, whose values then have equal names.
func (p *pair) do(f func(b *onnx.Builder) string) {
	name, other := f(p.symbolic), f(p.concrete)
	if err := p.concrete.Err(); err != nil {
		p.t.Fatalf("the test builds wrong graphs: %v", err)
	}
	if err := p.symbolic.Err(); err != nil {
		p.t.Fatalf("right with numbers, wrong with symbols: %v", err)
	}
	if name != other {
		p.t.Fatalf("names %s and %s", name, other)
	}
	p.pool = append(p.pool, name)
}

// shape returns a value's sizes as numbers.
func (p *pair) shape(x string) []int64 {
	s, ok := p.concrete.Shape(x).Sizes()
	if !ok {
		p.t.Fatalf("%s has shape %v although all inputs are known", x, p.concrete.Shape(x))
	}
	return s
}

func (p *pair) pick(label string) string { return rapid.SampledFrom(p.pool).Draw(p.t, label) }

func (p *pair) axis(x, label string) int64 {
	return rapid.Int64Range(0, int64(len(p.shape(x)))-1).Draw(p.t, label)
}

// steps are what a random graph is made of. Each does nothing where it does
// not fit.
var steps = map[string]func(p *pair){
	"add": func(p *pair) {
		x, y := p.pick("x"), p.pick("y")
		if _, err := onnx.Broadcast(p.concrete.Shape(x), p.concrete.Shape(y)); err == nil {
			p.do(func(b *onnx.Builder) string { return b.Add(x, y) })
		}
	},
	"matmul": func(p *pair) {
		x, y := p.pick("x"), p.pick("y")
		s, r := p.shape(x), p.shape(y)
		if len(s) < 2 || len(r) < 2 {
			return
		}
		_, err := onnx.Broadcast(p.concrete.Shape(x)[:len(s)-2], p.concrete.Shape(y)[:len(r)-2])
		if err != nil {
			return
		}
		switch {
		case s[len(s)-1] == r[len(r)-2]:
			p.do(func(b *onnx.Builder) string { return b.MatMul(x, y) })
		case s[len(s)-1] == r[len(r)-1]:
			p.do(func(b *onnx.Builder) string { return b.FusedMatMul(x, y, false, true, 2) })
		}
	},
	"transpose": func(p *pair) {
		x := p.pick("x")
		perm := []int64{}
		for i := range p.shape(x) {
			perm = append(perm, int64(i))
		}
		if perm = rapid.Permutation(perm).Draw(p.t, "perm"); len(perm) > 0 {
			p.do(func(b *onnx.Builder) string { return b.Transpose(x, perm...) })
		}
	},
	"reduce": func(p *pair) {
		x := p.pick("x")
		if len(p.shape(x)) > 1 {
			axis, keep := p.axis(x, "axis"), rapid.Bool().Draw(p.t, "keep")
			p.do(func(b *onnx.Builder) string { return b.ReduceSum(x, keep, axis) })
		}
	},
	"concat": func(p *pair) {
		x, y := p.pick("x"), p.pick("y")
		s, r := p.shape(x), p.shape(y)
		if len(s) == 0 || len(s) != len(r) {
			return
		}
		axis := p.axis(x, "axis")
		s, r = slices.Clone(s), slices.Clone(r)
		s[axis], r[axis] = 0, 0
		if slices.Equal(s, r) {
			p.do(func(b *onnx.Builder) string { return b.Concat(axis, x, y) })
		}
	},
	"slice by sizes": func(p *pair) {
		x, y := p.pick("x"), p.pick("y")
		if len(p.shape(x)) == 0 || len(p.shape(y)) == 0 {
			return
		}
		axis, other := p.axis(x, "axis"), p.axis(y, "other")
		tail := rapid.Bool().Draw(p.t, "tail")
		n, m := p.shape(x)[axis], p.shape(y)[other]
		if tail && m >= n { // keep something
			return
		}
		p.do(func(b *onnx.Builder) string {
			if tail {
				return b.Slice(x, b.SizesOf(y, other, other+1), b.Ints(onnx.End), axis)
			}
			return b.Slice(x, b.Ints(0), b.SizesOf(y, other, other+1), axis)
		})
	},
	"slice by numbers": func(p *pair) {
		x := p.pick("x")
		if len(p.shape(x)) > 0 {
			axis := p.axis(x, "axis")
			if start := rapid.Int64Range(-3, 0).Draw(p.t, "start"); p.shape(x)[axis] > 0 {
				p.do(func(b *onnx.Builder) string { return b.SliceTo(x, start, onnx.End, axis) })
			}
		}
	},
	"join axes": func(p *pair) {
		x := p.pick("x")
		if n := int64(len(p.shape(x))); n >= 2 {
			at := rapid.Int64Range(0, n-2).Draw(p.t, "at")
			p.do(func(b *onnx.Builder) string {
				parts := []string{b.Ints(-1)}
				if at > 0 {
					parts = append([]string{b.SizesOf(x, 0, at)}, parts...)
				}
				if at+2 < n {
					parts = append(parts, b.SizesOf(x, at+2, n))
				}
				return b.Reshape(x, b.Concat(0, parts...))
			})
		}
	},
	"reshape like": func(p *pair) {
		x, y := p.pick("x"), p.pick("y")
		if onnx.Floats("", p.shape(x), nil).Len() == onnx.Floats("", p.shape(y), nil).Len() {
			p.do(func(b *onnx.Builder) string { return b.Reshape(x, b.ShapeOf(y)) })
		}
	},
	"unsqueeze": func(p *pair) {
		x := p.pick("x")
		if n := int64(len(p.shape(x))); n < 4 {
			at := rapid.Int64Range(-n-1, n).Draw(p.t, "at")
			p.do(func(b *onnx.Builder) string { return b.Unsqueeze(x, at) })
		}
	},
	"expand like": func(p *pair) {
		x, y := p.pick("x"), p.pick("y")
		if _, err := onnx.Broadcast(p.concrete.Shape(x), p.concrete.Shape(y)); err == nil {
			p.do(func(b *onnx.Builder) string { return b.Expand(x, b.ShapeOf(y)) })
		}
	},
	"tile": func(p *pair) {
		x := p.pick("x")
		if n := len(p.shape(x)); n > 0 {
			repeats := rapid.SliceOfN(rapid.Int64Range(1, 2), n, n).Draw(p.t, "repeats")
			p.do(func(b *onnx.Builder) string { return b.Tile(x, b.Ints(repeats...)) })
		}
	},
	"pad by sizes": func(p *pair) {
		x, y := p.pick("x"), p.pick("y")
		if n := len(p.shape(x)); n > 0 && len(p.shape(y)) > 0 {
			axis, other := p.axis(x, "axis"), p.axis(y, "other")
			p.do(func(b *onnx.Builder) string {
				parts := make([]string, 2*n)
				for i := range parts {
					parts[i] = b.Ints(0)
				}
				parts[axis] = b.SizesOf(y, other, other+1)
				return b.Pad(x, b.Concat(0, parts...))
			})
		}
	},
	"gather": func(p *pair) {
		x := p.pick("x")
		if len(p.shape(x)) > 0 {
			axis := p.axis(x, "axis")
			if p.shape(x)[axis] > 0 {
				p.do(func(b *onnx.Builder) string { return b.Gather(x, b.Ints(0, -1), axis) })
			}
		}
	},
	"split": func(p *pair) {
		x, y := p.pick("x"), p.pick("y")
		if len(p.shape(x)) > 0 && len(p.shape(y)) > 0 {
			axis, other := p.axis(x, "axis"), p.axis(y, "other")
			if p.shape(y)[other] < p.shape(x)[axis] { // of an empty tensor -1 may be anything
				p.do(func(b *onnx.Builder) string {
					n := b.SizesOf(y, other, other+1)
					return b.Split(x, axis, b.Concat(0, n, b.Sub(b.SizesOf(x, axis, axis+1), n)), 2)[1]
				})
			}
		}
	},
}

// TestRandomGraphs holds what is inferred of random graphs against ONNX
// Runtime: of every value, with symbols for all the inputs' sizes.
func TestRandomGraphs(t *testing.T) {
	rt := orttest.Runtime(t)
	names := []string{}
	for name := range steps {
		names = append(names, name)
	}
	slices.Sort(names)
	rapid.Check(t, func(t *rapid.T) {
		p := &pair{
			t:        t,
			symbolic: onnx.NewBuilder(onnx.NewModel("random")),
			concrete: onnx.NewBuilder(onnx.NewModel("random")),
			sizes:    map[string]int64{},
		}
		for _, s := range []string{"B", "S", "P"} {
			p.sizes[s] = rapid.Int64Range(1, 4).Draw(t, s)
		}
		feeds := map[string]*ort.Tensor{}
		for i, symbols := range [][]string{{"B", "S"}, {"B", "P", "8"}, {"S", "8"}, {"P"}} {
			name := fmt.Sprintf("in%d", i)
			var symbolic, concrete onnx.Shape
			for _, s := range symbols {
				if n, ok := p.sizes[s]; ok {
					symbolic, concrete = append(symbolic, onnx.Sym(s)), append(concrete, onnx.Size(n))
					continue
				}
				symbolic, concrete = append(symbolic, onnx.Size(8)), append(concrete, onnx.Size(8))
			}
			p.symbolic.Input(name, onnx.Float32, symbolic...)
			p.concrete.Input(name, onnx.Float32, concrete...)
			p.pool = append(p.pool, name)
			dims, _ := concrete.Sizes()
			x, err := ort.FromONNX(floats(dims))
			if err != nil {
				t.Fatal(err)
			}
			feeds[name] = x
		}
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			steps[rapid.SampledFrom(names).Draw(t, "step")](p)
			last := p.pool[len(p.pool)-1]
			if onnx.Floats("", p.shape(last), nil).Len() > 1<<14 {
				p.pool = p.pool[:len(p.pool)-1]
			}
		}
		out := map[string]*ort.Tensor{}
		for i, x := range p.pool {
			name := fmt.Sprintf("out%d", i)
			p.symbolic.Output(name, x)
			out[name] = nil
		}
		data, err := p.symbolic.Model.Marshal()
		if err != nil || p.symbolic.Err() != nil {
			t.Fatal(err, p.symbolic.Err())
		}
		s, err := rt.NewSession(t.Context(), data, ort.Config{Optimize: ort.LevelNone})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := s.Run(t.Context(), feeds, out); err != nil {
			t.Fatal(err)
		}
		for i, x := range p.pool {
			want := out[fmt.Sprintf("out%d", i)].Shape()
			if got := p.shape(x); !slices.Equal(got, want) {
				t.Errorf("%s: with numbers %v, the runtime's %v", x, got, want)
			}
			for j, d := range p.symbolic.Shape(x) {
				if n, ok := d.Evaluate(p.sizes); ok && n != want[j] || !ok && d != onnx.Unknown {
					t.Errorf("%s: %v, the runtime's %v with %v", x, p.symbolic.Shape(x), want, p.sizes)
				}
			}
		}
	})
}

// TestRandomArithmetic holds what is known of the elements of integer vectors
// against ONNX Runtime.
func TestRandomArithmetic(t *testing.T) {
	rt := orttest.Runtime(t)
	rapid.Check(t, func(t *rapid.T) {
		b := onnx.NewBuilder(onnx.NewModel("arithmetic"))
		sizes := map[string]int64{"B": rapid.Int64Range(1, 5).Draw(t, "B"), "S": rapid.Int64Range(1, 5).Draw(t, "S")}
		x := b.Input("x", onnx.Float32, onnx.Sym("B"), onnx.Sym("S"), onnx.Size(4))
		pool := []string{b.ShapeOf(x), b.SizesOf(x, 1, 2), b.Int(2), b.Ints(3, -1, 1), b.Op("Size", []string{x})}
		pick := rapid.Custom(func(t *rapid.T) string { return rapid.SampledFrom(pool).Draw(t, "value") })
		ops := []string{
			"Add", "Sub", "Mul", "Min", "Max", "Neg", "Gather", "Slice", "Reverse", "Concat", "ReduceSum",
			"ReduceProd", "ReduceMax", "ReduceMin", "Where", "Cast", "Squeeze", "Expand", "Identity", "Abs", "Div", "Fill", "Range",
		}
		for range rapid.IntRange(1, 10).Draw(t, "steps") {
			y, z := pick.Draw(t, "y"), pick.Draw(t, "z")
			rank := len(b.Shape(y))
			n, m := len(b.Elems(y)), len(b.Elems(z))
			fits := rank > 0 && n == m && len(b.Shape(z)) > 0 || n == 1 || m == 1
			var made string
			switch op := rapid.SampledFrom(ops).Draw(t, "op"); op {
			case "Add", "Sub", "Mul", "Min", "Max":
				if fits {
					made = b.Op(op, []string{y, z})
				}
			case "Div":
				made = b.Div(y, b.Int(rapid.SampledFrom([]int64{1, 2, 4, -3}).Draw(t, "divisor")))
			case "Neg", "Abs":
				made = b.Op(op, []string{y})
			case "Gather":
				if rank == 1 && n > 0 {
					made = b.Gather(y, b.Int(int64(rapid.IntRange(-n, n-1).Draw(t, "at"))), 0)
				}
			case "Slice":
				if rank == 1 {
					made = b.SliceTo(y, rapid.Int64Range(-3, 3).Draw(t, "start"), rapid.Int64Range(-3, 9).Draw(t, "end"), 0)
				}
			case "Reverse":
				if rank == 1 {
					made = b.Op("Slice", []string{y, b.Ints(-1), b.Ints(-onnx.End), b.Ints(0), b.Ints(-1)})
				}
			case "Concat":
				if rank == 1 && len(b.Shape(z)) == 1 {
					made = b.Concat(0, y, z)
				}
			case "ReduceSum", "ReduceProd", "ReduceMax", "ReduceMin":
				if n > 0 {
					made = b.Op(op, []string{y}, onnx.IntAttr("keepdims", rapid.Int64Range(0, 1).Draw(t, "keep")))
				}
			case "Where":
				if fits {
					compare := rapid.SampledFrom([]string{"Equal", "Less", "GreaterOrEqual"}).Draw(t, "compare")
					made = b.Where(b.Not(b.Op(compare, []string{y, z})), y, z)
				}
			case "Cast":
				made = b.Cast(b.Cast(y, onnx.Int32), onnx.Int64)
			case "Squeeze":
				if rank == 1 && n == 1 {
					made = b.Squeeze(y, 0)
				} else if rank == 0 {
					made = b.Unsqueeze(y, 0)
				}
			case "Expand":
				if n == 1 {
					made = b.Expand(y, b.Ints(3))
				}
			case "Identity":
				made = b.Identity(y)
			case "Fill":
				made = b.Fill(b.Ints(2), 7, onnx.Int64)
			case "Range":
				made = b.Range(b.Int(5), b.Int(rapid.Int64Range(-5, 9).Draw(t, "limit")), b.Int(rapid.SampledFrom([]int64{1, 2, -2}).Draw(t, "step")))
			}
			if b.Err() != nil {
				t.Fatal(b.Err())
			}
			if made != "" && len(b.Elems(made)) < 20 && (b.Elems(made) != nil || rank == 0) {
				pool = append(pool, made)
			}
		}
		out := map[string]*ort.Tensor{}
		for i, v := range pool {
			b.Output(fmt.Sprintf("out%d", i), v)
			out[fmt.Sprintf("out%d", i)] = nil
		}
		data, err := b.Model.Marshal()
		if err != nil || b.Err() != nil {
			t.Fatal(err, b.Err())
		}
		s, err := rt.NewSession(t.Context(), data, ort.Config{Optimize: ort.LevelNone})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		feed, err := ort.FromONNX(floats([]int64{sizes["B"], sizes["S"], 4}))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Run(t.Context(), map[string]*ort.Tensor{"x": feed}, out); err != nil {
			t.Fatal(err)
		}
		for i, v := range pool {
			want := out[fmt.Sprintf("out%d", i)].Int64s()
			elems := b.Elems(v)
			if elems != nil && len(elems) != len(want) {
				t.Fatalf("%s: %v, the runtime's %v", v, elems, want)
			}
			for j, d := range elems {
				if n, ok := d.Evaluate(sizes); ok && n != want[j] {
					t.Errorf("%s: %v, the runtime's %v with %v", v, elems, want, sizes)
				}
			}
			if c := b.Constant(v); c != nil {
				if got, err := c.Int64s(); err != nil || !slices.Equal(got, want) {
					t.Errorf("%s: constant %v (%v), the runtime's %v", v, got, err, want)
				}
			}
		}
	})
}
