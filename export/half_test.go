package export

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"softprompt/export/exported"
	"softprompt/grad"
	"softprompt/onnx"
	"softprompt/onnx/ort"
	"softprompt/onnx/ort/orttest"
	"softprompt/prompt"
)

// near is close with a tolerance of its own.
func near(t *testing.T, what string, got *onnx.Tensor, want []float32, within float64) {
	t.Helper()
	values, err := got.Float32s()
	if err != nil || len(values) != len(want) {
		t.Fatalf("%s: %d values, want %d, %v", what, len(values), len(want), err)
	}
	if diff, scale := worst(values, want); !(diff <= within*scale) {
		t.Errorf("%s: differs by %.2g where the largest value is %.3g, relative %.2g", what, diff, scale, diff/scale)
	}
}

// TestFloat16 holds losses and gradients of float16 graphs against PyTorch's
// float32. The processor has no float16 products: the runtime computes them in
// float32 and rounds weights and some results; TestHalfRounding rounds all.
func TestFloat16(t *testing.T) {
	every(t, func(t *testing.T, g *golden, _ string) {
		g.spec.Precision, g.spec.ZLoss = FP16, 1e-4
		m, err := Train(g.spec)
		if err != nil {
			t.Fatal(err)
		}
		in := g.inputs(m)
		g.weigh(in, "sum_z1e-4")
		out := orttest.Run(t, m, in)
		near(t, "loss", out["loss"], g.want("loss.sum_z1e-4"), 3e-4)
		near(t, "grad.prompts", out["grad.prompts"], g.want("grad.sum_z1e-4"), 3e-3)
		near(t, "example_loss", out["example_loss"], g.want("example_nll"), 3e-4)
	})
}

// TestFloat16Graphs runs the other graphs, and the loss of a choice.
func TestFloat16Graphs(t *testing.T) {
	for _, name := range []string{"v1_0-2x2", "v1_1-2x2"} {
		t.Run(name, func(t *testing.T) {
			g := openGolden(t, name, "io")
			for _, standard := range []bool{false, true} {
				g.spec.Precision, g.spec.Standard = FP16, standard
				m, err := Score(g.spec)
				if err != nil {
					t.Fatal(err)
				}
				_, scores := g.answers()
				var want []float32
				for _, s := range slices.Concat(scores...) {
					want = append(want, float32(s))
				}
				near(t, "log_probability", orttest.Run(t, m, g.inputs(m))["log_probability"], want, 1e-3)
			}
		})
	}
}

// TestLossScale: a loss so small that its gradient is below float16's range
// has the gradient of a larger one, scaled.
func TestLossScale(t *testing.T) {
	g := openGolden(t, "v1_1-2x2", "io")
	g.spec.Precision = FP16
	m, err := Train(g.spec)
	if err != nil {
		t.Fatal(err)
	}
	in := g.inputs(m)
	g.weigh(in, "mean")
	const small = 1.0 / 1024
	weights, err := in["label_weights"].Float32s()
	if err != nil {
		t.Fatal(err)
	}
	want := slices.Clone(g.want("grad.mean"))
	for i := range weights {
		weights[i] *= small
	}
	for i := range want {
		want[i] *= small
	}
	in["label_weights"] = onnx.Floats("", in["label_weights"].Dims, weights)
	near(t, "grad.prompts", orttest.Run(t, m, in)["grad.prompts"], want, 3e-3)

	// The same without a scale loses it.
	b := openGolden(t, "v1_1-2x2", "io")
	plain, err := Train(b.spec)
	if err == nil {
		plain, err = toHalf(plain, FP16)
	}
	if err != nil {
		t.Fatal(err)
	}
	got, err := orttest.Run(t, plain, in)["grad.prompts"].Float32s()
	if err != nil {
		t.Fatal(err)
	}
	if diff, scale := worst(got, want); diff <= 3e-3*scale {
		t.Errorf("without a scale the gradient differs by %.2g of %.2g: the test shows nothing", diff, scale)
	}
}

