package export

import "math"

// activations has the non-linearities that a configuration may name
// (transformers activations.py, ACT2FN).
var activations = map[string]func(g *t5, x string) string{
	"relu":     func(g *t5, x string) string { return g.Relu(x) },
	"gelu_new": func(g *t5, x string) string { return g.FastGelu(x) },
	"gelu": func(g *t5, x string) string {
		cdf := g.Add(g.Erf(g.Scale(x, math.Sqrt2/2)), g.Float(1, x))
		return g.Mul(g.Scale(x, 0.5), cdf)
	},
	"silu":    func(g *t5, x string) string { return g.Mul(x, g.Sigmoid(x)) },
	"sigmoid": func(g *t5, x string) string { return g.Sigmoid(x) },
	"tanh":    func(g *t5, x string) string { return g.Tanh(x) },
	"linear":  func(g *t5, x string) string { return x },
}
