package exported

import (
	"fmt"
	"math"
	"slices"
)

// product is x · Wᵀ · alpha for a weight W [out,in].
type product struct {
	x      string
	weight *source
	alpha  float64
	node   string
}

// product reads a value as the product with a weight, in any form that
// exporters, optimisers and quantisers write. It is nil for what is none.
func (g *view) product(value string) (*product, error) {
	value = g.plain(value)
	m := g.maker(value)
	if p, ok := g.scaled(m, g.integerProduct); ok {
		return p, nil
	}
	if m.is("", "Reshape") { // around a Gemm, which takes matrices alone
		if inner := g.maker(g.plain(m.Input(0))); inner.is("", "Gemm") {
			m = inner
		}
	}
	form, ok := products[nameOf(m)]
	if !ok || m.output != 0 {
		return nil, nil
	}
	p, err := form(g, m)
	if p != nil {
		p.x, p.node = g.plain(p.x), m.Name
		p.weight.node = m.Name
	}
	return p, err
}

// products reads each operator that multiplies by a weight; nil for one that
// multiplies two computed values.
var products = map[string]func(g *view, m maker) (*product, error){
	"MatMul": func(g *view, m maker) (*product, error) {
		return g.times(m, 1, false)
	},
	"com.microsoft.FusedMatMul": func(g *view, m maker) (*product, error) {
		if m.Int("transA", 0)+m.Int("transBatchA", 0)+m.Int("transBatchB", 0) != 0 {
			return nil, nil
		}
		return g.times(m, float64(m.Float("alpha", 1)), m.Int("transB", 0) != 0)
	},
	"Gemm": func(g *view, m maker) (*product, error) {
		if m.Int("transA", 0) != 0 || m.Input(2) != "" {
			return nil, nil
		}
		p, err := g.times(m, float64(m.Float("alpha", 1)), m.Int("transB", 0) != 0)
		if around := g.maker(g.plain(m.Input(0))); p != nil && around.is("", "Reshape") {
			p.x = around.Input(0)
		}
		return p, err
	},
	"com.microsoft.DynamicQuantizeMatMul": func(g *view, m maker) (*product, error) {
		w := g.quantised(g.constant(m.Input(1)), m.Input(2), m.Input(3), 1)
		if w == nil || m.Input(4) != "" {
			return nil, fmt.Errorf("%v: its weight is no quantised constant, or it adds a bias", m.Node)
		}
		return &product{x: m.Input(0), weight: w.turn(), alpha: 1}, nil
	},
	"com.microsoft.MatMulIntegerToFloat": func(g *view, m maker) (*product, error) {
		x := g.maker(m.Input(0))
		w := g.quantised(g.constant(m.Input(1)), m.Input(3), m.Input(5), 1)
		if w == nil || m.Input(6) != "" || !x.is("", "DynamicQuantizeLinear") {
			return nil, fmt.Errorf("%v: its weight is no quantised constant, or it adds a bias", m.Node)
		}
		return &product{x: x.Input(0), weight: w.turn(), alpha: 1}, nil
	},
	"com.microsoft.MatMulNBits": func(g *view, m maker) (*product, error) {
		w, err := g.nbits(m)
		return &product{x: m.Input(0), weight: w, alpha: 1}, err
	},
	"com.microsoft.MatMulBnb4": func(g *view, m maker) (*product, error) {
		return nil, fmt.Errorf("%v: weights in bitsandbytes' 4 bits cannot be recovered; take the model in float32, fp16, int8 or q4", m.Node)
	},
}

// times is the product of the first operand and a weight, the second.
func (g *view) times(m maker, alpha float64, turned bool) (*product, error) {
	w := g.constant(m.Input(1))
	if w == nil || len(w.tensor.Dims) != 2 {
		return nil, nil
	}
	if !turned {
		w = w.turn()
	}
	return &product{x: m.Input(0), weight: w, alpha: alpha}, nil
}

// scaled looks through a Mul for a product on either side.
func (g *view) scaled(m maker, of func(value, factor string) *product) (*product, bool) {
	if !m.is("", "Mul") || len(m.Inputs) != 2 {
		return nil, false
	}
	for i := range 2 {
		if p := of(m.Input(i), m.Input(1-i)); p != nil {
			return p, true
		}
	}
	return nil, false
}

// integerProduct reads Cast(MatMulInteger(xq, Wq, …)) · (scale of x · scale of
// W), which dynamic quantisation writes.
func (g *view) integerProduct(value, factor string) *product {
	m := g.maker(g.plainCast(value))
	if !m.is("", "MatMulInteger") {
		return nil
	}
	x, scales := g.maker(m.Input(0)), g.maker(factor)
	if !x.is("", "DynamicQuantizeLinear") || !scales.is("", "Mul") {
		return nil
	}
	for i := range 2 {
		if scales.Input(i) != x.Output(1) {
			continue
		}
		if w := g.quantised(g.constant(m.Input(1)), scales.Input(1-i), m.Input(3), 1); w != nil {
			w = w.turn()
			w.node = m.Name
			return &product{x: g.plain(x.Input(0)), weight: w, alpha: 1, node: m.Name}
		}
	}
	return nil
}

// plainCast goes back over one conversion from integers.
func (g *view) plainCast(value string) string {
	if m := g.maker(value); m.is("", "Cast") {
		return m.Input(0)
	}
	return value
}

