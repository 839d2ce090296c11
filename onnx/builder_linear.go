package onnx

// Products, sums and normalisations.

// MatMul multiplies the last two axes of x and y; axes before them broadcast.
func (b *Builder) MatMul(x, y string) string { return b.Op("MatMul", []string{x, y}) }

// FusedMatMul returns alpha · op(x) op(y), where op transposes the last two
// axes if its flag is set. Without flags and with alpha 1 it is a MatMul.
func (b *Builder) FusedMatMul(x, y string, transX, transY bool, alpha float64) string {
	if !transX && !transY && alpha == 1 {
		return b.MatMul(x, y)
	}
	return b.Op("com.microsoft.FusedMatMul", []string{x, y},
		IntAttr("transA", bit(transX)), IntAttr("transB", bit(transY)), FloatAttr("alpha", float32(alpha)))
}

// Gemm returns op(x) op(y) for matrices.
func (b *Builder) Gemm(x, y string, transX, transY bool) string {
	return b.Op("Gemm", []string{x, y}, IntAttr("transA", bit(transX)), IntAttr("transB", bit(transY)))
}

// ReduceSum sums over constant axes, all of them if none are given. With keep
// they stay as axes of size 1.
func (b *Builder) ReduceSum(x string, keep bool, axes ...int64) string {
	return b.reduce("ReduceSum", x, keep, axes)
}

// ReduceMean averages over constant axes.
func (b *Builder) ReduceMean(x string, keep bool, axes ...int64) string {
	return b.reduce("ReduceMean", x, keep, axes)
}

// ReduceMax takes the largest element over constant axes.
func (b *Builder) ReduceMax(x string, keep bool, axes ...int64) string {
	return b.reduce("ReduceMax", x, keep, axes)
}

// ReduceMin takes the smallest element over constant axes.
func (b *Builder) ReduceMin(x string, keep bool, axes ...int64) string {
	return b.reduce("ReduceMin", x, keep, axes)
}

func (b *Builder) reduce(op, x string, keep bool, axes []int64) string {
	inputs := []string{x}
	if len(axes) > 0 {
		inputs = append(inputs, b.Ints(axes...))
	}
	return b.Op(op, inputs, IntAttr("keepdims", bit(keep)))
}

// ReduceSumOver sums over the axes in an int64 vector, keeping them as size 1;
// an empty vector leaves x as it is.
func (b *Builder) ReduceSumOver(x, axes string) string {
	return b.Op("ReduceSum", []string{x, axes}, IntAttr("keepdims", 1), IntAttr("noop_with_empty_axes", 1))
}

// ArgMax returns the int64 index of the largest element along an axis, the
// first where several are equal.
func (b *Builder) ArgMax(x string, axis int64, keep bool) string {
	return b.Op("ArgMax", []string{x}, IntAttr("axis", axis), IntAttr("keepdims", bit(keep)))
}

// Softmax normalises e^x to sum 1 along an axis.
func (b *Builder) Softmax(x string, axis int64) string {
	return b.Op("Softmax", []string{x}, IntAttr("axis", axis))
}

// LogSoftmax returns x − log Σ e^x along an axis.
func (b *Builder) LogSoftmax(x string, axis int64) string {
	return b.Op("LogSoftmax", []string{x}, IntAttr("axis", axis))
}

// RMSNorm returns x · rsqrt(mean(x²) + eps) · scale over the last axis, T5's
// layer norm, and the factor rsqrt(…) itself, [..,1] in float32, as ONNX
// Runtime's SimplifiedLayerNormalization. The operator is registered in the
// standard domain although the standard does not have it.
func (b *Builder) RMSNorm(x, scale string, eps float64) (y, inv string) {
	out := b.OpN("SimplifiedLayerNormalization", 2, []string{x, scale},
		IntAttr("axis", -1), FloatAttr("epsilon", float32(eps)))
	return out[0], out[1]
}

// OneHot returns a tensor with an axis of size depth (a scalar) added last:
// on where the index is, off elsewhere; values is [off, on].
func (b *Builder) OneHot(indices, depth, values string) string {
	return b.Op("OneHot", []string{indices, depth, values}, IntAttr("axis", -1))
}

func bit(set bool) int64 {
	if set {
		return 1
	}
	return 0
}
