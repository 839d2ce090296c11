package export

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"softprompt/onnx"
)

// Lower rewrites a model with operators of the standard domain alone, for
// runtimes and providers that lack ONNX Runtime's own. Values keep their
// names; the given model is left as it is.
func Lower(m *onnx.Model) (*onnx.Model, error) {
	out, err := rewrite(m, func(b *onnx.Builder, n *onnx.Node) bool {
		lower, ok := lowerings[n.Op]
		if !ok {
			if n.Domain != "" {
				b.Fail(fmt.Errorf("no standard form of %v", n))
			}
			return false
		}
		for i, y := range lower(b, n) {
			if i < len(n.Outputs) && n.Outputs[i] != "" {
				b.Alias(n.Outputs[i], y)
			}
		}
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("lowering graph %s: %w", m.Graph.Name, err)
	}
	out.Opset = map[string]int64{"": m.Opset[""]}
	return out, nil
}

// rewrite copies a model node by node. change may write other nodes in place of
// one, with its outputs' names, and then returns true.
func rewrite(m *onnx.Model, change func(b *onnx.Builder, n *onnx.Node) bool) (*onnx.Model, error) {
	g, out := m.Graph, *m
	out.Opset = maps.Clone(m.Opset)
	out.Graph = &onnx.Graph{Name: g.Name, Inputs: slices.Clone(g.Inputs), Initializers: slices.Clone(g.Initializers)}
	b := onnx.NewBuilder(&out)
	for _, n := range g.Nodes {
		b.Reserve(n.Name)
		b.Reserve(n.Outputs...)
	}
	for _, n := range g.Nodes {
		b.Block, b.From = n.Block, n.From
		if !change(b, n) {
			c := *n
			b.Append(&c)
		}
	}
	out.Graph.Outputs = slices.Clone(g.Outputs)
	return &out, b.Err()
}

// lowerings says how each fused operator is written with standard ones. A
// function returns the values that stand for the node's outputs.
var lowerings = map[string]func(b *onnx.Builder, n *onnx.Node) []string{
	"FusedMatMul":                  lowerFusedMatMul,
	"SimplifiedLayerNormalization": lowerRMSNorm,
	"FastGelu":                     lowerFastGelu,
}

// Fused returns ONNX Runtime's own operators that graphs are written in unless
// Spec.Standard is set.
func Fused() []string { return slices.Sorted(maps.Keys(lowerings)) }

// lowerFusedMatMul writes alpha · op(x) op(y) as Transpose, MatMul and Mul.
func lowerFusedMatMul(b *onnx.Builder, n *onnx.Node) []string {
	operand := func(i int, flag string) string {
		x := n.Input(i)
		if n.Int(flag, 0) == 0 {
			return x
		}
		rank := len(b.Shape(x))
		perm := make([]int64, rank)
		for j := range perm {
			perm[j] = int64(j)
		}
		if rank < 2 {
			b.Fail(fmt.Errorf("lowering %v: cannot transpose %s of shape %v", n, x, b.Shape(x)))
			return ""
		}
		perm[rank-2], perm[rank-1] = perm[rank-1], perm[rank-2]
		return b.Transpose(x, perm...)
	}
	y := b.MatMul(operand(0, "transA"), operand(1, "transB"))
	return []string{b.Scale(y, float64(n.Float("alpha", 1)))}
}

// lowerRMSNorm writes x · inv · scale with inv = 1/√(mean(x²) + eps).
func lowerRMSNorm(b *onnx.Builder, n *onnx.Node) []string {
	x := n.Input(0)
	mean := b.ReduceMean(b.Mul(x, x), true, -1)
	inv := b.Reciprocal(b.Sqrt(b.Add(mean, b.Float(float64(n.Float("epsilon", 1e-5)), x))))
	return []string{b.Mul(b.Mul(x, inv), n.Input(1)), inv}
}

// lowerFastGelu writes 0.5x(1 + tanh(√(2/π)(x + 0.044715x³))).
func lowerFastGelu(b *onnx.Builder, n *onnx.Node) []string {
	x := n.Input(0)
	if bias := n.Input(1); bias != "" {
		x = b.Add(x, bias)
	}
	inner := b.Mul(x, b.Add(b.Scale(b.Mul(x, x), 0.044715), b.Float(1, x)))
	t := b.Tanh(b.Scale(inner, math.Sqrt(2/math.Pi)))
	return []string{b.Mul(b.Scale(x, 0.5), b.Add(t, b.Float(1, x)))}
}
