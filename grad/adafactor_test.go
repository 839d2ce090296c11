package grad

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// slowAdafactor is the rule once more, in float64 with whole matrices, as it
// is written on paper: the independent check for the settings that the golden
// runs leave alone.
type slowAdafactor struct {
	Adafactor
	rows, cols int
	p, v, m    []float64 // v is the whole matrix, factored or not
	row, col   []float64
}

func (a *slowAdafactor) step(s int64, rate float64, g []float32) {
	n := len(a.p)
	b := float64(1 - float32(math.Pow(float64(float32(a.InitialStep+s-a.StepOffset)+1), float64(float32(-a.DecayRate)))))
	factored := a.MinDimToFactor > 0 && a.rows >= int(a.MinDimToFactor) && a.cols >= int(a.MinDimToFactor)
	if factored {
		for r := range a.rows {
			a.row[r] *= b
		}
		for c := range a.cols {
			a.col[c] *= b
		}
		for i := range n {
			square := float64(g[i])*float64(g[i]) + a.Epsilon1
			a.row[i/a.cols] += (1 - b) * square / float64(a.cols)
			a.col[i%a.cols] += (1 - b) * square / float64(a.rows)
		}
		var mean float64
		for _, r := range a.row {
			mean += r / float64(a.rows)
		}
		for i := range n {
			a.v[i] = a.row[i/a.cols] * a.col[i%a.cols] / mean
		}
	} else {
		for i := range n {
			a.v[i] = b*a.v[i] + (1-b)*(float64(g[i])*float64(g[i])+a.Epsilon1)
		}
	}
	u := make([]float64, n)
	var uu, pp float64
	for i := range n {
		u[i] = float64(g[i]) / math.Sqrt(a.v[i])
		uu += u[i] * u[i] / float64(n)
		pp += a.p[i] * a.p[i] / float64(n)
	}
	if a.ScaleByParameter {
		rate *= max(a.Epsilon2, math.Sqrt(pp))
	}
	clip := 1.0
	if a.ClipThreshold > 0 {
		clip = max(1, math.Sqrt(uu)/a.ClipThreshold)
	}
	for i := range n {
		a.m[i] = a.Momentum*a.m[i] + (1-a.Momentum)*rate*u[i]/clip
		a.p[i] = float64(float32(1-a.WeightDecay))*a.p[i] - a.m[i]
	}
}

func TestAdafactorAgainstFormulas(t *testing.T) {
	variants := map[string]func(*Adafactor){
		"default":        func(a *Adafactor) {},
		"from zero":      func(a *Adafactor) { a.InitialStep = 0 },
		"step offset":    func(a *Adafactor) { a.InitialStep, a.StepOffset = 1000, 1000 },
		"momentum":       func(a *Adafactor) { a.Momentum = 0.9 },
		"by parameter":   func(a *Adafactor) { a.ScaleByParameter = true },
		"no clipping":    func(a *Adafactor) { a.InitialStep, a.ClipThreshold = 0, 0 },
		"loose clipping": func(a *Adafactor) { a.ClipThreshold = 2.5 },
		"strong decay":   func(a *Adafactor) { a.WeightDecay = 0.1 },
		"factor small":   func(a *Adafactor) { a.MinDimToFactor = 4 },
		"never factor":   func(a *Adafactor) { a.MinDimToFactor = 0 },
		"decay rate":     func(a *Adafactor) { a.InitialStep, a.DecayRate = 0, 0.5 },
	}
	for name, set := range variants {
		for _, shape := range [][2]int{{5, 7}, {7, 5}, {1, 12}, {128, 129}} {
			t.Run(fmt.Sprintf("%s/%dx%d", name, shape[0], shape[1]), func(t *testing.T) {
				rule := DefaultAdafactor()
				set(&rule)
				n := shape[0] * shape[1]
				rng := rand.New(rand.NewPCG(1, 2))
				slow := &slowAdafactor{
					Adafactor: rule, rows: shape[0], cols: shape[1],
					p: make([]float64, n), v: make([]float64, n), m: make([]float64, n),
					row: make([]float64, shape[0]), col: make([]float64, shape[1]),
				}
				p := make([]float32, n)
				for i := range p {
					p[i] = float32(rng.NormFloat64())
					slow.p[i] = float64(p[i])
				}
				o := newOptimizer(t, rule, Param{"p", []int64{1, int64(shape[0]), int64(shape[1])}})
				for s := range int64(50) {
					g := make([]float32, n)
					scale := math.Exp(rng.NormFloat64())
					for i := range g {
						g[i] = float32(scale * rng.NormFloat64())
					}
					if _, err := o.Update(0, 0.3, [][]float32{p}, [][]float32{g}); err != nil {
						t.Fatal(err)
					}
					slow.step(s, 0.3, g)
				}
				var diff, largest float64
				for i := range p {
					diff = max(diff, math.Abs(float64(p[i])-slow.p[i]))
					largest = max(largest, math.Abs(slow.p[i]))
				}
				if !(diff <= 1e-6*largest) {
					t.Errorf("after 50 steps off by %.3g of the largest value", diff/largest)
				}
			})
		}
	}
}

