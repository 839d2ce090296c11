package grad

import (
	"testing"

	"softprompt/onnx"
)

// heads is an attention of q on k and v [2,2,L,3], with a mask on the
// probabilities if it is wanted, and again their sum of squares in the loss if
// others read them.
func heads(mask, others bool) *testGraph {
	g := newTestGraph(onnx.Float32, true)
	shape := func(l string) []onnx.Dim {
		return []onnx.Dim{onnx.Sym("B"), onnx.Size(2), onnx.Sym(l), onnx.Size(3)}
	}
	q := g.input("q", []int64{2, 2, 4, 3}, shape("Q")...)
	k := g.input("k", []int64{2, 2, 5, 3}, shape("L")...)
	v := g.input("v", []int64{2, 2, 5, 3}, shape("L")...)
	p := g.Softmax(g.FusedMatMul(q, k, false, true, 1), -1)
	probabilities := p
	if mask {
		p = g.Mul(p, g.input("mask", []int64{2, 2, 1, 5}, onnx.Sym("B"), onnx.Size(2), onnx.Size(1), onnx.Sym("L")))
	}
	o := g.MatMul(p, v)
	loss := g.ReduceSum(g.Mul(o, g.Mul(o, o)), false)
	if others {
		loss = g.Add(loss, g.ReduceSum(g.Mul(probabilities, probabilities), false))
	}
	g.Output("loss", loss)
	return g
}

// TestAttended: the gradient of an attention is right however its softmax gets
// its sum, and where only the values read the probabilities, the sum goes over
// the width of a head.
func TestAttended(t *testing.T) {
	for _, c := range []struct {
		name         string
		mask, others bool
		passes       int // subtractions in the softmax's gradient of a [..,1]
	}{
		{"values alone", false, false, 1},
		{"dropout", true, false, 1},
		{"read twice", false, true, 0},
		{"read twice behind dropout", true, true, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := heads(c.mask, c.others)
			wrt := []string{"q", "k", "v"}
			m := must(Reverse(g.Model, "loss", wrt))(t)
			b := onnx.NewBuilder(m)
			narrow := 0
			for _, n := range m.Graph.Nodes {
				if n.Op != "Sub" || n.From == "" {
					continue
				}
				if s := b.Shape(n.Input(1)); len(s) == 4 && s[3].Size == 1 {
					narrow++
				}
			}
			if narrow != c.passes {
				t.Errorf("%d subtractions of a sum, want %d", narrow, c.passes)
			}
			checkGradients(t, g, m, wrt)
		})
	}
}