// TestWoStaysFinite: activations beyond float16's range before wo, as trained
// models have them, do not spoil the loss.
func TestWoStaysFinite(t *testing.T) {
	g := openGolden(t, "v1_1-2x2", "io")
	method := *g.spec.Method
	method.Hidden = func(s *prompt.Site, h string) string { return s.B.Scale(h, 1e7) }
	g.spec.Method = &method
	var loss [2][]float32
	for i, p := range []Precision{FP32, FP16} {
		g.spec.Precision = p
		m, err := Train(g.spec)
		if err != nil {
			t.Fatal(err)
		}
		in := g.inputs(m)
		g.weigh(in, "mean")
		out := orttest.Run(t, m, in)
		if loss[i], err = out["loss"].Float32s(); err != nil {
			t.Fatal(err)
		}
		for _, v := range g.floats(out["grad.prompts"]) {
			if v != v || v > 1e30 || v < -1e30 {
				t.Fatalf("%s: a gradient of %g", p, v)
			}
		}
	}
	if diff, scale := worst(loss[1], loss[0]); !(diff <= 2e-2*scale) {
		t.Errorf("loss %g in float16, %g in float32", loss[1], loss[0])
	}
}

func (g *golden) floats(x *onnx.Tensor) []float32 {
	g.t.Helper()
	v, err := x.Float32s()
	if err != nil {
		g.t.Fatal(err)
	}
	return v
}

// TestBFloat16 compares the graphs of both half types node by node: the same
// but for the type, and for wo, which bfloat16 takes in. The processor has no
// bfloat16 products, so they are checked, and float16's are run.
func TestBFloat16(t *testing.T) {
	g := openGolden(t, "v1_1-2x2", "io")
	for name, write := range graphWriters {
		count := map[Precision]map[string]int{}
		for _, p := range []Precision{FP16, BF16} {
			g.spec.Precision = p
			m, err := write(g.spec)
			if err != nil {
				t.Fatal(err)
			}
			count[p] = map[string]int{}
			for _, n := range typed(t, m) {
				if isProductOp[n.op] {
					count[p][n.made.String()]++
				} else if n.op == "Softmax" || n.op == "SimplifiedLayerNormalization" || n.op == "LogSoftmax" {
					count[p][n.op+" "+n.made.String()]++
				}
			}
		}
		half, brain := count[FP16], count[BF16]
		if brain["float32"] == half["float32"] || brain["float32"]+brain["bfloat16"] != half["float32"]+half["float16"] {
			t.Errorf("%s: products %v and %v", name, half, brain)
		}
		for _, k := range []string{"float32", "float16", "bfloat16"} {
			delete(half, k)
			delete(brain, k)
		}
		if !maps.Equal(half, brain) {
			t.Errorf("%s: %v and %v", name, half, brain)
		}
		for k := range half {
			if !strings.HasSuffix(k, " float32") {
				t.Errorf("%s: a %s", name, k)
			}
		}
	}
}

// TestHalfIsCastOnce: a value is cast to the half type once, and no cast undoes
// another.
func TestHalfIsCastOnce(t *testing.T) {
	g := openGolden(t, "v1_1-2x2", "dropout")
	for _, p := range []Precision{FP16, BF16} {
		g.spec.Precision = p
		m, err := Train(g.spec)
		if err != nil {
			t.Fatal(err)
		}
		made, narrowed := map[string]*onnx.Node{}, map[string]bool{}
		for _, n := range m.Graph.Nodes {
			for _, y := range n.Outputs {
				made[y] = n
			}
			if n.Op != "Cast" || n.Int("to", 0) != int64(halfTypes[p]) {
				continue
			}
			x := n.Inputs[0]
			if narrowed[x] {
				t.Errorf("%s: %s is cast twice", p, x)
			}
			narrowed[x] = true
			if from := made[x]; from != nil && from.Op == "Cast" && from.Int("to", 0) == int64(onnx.Float32) {
				t.Errorf("%s: %v undoes %v", p, n, from)
			}
		}
		if len(narrowed) == 0 {
			t.Errorf("%s: nothing is cast", p)
		}
		// Weights stay where they lie, in the one file that all graphs share.
		for _, w := range m.Graph.Initializers {
			if len(w.Data) > 1<<12 {
				t.Errorf("%s: weight %s is inside the graph, %d bytes", p, w.Name, len(w.Data))
			}
		}
		for _, v := range slices.Concat(m.Graph.Inputs, m.Graph.Outputs) {
			if v.Type == halfTypes[p] {
				t.Errorf("%s: %v crosses the border as a half", p, v)
			}
		}
	}
}

