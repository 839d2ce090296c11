package grad

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// fataler is what testing.T and rapid.T share.
type fataler interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

func newOptimizer(t fataler, rule Rule, params ...Param) *Optimizer {
	t.Helper()
	o, err := NewOptimizer(rule, params...)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// mustUpdate updates an optimiser of one trainable.
func mustUpdate(t fataler, o *Optimizer, k int, rate float64, param, grad []float32) float64 {
	t.Helper()
	norm, err := o.Update(k, rate, [][]float32{param}, [][]float32{grad})
	if err != nil {
		t.Fatal(err)
	}
	return norm
}

// drawFloats draws values of many magnitudes, among them exact zeros.
func drawFloats(t *rapid.T, what string, n int) []float32 {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) float32 {
		m := float32(rapid.IntRange(-64, 64).Draw(t, "mantissa")) / 64
		return m * float32(math.Exp2(float64(rapid.IntRange(-6, 6).Draw(t, "exponent"))))
	}), n, n).Draw(t, what)
}

// rules are those that every promise of Optimizer is tested with.
func rules() map[string]Rule {
	factored, momentum := DefaultAdafactor(), DefaultAdafactor()
	factored.MinDimToFactor = 2
	momentum.Momentum, momentum.ScaleByParameter = 0.9, true
	return map[string]Rule{
		"adafactor":          DefaultAdafactor(),
		"adafactor factored": factored,
		"adafactor momentum": momentum,
		"adamw":              DefaultAdamW(),
	}
}

// Training K copies together is bit for bit training each alone, whatever the
// order and the number of updates of each.
func TestCopiesAreIndependent(t *testing.T) {
	for name, rule := range rules() {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				const K, p, d, n = 3, 2, 3, 4
				together := newOptimizer(t, rule, Param{"prompt", []int64{K, p, d}}, Param{"bias", []int64{K, n}})
				together.MaxNorm = rapid.SampledFrom([]float64{0, 1}).Draw(t, "largest norm")
				params := [][]float32{drawFloats(t, "prompts", K*p*d), drawFloats(t, "biases", K*n)}

				var alone [K]*Optimizer
				var own [K][][]float32
				for k := range K {
					alone[k] = newOptimizer(t, rule, Param{"prompt", []int64{1, p, d}}, Param{"bias", []int64{1, n}})
					alone[k].MaxNorm = together.MaxNorm
					own[k] = [][]float32{slices.Clone(params[0][k*p*d : (k+1)*p*d]), slices.Clone(params[1][k*n : (k+1)*n])}
				}
				for _, k := range rapid.SliceOfN(rapid.IntRange(0, K-1), 1, 12).Draw(t, "order") {
					grads := [][]float32{drawFloats(t, "gradients", K*p*d), drawFloats(t, "gradients", K*n)}
					normTogether, err := together.Update(k, 0.1, params, grads)
					if err != nil {
						t.Fatal(err)
					}
					normAlone, err := alone[k].Update(0, 0.1, own[k], [][]float32{grads[0][k*p*d : (k+1)*p*d], grads[1][k*n : (k+1)*n]})
					if err != nil {
						t.Fatal(err)
					}
					if normTogether != normAlone {
						t.Fatalf("copy %d: norm %v together, %v alone", k, normTogether, normAlone)
					}
				}
				for k := range K {
					got := [][]float32{params[0][k*p*d : (k+1)*p*d], params[1][k*n : (k+1)*n]}
					if diff := cmp.Diff(own[k], got); diff != "" {
						t.Fatalf("copy %d (alone -, together +):\n%s", k, diff)
					}
					if together.Steps(k) != alone[k].Steps(0) {
						t.Fatalf("copy %d: %d steps together, %d alone", k, together.Steps(k), alone[k].Steps(0))
					}
				}
			})
		})
	}
}

// Axes before the last two are stacks: each matrix is an optimisation of its
// own, as a per-layer prompt [K,L,P,d] wants it.
func TestStackedMatricesAreIndependent(t *testing.T) {
	for name, rule := range rules() {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				const L, p, d = 3, 2, 4
				stacked := newOptimizer(t, rule, Param{"p", []int64{1, L, p, d}})
				single := newOptimizer(t, rule, Param{"p", []int64{L, p, d}})
				a := drawFloats(t, "start", L*p*d)
				b := slices.Clone(a)
				for range 3 {
					g := drawFloats(t, "gradient", L*p*d)
					mustUpdate(t, stacked, 0, 0.1, a, g)
					for k := range L {
						mustUpdate(t, single, k, 0.1, b, g)
					}
				}
				if diff := cmp.Diff(b, a); diff != "" {
					t.Fatalf("single matrices -, stacked +:\n%s", diff)
				}
			})
		})
	}
}