// feedForward reads the input of wo: the activation of one product, or of one
// times another. It returns what they multiply.
func (w *walk) feedForward(hidden, layer string) (string, error) {
	leaves := map[string]*product{}
	if err := w.leaves(hidden, leaves, map[string]bool{}); err != nil {
		return "", err
	}
	var names []string
	for name := range leaves {
		names = append(names, name)
	}
	slices.Sort(names)
	roles, err := w.activation(hidden, names)
	if err != nil {
		return "", err
	}
	x := leaves[names[0]].x
	for i, role := range roles {
		p := leaves[names[i]]
		if p.alpha != 1 || p.x != x {
			return "", fmt.Errorf("node %s multiplies something else than the norm's output", p.node)
		}
		if err := w.found(layer+".DenseReluDense."+role+".weight", p.weight); err != nil {
			return "", err
		}
	}
	return x, nil
}

// leaves collects the products that elementwise arithmetic starts from.
func (w *walk) leaves(value string, into map[string]*product, seen map[string]bool) error {
	value = w.plain(value)
	if seen[value] {
		return nil
	}
	seen[value] = true
	p, err := w.product(value)
	if err != nil {
		return err
	}
	if p != nil {
		into[value] = p
		return nil
	}
	if w.consts[value] != nil {
		return nil
	}
	m := w.maker(value)
	if functions[nameOf(m)] == nil {
		return fmt.Errorf("%s where the feed-forward layer's products or its activation were wanted", w.describe(value))
	}
	n := len(m.Inputs)
	if k, ok := operands[nameOf(m)]; ok {
		n = min(n, k)
	}
	for _, in := range m.Inputs[:n] {
		if in == "" {
			continue
		}
		if err := w.leaves(in, into, seen); err != nil {
			return err
		}
	}
	return nil
}

// activation computes the hidden activation for some numbers in place of the
// products, and returns which weight each of them is of: wi, or wi_0, which is
// activated, and wi_1.
func (w *walk) activation(hidden string, products []string) ([]string, error) {
	want := 1
	if w.config.Gated {
		want = 2
	}
	if len(products) != want {
		return nil, fmt.Errorf("the feed-forward layer has %d products before wo, wanted %d by config.json", len(products), want)
	}
	// Points on both sides of 0, the second operand of a gate independent.
	var at, gate []float64
	for i := range 129 {
		at = append(at, float64(i-64)/4)
		gate = append(gate, float64(i*37%129-64)/32)
	}
	orders := [][]string{{"wi"}}
	if want == 2 {
		orders = [][]string{{"wi_0", "wi_1"}, {"wi_1", "wi_0"}}
	}
	is := "no activation that is known"
	for _, roles := range orders {
		known := map[string][]float64{}
		for i, role := range roles {
			known[products[i]] = at
			if role == "wi_1" {
				known[products[i]] = gate
			}
		}
		got, err := (&evaluation{g: w.view, known: known}).eval(hidden)
		if err != nil {
			return nil, err
		}
		for name, f := range referenceActivations {
			if !computes(got, at, gate, f, want == 2) {
				continue
			}
			if name == w.config.Activation {
				return roles, nil
			}
			is = name
		}
	}
	return nil, fmt.Errorf("the feed-forward layer computes %s, wanted %s by config.json", is, w.config.Activation)
}

// activationTolerance tells the two forms of gelu apart, which differ by up to
// 5e-4, and bears constants in float16.
const activationTolerance = 1e-4

// computes tells whether got is f(at), times gate if it is gated.
func computes(got, at, gate []float64, f func(float64) float64, gated bool) bool {
	if len(got) != len(at) {
		return false
	}
	for i, x := range at {
		want := f(x)
		if gated {
			want *= gate[i]
		}
		if !(math.Abs(got[i]-want) <= activationTolerance*max(1, math.Abs(want))) {
			return false
		}
	}
	return true
}

// referenceActivations has the activations that a configuration may name.
var referenceActivations = map[string]func(x float64) float64{
	"relu":       func(x float64) float64 { return max(x, 0) },
	"relu2":      func(x float64) float64 { return max(x, 0) * max(x, 0) },
	"relu6":      func(x float64) float64 { return min(max(x, 0), 6) },
	"leaky_relu": func(x float64) float64 { return max(x, 0.01*x) },

	"gelu":       geluErf,
	"gelu_10":    func(x float64) float64 { return max(min(geluErf(x), 10), -10) },
	"gelu_new":   geluTanh,
	"quick_gelu": func(x float64) float64 { return x * sigmoid(1.702*x) },

	"silu":      func(x float64) float64 { return x * sigmoid(x) },
	"hardswish": func(x float64) float64 { return x * min(max(x+3, 0), 6) / 6 },
	"mish":      func(x float64) float64 { return x * math.Tanh(math.Log1p(math.Exp(x))) },

	"sigmoid":      sigmoid,
	"tanh":         math.Tanh,
	"laplace":      func(x float64) float64 { return 0.5 * (1 + math.Erf((x-0.707107)/(0.282095*math.Sqrt2))) },
	"sqrtsoftplus": func(x float64) float64 { return math.Sqrt(math.Log1p(math.Exp(x))) },
	"linear":       func(x float64) float64 { return x },
}
