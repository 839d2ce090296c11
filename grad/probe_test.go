package grad

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"softprompt/onnx"
	"softprompt/onnx/ort"
	"softprompt/onnx/ort/orttest"
)

// probe compares the gradient of Σ w·y over all float outputs y of a model,
// with fixed random w, with differences along single elements and random
// directions.
type probe struct {
	model   *onnx.Model
	wrt     []string
	weights map[string]*onnx.Tensor
	forward *ort.Session
	back    *ort.Session // nil if the model has no gradient: it is 0
	point   map[string]*onnx.Tensor
	single  bool // float32 somewhere
	singles int  // how many elements of each input to move alone
}

// probeOf returns a probe in float64 or, where there are no kernels for that,
// in float32; nil and the reason if there are none for either.
func probeOf(t *testing.T, m *onnx.Model, wrt []string) (p *probe, why string) {
	for _, dtype := range []onnx.DType{onnx.Float64, onnx.Float32} {
		if p, why = newProbe(t, cast(t, m, dtype), wrt); p != nil {
			break
		}
	}
	return p, why
}

// newProbe returns nil and the reason if the runtime has no kernels for the
// model or its gradient.
func newProbe(t *testing.T, m *onnx.Model, wrt []string) (p *probe, why string) {
	p = &probe{model: m, wrt: wrt, weights: map[string]*onnx.Tensor{}, point: map[string]*onnx.Tensor{}, singles: 40}
	for _, x := range m.Graph.Initializers {
		if name, ok := strings.CutPrefix(x.Name, "example."); ok {
			p.point[name] = x
		}
	}
	for _, v := range m.Graph.Inputs {
		if x := p.point[v.Name]; x != nil && isFloat(v) && v.Type != x.Type {
			p.point[v.Name] = floats(v.Type, x.Dims, wide(t, x))
		}
	}
	var err error
	if p.forward, err = open(t, m); err != nil {
		return nil, "of the operator"
	}
	out, err := p.run(t, p.forward)
	if err != nil {
		return nil, "of the operator"
	}
	random := rand.New(rand.NewPCG(1, 2))
	for _, v := range m.Graph.Outputs {
		if y := out[v.Name]; isFloat(v) {
			w := make([]float64, y.Len()) // none so small that a kink could hide
			for i, element := range values(t, y) {
				if w[i] = (0.5 + random.Float64()) * float64(2*random.IntN(2)-1); !(math.Abs(element) < 1e20) {
					w[i] = 0
				}
			}
			p.weights[v.Name] = onnx.Doubles("", y.Dims, w)
			p.single = p.single || y.Type == onnx.Float32
		}
	}
	if len(wrt) == 0 {
		for _, v := range m.Graph.Inputs {
			if isFloat(v) {
				p.wrt = append(p.wrt, v.Name)
			}
		}
		return p, ""
	}
	r := must(Reverse(withSum(t, m, p.weights), total, wrt))(t)
	if p.back, err = open(t, r); err != nil {
		return nil, "of the gradient: " + err.Error()
	}
	derived := must(p.run(t, p.back))(t)
	for _, v := range m.Graph.Outputs {
		if isFloat(v) { // decomposed, it has to be what it was
			p.same(t, v.Name, values(t, derived[v.Name]), values(t, out[v.Name]))
		}
	}
	return p, ""
}

// same compares what the derived graph computes with what the model does.
// Masked scores are −∞ in one and about that in the other.
func (p *probe) same(t *testing.T, name string, got, want []float64) {
	for i, w := range want {
		off := math.Abs(got[i] - w)
		if finite(w) && math.Abs(w) < 1e20 && !(off <= 1e-4*max(1, math.Abs(w))) {
			t.Errorf("element %d of %s is %v in the derived graph, %v in the given one", i, name, got[i], w)
			return
		}
	}
}

func open(t *testing.T, m *onnx.Model) (*ort.Session, error) {
	s, err := orttest.Runtime(t).NewSession(t.Context(), must(m.Marshal())(t), plain)
	if err == nil {
		t.Cleanup(func() { s.Close() })
	}
	return s, err
}

func (p *probe) run(t *testing.T, s *ort.Session) (map[string]*onnx.Tensor, error) {
	in, out := map[string]*ort.Tensor{}, map[string]*ort.Tensor{}
	for name, x := range p.point {
		in[name] = must(ort.FromONNX(x))(t)
	}
	for _, y := range s.Outputs() {
		out[y.Name] = nil
	}
	if err := s.Run(t.Context(), in, out); err != nil {
		return nil, err
	}
	results := map[string]*onnx.Tensor{}
	for name, y := range out {
		results[name] = y.ONNX(name)
	}
	return results, nil
}