// An optimiser that takes over a saved state goes on bit for bit.
func TestStateRoundTrip(t *testing.T) {
	for name, rule := range rules() {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				const K, n = 2, 12
				params := []Param{{"a", []int64{K, 3, 4}}, {"b", []int64{K, 12}}}
				first := newOptimizer(t, rule, params...)
				p := [][]float32{drawFloats(t, "a", K*n), drawFloats(t, "b", K*n)}
				run := func(o *Optimizer, p [][]float32, seed [][]float32) {
					for i, g := range seed {
						if _, err := o.Update(i%3%K, 0.1, p, [][]float32{g, g}); err != nil {
							t.Fatal(err)
						}
					}
				}
				gradients := func() (all [][]float32) {
					for range rapid.IntRange(0, 5).Draw(t, "steps") {
						all = append(all, drawFloats(t, "gradient", K*n))
					}
					return all
				}
				run(first, p, gradients())

				state := first.State()
				slices.Reverse(state.Tensors) // a file may give them back in any order
				q := [][]float32{slices.Clone(p[0]), slices.Clone(p[1])}
				rest := gradients()
				run(first, p, rest)
				second := newOptimizer(t, rule, params...)
				if err := second.LoadState(state); err != nil {
					t.Fatal(err)
				}
				run(second, q, rest)
				if diff := cmp.Diff(p, q); diff != "" {
					t.Fatalf("never stopped -, resumed +:\n%s", diff)
				}
				if diff := cmp.Diff(first.State(), second.State()); diff != "" {
					t.Fatalf("state, never stopped -, resumed +:\n%s", diff)
				}
			})
		})
	}
}

func TestStateNamesAndShapes(t *testing.T) {
	rule := DefaultAdafactor()
	rule.Momentum = 0.5
	o := newOptimizer(t, rule, Param{"prompt", []int64{2, 128, 200}}, Param{"layers", []int64{2, 3, 4, 5}}, Param{"scale", []int64{2}})
	got := map[string][]int64{}
	for _, m := range o.State().Tensors {
		got[m.Name] = m.Shape
	}
	want := map[string][]int64{
		"prompt.v_row": {2, 128}, "prompt.v_col": {2, 200}, "prompt.m": {2, 128, 200},
		"layers.v": {2, 3, 4, 5}, "layers.m": {2, 3, 4, 5},
		"scale.v": {2}, "scale.m": {2},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

func TestLoadStateRefusesWhatDoesNotFit(t *testing.T) {
	spoil := map[string]struct {
		change func(*State)
		want   string
	}{
		"another rule":  {func(s *State) { s.Rule = "sgd" }, `of "sgd"`},
		"another K":     {func(s *State) { s.Steps = s.Steps[:1] }, "1 copies, want 2"},
		"negative step": {func(s *State) { s.Steps[1] = -1 }, "has had -1 steps"},
		"missing":       {func(s *State) { s.Tensors = s.Tensors[1:] }, `"p.m" is missing`},
		"twice":         {func(s *State) { s.Tensors = append(s.Tensors, s.Tensors[0]) }, "there twice"},
		"unknown":       {func(s *State) { s.Tensors = append(s.Tensors, StateTensor{Name: "q.m"}) }, `"q.m" belongs to no trainable`},
		"shape":         {func(s *State) { s.Tensors[0].Shape = []int64{3, 2} }, "has shape [3 2]"},
		"length":        {func(s *State) { s.Tensors[0].Data = s.Tensors[0].Data[1:] }, "and 5 elements"},
	}
	for name, c := range spoil {
		t.Run(name, func(t *testing.T) {
			o := newOptimizer(t, DefaultAdamW(), Param{"p", []int64{2, 3}})
			mustUpdate(t, o, 1, 0.1, make([]float32, 6), []float32{1, 2, 3, 4, 5, 6})
			before, s := o.State(), o.State()
			c.change(&s)
			if err := o.LoadState(s); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
			if diff := cmp.Diff(before, o.State()); diff != "" {
				t.Errorf("the refused state changed the optimiser:\n%s", diff)
			}
		})
	}
}

func TestMaxNorm(t *testing.T) {
	// A rule of AdamW without memory moves by the gradient's sign, so clip
	// shows in the moment m = (1−0)·g·scale.
	rule := AdamW{Epsilon: 1e-8}
	o := newOptimizer(t, rule, Param{"a", []int64{1, 1}}, Param{"b", []int64{1, 1}})
	o.MaxNorm = 1
	for _, c := range []struct{ a, b, norm, wantA float32 }{
		{3, 4, 5, 3 / 5.000001},
		{0.3, 0.4, 0.5, 0.3},
		{0, 0, 0, 0},
	} {
		norm, err := o.Update(0, 0.1, [][]float32{{0}, {0}}, [][]float32{{c.a}, {c.b}})
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(norm-float64(c.norm)) > 1e-6 {
			t.Errorf("gradient (%v, %v) has norm %v, want %v", c.a, c.b, norm, c.norm)
		}
		if got := o.State().Tensors[0].Data[0]; got != c.wantA {
			t.Errorf("gradient (%v, %v) is clipped to %v, …; want %v", c.a, c.b, got, c.wantA)
		}
	}
}

func TestUpdateRefusals(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	ones := func(n int) []float32 { return slices.Repeat([]float32{1}, n) }
	spoiled := func(v float32) []float32 { g := ones(6); g[4] = v; return g }
	for name, c := range map[string]struct {
		k             int
		rate          float64
		params, grads [][]float32
		want          string
	}{
		"no such copy":      {2, 1, [][]float32{ones(6)}, [][]float32{ones(6)}, "no such copy"},
		"negative copy":     {-1, 1, [][]float32{ones(6)}, [][]float32{ones(6)}, "no such copy"},
		"rate":              {0, math.NaN(), [][]float32{ones(6)}, [][]float32{ones(6)}, "rate is NaN"},
		"tensors":           {0, 1, nil, nil, "0 tensors"},
		"short gradient":    {0, 1, [][]float32{ones(6)}, [][]float32{ones(3)}, "3 of gradient, want 6"},
		"NaN":               {1, 1, [][]float32{ones(6)}, [][]float32{spoiled(nan)}, "element 1 of copy 1's gradient is NaN at step 0"},
		"infinity":          {1, 1, [][]float32{ones(6)}, [][]float32{spoiled(inf)}, "is +Inf"},
		"negative infinity": {1, 1, [][]float32{ones(6)}, [][]float32{spoiled(-inf)}, "is -Inf"},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOptimizer(t, DefaultAdafactor(), Param{"p", []int64{2, 3}})
			before := o.State()
			_, err := o.Update(c.k, c.rate, c.params, c.grads)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, want one with %q", err, c.want)
			}
			if spoils := strings.Contains(name, "NaN") || strings.Contains(name, "infinity"); errors.Is(err, ErrNotFinite) != spoils {
				t.Errorf("errors.Is(%v, ErrNotFinite) = %v", err, !spoils)
			}
			if diff := cmp.Diff(before, o.State()); diff != "" {
				t.Errorf("the refused update changed state:\n%s", diff)
			}
			for _, p := range c.params {
				if !slices.Equal(p, ones(6)) {
					t.Errorf("the refused update changed parameters: %v", p)
				}
			}
		})
	}
	t.Run("another copy's NaN", func(t *testing.T) {
		o := newOptimizer(t, DefaultAdafactor(), Param{"p", []int64{2, 3}})
		mustUpdate(t, o, 0, 0.1, ones(6), spoiled(nan))
	})
}

