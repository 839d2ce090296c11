package exported

import (
	"fmt"
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
	if p == nil || err != nil {
		return nil, err
	}
	p.x, p.node, p.weight.node = g.plain(p.x), m.Name, m.Name
	return p, nil
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
