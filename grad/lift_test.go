package grad

import (
	"fmt"
	"slices"
	"testing"

	"softprompt/onnx"
	"softprompt/onnx/ort"
	"softprompt/onnx/ort/orttest"
)

// TestLift: a model of an older opset computes the same at 18, and its
// gradient agrees with differences of the old model.
func TestLift(t *testing.T) {
	type attrs = []onnx.Attr
	i, is := onnx.IntAttr, onnx.IntsAttr
	x := onnx.Doubles("x", []int64{2, 3, 4}, wave(24))
	for _, tc := range []struct {
		name   string
		opsets []int64
		node   onnx.Node
		dims   []int64 // of x, if not [2,3,4]
	}{
		{name: "Squeeze", opsets: []int64{11, 12}, node: onnx.Node{Op: "Squeeze", Attrs: attrs{is("axes", 0, 2)}}, dims: []int64{1, 12, 1, 2}},
		{name: "Squeeze all", opsets: []int64{11, 12, 13}, node: onnx.Node{Op: "Squeeze"}, dims: []int64{1, 12, 1, 2}},
		{name: "Unsqueeze", opsets: []int64{11, 12}, node: onnx.Node{Op: "Unsqueeze", Attrs: attrs{is("axes", 0, 3)}}},
		{name: "ReduceSum", opsets: []int64{11, 12}, node: onnx.Node{Op: "ReduceSum", Attrs: attrs{is("axes", 1), i("keepdims", 0)}}},
		{name: "ReduceSum all", opsets: []int64{11, 12, 13}, node: onnx.Node{Op: "ReduceSum"}},
		{name: "ReduceMean", opsets: []int64{11, 13, 17}, node: onnx.Node{Op: "ReduceMean", Attrs: attrs{is("axes", -1)}}},
		{name: "ReduceMax", opsets: []int64{12, 13, 17}, node: onnx.Node{Op: "ReduceMax", Attrs: attrs{is("axes", 0, 2), i("keepdims", 0)}}},
		{name: "ReduceLogSumExp", opsets: []int64{11, 13, 17}, node: onnx.Node{Op: "ReduceLogSumExp", Attrs: attrs{is("axes", 1)}}},
		{name: "ReduceSumSquare", opsets: []int64{11, 13, 17}, node: onnx.Node{Op: "ReduceSumSquare"}},
		{name: "Split", opsets: []int64{11, 12}, node: onnx.Node{Op: "Split", Attrs: attrs{is("split", 1, 3), i("axis", 2)}, Outputs: []string{"y", "z"}}},
		{name: "Split equally", opsets: []int64{11, 13, 17}, node: onnx.Node{Op: "Split", Attrs: attrs{i("axis", 2)}, Outputs: []string{"y", "z"}}},
		{name: "Softmax", opsets: []int64{11, 12}, node: onnx.Node{Op: "Softmax"}},
		{name: "Softmax axis 2", opsets: []int64{11, 12, 13}, node: onnx.Node{Op: "Softmax", Attrs: attrs{i("axis", 2)}}},
		{name: "Softmax axis -1", opsets: []int64{11, 12, 13}, node: onnx.Node{Op: "Softmax", Attrs: attrs{i("axis", -1)}}},
		{name: "Softmax axis 0", opsets: []int64{11, 12, 13}, node: onnx.Node{Op: "Softmax", Attrs: attrs{i("axis", 0)}}},
		{name: "LogSoftmax", opsets: []int64{11, 12, 13}, node: onnx.Node{Op: "LogSoftmax", Attrs: attrs{i("axis", 1)}}},
		{name: "Dropout", opsets: []int64{11, 12}, node: onnx.Node{Op: "Dropout"}},
		{name: "Dropout ratio", opsets: []int64{11}, node: onnx.Node{Op: "Dropout", Attrs: attrs{onnx.FloatAttr("ratio", 0.9)}}},
	} {
		for _, opset := range tc.opsets {
			t.Run(fmt.Sprintf("%s %d", tc.name, opset), func(t *testing.T) {
				in := *x
				if tc.dims != nil {
					in.Dims = tc.dims
				}
				n := tc.node
				n.Name, n.Inputs = "f", []string{"x"}
				if n.Outputs == nil {
					n.Outputs = []string{"y"}
				}
				old := onnx.NewModel("old")
				old.Opset[""] = opset
				old.Graph.Inputs = []onnx.Value{{Name: "x", Type: onnx.Float64, Shape: in.Shape()}}
				curve := onnx.Node{Name: "curve", Op: "Tanh", Inputs: []string{"y"}, Outputs: []string{"s"}}
				sum := onnx.Node{Name: "sum", Op: "ReduceSum", Inputs: []string{"s"}, Outputs: []string{"loss"}, Attrs: attrs{i("keepdims", 0)}}
				old.Graph.Nodes = []*onnx.Node{&n, &curve, &sum}
				old.Graph.Outputs = []onnx.Value{{Name: "y", Type: onnx.Float64}, {Name: "loss", Type: onnx.Float64, Shape: onnx.Shape{}}}
				before := string(must(old.Marshal())(t))

				lifted := must(lift(old))(t)
				if lifted.Opset[""] != 18 {
					t.Errorf("opset %d", lifted.Opset[""])
				}
				if string(must(old.Marshal())(t)) != before {
					t.Error("the model was changed")
				}
				feeds := map[string]*onnx.Tensor{"x": &in}
				want, got := run(t, old, feeds), run(t, lifted, feeds)
				near(t, "y", values(t, got["y"]), values(t, want["y"]), 1e-12)
				if !slices.Equal(got["y"].Dims, want["y"].Dims) {
					t.Errorf("shape %v, was %v", got["y"].Dims, want["y"].Dims)
				}
				slopes := differences(t, feeds, []string{"x"}, func(feeds map[string]*onnx.Tensor) func() float64 {
					s := orttest.Session(t, old, plain)
					return func() float64 {
						out := map[string]*ort.Tensor{"loss": nil}
						if err := s.Run(t.Context(), map[string]*ort.Tensor{"x": must(ort.FromONNX(feeds["x"]))(t)}, out); err != nil {
							t.Fatal(err)
						}
						return out["loss"].Float64s()[0]
					}
				})
				g := run(t, must(Reverse(old, "loss", []string{"x"}))(t), feeds)
				near(t, "gradient", values(t, g["grad.x"]), slopes["x"], 1e-8)
			})
		}
	}
}

