package grad

import (
	"fmt"
	"math"
)

// AdamW is Adam with decoupled weight decay (Loshchilov and Hutter, 2019) in
// the form of torch.optim.AdamW. For a tensor p with gradient g, at its t-th
// update (t from 1):
//
//	p ← (1 − rate·WeightDecay)·p
//	m ← Beta1·m + (1−Beta1)·g
//	v ← Beta2·v + (1−Beta2)·g²
//	p ← p − rate/(1−Beta1^t) · m / (√v/√(1−Beta2^t) + Epsilon)
//
// With EpsilonFirst, Epsilon is added before the bias of the root is corrected,
// as in transformers' own AdamW (optimization.py, up to version 4.49), with
// which DePT and ADePT were tuned:
//
//	p ← p − rate·√(1−Beta2^t)/(1−Beta1^t) · m / (√v + Epsilon)
//
// In the first steps Epsilon weighs up to 1/√(1−Beta2) times as much so.
//
// Start from [DefaultAdamW] or [TransformersAdamW]; the zero value is not
// useful.
type AdamW struct {
	Beta1, Beta2 float64
	// Epsilon is added to the root, after the correction of its bias.
	Epsilon float64
	// EpsilonFirst adds it before the correction.
	EpsilonFirst bool
	// WeightDecay is multiplied by the learning rate, unlike Adafactor's.
	WeightDecay float64
}

// DefaultAdamW returns the defaults of torch.optim.AdamW, whose learning rate
// is 1e-3.
func DefaultAdamW() AdamW {
	return AdamW{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, WeightDecay: 1e-2}
}

// TransformersAdamW returns the defaults of transformers' own AdamW: a larger
// epsilon, added first, and no decay. (There decay is taken off after the
// update, here before it; at 0 they are one.)
func TransformersAdamW() AdamW {
	return AdamW{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-6, EpsilonFirst: true}
}

// Name returns "adamw", or "adamw-hf" with EpsilonFirst.
func (a AdamW) Name() string {
	if a.EpsilonFirst {
		return "adamw-hf"
	}
	return "adamw"
}

// Check reports settings out of range.
func (a AdamW) Check() error {
	switch {
	case !(a.Beta1 >= 0 && a.Beta1 < 1):
		return fmt.Errorf("beta1 %v is not in [0, 1)", a.Beta1)
	case !(a.Beta2 >= 0 && a.Beta2 < 1):
		return fmt.Errorf("beta2 %v is not in [0, 1)", a.Beta2)
	case !(a.Epsilon > 0):
		return fmt.Errorf("epsilon %v is not above 0", a.Epsilon)
	case !(a.WeightDecay >= 0):
		return fmt.Errorf("weight decay %v is below 0", a.WeightDecay)
	}
	return nil
}

// Moments returns m and v, both of the tensor's own shape.
func (a AdamW) Moments(shape []int64) []Moment {
	return []Moment{{"m", shape}, {"v", shape}}
}

// Apply makes one step. Arithmetic is in float64; state and the weights of old
// and new are float32.
func (a AdamW) Apply(s Slice) {
	m, v := s.Moments[0], s.Moments[1]
	t := float64(s.Step + 1)
	rate := s.Rate / (1 - math.Pow(a.Beta1, t))
	unbias := math.Sqrt(1 - math.Pow(a.Beta2, t))
	keep, keepV := single(1-s.Rate*a.WeightDecay), single(a.Beta2)
	newM, newV := single(1-a.Beta1), single(1-a.Beta2)
	epsilon := a.Epsilon
	if a.EpsilonFirst {
		epsilon /= unbias
	}
	for i, g := range s.Grad {
		g := float64(g) * s.Scale
		m[i] = float32(float64(m[i]) + newM*(g-float64(m[i])))
		v[i] = float32(keepV*float64(v[i]) + newV*g*g)
		step := rate * float64(m[i]) / (math.Sqrt(float64(v[i]))/unbias + epsilon)
		s.Param[i] = float32(keep*float64(s.Param[i]) - step)
	}
}
