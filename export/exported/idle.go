package exported

import (
	"fmt"
	"math"
	"strings"

	"softprompt/onnx"
)

// idle returns the operand that a node hands on as it is, if it does.
func (f *folder) idle(n *onnx.Node) (string, bool) {
	test, ok := idles[n.Op]
	if !ok || n.Domain != "" || n.Input(0) == "" || n.Output(0) == "" {
		return "", false
	}
	for _, y := range n.Outputs[1:] {
		if y != "" {
			return "", false
		}
	}
	return n.Input(0), test(f, n)
}

// idles has the operators that may do nothing, and when they do.
var idles = map[string]func(f *folder, n *onnx.Node) bool{
	"Identity":  func(*folder, *onnx.Node) bool { return true },
	"Cast":      func(f *folder, n *onnx.Node) bool { return f.typeOf(n.Input(0)) == onnx.DType(n.Int("to", 0)) },
	"CastLike":  func(f *folder, n *onnx.Node) bool { return f.typeOf(n.Input(0)) == f.typeOf(n.Input(1)) },
	"Dropout":   func(_ *folder, n *onnx.Node) bool { return n.Input(2) == "" },
	"Concat":    func(_ *folder, n *onnx.Node) bool { return len(n.Inputs) == 1 },
	"Reshape":   (*folder).sameShape,
	"Expand":    (*folder).sameShape,
	"Tile":      (*folder).sameShape,
	"Slice":     func(f *folder, n *onnx.Node) bool { return f.forwards(n.Input(4)) && (f.sameShape(n) || f.lastAll(n)) },
	"Transpose": func(_ *folder, n *onnx.Node) bool { return rising(n.Ints("perm")) },
}

// typeOf returns the type of a value; no type is equal to an unknown one.
func (f *folder) typeOf(x string) onnx.DType {
	if v, _ := f.infer.Value(x); v.Type != onnx.Undefined {
		return v.Type
	}
	return -1
}

// sameShape tells whether a node's result certainly has its operand's sizes.
func (f *folder) sameShape(n *onnx.Node) bool {
	x, _ := f.infer.Value(n.Input(0))
	y, _ := f.infer.Value(n.Output(0))
	return x.Shape.Same(y.Shape)
}

// forwards tells whether all steps of a Slice are 1.
func (f *folder) forwards(steps string) bool {
	if steps == "" {
		return true
	}
	elems := f.infer.Elems(steps)
	for _, e := range elems {
		if e.Size != 1 {
			return false
		}
	}
	return elems != nil
}

// lastAll tells whether a Slice takes the last n of an axis of n elements, as
// T5 cuts the positions of a cache off its bias when there is no cache.
func (f *folder) lastAll(n *onnx.Node) bool {
	x, _ := f.infer.Value(n.Input(0))
	axes, end := []int64{0}, int64(-1)
	if n.Input(3) != "" {
		axes = f.numbers(n.Input(3))
	}
	if ends := f.numbers(n.Input(2)); len(ends) == 1 {
		end = ends[0]
	}
	count := f.infer.Elems(f.negatives[n.Input(1)])
	if len(axes) != 1 || len(count) != 1 || end < math.MaxInt32 {
		return false
	}
	axis := axes[0]
	if axis < 0 {
		axis += int64(len(x.Shape))
	}
	return axis >= 0 && axis < int64(len(x.Shape)) && count[0].Same(x.Shape[axis])
}

// numbers returns the elements of an int64 constant, nil for another value.
func (f *folder) numbers(x string) []int64 {
	t := f.infer.Const(x)
	if t == nil {
		return nil
	}
	v, err := t.Int64s()
	if err != nil {
		return nil
	}
	return v
}

// negate remembers values that are the negatives of sizes, which inference does
// not follow.
func (f *folder) negate(n *onnx.Node) {
	if len(n.Outputs) != 1 || n.Domain != "" {
		return
	}
	switch x := n.Input(0); n.Op {
	case "Neg":
		f.negatives[n.Outputs[0]] = x
	case "Mul":
		if by := f.numbers(n.Input(1)); len(by) == 1 && by[0] == -1 {
			f.negatives[n.Outputs[0]] = x
		}
	case "Unsqueeze", "Squeeze", "Reshape", "Concat":
		if y, ok := f.negatives[x]; ok && (n.Op != "Concat" || len(n.Inputs) == 1) {
			f.negatives[n.Outputs[0]] = y
		}
	}
}

// rising tells whether a permutation leaves the axes where they are.
func rising(perm []int64) bool {
	for i, axis := range perm {
		if axis != int64(i) {
			return false
		}
	}
	return len(perm) > 0
}

// keyOf returns a string that nodes share which compute the same; false for
// those that may not, however alike.
func keyOf(n *onnx.Node) (string, bool) {
	if len(n.Outputs) != 1 || n.Output(0) == "" || random[n.Op] || len(n.Graphs()) > 0 {
		return "", false
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %q", n.Domain, n.Op, n.Inputs)
	for _, a := range n.Attrs {
		switch a.Kind {
		case onnx.AttrFloat, onnx.AttrInt, onnx.AttrString, onnx.AttrFloats, onnx.AttrInts, onnx.AttrStrings:
			fmt.Fprintf(&b, " %s=%v,%v,%q,%v,%v,%q", a.Name, a.F, a.I, a.S, a.Floats, a.Ints, a.Strings)
		case onnx.AttrTensor:
			if a.T == nil || len(a.T.Data) > 64 || a.T.Strings != nil || a.T.External != nil {
				return "", false
			}
			fmt.Fprintf(&b, " %s=%v%v%x", a.Name, a.T.Type, a.T.Dims, a.T.Data)
		default:
			return "", false
		}
	}
	return b.String(), true
}

// random has the operators that give something else each time.
var random = map[string]bool{
	"RandomNormal": true, "RandomUniform": true, "RandomNormalLike": true, "RandomUniformLike": true,
	"Bernoulli": true, "Multinomial": true, "Dropout": true,
}
