package models

import (
	"bytes"
	"encoding/binary"
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
		buf = make([]byte, n*size)
	}
	buf = buf[:n*size]
	if len(t.Shape) != 2 || n == 0 {
		t.gather(buf, from)
		return buf
	}
	// A matrix by whole rows, the parts of rows at both ends apart.
	cols := t.Shape[1]
	head := min(n, (cols-from%cols)%cols)
	rows := (n - head) / cols
	body := (head + rows*cols) * size
	t.gather(buf[:head*size], from)
	t.gatherRows(buf[head*size:body], (from+head)/cols, rows)
	t.gather(buf[body:], from+head+rows*cols)
	return buf
}

// gather fills out with the elements that begin at an index, one by one.
func (t tensor) gather(out []byte, from int64) {
	size, last := dtypeSizes[t.DType], len(t.Shape)-1
	index := make([]int64, len(t.Shape))
	for i, rest := last, from; i >= 0 && len(out) > 0; i-- {
		index[i], rest = rest%t.Shape[i], rest/t.Shape[i]
	}
	for len(out) > 0 {
		at := int64(0)
		for i, k := range index {
			at += k * t.stride[i]
		}
		for ; index[last] < t.Shape[last] && len(out) > 0; index[last]++ {
			out = out[copy(out, t.data[at*size:(at+1)*size]):]
			at += t.stride[last]
		}
		index[last] = 0
		for i := last - 1; i >= 0; i-- {
			if index[i]++; index[i] < t.Shape[i] {
				break
			}
			index[i] = 0
		}
	}
}

// gatherRows fills out with rows of a matrix by tiles, so that the lines of the
// file that hold a transposed one are each read once.
func (t tensor) gatherRows(out []byte, row, rows int64) {
	const side = 32
	var tile [side * side * 8]byte
	size, cols := dtypeSizes[t.DType], t.Shape[1]
	width, down, right := cols*size, t.stride[0]*size, t.stride[1]*size
	for r := int64(0); r < rows; r += side {
		high := min(side, rows-r)
		for c := int64(0); c < cols; c += side {
			wide := min(side, cols-c)
			for j := range wide {
				from, to := (row+r)*down+(c+j)*right, j*size
				for range high {
					if size == 4 { // nearly always, and much quicker than copy
						binary.LittleEndian.PutUint32(tile[to:], binary.LittleEndian.Uint32(t.data[from:]))
					} else {
						copy(tile[to:to+size], t.data[from:from+size])
					}
					from, to = from+down, to+side*size
				}
			}
			for i := range high {
				at := (r+i)*width + c*size
				copy(out[at:at+wide*size], tile[i*side*size:])
			}
		}
	}
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
