package grad

import (
	"slices"
	"testing"

	"softprompt/onnx"
)

// readers is a graph in which several products read one value h [2,5,3], each
// as (aᵢ·hᵀ)·h with aᵢ [2,mᵢ,3], so that its gradient is a sum of products.
func readers(dtype onnx.DType, lengths ...int64) *testGraph {
	g := newTestGraph(dtype, true)
	h := g.Tanh(g.input("h", []int64{2, 5, 3}, onnx.Sym("B"), onnx.Sym("E"), onnx.Size(3)))
	var sums []string
	for i, m := range lengths {
		name := string(rune('a' + i))
		a := g.input(name, []int64{2, m, 3}, onnx.Sym("B"), onnx.Size(m), onnx.Size(3))
		y := g.MatMul(g.FusedMatMul(a, h, false, true, 0.5), h)
		sums = append(sums, g.ReduceSum(g.Mul(y, y), false))
	}
	loss := sums[0]
	for _, s := range sums[1:] {
		loss = g.Add(loss, s)
	}
	g.Output("loss", loss)
	return g
}

// transposed counts the products AᵀB among the gradient nodes.
func transposed(m *onnx.Model) (n int) {
	for _, node := range m.Graph.Nodes {
		if node.From != "" && node.Op == "FusedMatMul" && node.Int("transA", 0) == 1 {
			n++
		}
	}
	return n
}

// TestJoin: the products in the gradient of a value become one for each factor,
// and it is still the gradient.
func TestJoin(t *testing.T) {
	for _, lengths := range [][]int64{{4}, {4, 1}, {2, 7, 3, 1}} {
		g := readers(onnx.Float32, lengths...)
		wrt := []string{"h"}
		m := must(Reverse(g.Model, "loss", wrt))(t)
		if want := 2; transposed(m) != want { // that of the scores, with the factor ½, and that of the values
			t.Errorf("lengths %v: %d products, want %d", lengths, transposed(m), want)
		}
		if err := onnx.Validate(m); err != nil {
			t.Error(err)
		}
		checkGradients(t, g, m, wrt)
	}
}

// TestJoinKeeps: a product that something else reads, too, and a sum that is
// itself asked for stay as they are.
func TestJoinKeeps(t *testing.T) {
	g := readers(onnx.Float32, 4, 2)
	tanh := g.Model.Graph.Nodes[0].Output(0)
	wrt := []string{"h", tanh, "a"}
	m := must(Reverse(g.Model, "loss", wrt))(t)
	if !slices.ContainsFunc(m.Graph.Outputs, func(v onnx.Value) bool { return v.Name == Prefix+tanh }) {
		t.Errorf("outputs %v", m.Graph.Outputs)
	}
	checkGradients(t, g, m, []string{"h", "a"})
}

// checkGradients holds the outputs of a derived model against differences.
func checkGradients(t *testing.T, g *testGraph, m *onnx.Model, wrt []string) {
	t.Helper()
	out := run(t, m, g.feeds)
	want := differences(t, g.feeds, wrt, func(feeds map[string]*onnx.Tensor) func() float64 {
		return func() float64 { return values(t, run(t, g.Model, feeds)["loss"])[0] }
	})
	for _, name := range wrt {
		near(t, name, values(t, out[Prefix+name]), want[name], 1e-2)
	}
}
