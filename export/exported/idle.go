package exported

import (
	"fmt"
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
	"Slice":     func(f *folder, n *onnx.Node) bool { return f.forwards(n.Input(4)) && f.sameShape(n) },
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
	if len(n.Outputs) != 1 || n.Output(0) == "" || random[n.Op] || len(subgraphs(n)) > 0 {
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
