package grad

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// ErrNotFinite is in the chain of the error that [Optimizer.Update] returns
// for a gradient with an infinity or a NaN in it. Nothing was changed then, so
// a trainer may skip the step and go on.
var ErrNotFinite = errors.New("not finite")

// Param describes one trainable by its name and its whole shape [K, …]: K
// independent copies, each with a shape of its own such as [P,d].
type Param struct {
	Name  string
	Shape []int64
}

// A Rule is how an optimiser turns gradients into updates: [Adafactor] or
// [AdamW]. It sees one matrix (or vector, or scalar) at a time and keeps
// nothing itself; what it must remember lies in moments that the [Optimizer]
// holds for it.
type Rule interface {
	// Name is what the rule is called in settings and in saved state.
	Name() string
	// Check reports settings that make no sense.
	Check() error
	// Moments says what the rule remembers about a matrix of this shape.
	// All moments start at zero.
	Moments(shape []int64) []Moment
	// Apply changes the matrix and its moments by one step.
	Apply(s Slice)
}

// Moment is one thing a rule remembers: a name and a shape.
type Moment struct {
	Name  string
	Shape []int64
}

// Slice is one matrix on its way through a rule.
type Slice struct {
	Step    int64       // updates made before this one
	Rate    float64     // learning rate of this step
	Scale   float64     // what to multiply the gradient with first
	Shape   []int64     // [rows, cols], [n] or []
	Param   []float32   // changed in place
	Grad    []float32   // only read
	Moments [][]float32 // as Rule.Moments lists them, changed in place
}

// Optimizer moves trainables against their gradients. Every trainable has a
// leading axis K, and each k is an optimisation of its own with its own step
// counter, clipping and moments: what K prompts do together is bit for bit
// what each would do alone. Axes before the last two are taken as stacks in
// the same way, as T5X does for scanned layers, so that a rule only ever sees
// matrices. All state is float32 and all sums run in one fixed order.
//
// An Optimizer is not safe for concurrent use.
type Optimizer struct {
	// MaxNorm bounds the norm of k's whole gradient, all trainables taken
	// together; 0 means no bound. A longer gradient is shortened to it by the
	// formula of torch.nn.utils.clip_grad_norm_.
	MaxNorm float64
	// RateFactors are multiplied with the learning rate, one for each
	// trainable in the order of [NewOptimizer]; nil leaves it to all alike.
	RateFactors []float64

	rule   Rule
	k      int
	steps  []int64 // [K]
	params []trainable
}

// trainable is a Param with its moments. The moments of all matrices lie one
// behind the other, in the order of the matrices themselves.
type trainable struct {
	Param
	each   int     // elements of one k
	matrix []int64 // shape that the rule sees: at most the last two axes
	size   int     // elements of one matrix

	moments []Moment
	values  [][]float32 // one for each moment
}

// NewOptimizer returns an optimiser for the given trainables, which must agree
// in K, with all moments at zero. The order of params is the order in which
// [Optimizer.Update] wants its tensors.
func NewOptimizer(rule Rule, params ...Param) (*Optimizer, error) {
	if err := rule.Check(); err != nil {
		return nil, fmt.Errorf("settings of optimiser %s: %w", rule.Name(), err)
	}
	if len(params) == 0 {
		return nil, errors.New("making an optimiser: no trainables")
	}
	o := &Optimizer{rule: rule}
	for _, p := range params {
		t, err := newTrainable(rule, p)
		if err != nil {
			return nil, fmt.Errorf("making an optimiser: trainable %q: %w", p.Name, err)
		}
		if slices.ContainsFunc(o.params, func(q trainable) bool { return q.Name == p.Name }) {
			return nil, fmt.Errorf("making an optimiser: two trainables are called %q", p.Name)
		}
		if o.params != nil && int(p.Shape[0]) != o.k {
			return nil, fmt.Errorf("making an optimiser: trainable %q has leading axis %d, %q has %d",
				p.Name, p.Shape[0], params[0].Name, o.k)
		}
		o.k = int(p.Shape[0])
		o.params = append(o.params, t)
	}
	o.steps = make([]int64, o.k)
	return o, nil
}

func newTrainable(rule Rule, p Param) (trainable, error) {
	if p.Name == "" {
		return trainable{}, errors.New("it has no name")
	}
	if len(p.Shape) == 0 {
		return trainable{}, errors.New("it lacks the leading axis K")
	}
	total, err := elements(p.Shape)
	if err != nil {
		return trainable{}, err
	}
	p.Shape = slices.Clone(p.Shape)
	own := p.Shape[1:]
	t := trainable{Param: p, each: total / int(p.Shape[0]), matrix: own[max(0, len(own)-2):]}
	t.size, _ = elements(t.matrix)
	t.moments = rule.Moments(t.matrix)
	for _, m := range t.moments {
		n, err := elements(m.Shape)
		if err != nil {
			return trainable{}, fmt.Errorf("moment %s: %w", m.Name, err)
		}
		t.values = append(t.values, make([]float32, n*(total/t.size)))
	}
	return t, nil
}

