package grad

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"softprompt/onnx"
	"softprompt/onnx/ort"
	"softprompt/onnx/ort/orttest"
)

// The contract that every operator of the table is held to. For each case of
// cases_test.go, the gradient of loss = Σ w·y, with fixed random w over all
// float outputs y, must
//
//   - agree with central differences in each element of each input,
//   - be the same for one input alone as for all together,
//   - be the sum over the outputs of what each gives alone,
//   - grow by what a second use of an input adds,
//   - be the same whether operands are inputs or weights, and whether their
//     sizes are known, symbolic, unknown, or not even their rank is known.

// contractCase is one use of an operator.
type contractCase struct {
	op    string // key in the table
	name  string // what is special about the case
	args  []arg
	attrs []onnx.Attr
	opset int64 // 18 unless given

	outs   int   // number of outputs; 1 unless given
	floats []int // those that count for the loss; all unless given
	omit   []int // those that are left out

	// single asks for float32, where there is no kernel for float64. Older
	// runtimes have fewer, so check sees for itself as well.
	single bool
	// tolerance is that of the float64 comparison with differences, 2e-8
	// unless given: some kernels have float32 constants or results inside.
	tolerance float64
	// ranked says that the derivative needs ranks; without, Reverse has to say
	// so in an error.
	ranked bool
	// vectors says that an operand is a vector where one of unknown rank is
	// taken for a matrix.
	vectors bool
}

// arg is an operand. One without a tensor is left out.
type arg struct {
	*onnx.Tensor
	fixed bool // a constant of the graph, in which no gradient is asked for
}

func (a arg) differentiable() bool { return a.Tensor != nil && !a.fixed && a.Type == onnx.Float64 }

// declaration says how the operands of a case are declared.
type declaration int

const (
	sizesKnown declaration = iota
	sizesSymbolic
	sizesUnknown
	ranksUnknown
	asWeights
)

func (d declaration) String() string {
	return [...]string{"sizes known", "sizes symbolic", "sizes unknown", "ranks unknown", "weights"}[d]
}

func (tc contractCase) String() string { return strings.TrimSpace(tc.op + " " + tc.name) }

func (tc contractCase) outputs() (n int, floats []int) {
	n = max(tc.outs, 1)
	if floats = tc.floats; floats == nil {
		for i := range n {
			floats = append(floats, i)
		}
	}
	return n, floats
}

// dtype returns the type that the case is computed in.
func (tc contractCase) dtype() onnx.DType {
	if tc.single {
		return onnx.Float32
	}
	return onnx.Float64
}

// wrt names the operands that have a gradient.
func (tc contractCase) wrt() []string {
	var names []string
	for i, a := range tc.args {
		if a.differentiable() {
			names = append(names, fmt.Sprint("x", i))
		}
	}
	return names
}

// forward returns the model of the operator alone, with its float outputs.
func (tc contractCase) forward(d declaration) *onnx.Model {
	m := onnx.NewModel("case")
	if tc.opset != 0 {
		m.Opset[""] = tc.opset
	}
	node := &onnx.Node{Name: "f", Op: tc.op, Attrs: tc.attrs, Block: "block"}
	if rest, ok := strings.CutPrefix(tc.op, onnx.Microsoft+"."); ok {
		node.Op, node.Domain = rest, onnx.Microsoft
		m.Opset[onnx.Microsoft] = 1
	}
	for i, a := range tc.args {
		if a.Tensor == nil {
			node.Inputs = append(node.Inputs, "")
			continue
		}
		t := tc.tensor(a)
		t.Name = fmt.Sprint("x", i)
		node.Inputs = append(node.Inputs, t.Name)
		if a.fixed || d == asWeights && a.differentiable() {
			m.Graph.Initializers = append(m.Graph.Initializers, t)
			continue
		}
		v := onnx.Value{Name: t.Name, Type: t.Type, Shape: t.Shape()}
		for axis := range v.Shape {
			switch d {
			case sizesSymbolic:
				v.Shape[axis] = onnx.Sym(fmt.Sprintf("%s_%d", t.Name, axis))
			case sizesUnknown:
				v.Shape[axis] = onnx.Unknown
			}
		}
		if d == ranksUnknown {
			v.Shape = nil
		}
		m.Graph.Inputs = append(m.Graph.Inputs, v)
	}
	n, floats := tc.outputs()
	for i := range n {
		y := fmt.Sprint("y", i)
		if slices.Contains(tc.omit, i) {
			y = ""
		}
		node.Outputs = append(node.Outputs, y)
	}
	m.Graph.Nodes = []*onnx.Node{node}
	for _, i := range floats {
		m.Graph.Outputs = append(m.Graph.Outputs, onnx.Value{Name: node.Outputs[i], Type: tc.outputType(m, node.Outputs[i])})
	}
	return m
}

