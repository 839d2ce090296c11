package grad

import (
	"slices"
	"strings"
	"testing"

	"softprompt/onnx"
	"softprompt/onnx/ort"
)

// TestRecomputeLeaves has layers that are left as they are.
func TestRecomputeLeaves(t *testing.T) {
	d := onnx.Size(8)
	graph := func(layer func(g *testGraph, x string) string) *testGraph {
		g := newTestGraph(onnx.Float32, false)
		x := g.input("x", []int64{4, 8}, onnx.Sym("B"), d)
		g.Block = "stack.0"
		x = layer(g, x)
		g.Block = ""
		g.Output("loss", g.ReduceMean(g.Mul(x, g.Sin(x)), false))
		return g
	}
	for name, tc := range map[string]struct {
		layer func(g *testGraph, x string) string
		want  []string // operators that run again
	}{
		"nothing that the gradient reads": {func(g *testGraph, x string) string {
			return g.MatMul(g.Add(x, g.weight("b", 8)), g.weight("w", 8, 8))
		}, nil},
		"a small value from a large one that is not needed": {func(g *testGraph, x string) string {
			wide := g.MatMul(x, g.weight("w", 8, 512))
			g.Block = "stack.1"
			return g.Neg(g.Exp(g.MatMul(wide, g.weight("v", 512, 8))))
		}, nil},
		"a value that another reads": {func(g *testGraph, x string) string {
			y := g.Exp(g.Exp(x))
			g.Block = ""
			return g.Mul(y, y)
		}, []string{"Exp"}},
		"an output of the graph": {func(g *testGraph, x string) string {
			y := g.Exp(x)
			g.Output(y, y)
			return g.Tanh(g.MatMul(g.Exp(y), g.weight("w", 8, 8)))
		}, []string{"Exp"}},
		"random numbers": {func(g *testGraph, x string) string {
			noise := g.Op("RandomNormalLike", []string{x}, onnx.FloatAttr("seed", 1))
			return g.Neg(g.Exp(g.Neg(g.Mul(x, noise))))
		}, []string{"Exp", "Mul", "Neg"}},
		"constants": {func(g *testGraph, x string) string {
			return g.Neg(g.Exp(g.Mul(x, g.Exp(g.weight("w", 8)))))
		}, []string{"Exp", "Mul"}},
		"a whole number": {func(g *testGraph, x string) string {
			at := g.Input("at", onnx.Int64, onnx.Sym("B"))
			g.feeds["at"] = onnx.Longs("", []int64{4}, []int64{2, 0, 1, 3})
			table := g.Mul(g.Gather(g.weight("table", 4, 8), at, 0), g.Gather(g.weight("more", 4, 8), at, 0))
			return g.Neg(g.Mul(table, x))
		}, []string{"Gather", "Gather", "Mul"}},
		"a graph inside": {func(g *testGraph, x string) string {
			branch := func(op string) *onnx.Graph {
				return &onnx.Graph{
					Name:    op,
					Nodes:   []*onnx.Node{{Op: op, Inputs: []string{"inside"}, Outputs: []string{op + "ed"}}},
					Outputs: []onnx.Value{{Name: op + "ed", Type: onnx.Float32}},
				}
			}
			g.Alias("inside", g.Abs(g.input("other", []int64{4, 8}, onnx.Sym("B"), d)))
			g.Model.Graph.Nodes[len(g.Model.Graph.Nodes)-1].Block = g.Block
			positive := g.Greater(g.ReduceSum("inside", false), g.Float(0, "inside"))
			scale := g.Op("If", []string{positive},
				onnx.Attr{Name: "then_branch", Kind: onnx.AttrGraph, G: branch("Exp")},
				onnx.Attr{Name: "else_branch", Kind: onnx.AttrGraph, G: branch("Neg")})
			return g.Neg(g.Mul(scale, x))
		}, []string{"Abs", "Greater", "Identity", "If", "ReduceSum"}},
	} {
		g := graph(tc.layer)
		plain := reversed(t, g, "x")
		m := must(Recompute(plain, nil))(t)
		var got []string
		for _, n := range again(m) {
			got = append(got, n.Op)
		}
		if slices.Sort(got); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v run again, want %v", name, got, tc.want)
		}
		if len(tc.want) == 0 && m != plain {
			t.Errorf("%s: there is nothing to do, and a new model came out", name)
		}
		if !strings.Contains(name, "random") {
			for _, level := range []ort.Level{ort.LevelNone, ort.LevelBasic} {
				sameBytes(t, name, m, plain, g.feeds, level)
			}
		}
	}
}
