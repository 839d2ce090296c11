package grad

import (
	"fmt"
	"math"
)

// Adafactor is the optimiser of Shazeer and Stern (2018) in the form of T5X's
// adafactor.py, with which the prompts of Lester et al. (2021) were tuned. For
// a matrix p with gradient g, at step s:
//
//	b  = 1 − (InitialStep + s − StepOffset + 1)^−DecayRate
//	v ← b·v + (1−b)·(g² + Epsilon1)
//	u  = g/√v
//	u ← u / max(1, RMS(u)/ClipThreshold)
//	p ← (1−WeightDecay)·p − rate·u
//
// A matrix with both sides of at least MinDimToFactor keeps only the means r
// of v's rows and c of its columns, and v is r·cᵀ/mean(r).
//
// The rule does not care about the scale of the loss: multiplying every
// gradient by a constant changes nothing, up to Epsilon1.
//
// Start from [DefaultAdafactor]; the zero value is not useful.
type Adafactor struct {
	// DecayRate is the exponent of the decay above.
	DecayRate float64
	// InitialStep is the step that counting starts from. The reference goes on
	// from the 1,100,000 steps of pre-training with empty moments, so that b
	// is 0.99999 from the first update and v sums up the whole history: full
	// steps first, shorter ones later. 0 gives the textbook's short memory.
	InitialStep int64
	// StepOffset is taken off the step again, as in T5X.
	StepOffset int64
	// ClipThreshold bounds the root mean square of an update before the
	// learning rate; 0 means no bound.
	ClipThreshold float64
	// WeightDecay is the share of p taken off at each step. It is not
	// multiplied by the learning rate.
	WeightDecay float64
	// Momentum is the weight of past updates (beta1); 0 means none.
	Momentum float64
	// Epsilon1 is added to squared gradients.
	Epsilon1 float64
	// MinDimToFactor is the shortest side of a matrix whose v is factored; 0
	// means that none is.
	MinDimToFactor int64
	// ScaleByParameter multiplies the rate by max(Epsilon2, RMS(p)): T5X's
	// multiply_by_parameter_scale.
	ScaleByParameter bool
	Epsilon2         float64
}

// DefaultAdafactor returns the settings of the reference
// (configs/runs/prompt_finetune.gin and the defaults of T5X). The reference's
// learning rate is 0.3, constant.
func DefaultAdafactor() Adafactor {
	return Adafactor{
		DecayRate:      0.8,
		InitialStep:    1_100_000,
		ClipThreshold:  1,
		WeightDecay:    1e-5,
		Epsilon1:       1e-30,
		MinDimToFactor: 128,
		Epsilon2:       1e-3,
	}
}

// Name returns "adafactor".
func (a Adafactor) Name() string { return "adafactor" }

// Check reports settings out of range.
func (a Adafactor) Check() error {
	switch {
	case !(a.DecayRate > 0):
		return fmt.Errorf("decay rate %v is not above 0", a.DecayRate)
	case a.InitialStep < a.StepOffset:
		return fmt.Errorf("initial step %d lies before step offset %d", a.InitialStep, a.StepOffset)
	case !(a.ClipThreshold >= 0):
		return fmt.Errorf("clipping threshold %v is below 0", a.ClipThreshold)
	case !(a.WeightDecay >= 0 && a.WeightDecay < 1):
		return fmt.Errorf("weight decay %v is not in [0, 1)", a.WeightDecay)
	case !(a.Momentum >= 0 && a.Momentum < 1):
		return fmt.Errorf("momentum %v is not in [0, 1)", a.Momentum)
	case !(a.Epsilon1 >= 1e-37): // must survive being stored as float32
		return fmt.Errorf("epsilon1 %v is below 1e-37", a.Epsilon1)
	case a.MinDimToFactor < 0:
		return fmt.Errorf("smallest side to factor %d is below 0", a.MinDimToFactor)
	case a.ScaleByParameter && !(a.Epsilon2 > 0):
		return fmt.Errorf("epsilon2 %v is not above 0", a.Epsilon2)
	}
	return nil
}

