package grad

import (
	"hash/fnv"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"softprompt/onnx"
	"softprompt/onnx/ort"
	"softprompt/onnx/ort/orttest"
)

// differences moves each element of the named inputs and looks at what a
// function of all inputs does.
func differences(t testing.TB, feeds map[string]*onnx.Tensor, wrt []string, f func(map[string]*onnx.Tensor) func() float64) map[string][]float64 {
	t.Helper()
	feeds = maps.Clone(feeds)
	eval := f(feeds)
	grads := map[string][]float64{}
	for _, x := range wrt {
		old := feeds[x]
		v := values(t, old)
		step := 1e-3
		if old.Type == onnx.Float32 {
			step = 0.03
		}
		at := func(i int, move float64) float64 {
			moved := slices.Clone(v)
			moved[i] += move
			feeds[x] = floats(old.Type, old.Dims, moved)
			return eval()
		}
		g := make([]float64, len(v))
		for i := range v {
			g[i] = (8*(at(i, step)-at(i, -step)) - (at(i, 2*step) - at(i, -2*step))) / (12 * step)
		}
		feeds[x], grads[x] = old, g
	}
	return grads
}

// plain runs a graph as it is, on one thread: these graphs are tiny, and
// threads that wait for work would take longer than the work.
var plain = ort.Config{Optimize: ort.LevelNone, Threads: 1}

// run runs a model once and returns all its outputs.
func run(t testing.TB, m *onnx.Model, feeds map[string]*onnx.Tensor) map[string]*onnx.Tensor {
	t.Helper()
	return runWith(t, m, feeds, plain)
}

func runWith(t testing.TB, m *onnx.Model, feeds map[string]*onnx.Tensor, cfg ort.Config) map[string]*onnx.Tensor {
	t.Helper()
	s := orttest.Session(t, m, cfg)
	defer s.Close()
	in, out := map[string]*ort.Tensor{}, map[string]*ort.Tensor{}
	for name, x := range feeds {
		in[name] = must(ort.FromONNX(x))(t)
	}
	for _, y := range s.Outputs() {
		out[y.Name] = nil
	}
	if err := s.Run(t.Context(), in, out); err != nil {
		t.Fatal(err)
	}
	results := map[string]*onnx.Tensor{}
	for name, y := range out {
		results[name] = y.ONNX(name)
	}
	return results
}

// near compares with the largest absolute value of what is wanted, or 1.
func near(t testing.TB, what string, got, want []float64, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d elements, want %d", what, len(got), len(want))
		return
	}
	scale := 1.0
	for _, v := range want {
		scale = max(scale, math.Abs(v))
	}
	for i := range want {
		if d := math.Abs(got[i] - want[i]); !(d <= tolerance*scale) {
			t.Errorf("%s: element %d is %v, want %v (off by %.2g of %.3g)", what, i, got[i], want[i], d, scale)
			return
		}
	}
}

// values returns the elements of a float tensor.
func values(t testing.TB, x *onnx.Tensor) []float64 {
	t.Helper()
	if x.Type == onnx.Float32 {
		v := must(x.Float32s())(t)
		w := make([]float64, len(v))
		for i := range v {
			w[i] = float64(v[i])
		}
		return w
	}
	return must(x.Float64s())(t)
}

// floats returns a tensor of a float type.
func floats(dtype onnx.DType, dims []int64, v []float64) *onnx.Tensor {
	if dtype == onnx.Float64 {
		return onnx.Doubles("", dims, v)
	}
	w := make([]float32, len(v))
	for i := range v {
		w[i] = float32(v[i])
	}
	return onnx.Floats("", dims, w)
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func seedOf(s string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(s))
	return h.Sum64()
}

func normal(random *rand.Rand, n int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = random.NormFloat64()
	}
	return v
}