func TestHalfRefuses(t *testing.T) {
	g := openGolden(t, "v1_1-2x2", "io")
	g.spec.Precision = "fp8"
	if _, err := Train(g.spec); err == nil || !strings.Contains(err.Error(), `no precision "fp8"`) {
		t.Errorf("fp8: %v", err)
	}
	g.spec.Precision, g.spec.Weights, g.spec.Graphs = FP16, nil, &exported.T5{}
	if _, err := Train(g.spec); err == nil || !strings.Contains(err.Error(), "overflow") {
		t.Errorf("float16 of graphs as they stand: %v", err)
	}
}

// TestUnscale: gradients in two values that are one keep their names and sizes.
func TestUnscale(t *testing.T) {
	b := onnx.NewBuilder(onnx.NewModel("sum"))
	x, y := b.Input("x", onnx.Float32, onnx.Size(2)), b.Input("y", onnx.Float32, onnx.Size(2))
	b.Output("loss", b.ReduceSum(b.Add(x, b.Scale(y, 3)), false))
	m, err := Spec{Precision: FP16}.gradient(b.Model, "loss", []string{"x", "y"})
	if err != nil {
		t.Fatal(err)
	}
	out := orttest.Run(t, m, map[string]*onnx.Tensor{
		"x": onnx.Floats("", []int64{2}, []float32{1, 2}), "y": onnx.Floats("", []int64{2}, []float32{3, 4}),
	})
	for name, want := range map[string][]float32{"x": {1, 1}, "y": {3, 3}} {
		near(t, name, out[grad.Prefix+name], want, 0)
	}
	near(t, "loss", out["loss"], []float32{24}, 0)
}

// TestWeightsAreCastAtLoad: a run has no cast of a weight left in it.
func TestWeightsAreCastAtLoad(t *testing.T) {
	g := openGolden(t, "v1_1-2x2", "io")
	g.spec.Precision = FP16
	m, err := Train(g.spec)
	if err != nil {
		t.Fatal(err)
	}
	weights, casts := map[string]bool{}, map[string]string{}
	for _, w := range m.Graph.Initializers {
		weights[w.Name] = true
	}
	for _, n := range m.Graph.Nodes {
		if n.Op == "Cast" && n.Int("to", 0) == int64(onnx.Float16) {
			casts[n.Name] = n.Inputs[0]
		}
	}
	dir := t.TempDir()
	s, err := orttest.Runtime(t).Load(t.Context(), m, ort.Config{Profile: filepath.Join(dir, "trace")})
	if err != nil {
		t.Fatal(err)
	}
	in, out := map[string]*ort.Tensor{}, map[string]*ort.Tensor{"grad.prompts": nil}
	values := g.inputs(m)
	g.weigh(values, "mean")
	for name, v := range values {
		if in[name], err = ort.FromONNX(v); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(s.Run(t.Context(), in, out), s.Close()); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("traces %v, %v", files, err)
	}
	trace, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	ran, err := ort.Placement(trace)
	if err != nil {
		t.Fatal(err)
	}
	products := 0
	for _, p := range ran {
		if x := casts[p.Node]; weights[x] {
			t.Errorf("%v casts weight %s in a run", p, x)
		}
		if isProductOp[p.Op] || p.Op == "FusedMatMul" {
			products++
		}
	}
	if len(casts) == 0 || products == 0 {
		t.Errorf("%d casts in the graph, %d products run: the test shows nothing", len(casts), products)
	}
}
