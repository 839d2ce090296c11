package grad

import (
	"slices"

	"softprompt/onnx"
)

// Reading by index: an element read several times gets the sum, so these add
// into zeros.

// smallTable is the number of rows up to which the gradient of a table, such
// as the 32 relative position biases of T5, is a product with a one-hot matrix
// and not a scatter: many rows of g meet in each of a few, which scattering
// does one after another.
const smallTable = 64

func gather(c *call) string {
	axis := c.axis(0)
	indices := c.Cast(c.in(1), onnx.Int64)
	if s := c.Shape(c.x); axis == 0 && len(s) == 2 && s[0].Known() && s[0].Size <= smallTable && c.Type(c.x) == onnx.Float32 {
		onOff := c.Const(onnx.Floats("", []int64{2}, []float32{0, 1}))
		hot := c.OneHot(c.ReshapeTo(indices, -1), c.Int(s[0].Size), onOff)
		return c.FusedMatMul(hot, c.rows(c.g), true, false, 1)
	}
	if axis == 0 {
		return c.addRows(c.ReshapeTo(indices, -1), c.g)
	}
	rank := int64(c.rank(c.x))
	if axis < 0 || axis >= rank {
		return "" // the rank is unknown, and the builder has failed
	}
	// The axes of the indices become one, in the place of the gathered axis.
	g := c.Reshape(c.g, c.Concat(0, c.SizesOf(c.x, 0, axis), c.Ints(-1), c.SizesOf(c.x, axis+1, rank)))
	at := slices.Repeat([]int64{1}, int(rank))
	at[axis] = -1
	return c.ScatterElements(zeros(c.Builder, c.x), c.Expand(c.ReshapeTo(indices, at...), c.ShapeOf(g)), g, axis, "add")
}

// addRows adds the slices g of x's first axis to zeros at the rows at [M].
//
// ScatterND has the right shape for this, but ONNX Runtime splits its updates
// among threads on the processor, and where two go to one row some are lost;
// ScatterElements adds them one after another.
func (c *call) addRows(at, g string) string {
	g = c.Reshape(g, c.Concat(0, c.ShapeOf(at), c.Ints(-1))) // [M,N]
	into := c.Reshape(zeros(c.Builder, c.x), c.Concat(0, c.SizesOf(c.x, 0, 1), c.Ints(-1)))
	sum := c.ScatterElements(into, c.Expand(c.Unsqueeze(at, 1), c.ShapeOf(g)), g, 0, "add")
	return c.reshapeLike(sum, c.x)
}

// span returns from, …, to−1.
func span(from, to int64) []int64 {
	var s []int64
	for i := from; i < to; i++ {
		s = append(s, i)
	}
	return s
}

func gatherElements(c *call) string {
	return c.ScatterElements(zeros(c.Builder, c.x), c.in(1), c.g, c.node.Int("axis", 0), "add")
}

// gatherND adds at the index tuples, to which it first adds the position in
// the batch.
func gatherND(c *call) string {
	at := c.in(1)
	batch := c.node.Int("batch_dims", 0)
	if batch > 0 && batch >= int64(c.rank(at)) {
		return c.fail("batch_dims %d does not fit the indices' rank", batch)
	}
	for axis := batch - 1; axis >= 0; axis-- {
		rank := int64(c.rank(at))
		count := c.Range(c.Int(0), c.Squeeze(c.sizeOf(at, axis), 0), c.Int(1))
		column := c.Unsqueeze(count, slices.Concat(span(0, axis), span(axis+1, rank))...)
		shape := c.Concat(0, c.SizesOf(at, 0, rank-1), c.Ints(1))
		at = c.Concat(rank-1, c.Expand(column, shape), at)
	}
	return c.addAt(at)
}

// addAt adds the gradient to zeros at index tuples at [..,r] into the first r
// axes, which it takes for one: see addRows.
func (c *call) addAt(at string) string {
	r := c.SizesOf(at, -1, onnx.End)
	sizes := c.Slice(c.ShapeOf(c.x), c.Ints(0), r, 0)
	// A step along axis j is as long as the axes after it together.
	count := c.Range(c.Int(0), c.Squeeze(r, 0), c.Int(1))
	after := c.Greater(c.Unsqueeze(count, 0), c.Unsqueeze(count, 1)) // [r,r]
	step := c.prod(c.Where(after, c.Unsqueeze(sizes, 0), c.Int(1)), 1)
	at = c.Where(c.Less(at, c.Int(0)), c.Add(at, sizes), at)
	flat := c.ReshapeTo(c.ReduceSum(c.Mul(at, step), false, -1), -1)

	rows := c.Reshape(zeros(c.Builder, c.x), c.Concat(0, c.Unsqueeze(c.prod(sizes, 0), 0), c.Ints(-1)))
	g := c.Reshape(c.g, c.Concat(0, c.ShapeOf(flat), c.Ints(-1)))
	sum := c.ScatterElements(rows, c.Expand(c.Unsqueeze(flat, 1), c.ShapeOf(g)), g, 0, "add")
	return c.reshapeLike(sum, c.x)
}

// prod multiplies the elements along an axis.
func (c *call) prod(x string, axis int64) string {
	return c.Op("ReduceProd", []string{x, c.Ints(axis)}, onnx.IntAttr("keepdims", 0))
}

// scattered is the gradient in what ScatterElements and ScatterND write into:
// nothing where it was overwritten.
func scattered(c *call) string {
	switch c.reduction() {
	case "add":
		return c.g
	case "none":
		return c.Op(c.node.Op, []string{c.g, c.in(1), zeros(c.Builder, c.in(2))}, c.node.Attrs...)
	}
	return ""
}

// updates is the gradient in what they write.
func updates(c *call) string {
	switch {
	case c.reduction() == "":
		return ""
	case c.node.Op == "ScatterND":
		return c.GatherND(c.g, c.in(1), 0)
	}
	return c.GatherElements(c.g, c.in(1), c.node.Int("axis", 0))
}

// reduction returns the attribute if it is one that has a gradient here.
func (c *call) reduction() string {
	r := c.node.Str("reduction", "none")
	if r != "none" && r != "add" {
		return c.fail("reduction %q is not covered", r)
	}
	return r
}

func topK(c *call) string {
	return c.ScatterElements(zeros(c.Builder, c.x), c.out(1), c.g, c.node.Int("axis", -1), "none")
}
