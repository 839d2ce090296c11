package exported

import (
	"slices"

	"softprompt/onnx"
)

// reshape makes the sizes of a Reshape constant where that can be done: at
// most one of them is neither known nor that of the same axis of its operand,
// or of what its operand was reshaped from. One that only adds axes of size 1
// becomes an Unsqueeze.
func (f *folder) reshape(n *onnx.Node) {
	f.reshaped[n.Output(0)] = n.Input(0)
	to, _ := f.infer.Value(n.Output(0))
	if f.infer.Const(n.Input(1)) != nil || to.Shape == nil {
		return
	}
	for x, ok := n.Input(0), true; ok; x, ok = f.reshaped[x] {
		from, _ := f.infer.Value(x)
		if sizes := sizesFrom(from.Shape, to.Shape); sizes != nil {
			f.replace(n, "Reshape", x, sizes)
			f.reshaped[n.Output(0)] = x
			return
		}
	}
	from, _ := f.infer.Value(n.Input(0))
	if axes := addedAxes(from.Shape, to.Shape); axes != nil {
		f.replace(n, "Unsqueeze", n.Input(0), axes)
	}
}

// replace makes a node of another operator with a constant second operand.
func (f *folder) replace(n *onnx.Node, op, x string, numbers []int64) {
	c := onnx.Longs(f.used.Fresh(n.Output(0)+"/shape"), []int64{int64(len(numbers))}, numbers)
	f.graph.Initializers = append(f.graph.Initializers, c)
	f.infer.SetConst(c)
	n.Op, n.Inputs = op, []string{x, c.Name}
	n.Attrs = slices.DeleteFunc(n.Attrs, func(a onnx.Attr) bool { return a.Name == "allowzero" }) // a 0 copies now
}

// sizesFrom returns the operand of a Reshape between two shapes, nil if more
// than one size has to be asked for at run time. 0 copies a size, −1 is what is
// left.
func sizesFrom(from, to onnx.Shape) []int64 {
	sizes, asked := make([]int64, len(to)), 0
	for i, d := range to {
		switch {
		case d.Size == 0:
			return nil
		case d.Known():
			sizes[i] = d.Size
		case i < len(from) && d.Same(from[i]):
			sizes[i] = 0
		default:
			sizes[i] = -1
			asked++
		}
	}
	if asked > 1 {
		return nil
	}
	return sizes
}

// addedAxes returns the axes of size 1 that are to be put into a shape to make
// the other, nil if that is not all.
func addedAxes(from, to onnx.Shape) []int64 {
	var axes []int64
	i := 0
	for j, d := range to {
		switch {
		case i < len(from) && d.Same(from[i]):
			i++
		case d.Size == 1:
			axes = append(axes, int64(j))
		default:
			return nil
		}
	}
	if from == nil || i < len(from) {
		return nil
	}
	return axes
}