// Moments returns v, or v_row and v_col of a factored matrix, and m where
// there is momentum.
func (a Adafactor) Moments(shape []int64) []Moment {
	moments := []Moment{{"v", shape}}
	if a.factors(shape) {
		moments = []Moment{{"v_row", shape[:1]}, {"v_col", shape[1:]}}
	}
	if a.Momentum > 0 {
		moments = append(moments, Moment{"m", shape})
	}
	return moments
}

func (a Adafactor) factors(shape []int64) bool {
	return a.MinDimToFactor > 0 && len(shape) == 2 && min(shape[0], shape[1]) >= a.MinDimToFactor
}

// decay returns b at a step, in float32 as the reference has it. That matters:
// at 1,100,000 steps 1−b is a couple of hundred units in float32's last place,
// and in float64 it would come out 0.1 % different.
func (a Adafactor) decay(step int64) float64 {
	t := float32(a.InitialStep+step-a.StepOffset) + 1
	return float64(1 - float32(math.Pow(float64(t), single(-a.DecayRate))))
}

// Apply makes one step. Arithmetic is in float64; state, decay and what else
// is multiplied in at every step are float32.
func (a Adafactor) Apply(s Slice) {
	n := len(s.Param)
	b := a.decay(s.Step)

	// inverse(i) is 1/√v of element i. Two walks use it, one to measure the
	// update and one to make it, so that no buffer is needed.
	var inverse func(i int) float64
	if a.factors(s.Shape) {
		inverse = a.trackFactored(s, b)
	} else {
		inverse = a.track(s, b)
	}

	shrink := s.Scale
	if a.ClipThreshold > 0 {
		var sum float64
		for i, g := range s.Grad {
			u := float64(g) * s.Scale * inverse(i)
			sum += u * u
		}
		shrink /= max(1, math.Sqrt(sum/float64(n))/a.ClipThreshold)
	}
	rate := single(s.Rate)
	if a.ScaleByParameter {
		var sum float64
		for _, p := range s.Param {
			sum += float64(p) * float64(p)
		}
		rate *= max(a.Epsilon2, math.Sqrt(sum/float64(n)))
	}

	keep := single(1 - a.WeightDecay)
	for i, g := range s.Grad {
		u := rate * shrink * float64(g) * inverse(i)
		if a.Momentum > 0 {
			m := s.Moments[len(s.Moments)-1]
			u = a.Momentum*float64(m[i]) + (1-a.Momentum)*u
			m[i] = float32(u)
		}
		s.Param[i] = float32(keep*float64(s.Param[i]) - u)
	}
}

// track updates v, one number an element.
func (a Adafactor) track(s Slice, b float64) func(int) float64 {
	v := s.Moments[0]
	for i, g := range s.Grad {
		g := float64(g) * s.Scale
		v[i] = float32(b*float64(v[i]) + (1-b)*(g*g+a.Epsilon1))
	}
	return func(i int) float64 { return 1 / math.Sqrt(float64(v[i])) }
}

// trackFactored updates the means of v's rows and columns. T5X calls the
// shorter axis the row; the product is the same either way.
func (a Adafactor) trackFactored(s Slice, b float64) func(int) float64 {
	row, col := s.Moments[0], s.Moments[1]
	sums := make([]float64, len(row)+len(col))
	rowSum, colSum := sums[:len(row)], sums[len(row):]
	for i, g := range s.Grad {
		g := float64(g) * s.Scale
		rowSum[i/len(col)] += g*g + a.Epsilon1
		colSum[i%len(col)] += g*g + a.Epsilon1
	}
	var mean float64
	for i, sum := range rowSum {
		row[i] = float32(b*float64(row[i]) + (1-b)*sum/float64(len(col)))
		mean += float64(row[i]) / float64(len(row))
	}
	for i, sum := range colSum {
		col[i] = float32(b*float64(col[i]) + (1-b)*sum/float64(len(row)))
	}
	// From here on the sums hold the two factors of 1/√v.
	for i, r := range row {
		rowSum[i] = 1 / math.Sqrt(float64(r)/mean)
	}
	for i, c := range col {
		colSum[i] = 1 / math.Sqrt(float64(c))
	}
	return func(i int) float64 { return rowSum[i/len(col)] * colSum[i%len(col)] }
}
