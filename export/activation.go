package export

import "math"

// activations has the non-linearities of models.Config.Activation
// (transformers activations.py, ACT2FN).
var activations = map[string]func(g *t5, x string) string{
	"relu":       func(g *t5, x string) string { return g.Relu(x) },
	"relu2":      func(g *t5, x string) string { r := g.Relu(x); return g.Mul(r, r) },
	"relu6":      relu6,
	"leaky_relu": func(g *t5, x string) string { return g.Max(x, g.Scale(x, 0.01)) },

	"gelu":       gelu,
	"gelu_10":    func(g *t5, x string) string { return g.Max(g.Min(gelu(g, x), g.Float(10, x)), g.Float(-10, x)) },
	"gelu_new":   func(g *t5, x string) string { return g.FastGelu(x) },
	"quick_gelu": func(g *t5, x string) string { return g.Mul(x, g.Sigmoid(g.Scale(x, 1.702))) },

	"silu":      func(g *t5, x string) string { return g.Mul(x, g.Sigmoid(x)) },
	"hardswish": func(g *t5, x string) string { return g.Mul(x, g.Scale(relu6(g, g.Add(x, g.Float(3, x))), 1./6)) },
	"mish":      func(g *t5, x string) string { return g.Mul(x, g.Tanh(softplus(g, x))) },

	"sigmoid":      func(g *t5, x string) string { return g.Sigmoid(x) },
	"tanh":         func(g *t5, x string) string { return g.Tanh(x) },
	"laplace":      func(g *t5, x string) string { return normalCDF(g, x, 0.707107, 0.282095) },
	"sqrtsoftplus": sqrtSoftplus,
	"linear":       func(g *t5, x string) string { return x },
}

// gelu returns x·Φ(x), the form with erf.
func gelu(g *t5, x string) string { return g.Mul(x, normalCDF(g, x, 0, 1)) }

// normalCDF returns Φ((x−mean)/deviation) = ½(1 + erf((x−mean)/(√2·deviation))).
func normalCDF(g *t5, x string, mean, deviation float64) string {
	if mean != 0 {
		x = g.Sub(x, g.Float(mean, x))
	}
	return g.Scale(g.Add(g.Erf(g.Scale(x, 1/(math.Sqrt2*deviation))), g.Float(1, x)), 0.5)
}

func relu6(g *t5, x string) string { return g.Min(g.Relu(x), g.Float(6, x)) }

// softplus returns log(1+eˣ) as max(x,0) + log(1+e^−|x|), which cannot
// overflow.
func softplus(g *t5, x string) string {
	return g.Add(g.Relu(x), g.Log(g.Add(g.Exp(g.Neg(g.Abs(x))), g.Float(1, x))))
}

// sqrtSoftplus returns √log(1+eˣ). Where x is far below 0 the sum 1+eˣ has no
// digits left for eˣ, and the root of what remains no slope: there it is e^(x/2).
func sqrtSoftplus(g *t5, x string) string {
	edge := g.Float(-8, x)
	near := g.Sqrt(softplus(g, g.Max(x, edge)))
	far := g.Exp(g.Scale(g.Min(x, edge), 0.5))
	return g.Where(g.Less(x, edge), far, near)
}
