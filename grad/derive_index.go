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
	at := c.Unsqueeze(indices, -1)
	if axis == 0 {
		return c.ScatterND(zeros(c.Builder, c.x), at, c.g, "add")
	}
	// ScatterND writes along the first axes: bring those of the indices there.
	rank, n := int64(c.rank(c.x)), int64(c.rank(c.in(1)))
	if axis < 0 {
		return "" // the rank is unknown, and the builder has failed
	}
	first := slices.Concat(span(axis, axis+n), span(0, axis), span(axis+n, rank-1+n))
	sizes := slices.Concat(span(axis, axis+1), span(0, axis), span(axis+1, rank))
	shape := c.Gather(shapeOf(c.Builder, c.x), c.Ints(sizes...), 0)
	into := c.Expand(c.Float(0, c.x), shape)
	sum := c.ScatterND(into, at, c.Transpose(c.g, first...), "add")
	return c.Transpose(sum, inverse(sizes)...)
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
	return c.ScatterND(zeros(c.Builder, c.x), at, c.g, "add")
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
