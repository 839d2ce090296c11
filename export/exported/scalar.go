package exported

import (
	"encoding/binary"
	"math"

	"softprompt/onnx"
)

// scalars has the float operators that are folded when all operands are
// constants of one element, as exporters write √d_kv or the largest number.
// They compute in float64 and round once, as float32 arithmetic does.
var scalars = map[string]func(x []float64) float64{
	"Neg":        func(x []float64) float64 { return -x[0] },
	"Sqrt":       func(x []float64) float64 { return math.Sqrt(x[0]) },
	"Reciprocal": func(x []float64) float64 { return 1 / x[0] },
	"Cast":       func(x []float64) float64 { return x[0] },
	"Unsqueeze":  func(x []float64) float64 { return x[0] },
	"Squeeze":    func(x []float64) float64 { return x[0] },
	"Add":        func(x []float64) float64 { return x[0] + x[1] },
	"Sub":        func(x []float64) float64 { return x[0] - x[1] },
	"Mul":        func(x []float64) float64 { return x[0] * x[1] },
	"Div":        func(x []float64) float64 { return x[0] / x[1] },
}

// scalar returns the float32 constant of one element that a node makes.
func (f *folder) scalar(n *onnx.Node) *onnx.Tensor {
	compute, ok := scalars[n.Op]
	v, _ := f.infer.Value(n.Outputs[0])
	dims, known := v.Shape.Sizes()
	if !ok || n.Domain != "" || !known || v.Type != onnx.Float32 || v.Shape == nil {
		return nil
	}
	var x []float64
	operands := n.Inputs
	if n.Op == "Unsqueeze" || n.Op == "Squeeze" {
		operands = operands[:1] // the other has the axes
	}
	for _, name := range operands {
		e, ok := element(f.infer.Const(name))
		if !ok {
			return nil
		}
		x = append(x, e)
	}
	y := onnx.Floats(n.Outputs[0], dims, []float32{float32(compute(x))})
	if y.Len() != 1 {
		return nil
	}
	return y
}

// element returns the number in a constant of one element.
func element(t *onnx.Tensor) (float64, bool) {
	if t == nil || t.Len() != 1 || t.External != nil || len(t.Data) != t.Type.Size() {
		return 0, false
	}
	switch t.Type {
	case onnx.Float32:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(t.Data))), true
	case onnx.Float64:
		return math.Float64frombits(binary.LittleEndian.Uint64(t.Data)), true
	case onnx.Int64:
		return float64(int64(binary.LittleEndian.Uint64(t.Data))), true
	}
	return 0, false
}
