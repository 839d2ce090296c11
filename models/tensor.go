package models

import (
	"bytes"
	"slices"
)

// TensorInfo says what a tensor is and where its bytes lie.
type TensorInfo struct {
	Name   string
	DType  DType
	Shape  []int64 // empty for a scalar
	File   string  // absolute path with symlinks resolved
	Offset int64   // bytes from the file's start, or Scattered
	Length int64   // bytes
}

// Scattered is the Offset of a tensor whose elements do not lie row by row in
// its file, as that of a transposed matrix in a pytorch_model.bin.
const Scattered = -1

// Elements returns the number of elements.
func (t TensorInfo) Elements() int64 { return t.Length / dtypeSizes[t.DType] }

// tensor is what a name stands for: the description and the mapped bytes.
type tensor struct {
	TensorInfo
	data   []byte  // from the first element to the last
	stride []int64 // elements from one index to the next; nil if they lie row by row
}

// inPlace reports whether ONNX Runtime can use the file's bytes where they
// lie: float32, row by row, and where a float32 may lie in memory. (PyTorch
// before 1.6 put tensors at odd addresses.)
func (t tensor) inPlace() bool {
	return t.DType == F32 && t.stride == nil && t.Offset%dtypeSizes[F32] == 0
}

// raw returns the bytes of elements from..from+n, row by row. They are the
// file's own where they lie so, and must not be written to; else they are
// gathered into buf, or into a new one if that is too small.
func (t tensor) raw(buf []byte, from, n int64) []byte {
	size := dtypeSizes[t.DType]
	if t.stride == nil {
		return t.data[from*size : (from+n)*size]
	}
	if int64(cap(buf)) < n*size {
		buf = make([]byte, 0, n*size)
	}
	buf = buf[:0]
	index := make([]int64, len(t.Shape))
	for i, rest := len(t.Shape)-1, from; i >= 0; i-- {
		index[i], rest = rest%t.Shape[i], rest/t.Shape[i]
	}
	last := len(t.Shape) - 1
	for n > 0 {
		at := int64(0)
		for i, k := range index {
			at += k * t.stride[i]
		}
		run := min(n, t.Shape[last]-index[last])
		for range run {
			buf = append(buf, t.data[at*size:(at+1)*size]...)
			at += t.stride[last]
		}
		n -= run
		index[last] = 0
		for i := last - 1; i >= 0; i-- {
			if index[i]++; index[i] < t.Shape[i] {
				break
			}
			index[i] = 0
		}
	}
	return buf
}

// all returns the bytes of every element.
func (t tensor) all() []byte { return t.raw(nil, 0, t.Elements()) }

// floats reads len(dst) elements, of a floating-point type.
func (t tensor) floats(dst []float32, from int64) {
	widen(dst, t.raw(nil, from, int64(len(dst))), t.DType)
}

// samePlace reports whether two tensors are the same bytes of the same file.
func (t tensor) samePlace(other tensor) bool {
	return t.DType == other.DType && t.File == other.File && t.Length == other.Length && slices.Equal(t.stride, other.stride) &&
		len(t.data) > 0 && len(other.data) == len(t.data) && &t.data[0] == &other.data[0]
}

// equal reports whether two tensors hold the same bits. It reads until they
// differ, and nothing where they are the same bytes.
func (t tensor) equal(other tensor) bool {
	if t.DType != other.DType || !slices.Equal(t.Shape, other.Shape) {
		return false
	}
	if t.samePlace(other) {
		return true
	}
	const chunk = 1 << 16 // elements
	bufs := [2][]byte{make([]byte, chunk*dtypeSizes[t.DType]), make([]byte, chunk*dtypeSizes[t.DType])}
	for at := int64(0); at < t.Elements(); at += chunk {
		n := min(chunk, t.Elements()-at)
		if !bytes.Equal(t.raw(bufs[0], at, n), other.raw(bufs[1], at, n)) {
			return false
		}
	}
	return true
}