// value is Σ w·y. Elements that are infinite at the first point, or so large
// that nothing shows beside them, have no part in it.
func (p *probe) value(t *testing.T) float64 {
	sum := 0.0
	out := must(p.run(t, p.forward))(t)
	for _, v := range p.model.Graph.Outputs { // in order: sums round
		if w := p.weights[v.Name]; w != nil {
			weights := must(w.Float64s())(t)
			for i, v := range values(t, out[v.Name]) {
				if weights[i] != 0 {
					sum += weights[i] * v
				}
			}
		}
	}
	return sum
}

// compare moves the point away from kinks until the gradient there agrees
// with differences.
func (p *probe) compare(t *testing.T) outcome {
	if a, b := p.value(t), p.value(t); a != b && !math.IsNaN(a) {
		return outcome{skipped, "random"}
	}
	random := rand.New(rand.NewPCG(3, 4))
	for range 25 {
		moved := false
		g := p.gradient(t)
		for _, x := range p.wrt {
			kinks, err := p.agree(t, random, x, g[x])
			if err != nil {
				t.Error(err)
				return outcome{differs, err.Error()}
			}
			p.nudge(t, random, x, kinks)
			moved = moved || len(kinks) > 0
		}
		if !moved {
			return outcome{passed, ""}
		}
	}
	return outcome{skipped, "not smooth near the inputs of the test"}
}

// gradient returns the gradients at the point.
func (p *probe) gradient(t *testing.T) map[string][]float64 {
	g := map[string][]float64{}
	var out map[string]*onnx.Tensor
	if p.back != nil {
		out = must(p.run(t, p.back))(t)
	}
	for _, x := range p.wrt {
		if g[x] = make([]float64, p.point[x].Len()); p.back != nil {
			g[x] = values(t, out[Prefix+x])
		}
	}
	return g
}

// agree compares the gradient in one input with differences. It returns the
// elements at which the function is not smooth, and the gradient is not right.
func (p *probe) agree(t *testing.T, random *rand.Rand, x string, g []float64) (kinks []int, err error) {
	at := p.point[x]
	v := values(t, at)
	if len(g) != len(v) {
		return nil, fmt.Errorf("the gradient in %s has %d elements, want %d", x, len(g), len(v))
	}
	steps, tolerance := []float64{1e-4, 1e-5, 1e-6}, 1e-5 // a small step passes between kinks
	if p.single || at.Type == onnx.Float32 {
		steps, tolerance = []float64{1e-2}, 3e-3
	}
	const dense = 2
	order := random.Perm(len(v))
	singles := min(len(v), p.singles)
	for k := range singles + dense {
		direction, i := make([]float64, len(v)), -1
		if k < singles {
			i = order[k]
			direction[i] = 1
		} else {
			for j := range direction {
				direction[j] = random.NormFloat64()
			}
		}
		got := 0.0
		for j, d := range direction {
			if d != 0 && finite(v[j]) {
				got += g[j] * d
			}
		}
		var want, rough, off float64
		for _, step := range steps {
			want, rough = p.slope(t, x, v, direction, step)
			if off = math.Abs(got - want); off <= tolerance*max(1, math.Abs(want)) {
				break
			}
		}
		if off <= tolerance*max(1, math.Abs(want)) {
			continue
		}
		if !math.IsNaN(rough) && !(rough > off/4) { // no kink makes such a difference
			return nil, fmt.Errorf("along %d of %s the gradient is %v, differences are %v", i, x, got, want)
		}
		if i >= 0 {
			kinks = append(kinks, i)
		}
	}
	return kinks, nil
}

// slope returns the derivative of the value in a direction from v, by
// differences of fourth order. At a kink it is off by about as much as rough
// says: how much differences of second order with different steps differ, and
// those to either side.
func (p *probe) slope(t *testing.T, x string, v, direction []float64, step float64) (slope, rough float64) {
	at := p.point[x]
	f := func(h float64) float64 {
		moved := slices.Clone(v)
		for i := range moved {
			moved[i] += h * direction[i]
		}
		p.point[x] = floats(at.Type, at.Dims, moved)
		return p.value(t)
	}
	defer func() { p.point[x] = at }()
	middle, near, far := f(0), [2]float64{f(-step), f(step)}, [2]float64{f(-2 * step), f(2 * step)}
	d1, d2 := (near[1]-near[0])/(2*step), (far[1]-far[0])/(4*step)
	sides := (near[1] - 2*middle + near[0]) / step
	return (4*d1 - d2) / 3, max(math.Abs(d1-d2), math.Abs(sides))
}