// outputType asks the inference, which knows that norms hand out statistics
// in float32.
func (tc contractCase) outputType(m *onnx.Model, y string) onnx.DType {
	if t := onnx.NewBuilder(m).Type(y); t != onnx.Undefined {
		return t
	}
	return tc.dtype()
}

// tensor returns an operand in the case's type.
func (tc contractCase) tensor(a arg) *onnx.Tensor {
	t := *a.Tensor
	if t.Type == onnx.Float64 && tc.single {
		v, _ := t.Float64s()
		w := make([]float32, len(v))
		for i := range v {
			w[i] = float32(v[i])
		}
		return onnx.Floats("", t.Dims, w)
	}
	return &t
}

// feeds returns what the graph inputs take.
func (tc contractCase) feeds(m *onnx.Model) map[string]*onnx.Tensor {
	in := map[string]*onnx.Tensor{}
	for _, v := range m.Graph.Inputs {
		var i int
		if _, err := fmt.Sscanf(v.Name, "x%d", &i); err == nil {
			in[v.Name] = tc.tensor(tc.args[i])
		}
	}
	return in
}

// withLoss adds loss = Σ w·y over the named outputs, and Σ v·x for the
// operands in twice.
func (tc contractCase) withLoss(t testing.TB, m *onnx.Model, w map[string]*onnx.Tensor, outputs []string, twice []string) *onnx.Model {
	b := onnx.NewBuilder(m)
	loss := ""
	add := func(part string) {
		if part = b.ReduceSum(part, false); loss != "" {
			part = b.Add(loss, part)
		}
		loss = part
	}
	for _, y := range outputs {
		weight := *w[y]
		weight.Name = "w:" + y
		add(b.Mul(b.Cast(y, onnx.Float64), b.Weight(&weight)))
	}
	for _, x := range twice {
		add(b.Mul(b.Cast(x, onnx.Float64), b.Const(onnx.Doubles("", nil, []float64{0.7}))))
	}
	b.Output("loss", loss)
	if err := b.Err(); err != nil {
		t.Fatalf("%v: making the loss: %v", tc, err)
	}
	return m
}

// gradients runs what Reverse returns.
func (tc contractCase) gradients(t testing.TB, m *onnx.Model, wrt []string) map[string][]float64 {
	t.Helper()
	r, err := Reverse(m, "loss", wrt)
	if err != nil {
		t.Fatalf("%v: %v", tc, err)
	}
	if err := onnx.Validate(r); err != nil {
		t.Fatal(err)
	}
	got := map[string][]float64{}
	out := run(t, r, tc.feeds(r))
	for _, x := range wrt {
		got[x] = values(t, out[Prefix+x])
	}
	return got
}

func TestContract(t *testing.T) {
	for _, tc := range contractCases() {
		t.Run(tc.String(), func(t *testing.T) { tc.check(t) })
	}
}

