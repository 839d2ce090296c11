package onnx

import "math"

// Operators that move elements without computing on them. Axes may be
// negative, counted from the last.

// Transpose permutes the axes of x.
func (b *Builder) Transpose(x string, perm ...int64) string {
	return b.Op("Transpose", []string{x}, IntsAttr("perm", perm...))
}

// Reshape gives x the sizes in the int64 vector shape: 0 copies the size of
// the same axis, −1 is what is left.
func (b *Builder) Reshape(x, shape string) string { return b.Op("Reshape", []string{x, shape}) }

// ReshapeTo is Reshape to constant sizes.
func (b *Builder) ReshapeTo(x string, sizes ...int64) string { return b.Reshape(x, b.Ints(sizes...)) }

// Squeeze removes axes of size 1.
func (b *Builder) Squeeze(x string, axes ...int64) string {
	return b.Op("Squeeze", []string{x, b.Ints(axes...)})
}

// Unsqueeze adds axes of size 1, numbered as in the result.
func (b *Builder) Unsqueeze(x string, axes ...int64) string {
	return b.Op("Unsqueeze", []string{x, b.Ints(axes...)})
}

// Expand broadcasts x to the sizes in the int64 vector shape.
func (b *Builder) Expand(x, shape string) string { return b.Op("Expand", []string{x, shape}) }

// Tile repeats x along each axis as often as the int64 vector repeats says.
func (b *Builder) Tile(x, repeats string) string { return b.Op("Tile", []string{x, repeats}) }

// Concat lays tensors end to end along an axis; a single one is returned as
// it is.
func (b *Builder) Concat(axis int64, x ...string) string {
	if len(x) == 1 {
		return x[0]
	}
	return b.Op("Concat", x, IntAttr("axis", axis))
}

// Split cuts x along an axis into pieces of the sizes in the int64 vector
// sizes, n of them.
func (b *Builder) Split(x string, axis int64, sizes string, n int) []string {
	return b.OpN("Split", n, []string{x, sizes}, IntAttr("axis", axis))
}

// Slice returns the elements of x from start up to end along one axis; start
// and end are int64 vectors of one element and may be negative.
func (b *Builder) Slice(x, start, end string, axis int64) string {
	return b.Op("Slice", []string{x, start, end, b.Ints(axis)})
}

// SliceTo is Slice with constant bounds; End as the end means all the rest.
func (b *Builder) SliceTo(x string, start, end, axis int64) string {
	return b.Slice(x, b.Ints(start), b.Ints(end), axis)
}

// End is a slice's bound past any end.
const End = math.MaxInt64

// Pad surrounds x with zeros; pads is an int64 vector, first the counts before
// each axis, then the counts after.
func (b *Builder) Pad(x, pads string) string { return b.Op("Pad", []string{x, pads}) }

// Gather picks slices of x along an axis: the shape of indices takes the
// axis's place.
func (b *Builder) Gather(x, indices string, axis int64) string {
	return b.Op("Gather", []string{x, indices}, IntAttr("axis", axis))
}

// GatherElements picks an element of x for each element of indices, whose
// position it keeps but for the axis.
func (b *Builder) GatherElements(x, indices string, axis int64) string {
	return b.Op("GatherElements", []string{x, indices}, IntAttr("axis", axis))
}

// GatherND picks slices of x by index tuples in the last axis of indices.
func (b *Builder) GatherND(x, indices string, batchDims int64) string {
	return b.Op("GatherND", []string{x, indices}, IntAttr("batch_dims", batchDims))
}

// ScatterND returns x with updates at index tuples; reduction is "none" or
// "add".
func (b *Builder) ScatterND(x, indices, updates, reduction string) string {
	return b.Op("ScatterND", []string{x, indices, updates}, StringAttr("reduction", reduction))
}

// ScatterElements returns x with an update for each element of indices;
// reduction is "none" or "add".
func (b *Builder) ScatterElements(x, indices, updates string, axis int64, reduction string) string {
	return b.Op("ScatterElements", []string{x, indices, updates},
		IntAttr("axis", axis), StringAttr("reduction", reduction))
}

// ShapeOf returns the sizes of x as an int64 vector.
func (b *Builder) ShapeOf(x string) string { return b.Op("Shape", []string{x}) }

// SizesOf returns the sizes of axes start up to end of x as an int64 vector.
func (b *Builder) SizesOf(x string, start, end int64) string {
	return b.Op("Shape", []string{x}, IntAttr("start", start), IntAttr("end", end))
}

// Fill returns a tensor of the given sizes in which every element is v.
func (b *Builder) Fill(shape string, v float64, t DType) string {
	c, err := Scalar("value", t, v)
	if err != nil {
		b.Fail(err)
		return ""
	}
	c.Dims = []int64{1}
	return b.Op("ConstantOfShape", []string{shape}, TensorAttr("value", c))
}

// Range returns start, start+step, … below limit, all scalars.
func (b *Builder) Range(start, limit, step string) string {
	return b.Op("Range", []string{start, limit, step})
}