// wave returns n different numbers without a pattern.
func wave(n int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = float64((i*7)%n)/float64(n)*3 - 1.5
	}
	return v
}

// TestLiftInside: graphs in nodes are lifted with the rest, wherever they are.
func TestLiftInside(t *testing.T) {
	branch := func(axis int64) *onnx.Graph {
		return &onnx.Graph{
			Name: "branch",
			Nodes: []*onnx.Node{{
				Name: "squeeze", Op: "Squeeze", Inputs: []string{"a"}, Outputs: []string{fmt.Sprint("b", axis)},
				Attrs: []onnx.Attr{onnx.IntsAttr("axes", axis)},
			}},
			Outputs: []onnx.Value{{Name: fmt.Sprint("b", axis), Type: onnx.Float32}},
		}
	}
	m := onnx.NewModel("if")
	m.Opset[""] = 11
	m.Graph.Inputs = []onnx.Value{
		{Name: "c", Type: onnx.Bool, Shape: onnx.Shape{}},
		{Name: "a", Type: onnx.Float32, Shape: onnx.Fixed(1, 1)},
		{Name: "x", Type: onnx.Float32, Shape: onnx.Fixed(1)},
	}
	m.Graph.Nodes = []*onnx.Node{
		{Name: "choose", Op: "If", Inputs: []string{"c"}, Outputs: []string{"b"}, Attrs: []onnx.Attr{
			{Name: "then_branch", Kind: onnx.AttrGraph, G: branch(0)}, {Name: "else_branch", Kind: onnx.AttrGraph, G: branch(1)},
		}},
		{Name: "mul", Op: "Mul", Inputs: []string{"b", "x"}, Outputs: []string{"loss"}},
	}
	m.Graph.Outputs = []onnx.Value{{Name: "loss", Type: onnx.Float32, Shape: onnx.Fixed(1)}}
	r := must(Reverse(m, "loss", []string{"x"}))(t)
	out := run(t, r, map[string]*onnx.Tensor{"c": {Type: onnx.Bool, Data: []byte{1}}, "a": onnx.Floats("", []int64{1, 1}, []float32{5}), "x": vector(2)})
	near(t, "x", values(t, out["grad.x"]), []float64{5}, 0)
	if a := m.Graph.Nodes[0].Attrs[0].G.Nodes[0].Attr("axes"); a == nil {
		t.Error("the graph inside the given model was changed")
	}
}

// TestNewerOpsets are left as they are.
func TestNewerOpsets(t *testing.T) {
	for opset := int64(18); opset <= 23; opset++ {
		b := small()
		b.Output("loss", b.ReduceSum(b.Mul("x", b.Reshape("x", b.ShapeOf("x"))), false))
		b.Model.Opset[""] = opset
		r := must(Reverse(b.Model, "loss", []string{"x"}))(t)
		if r.Opset[""] != opset {
			t.Errorf("opset %d became %d", opset, r.Opset[""])
		}
		out := run(t, r, map[string]*onnx.Tensor{"x": row(1, 2, 3)})
		near(t, "x", values(t, out["grad.x"]), []float64{2, 4, 6}, 0)
	}
}
