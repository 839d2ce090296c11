package grad

import (
	"math"
	"testing"

	"softprompt/onnx"
)

// What a derivative is where there is none: at ties and kinks the table makes
// a choice, and these tests hold it to it. In all of them the gradient in the
// output is [1,2,3,…].

func TestTies(t *testing.T) {
	f := func(v ...float32) *onnx.Tensor { return vector(v...) }
	inf := float32(math.Inf(1))
	for _, tc := range []struct {
		name  string
		op    string
		args  []*onnx.Tensor
		attrs []onnx.Attr
		want  [][]float64
	}{
		{"Relu at 0 is flat", "Relu", []*onnx.Tensor{f(-1, 0, 1)}, nil, [][]float64{{0, 0, 3}}},
		{"Abs at 0 is flat", "Abs", []*onnx.Tensor{f(-1, 0, 1)}, nil, [][]float64{{-1, 0, 3}}},
		{
			"Max: the first of equal operands takes it", "Max",
			[]*onnx.Tensor{f(1, 5, 2), f(1, 0, 3), f(1, 5, 3)},
			nil,
			[][]float64{{1, 2, 0}, {0, 0, 3}, {0, 0, 0}},
		},
		{
			"Min: the first of equal operands takes it", "Min",
			[]*onnx.Tensor{f(1, 5, 3), f(1, 0, 3)},
			nil,
			[][]float64{{1, 0, 3}, {0, 2, 0}},
		},
		{"Max with an infinity", "Max", []*onnx.Tensor{f(inf, -inf), f(0, 0)}, nil, [][]float64{{1, 0}, {0, 2}}},
		{
			"Clip at a bound passes", "Clip",
			[]*onnx.Tensor{f(-2, -1, 0, 1, 2), onnx.Floats("", nil, []float32{-1}), onnx.Floats("", nil, []float32{1})},
			nil,
			[][]float64{{0, 2, 3, 4, 0}, {1}, {5}},
		},
		{"ReduceMax: equal elements share it", "ReduceMax", []*onnx.Tensor{f(3, 1, 3, 0)}, nil, [][]float64{{0.5, 0, 0.5, 0}}},
		{"ReduceMin: equal elements share it", "ReduceMin", []*onnx.Tensor{f(0, 1, 0, 0)}, nil, [][]float64{{1 / 3., 0, 1 / 3., 1 / 3.}}},
		{"ReduceL2 of nothing but zeros is flat", "ReduceL2", []*onnx.Tensor{f(0, 0)}, nil, [][]float64{{0, 0}}},
		{"Pow of 0", "Pow", []*onnx.Tensor{f(0, 0, 0), f(0, 1, 2)}, nil, [][]float64{{0, 2, 0}, {0, 0, 0}}},
		{"Sqrt at 0 is steep", "Sqrt", []*onnx.Tensor{f(0)}, nil, [][]float64{{math.Inf(1)}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := onnx.NewBuilder(onnx.NewModel("tie"))
			feeds := map[string]*onnx.Tensor{}
			var names []string
			for i, a := range tc.args {
				name := string(rune('a' + i))
				feeds[name] = a
				names = append(names, b.Input(name, a.Type, a.Shape()...))
			}
			y := b.Op(tc.op, names, tc.attrs...)
			b.Output("y", y)
			out := run(t, b.Model, feeds)
			g := out["y"].Dims
			n := onnx.Tensor{Dims: g}
			seed := make([]float32, n.Len())
			for i := range seed {
				seed[i] = float32(i + 1)
			}
			feeds["g"] = onnx.Floats("", g, seed)
			out = run(t, must(Reverse(b.Model, "y", names, Seed("g")))(t), feeds)
			for i, want := range tc.want {
				got := values(t, out[Prefix+names[i]])
				for j := range want {
					if got[j] != want[j] && math.Abs(got[j]-want[j]) > 1e-6 {
						t.Errorf("input %d: %v, want %v", i, got, want)
						break
					}
				}
			}
		})
	}
}

// TestDropout: what was kept is scaled as in the forward pass of the same run,
// what was dropped gets nothing.
func TestDropout(t *testing.T) {
	for _, ratio := range []float32{0, 0.25, 0.75} {
		for _, training := range []byte{0, 1} {
			b := onnx.NewBuilder(onnx.NewModel("dropout"))
			n := 1000
			b.Input("x", onnx.Float32, onnx.Size(int64(n)))
			r := b.Weight(onnx.Floats("ratio", nil, []float32{ratio}))
			on := b.Input("training", onnx.Bool)
			b.Output("y", b.Op("Dropout", []string{"x", r, on}))
			b.Output("loss", b.ReduceSum(b.Mul("y", "y"), false))
			ones := make([]float32, n)
			for i := range ones {
				ones[i] = 1
			}
			m := must(Reverse(b.Model, "loss", []string{"x"}))(t)
			out := run(t, m, map[string]*onnx.Tensor{"x": vector(ones...), "training": {Type: onnx.Bool, Data: []byte{training}}})
			want := values(t, out["y"]) // x is 1, so y is the factor
			dropped := 0
			for i, y := range want {
				if y == 0 {
					dropped++
				}
				want[i] = 2 * y * y
			}
			near(t, "x", values(t, out["grad.x"]), want, 1e-6)
			if wanted := float64(training) * float64(ratio) * float64(n); math.Abs(float64(dropped)-wanted) > 60 {
				t.Errorf("ratio %v, training %d: %d of %d dropped", ratio, training, dropped, n)
			}
		}
	}
}

// TestHalfTypes: constants in the types that no constant can be written in
// directly. The processor has kernels for float16 only by casts, and none for
// bfloat16, whose graph is checked for its types.
func TestHalfTypes(t *testing.T) {
	make := func(half onnx.DType) *onnx.Model {
		b := onnx.NewBuilder(onnx.NewModel("half"))
		x := b.Input("x", onnx.Float32, onnx.Sym("B"), onnx.Size(3))
		w := b.Weight(onnx.Floats("w", []int64{3, 3}, []float32{1, -2, 0.5, 0.25, 1, -1, 2, 0.5, 1}))
		h := b.Cast(x, half)
		h = b.Tanh(b.MatMul(h, b.Cast(w, half)))
		h = b.Max(b.Pow(h, b.FloatOf(2, half)), b.FloatOf(0.01, half))
		h = b.Mul(b.Softmax(b.SliceTo(h, 0, 2, 1), -1), b.Sigmoid(b.SliceTo(h, 1, 3, 1)))
		b.Output("loss", b.Cast(b.ReduceMean(h, false), onnx.Float32))
		if err := b.Err(); err != nil {
			t.Fatal(err)
		}
		return must(Reverse(b.Model, "loss", []string{"x", "w"}))(t)
	}
	feeds := map[string]*onnx.Tensor{"x": onnx.Floats("", []int64{2, 3}, []float32{0.3, -0.2, 0.1, -0.4, 0.25, 0.7})}
	want := run(t, make(onnx.Float32), feeds)
	got := run(t, make(onnx.Float16), feeds)
	for _, x := range []string{"grad.x", "grad.w"} {
		scaled := func(v []float64) []float64 {
			for i := range v {
				v[i] *= 20 // near compares with 1 at least
			}
			return v
		}
		near(t, x, scaled(values(t, got[x])), scaled(values(t, want[x])), 1e-2)
	}
	if err := onnx.InferShapes(make(onnx.BFloat16)); err != nil {
		t.Error(err)
	}
}
