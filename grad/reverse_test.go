package grad

import (
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"softprompt/onnx"
	"softprompt/onnx/hint"
)

var update = flag.Bool("update", false, "write the golden files")

// small returns a builder with an input x float32[B,3].
func small() *onnx.Builder {
	b := onnx.NewBuilder(onnx.NewModel("small"))
	b.Input("x", onnx.Float32, onnx.Sym("B"), onnx.Size(3))
	return b
}

// named gives the last node and its output a name.
func named(b *onnx.Builder, name, value string) string {
	last := b.Model.Graph.Nodes[len(b.Model.Graph.Nodes)-1]
	last.Name = name
	return value
}

// TestErrors keeps what a user reads, with the hint, in a golden file.
func TestErrors(t *testing.T) {
	cases := []struct {
		name string
		make func(b *onnx.Builder) (loss string, wrt []string)
	}{
		{"operator without a derivative", func(b *onnx.Builder) (string, []string) {
			h := named(b, "first", b.Mul("x", "x"))
			h = named(b, "/layer/Erfinv", b.Op("Erfinv", []string{h}))
			b.Output("loss", b.ReduceMean(h, false))
			return "loss", []string{"x"}
		}},
		{"contrib operator, behind a long way", func(b *onnx.Builder) (string, []string) {
			h := "x"
			for i := range 12 {
				h = named(b, fmt.Sprintf("layer.%d", i), b.Tanh(h))
			}
			h = named(b, "strange", b.Op("com.microsoft.Strange", []string{h}))
			b.Output("loss", b.ReduceMean(h, false))
			return "loss", []string{"x"}
		}},
		{"unknown domain, and others", func(b *onnx.Builder) (string, []string) {
			b.Model.Opset["ai.onnx.contrib"] = 3
			b.Append(&onnx.Node{Name: "blend", Op: "Blend", Domain: "ai.onnx.contrib", Inputs: []string{b.Op("Erfinv", []string{b.Op("LRN", []string{"x"})})}, Outputs: []string{"blended"}})
			b.Output("loss", b.ReduceMean("blended", false))
			return "loss", []string{"x"}
		}},
		{"quantised, with a way around", func(b *onnx.Builder) (string, []string) {
			q := named(b, "/wi/MatMul_quant", b.OpN("DynamicQuantizeLinear", 3, []string{b.Tanh("x")})[0])
			h := b.Mul(b.Cast(q, onnx.Float32), b.Float(0.1, "x"))
			b.Output("loss", b.ReduceMean(b.Add("x", h), false))
			return "loss", []string{"x"}
		}},
		{"graph in a node", func(b *onnx.Builder) (string, []string) {
			cond := b.Const(&onnx.Tensor{Type: onnx.Bool, Data: []byte{1}})
			branch := func(op string) *onnx.Graph {
				return &onnx.Graph{
					Name: op, Nodes: []*onnx.Node{{Op: op, Inputs: []string{"x"}, Outputs: []string{op}}},
					Outputs: []onnx.Value{{Name: op, Type: onnx.Float32}},
				}
			}
			b.Append(&onnx.Node{Name: "choice", Op: "If", Inputs: []string{cond}, Outputs: []string{"chosen"}, Attrs: []onnx.Attr{
				{Name: "then_branch", Kind: onnx.AttrGraph, G: branch("Tanh")}, {Name: "else_branch", Kind: onnx.AttrGraph, G: branch("Neg")},
			}})
			b.Output("loss", b.ReduceMean("chosen", false))
			return "loss", []string{"x"}
		}},
		{"input without a gradient", func(b *onnx.Builder) (string, []string) {
			ratio := b.Input("ratio", onnx.Float32)
			on := b.Const(&onnx.Tensor{Type: onnx.Bool, Data: []byte{1}})
			b.Output("loss", b.ReduceMean(b.Op("Dropout", []string{"x", ratio, on}), false))
			return "loss", []string{"ratio"}
		}},
		{"form that is not covered", func(b *onnx.Builder) (string, []string) {
			y := b.Op("ScatterElements", []string{"x", b.Const(onnx.Longs("", []int64{1, 1}, []int64{0})), b.SliceTo("x", 0, 1, 1)}, onnx.StringAttr("reduction", "max"))
			b.Output("loss", b.ReduceMean(y, false))
			return "loss", []string{"x"}
		}},
		{"rank not known", func(b *onnx.Builder) (string, []string) {
			b.Model.Graph.Inputs[0].Shape = nil
			*b = *onnx.NewBuilder(b.Model)
			b.Output("loss", b.ReduceMean(b.Gather("x", b.Ints(0), 1), false))
			return "loss", []string{"x"}
		}},
		{"loss with many elements", func(b *onnx.Builder) (string, []string) {
			b.Output("loss", b.ReduceMean("x", false, 1))
			return "loss", []string{"x"}
		}},
		{"loss of integers", func(b *onnx.Builder) (string, []string) {
			b.Output("loss", b.ArgMax(b.ReduceMean("x", true), 0, false))
			return "loss", []string{"x"}
		}},
		{"no such loss", func(b *onnx.Builder) (string, []string) { b.Output("y", b.Tanh("x")); return "loss", []string{"x"} }},
		{"no such value", func(b *onnx.Builder) (string, []string) {
			b.Output("loss", b.ReduceMean("x", false))
			return "loss", []string{"prompt"}
		}},
		{"no path", func(b *onnx.Builder) (string, []string) {
			class := b.Cast(b.ArgMax("x", 1, false), onnx.Float32)
			b.Output("loss", b.ReduceMean(class, false))
			return "loss", []string{"x"}
		}},
		{"nothing named", func(b *onnx.Builder) (string, []string) {
			b.Output("loss", b.ReduceMean("x", false))
			return "loss", nil
		}},
		{"named twice", func(b *onnx.Builder) (string, []string) {
			b.Output("loss", b.ReduceMean("x", false))
			return "loss", []string{"x", "x"}
		}},
		{"name taken", func(b *onnx.Builder) (string, []string) {
			b.Output("grad.x", b.Tanh("x"))
			b.Output("loss", b.ReduceMean("grad.x", false))
			return "loss", []string{"x"}
		}},
		{"opset too old", func(b *onnx.Builder) (string, []string) {
			b.Output("loss", b.ReduceMean("x", false))
			b.Model.Opset[""] = 9
			return "loss", []string{"x"}
		}},
		{"opset too new", func(b *onnx.Builder) (string, []string) {
			b.Output("loss", b.ReduceMean("x", false))
			b.Model.Opset[""] = 99
			return "loss", []string{"x"}
		}},
		{"lost in an upgrade", func(b *onnx.Builder) (string, []string) {
			y := named(b, "norm", b.OpN("BatchNormalization", 5, []string{"x", b.Weight(onnx.Floats("s", []int64{3}, make([]float32, 3))), "s", "s", "s"})[0])
			b.Output("loss", b.ReduceMean(y, false))
			b.Model.Opset[""] = 12
			return "loss", []string{"x"}
		}},
	}
	var got strings.Builder
	for _, tc := range cases {
		b := small()
		loss, wrt := tc.make(b)
		if err := b.Err(); err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		m, err := Reverse(b.Model, loss, wrt)
		if err == nil || m != nil {
			t.Errorf("%s: no error", tc.name)
			continue
		}
		fmt.Fprintf(&got, "# %s\n%v\n", tc.name, err)
		if h := hint.Of(err); h != "" {
			fmt.Fprintf(&got, "hint: %s\n", h)
		}
		got.WriteString("\n")
	}
	file := filepath.Join("testdata", "errors.txt")
	if *update {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("errors differ from %s (-want +got):\n%s", file, diff)
	}
}