// elements multiplies a shape out.
func elements(shape []int64) (int, error) {
	n := int64(1)
	for _, d := range shape {
		if d <= 0 || n > math.MaxInt32*int64(1024)/d {
			return 0, fmt.Errorf("impossible shape %v", shape)
		}
		n *= d
	}
	return int(n), nil
}

// Steps is the number of updates that copy k has had.
func (o *Optimizer) Steps(k int) int64 { return o.steps[k] }

// Update moves copy k of every trainable by one step at the given learning
// rate. params and grads hold the whole tensors [K, …] in the order of
// [NewOptimizer]; the other copies are neither read nor written. It returns
// the norm that k's gradient had before clipping, all trainables together.
// On an error nothing has changed.
func (o *Optimizer) Update(k int, rate float64, params, grads [][]float32) (norm float64, err error) {
	if k < 0 || k >= o.k {
		return 0, fmt.Errorf("updating copy %d of %d: no such copy", k, o.k)
	}
	if math.IsNaN(rate) || math.IsInf(rate, 0) {
		return 0, fmt.Errorf("updating copy %d: learning rate is %v", k, rate)
	}
	if len(params) != len(o.params) || len(grads) != len(o.params) {
		return 0, fmt.Errorf("updating copy %d: %d tensors and %d gradients for %d trainables",
			k, len(params), len(grads), len(o.params))
	}
	if o.RateFactors != nil && len(o.RateFactors) != len(o.params) {
		return 0, fmt.Errorf("updating copy %d: %d factors of the learning rate for %d trainables", k, len(o.RateFactors), len(o.params))
	}
	for i, t := range o.params {
		if o.RateFactors != nil && !(o.RateFactors[i] >= 0 && !math.IsInf(rate*o.RateFactors[i], 0)) {
			return 0, fmt.Errorf("updating %q: the factor of its learning rate is %v", t.Name, o.RateFactors[i])
		}
		if want := t.each * o.k; len(params[i]) != want || len(grads[i]) != want {
			return 0, fmt.Errorf("updating %q %v: got %d elements and %d of gradient, want %d",
				t.Name, t.Shape, len(params[i]), len(grads[i]), want)
		}
	}
	if norm, err = o.norm(k, grads); err != nil {
		return 0, err
	}
	scale := 1.0
	if o.MaxNorm > 0 {
		scale = min(1, o.MaxNorm/(norm+1e-6))
	}
	o.share(func(i int) {
		t, rate := o.params[i], rate
		if o.RateFactors != nil {
			rate *= o.RateFactors[i]
		}
		t.update(o.rule, k, Slice{Step: o.steps[k], Rate: rate, Scale: scale, Shape: t.matrix}, params[i], grads[i])
	})
	o.steps[k]++
	return norm, nil
}

// worthSharing is the number of elements from which trainables are updated on
// several processors: those of a whole model, not of a prompt.
const worthSharing = 1 << 20

// share calls f for every trainable, on several processors where that pays.
// They do not touch each other, so the order decides nothing.
func (o *Optimizer) share(f func(i int)) {
	total := 0
	for _, t := range o.params {
		total += t.each
	}
	workers := min(runtime.GOMAXPROCS(0), len(o.params))
	if total < worthSharing {
		workers = 1
	}
	var next atomic.Int64
	var wait sync.WaitGroup
	for range workers {
		wait.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(o.params); i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	wait.Wait()
}

// norm is the length of k's gradient over all trainables.
func (o *Optimizer) norm(k int, grads [][]float32) (float64, error) {
	var sum float64
	for i, t := range o.params {
		for j, g := range grads[i][k*t.each : (k+1)*t.each] {
			g := float64(g)
			if math.IsNaN(g) || math.IsInf(g, 0) {
				return 0, fmt.Errorf("updating %q: element %d of copy %d's gradient is %v at step %d: %w",
					t.Name, j, k, g, o.steps[k], ErrNotFinite)
			}
			sum += g * g
		}
	}
	return math.Sqrt(sum), nil
}

// update hands the matrices of copy k to the rule, one after the other.
func (t *trainable) update(rule Rule, k int, s Slice, param, grad []float32) {
	s.Moments = make([][]float32, len(t.values))
	each := t.each / t.size // matrices of one copy
	for m := k * each; m < (k+1)*each; m++ {
		s.Param = param[m*t.size : (m+1)*t.size]
		s.Grad = grad[m*t.size : (m+1)*t.size]
		for i, v := range t.values {
			n := len(v) / (each * int(t.Shape[0]))
			s.Moments[i] = v[m*n : (m+1)*n]
		}
		rule.Apply(s)
	}
}

// single rounds a factor to float32, as the reference implementations hold
// it. A decay factor's rounding, tiny as it is, is the same at every step and
// so adds up: 0.99999 misses by 1e-6 after 50.
func single(x float64) float64 { return float64(float32(x)) }