func TestNewOptimizerRefusals(t *testing.T) {
	adafactor := func(change func(*Adafactor)) Adafactor {
		a := DefaultAdafactor()
		change(&a)
		return a
	}
	adamw := func(change func(*AdamW)) AdamW {
		a := DefaultAdamW()
		change(&a)
		return a
	}
	p := Param{"p", []int64{2, 3}}
	for name, c := range map[string]struct {
		rule   Rule
		params []Param
		want   string
	}{
		"none":         {DefaultAdamW(), nil, "no trainables"},
		"no name":      {DefaultAdamW(), []Param{{"", []int64{1}}}, "no name"},
		"no K":         {DefaultAdamW(), []Param{{"p", nil}}, "lacks the leading axis"},
		"zero":         {DefaultAdamW(), []Param{{"p", []int64{2, 0}}}, "impossible shape"},
		"negative":     {DefaultAdamW(), []Param{{"p", []int64{-2, -3}}}, "impossible shape"},
		"huge":         {DefaultAdamW(), []Param{{"p", []int64{1 << 40, 1 << 40}}}, "impossible shape"},
		"twice":        {DefaultAdamW(), []Param{p, p}, "two trainables"},
		"K differs":    {DefaultAdamW(), []Param{p, {"q", []int64{3}}}, `"q" has leading axis 3, "p" has 2`},
		"decay rate":   {adafactor(func(a *Adafactor) { a.DecayRate = 0 }), []Param{p}, "decay rate"},
		"offset":       {adafactor(func(a *Adafactor) { a.StepOffset = 2_000_000 }), []Param{p}, "before step offset"},
		"clipping":     {adafactor(func(a *Adafactor) { a.ClipThreshold = math.NaN() }), []Param{p}, "clipping"},
		"weight decay": {adafactor(func(a *Adafactor) { a.WeightDecay = 1 }), []Param{p}, "weight decay"},
		"momentum":     {adafactor(func(a *Adafactor) { a.Momentum = -1 }), []Param{p}, "momentum"},
		"epsilon1":     {adafactor(func(a *Adafactor) { a.Epsilon1 = 0 }), []Param{p}, "epsilon1"},
		"epsilon2":     {adafactor(func(a *Adafactor) { a.ScaleByParameter, a.Epsilon2 = true, 0 }), []Param{p}, "epsilon2"},
		"factor":       {adafactor(func(a *Adafactor) { a.MinDimToFactor = -1 }), []Param{p}, "smallest side"},
		"beta1":        {adamw(func(a *AdamW) { a.Beta1 = 1 }), []Param{p}, "beta1"},
		"beta2":        {adamw(func(a *AdamW) { a.Beta2 = math.NaN() }), []Param{p}, "beta2"},
		"epsilon":      {adamw(func(a *AdamW) { a.Epsilon = 0 }), []Param{p}, "epsilon"},
		"adamw decay":  {adamw(func(a *AdamW) { a.WeightDecay = -1 }), []Param{p}, "weight decay"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := NewOptimizer(c.rule, c.params...); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}