func vector(v ...float32) *onnx.Tensor { return onnx.Floats("", []int64{int64(len(v))}, v) }

func row(v ...float32) *onnx.Tensor { return onnx.Floats("", []int64{1, int64(len(v))}, v) }

// TestUnreachedValues: zeros for one, in its shape, beside one that counts.
func TestUnreachedValues(t *testing.T) {
	b := small()
	b.Input("unused", onnx.Float32, onnx.Sym("B"))
	b.Weight(onnx.Floats("w", []int64{2, 2}, []float32{1, 2, 3, 4}))
	b.Output("class", b.ArgMax(b.MatMul(b.SliceTo("x", 0, 2, 1), "w"), 1, false))
	b.Output("loss", b.ReduceSum(b.Mul("x", "x"), false))
	r := must(Reverse(b.Model, "loss", []string{"unused", "w", "x"}))(t)
	out := run(t, r, map[string]*onnx.Tensor{"x": row(1, 2, 3), "unused": vector(7)})
	near(t, "unused", values(t, out["grad.unused"]), []float64{0}, 0)
	near(t, "w", values(t, out["grad.w"]), []float64{0, 0, 0, 0}, 0)
	near(t, "x", values(t, out["grad.x"]), []float64{2, 4, 6}, 0)
	if v := out["class"]; v == nil || v.Type != onnx.Int64 {
		t.Errorf("the output class is %v", v)
	}
}

