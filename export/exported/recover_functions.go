package exported

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"softprompt/onnx"
)

type function func(n *onnx.Node, args [][]float64) ([]float64, error)

// functions has what is known of operators.
var functions = map[string]function{
	"Identity": first, "Dropout": first, "Reshape": first, "Squeeze": first, "Unsqueeze": first, "Transpose": first, "Expand": first,
	"Cast": cast,

	"Add": binary2(func(x, y float64) float64 { return x + y }),
	"Sub": binary2(func(x, y float64) float64 { return x - y }),
	"Mul": binary2(func(x, y float64) float64 { return x * y }),
	"Div": binary2(func(x, y float64) float64 { return x / y }),
	"Pow": binary2(math.Pow),
	"Min": binary2(math.Min),
	"Max": binary2(math.Max),

	"Less":           binary2(func(x, y float64) float64 { return truth(x < y) }),
	"LessOrEqual":    binary2(func(x, y float64) float64 { return truth(x <= y) }),
	"Greater":        binary2(func(x, y float64) float64 { return truth(x > y) }),
	"GreaterOrEqual": binary2(func(x, y float64) float64 { return truth(x >= y) }),
	"Equal":          binary2(func(x, y float64) float64 { return truth(x == y) }),
	"And":            binary2(func(x, y float64) float64 { return x * y }),
	"Or":             binary2(math.Max),
	"Not":            unary(func(x float64) float64 { return 1 - x }),
	"Where":          where,
	"Clip":           clip,

	"Neg":        unary(func(x float64) float64 { return -x }),
	"Abs":        unary(math.Abs),
	"Sqrt":       unary(math.Sqrt),
	"Reciprocal": unary(func(x float64) float64 { return 1 / x }),
	"Exp":        unary(math.Exp),
	"Log":        unary(math.Log),
	"Floor":      unary(math.Floor),

	"Relu":      unary(func(x float64) float64 { return max(x, 0) }),
	"Tanh":      unary(math.Tanh),
	"Erf":       unary(math.Erf),
	"Sigmoid":   unary(sigmoid),
	"Softplus":  unary(func(x float64) float64 { return math.Log1p(math.Exp(x)) }),
	"HardSwish": unary(func(x float64) float64 { return x * max(0, min(1, x/6+0.5)) }),
	"LeakyRelu": leakyRelu,
	"Gelu":      gelu,

	"com.microsoft.Gelu":      gelu,
	"com.microsoft.FastGelu":  unary(geluTanh),
	"com.microsoft.QuickGelu": quickGelu,

	"ReduceMean":      mean,
	"ConstantOfShape": fill,
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func first(_ *onnx.Node, args [][]float64) ([]float64, error) {
	if len(args) == 0 || args[0] == nil {
		return nil, errors.New("no operand")
	}
	return slices.Clone(args[0]), nil
}

// fill repeats the number of an attribute.
func fill(n *onnx.Node, _ [][]float64) ([]float64, error) {
	if a := n.Attr("value"); a != nil && a.T != nil && a.T.Len() == 1 {
		return numbers(a.T)
	}
	return []float64{0}, nil
}

func unary(f func(float64) float64) function {
	return func(_ *onnx.Node, args [][]float64) ([]float64, error) {
		if len(args) != 1 {
			return nil, errors.New("more than one operand")
		}
		out, err := first(nil, args)
		for i, x := range out {
			out[i] = f(x)
		}
		return out, err
	}
}

// binary2 is a function of two operands, or of one after the other where there
// are more; one that is left out is skipped.
func binary2(f func(x, y float64) float64) function {
	return func(_ *onnx.Node, args [][]float64) ([]float64, error) {
		acc, err := first(nil, args)
		for i := 1; i < len(args) && err == nil; i++ {
			acc, err = zip(acc, args[i], f)
		}
		return acc, err
	}
}

// zip joins two vectors, of which each may be a single number.
func zip(x, y []float64, f func(x, y float64) float64) ([]float64, error) {
	n := max(len(x), len(y))
	if len(x) != n && len(x) != 1 || len(y) != n && len(y) != 1 {
		return nil, fmt.Errorf("%d and %d elements", len(x), len(y))
	}
	out := make([]float64, n)
	for i := range out {
		out[i] = f(x[i%len(x)], y[i%len(y)])
	}
	return out, nil
}

// cast truncates to integers; the other types are told apart by nothing here.
func cast(n *onnx.Node, args [][]float64) ([]float64, error) {
	out, err := first(n, args)
	to := onnx.DType(n.Int("to", 0))
	for i, x := range out {
		switch {
		case to == onnx.Bool:
			out[i] = truth(x != 0)
		case !to.IsFloat():
			out[i] = math.Trunc(x)
		}
	}
	return out, err
}

func where(_ *onnx.Node, args [][]float64) ([]float64, error) {
	if len(args) != 3 {
		return nil, errors.New("not three operands")
	}
	pick := func(when bool) func(c, x float64) float64 {
		return func(c, x float64) float64 {
			if (c != 0) == when {
				return x
			}
			return 0
		}
	}
	yes, err1 := zip(args[0], args[1], pick(true))
	no, err2 := zip(args[0], args[2], pick(false))
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	return zip(yes, no, func(x, y float64) float64 { return x + y })
}

func clip(n *onnx.Node, args [][]float64) ([]float64, error) {
	bound := func(i int, attr string, def float32) []float64 {
		if i < len(args) && args[i] != nil {
			return args[i]
		}
		return []float64{float64(n.Float(attr, def))}
	}
	if len(args) == 0 {
		return nil, errors.New("no operand")
	}
	out, err := zip(args[0], bound(1, "min", -math.MaxFloat32), math.Max)
	if err != nil {
		return nil, err
	}
	return zip(out, bound(2, "max", math.MaxFloat32), math.Min)
}

// mean is over the last axis, which is all that a vector has.
func mean(n *onnx.Node, args [][]float64) ([]float64, error) {
	x, err := first(n, args)
	return []float64{sum(x) / float64(len(x))}, err
}

func sum(x []float64) (total float64) {
	for _, v := range x {
		total += v
	}
	return total
}

func leakyRelu(n *onnx.Node, args [][]float64) ([]float64, error) {
	slope := float64(n.Float("alpha", 0.01))
	return unary(func(x float64) float64 { return max(x, 0) + slope*min(x, 0) })(n, args)
}

func gelu(n *onnx.Node, args [][]float64) ([]float64, error) {
	if n.Str("approximate", "none") == "tanh" {
		return unary(geluTanh)(n, args)
	}
	return unary(geluErf)(n, args)
}

func quickGelu(n *onnx.Node, args [][]float64) ([]float64, error) {
	alpha := float64(n.Float("alpha", 1.702))
	return unary(func(x float64) float64 { return x * sigmoid(alpha*x) })(n, args)
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func geluErf(x float64) float64 { return 0.5 * x * (1 + math.Erf(x/math.Sqrt2)) }

func geluTanh(x float64) float64 {
	return 0.5 * x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
}
