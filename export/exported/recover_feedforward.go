package exported

import (
	"fmt"
	"math"
	"slices"
)

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
			return "", fmt.Errorf("the products %s and %s are of different values, or scaled", leaves[names[0]].node, p.node)
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