// TestInteriorValues: gradients in the loss itself, in an output, and in
// values on the way, also where one depends on another.
func TestInteriorValues(t *testing.T) {
	b := small()
	h := b.Scale("x", 2)
	y := b.Mul(h, h)
	b.Output("y", y)
	b.Output("loss", b.ReduceSum("y", false))
	r := must(Reverse(b.Model, "loss", []string{"loss", "y", y, h, "x"}))(t)
	out := run(t, r, map[string]*onnx.Tensor{"x": row(1, 2, 3)})
	for name, want := range map[string][]float64{"loss": {1}, "y": {1, 1, 1}, y: {1, 1, 1}, h: {4, 8, 12}, "x": {8, 16, 24}} {
		near(t, name, values(t, out["grad."+name]), want, 0)
	}
	want := []string{"y", "loss", "grad.loss", "grad.y", "grad." + y, "grad." + h, "grad.x"}
	var got []string
	for _, v := range r.Graph.Outputs {
		got = append(got, v.Name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("outputs (-want +got):\n%s", diff)
	}
	if v := r.Graph.Outputs[6]; v.Type != onnx.Float32 || v.Shape.String() != "[B,3]" {
		t.Errorf("the gradient in x is declared as %v", v)
	}
}

// TestSeed: the cotangent is an input, for any value and shape.
func TestSeed(t *testing.T) {
	b := small()
	b.Output("y", b.Mul("x", "x"))
	r := must(Reverse(b.Model, "y", []string{"x"}, Seed("gy")))(t)
	out := run(t, r, map[string]*onnx.Tensor{"x": row(1, 2, 3), "gy": row(1, 0, -5)})
	near(t, "x", values(t, out["grad.x"]), []float64{2, 0, -30}, 0)
	if v := r.Graph.Inputs[1]; v.Name != "gy" || v.Shape.String() != "[B,3]" {
		t.Errorf("the seed is declared as %v", v)
	}
	if _, err := Reverse(b.Model, "y", []string{"x"}, Seed("x")); err == nil {
		t.Error("a seed with the name of an input")
	}
}

// TestLossShapes: one element, however it is declared.
func TestLossShapes(t *testing.T) {
	for _, shape := range []onnx.Shape{{}, onnx.Fixed(1), onnx.Fixed(1, 1), {onnx.Unknown}, nil} {
		b := onnx.NewBuilder(onnx.NewModel("loss"))
		b.Model.Graph.Inputs = []onnx.Value{{Name: "x", Type: onnx.Float32, Shape: shape}}
		b = onnx.NewBuilder(b.Model)
		b.Output("loss", b.Mul("x", "x"))
		r := must(Reverse(b.Model, "loss", []string{"x"}))(t)
		dims := []int64{1}
		if shape != nil {
			dims = make([]int64, len(shape))
			for i := range dims {
				dims[i] = 1
			}
		}
		out := run(t, r, map[string]*onnx.Tensor{"x": onnx.Floats("", dims, []float32{3})})
		near(t, shape.String(), values(t, out["grad.x"]), []float64{6}, 0)
		if got := out["grad.x"].Dims; !slices.Equal(got, dims) {
			t.Errorf("loss %v: gradient of shape %v", shape, got)
		}
	}
}

// TestNodesWithoutNames, as some exporters write them.
func TestNodesWithoutNames(t *testing.T) {
	b := small()
	b.Output("loss", b.ReduceSum(b.Exp("x"), false))
	for _, n := range b.Model.Graph.Nodes {
		n.Name = ""
	}
	r := must(Reverse(b.Model, "loss", []string{"x"}))(t)
	out := run(t, r, map[string]*onnx.Tensor{"x": row(0, 1, 2)})
	near(t, "x", values(t, out["grad.x"]), []float64{1, math.E, math.E * math.E}, 1e-6)
	for _, n := range r.Graph.Nodes[3:] {
		if n.From == "" {
			t.Errorf("%v does not say what it comes from", n)
		}
	}
}

// TestSecondDerivative: a gradient graph is a graph like any other.
func TestSecondDerivative(t *testing.T) {
	b := small()
	b.Output("loss", b.ReduceSum(b.Mul("x", b.Mul("x", "x")), false))
	m := must(Reverse(b.Model, "loss", []string{"x"}))(t)
	b = onnx.NewBuilder(m)
	h := b.Identity("x")
	b.Output("slope", b.ReduceSum(b.Mul("grad.x", h), false)) // 3x³
	m.Graph.Outputs = m.Graph.Outputs[2:]
	m = must(Reverse(m, "slope", []string{h}))(t)
	out := run(t, m, map[string]*onnx.Tensor{"x": row(1, 2, 3)})
	near(t, "with the gradient held", values(t, out["grad."+h]), []float64{3, 12, 27}, 1e-6)
}