// The reference's decay: 1 − (s+1)^−0.8 as float32 sees it.
func TestAdafactorDecay(t *testing.T) {
	a := DefaultAdafactor()
	if got := a.decay(0); math.Abs(got-0.99998534) > 1e-8 {
		t.Errorf("decay at 1,100,000 is %.9f, want 0.99998534", got)
	}
	a.InitialStep = 0
	if got := a.decay(0); got != 0 {
		t.Errorf("decay at 0 is %v, want 0: the first step takes its own gradient alone", got)
	}
}

// The first update from step zero is the gradient's sign times the rate.
func TestAdafactorFirstStepIsSign(t *testing.T) {
	rule := DefaultAdafactor()
	rule.InitialStep, rule.WeightDecay = 0, 0
	o := newOptimizer(t, rule, Param{"p", []int64{1, 4}})
	p := []float32{1, 1, 1, 1}
	if _, err := o.Update(0, 0.5, [][]float32{p}, [][]float32{{1e-3, -2, 3e4, -1e-8}}); err != nil {
		t.Fatal(err)
	}
	for i, want := range []float32{0.5, 1.5, 0.5, 1.5} {
		if math.Abs(float64(p[i]-want)) > 1e-6 {
			t.Errorf("element %d is %v, want %v", i, p[i], want)
		}
	}
}

// Where gradients are zero only the decay moves a prompt.
func TestAdafactorZeroGradient(t *testing.T) {
	for _, n := range []int64{3, 200} {
		o := newOptimizer(t, DefaultAdafactor(), Param{"p", []int64{1, n, n}})
		p, g := make([]float32, n*n), make([]float32, n*n)
		p[0] = 1
		if _, err := o.Update(0, 0.3, [][]float32{p}, [][]float32{g}); err != nil {
			t.Fatal(err)
		}
		if want := float32(1 - 1e-5); p[0] != want || p[1] != 0 {
			t.Errorf("zero gradient moved 1, 0 to %v, %v; want %v, 0", p[0], p[1], want)
		}
	}
}

// Scaling the loss by a constant scales every gradient and changes no update.
func TestAdafactorScaleInvariance(t *testing.T) {
	// Epsilon1 is not scaled along: gradients here are 0 or well above it.
	rapid.Check(t, func(t *rapid.T) {
		rows, cols := rapid.Int64Range(1, 6).Draw(t, "rows"), rapid.Int64Range(1, 6).Draw(t, "cols")
		rule := DefaultAdafactor()
		rule.InitialStep = rapid.SampledFrom([]int64{0, 1_100_000}).Draw(t, "initial step")
		rule.MinDimToFactor = rapid.Int64Range(0, 3).Draw(t, "smallest side to factor")
		scale := float32(math.Exp2(float64(rapid.IntRange(-20, 20).Draw(t, "scale"))))
		shape := []int64{1, rows, cols}
		a, b := newOptimizer(t, rule, Param{"p", shape}), newOptimizer(t, rule, Param{"p", shape})
		p, q := drawFloats(t, "start", int(rows*cols)), make([]float32, rows*cols)
		copy(q, p)
		for range 5 {
			g := drawFloats(t, "gradient", int(rows*cols))
			scaled := make([]float32, len(g))
			for i := range g {
				scaled[i] = scale * g[i]
			}
			mustUpdate(t, a, 0, 0.3, p, g)
			mustUpdate(t, b, 0, 0.3, q, scaled)
		}
		for i := range p {
			if math.Abs(float64(p[i]-q[i])) > 1e-5 {
				t.Fatalf("element %d: %v, with gradients times %v: %v", i, p[i], scale, q[i])
			}
		}
	})
}

// Whatever the gradient, the clipped update has a root mean square of at most
// the learning rate.
func TestAdafactorUpdateIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule := DefaultAdafactor()
		rule.WeightDecay = 0
		o := newOptimizer(t, rule, Param{"p", []int64{1, 3, 4}})
		p := drawFloats(t, "start", 12)
		for range 4 {
			before := append([]float32(nil), p...)
			mustUpdate(t, o, 0, 0.3, p, drawFloats(t, "gradient", 12))
			var sum float64
			for i := range p {
				sum += math.Pow(float64(p[i]-before[i]), 2)
			}
			if rms := math.Sqrt(sum / 12); rms > 0.3+1e-5 {
				t.Fatalf("an update of root mean square %v at rate 0.3", rms)
			}
		}
	})
}