func (tc contractCase) check(t *testing.T) {
	tc.single = tc.single || !tc.hasDouble(t)
	base := tc.forward(sizesKnown)
	wrt := tc.wrt()
	w := map[string]*onnx.Tensor{}
	var outputs []string
	random := rand.New(rand.NewPCG(seedOf(tc.String()), 1))
	for name, y := range run(t, base, tc.feeds(base)) {
		outputs = append(outputs, name)
		w[name] = y
	}
	slices.Sort(outputs)
	for _, y := range outputs {
		w[y] = onnx.Doubles("", w[y].Dims, normal(random, int(w[y].Len())))
	}
	make := func(d declaration, outputs, twice []string) *onnx.Model {
		return tc.withLoss(t, tc.forward(d), w, outputs, twice)
	}

	want := tc.differences(t, w)
	all := tc.gradients(t, make(sizesKnown, outputs, nil), wrt)
	tolerance, exact := 2e-8, 1e-12
	if tc.single {
		tolerance, exact = 2e-3, 1e-5
	}
	if !tc.single && tc.tolerance != 0 {
		tolerance = tc.tolerance
	}
	if slices.ContainsFunc(base.Graph.Outputs, func(v onnx.Value) bool { return v.Type != tc.dtype() }) {
		tolerance, exact = 2e-4, 1e-5 // results in float32 are differentiated
	}
	for _, x := range wrt {
		near(t, x+" against differences", all[x], want[x], tolerance)
		alone := tc.gradients(t, make(sizesKnown, outputs, nil), []string{x})
		near(t, x+" alone", alone[x], all[x], exact)
	}

	sum := map[string][]float64{}
	for _, y := range outputs {
		for x, g := range tc.gradients(t, make(sizesKnown, []string{y}, nil), wrt) {
			if sum[x] == nil {
				sum[x] = g
				continue
			}
			for i := range g {
				sum[x][i] += g[i]
			}
		}
	}
	twice := tc.gradients(t, make(sizesKnown, outputs, wrt), wrt)
	for _, x := range wrt {
		near(t, x+" from each output alone", sum[x], all[x], exact)
		for i := range twice[x] {
			twice[x][i] -= 0.7
		}
		near(t, x+" used twice", twice[x], all[x], exact)
	}

	for _, d := range []declaration{asWeights, sizesSymbolic, sizesUnknown, ranksUnknown} {
		if d == ranksUnknown && tc.vectors {
			continue
		}
		m := make(d, outputs, nil)
		if d == ranksUnknown && tc.ranked {
			if _, err := Reverse(m, "loss", wrt); err == nil || !strings.Contains(err.Error(), "not known") {
				t.Errorf("with %v: error %v, want one that says what is not known", d, err)
			}
			continue
		}
		for x, g := range tc.gradients(t, m, wrt) {
			near(t, fmt.Sprintf("%s with %v", x, d), g, all[x], exact)
		}
	}
}

// hasDouble tells whether the runtime has kernels for the case and its
// gradient in float64.
func (tc contractCase) hasDouble(t *testing.T) bool {
	m := tc.forward(sizesKnown)
	b := onnx.NewBuilder(m)
	loss := ""
	for i, y := range m.Graph.Outputs {
		if part := b.ReduceSum(b.Cast(y.Name, onnx.Float64), false); i == 0 {
			loss = part
		} else {
			loss = b.Add(loss, part)
		}
	}
	b.Output("loss", loss)
	r := must(Reverse(m, "loss", tc.wrt()))(t)
	s, err := orttest.Runtime(t).NewSession(t.Context(), must(r.Marshal())(t), plain)
	if err == nil {
		s.Close()
		return true
	}
	if !strings.Contains(err.Error(), "no kernel") {
		t.Fatal(err)
	}
	return false
}

// differences returns the gradient by central differences of fourth order.
func (tc contractCase) differences(t *testing.T, w map[string]*onnx.Tensor) map[string][]float64 {
	t.Helper()
	m := tc.forward(sizesKnown)
	f := func(feeds map[string]*onnx.Tensor) func() float64 {
		s := orttest.Session(t, m, plain)
		in, out := map[string]*ort.Tensor{}, map[string]*ort.Tensor{}
		return func() float64 {
			for name, x := range feeds {
				in[name] = must(ort.FromONNX(x))(t)
			}
			for _, y := range s.Outputs() {
				out[y.Name] = nil
			}
			if err := s.Run(t.Context(), in, out); err != nil {
				t.Fatal(err)
			}
			sum := 0.0
			for name, y := range out {
				weights, _ := w[name].Float64s()
				for i, v := range values(t, y.ONNX(name)) {
					sum += weights[i] * v
				}
			}
			return sum
		}
	}
	return differences(t, tc.feeds(m), tc.wrt(), f)
}

// TestEveryDerivativeHasACase keeps the table and the cases together.
func TestEveryDerivativeHasACase(t *testing.T) {
	covered := map[string]bool{}
	for _, tc := range contractCases() {
		covered[tc.op] = true
	}
	for _, op := range Operators() {
		if !covered[op] {
			t.Errorf("no case for %s", op)
		}
	}
	for op := range stops {
		if _, ok := derivatives[op]; ok {
			t.Errorf("%s has a derivative and stops gradients", op)
		}
	}
}