// nudge moves elements by a little, but not to where the operator has no value.
func (p *probe) nudge(t *testing.T, random *rand.Rand, x string, elements []int) {
	size := 0.02
	if p.single || p.point[x].Type == onnx.Float32 {
		size = 0.2
	}
	for _, i := range elements {
		at := p.point[x]
		for range 8 {
			v := values(t, at)
			v[i] += size * (2*random.Float64() - 1)
			if p.point[x] = floats(at.Type, at.Dims, v); finite(p.value(t)) {
				break
			}
			p.point[x] = at
		}
	}
}

func finite(v float64) bool { return !math.IsInf(v, 0) && !math.IsNaN(v) }

// total is the output that withSum adds.
const total = "total of the outputs"

// withSum adds Σ w·y over the float outputs; w is 1 if not given.
func withSum(t *testing.T, m *onnx.Model, w map[string]*onnx.Tensor) *onnx.Model {
	m = clone(m)
	if m.Opset[""] == 0 {
		m.Opset[""] = onnx.WriteOp
	}
	b := onnx.NewBuilder(m)
	loss := ""
	for _, v := range m.Graph.Outputs {
		if !isFloat(v) {
			continue
		}
		part := b.Cast(v.Name, onnx.Float64)
		if w != nil {
			weight := *w[v.Name]
			weight.Name = "w:" + v.Name
			part = b.Mul(part, b.Weight(&weight))
		}
		if part = b.ReduceSum(part, false); loss != "" {
			part = b.Add(loss, part)
		}
		loss = part
	}
	b.Output(total, loss)
	if err := b.Err(); err != nil {
		t.Fatalf("making the loss: %v", err)
	}
	return b.Model
}

// cast returns a copy of the model with another float type: float64 in place
// of all, float32 in place of all but that, or with none.
func cast(t *testing.T, m *onnx.Model, to onnx.DType) *onnx.Model {
	m = must(onnx.Unmarshal(must(m.Marshal())(t), ""))(t)
	c := caster{t, to}
	c.graph(m.Graph)
	return m
}

type caster struct {
	t  *testing.T
	to onnx.DType
}

func (c caster) dtype(d onnx.DType) onnx.DType {
	if d.IsFloat() && c.to != onnx.Undefined && (c.to == onnx.Float64 || d != onnx.Float64) {
		return c.to
	}
	return d
}

func (c caster) tensor(x *onnx.Tensor) *onnx.Tensor {
	if c.dtype(x.Type) == x.Type {
		return x
	}
	y := floats(c.to, x.Dims, wide(c.t, x))
	y.Name = x.Name
	return y
}

func (c caster) graph(g *onnx.Graph) {
	for _, list := range [][]onnx.Value{g.Inputs, g.Outputs, g.Values} {
		for i := range list {
			list[i].Type = c.dtype(list[i].Type)
		}
	}
	for i, x := range g.Initializers {
		g.Initializers[i] = c.tensor(x)
	}
	for _, n := range g.Nodes {
		for i, a := range n.Attrs {
			switch {
			case a.T != nil:
				n.Attrs[i].T = c.tensor(a.T)
			case a.G != nil:
				c.graph(a.G)
			case a.Name == "to", a.Name == "dtype":
				n.Attrs[i].I = int64(c.dtype(onnx.DType(a.I)))
			case n.Op == "Constant" && (a.Name == "value_float" || a.Name == "value_floats"):
				n.Attrs[i] = onnx.TensorAttr("value", c.tensor(must(n.ConstantValue())(c.t)))
			}
		}
	}
}

// wide returns the elements of a tensor of any float type.
func wide(t testing.TB, x *onnx.Tensor) []float64 {
	t.Helper()
	if x.Type == onnx.Float32 || x.Type == onnx.Float64 {
		return values(t, x)
	}
	v := make([]float64, x.Len())
	for i := range v {
		bits := uint32(x.Data[2*i]) | uint32(x.Data[2*i+1])<<8
		if x.Type == onnx.BFloat16 {
			v[i] = float64(math.Float32frombits(bits << 16))
			continue
		}
		v[i] = half(bits)
	}
	return v
}

// half is the value of a float16.
func half(bits uint32) float64 {
	exponent, fraction := int(bits>>10&31), float64(bits&1023)
	v := math.Ldexp(1024+fraction, exponent-25)
	switch exponent {
	case 0:
		v = math.Ldexp(fraction, -24)
	case 31:
		v = math.Inf(1)
		if fraction != 0 {
			v = math.NaN()
		}
	}
	if bits>>15 != 0 {
		v = -v
	}
	return v
}
