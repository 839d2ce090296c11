package ort

import (
	"fmt"
	"math"
	"unsafe"

	"softprompt/onnx"
)

// Tensor is memory for an input or an output of a run. It is plain Go memory
// in row-major order, pinned while a run uses it: write to what the accessors
// return and the next run sees it; bind it as an output and the run fills it.
// The slices stay good for as long as anything holds them.
//
// A tensor may be read by several runs at once, but nothing may write to it
// while a run uses it.
type Tensor struct {
	dtype onnx.DType
	shape []int64
	data  []byte // 64-byte aligned; nil after Close
}

// alignment of a tensor's memory: what the runtime's own allocator gives, a
// cache line and the widest vector register.
const alignment = 64

// NewTensor returns a tensor of zeros. No sizes make a scalar.
func NewTensor(t onnx.DType, shape ...int64) (*Tensor, error) {
	n, err := byteSize(t, shape)
	if err != nil {
		return nil, fmt.Errorf("making a tensor: %w", err)
	}
	return &Tensor{dtype: t, shape: append([]int64{}, shape...), data: aligned(n)}, nil
}

// FromFloats returns a float32 tensor with a copy of the values.
func FromFloats(values []float32, shape ...int64) (*Tensor, error) {
	return fromSlice(onnx.Float32, values, shape)
}

// FromInts returns an int64 tensor with a copy of the values.
func FromInts(values []int64, shape ...int64) (*Tensor, error) {
	return fromSlice(onnx.Int64, values, shape)
}

// FromONNX returns a tensor with a copy of a constant's elements, which must
// have been read: it fails if they still lie in another file.
func FromONNX(c *onnx.Tensor) (*Tensor, error) {
	if c.External != nil {
		return nil, fmt.Errorf("making a tensor of %s: its elements lie in file %s and were not read", c.Name, c.External.Location)
	}
	t, err := NewTensor(c.Type, c.Dims...)
	if err != nil {
		return nil, fmt.Errorf("making a tensor of %s: %w", c.Name, err)
	}
	if len(c.Data) != len(t.data) {
		return nil, fmt.Errorf("making a tensor of %s: %v %v takes %d bytes, it holds %d", c.Name, c.Type, c.Dims, len(t.data), len(c.Data))
	}
	copy(t.data, c.Data)
	return t, nil
}

// ONNX returns the tensor as a constant with the given name and a copy of the
// elements.
func (t *Tensor) ONNX(name string) *onnx.Tensor {
	return &onnx.Tensor{Name: name, Type: t.dtype, Dims: t.Shape(), Data: append([]byte{}, t.data...)}
}

// Type returns the type of the elements.
func (t *Tensor) Type() onnx.DType { return t.dtype }

// Shape returns a copy of the sizes; it is empty for a scalar.
func (t *Tensor) Shape() []int64 { return append([]int64{}, t.shape...) }

// Len returns the number of elements.
func (t *Tensor) Len() int {
	if t.dtype.Size() == 0 {
		return 0
	}
	return len(t.data) / t.dtype.Size()
}

// Float32s returns the elements in place, or nil if they are not float32.
func (t *Tensor) Float32s() []float32 { return elements[float32](t, onnx.Float32) }

// Float64s returns the elements in place, or nil if they are not float64.
func (t *Tensor) Float64s() []float64 { return elements[float64](t, onnx.Float64) }

// Int64s returns the elements in place, or nil if they are not int64.
func (t *Tensor) Int64s() []int64 { return elements[int64](t, onnx.Int64) }

// Int32s returns the elements in place, or nil if they are not int32.
func (t *Tensor) Int32s() []int32 { return elements[int32](t, onnx.Int32) }

// Bools returns the elements in place, or nil if they are not bool.
func (t *Tensor) Bools() []bool { return elements[bool](t, onnx.Bool) }

// Bytes returns the memory of elements of any type, in place.
func (t *Tensor) Bytes() []byte { return t.data }

// Close lets go of the memory. It need not be called, since the garbage
// collector finds tensors as it finds anything else; a run with a closed
// tensor is an error.
func (t *Tensor) Close() error {
	t.data, t.shape, t.dtype = nil, nil, onnx.Undefined
	return nil
}

// String describes the tensor for an error message: float32 [2,3].
func (t *Tensor) String() string { return fmt.Sprintf("%v %v", t.dtype, onnx.Fixed(t.shape...)) }

type number interface {
	float32 | float64 | int64 | int32 | bool
}

// elements views a tensor's memory as a slice of the type's own.
func elements[E number](t *Tensor, want onnx.DType) []E {
	if t.dtype != want || t.data == nil {
		return nil
	}
	if len(t.data) == 0 {
		return []E{}
	}
	var e E
	return unsafe.Slice((*E)(unsafe.Pointer(&t.data[0])), len(t.data)/int(unsafe.Sizeof(e)))
}

func fromSlice[E number](dtype onnx.DType, values []E, shape []int64) (*Tensor, error) {
	t, err := NewTensor(dtype, shape...)
	if err != nil {
		return nil, err
	}
	if len(values) != t.Len() {
		return nil, fmt.Errorf("making a tensor: %d values for the %d elements of %v", len(values), t.Len(), t)
	}
	copy(elements[E](t, dtype), values)
	return t, nil
}

// byteSize returns what elements of a type and shape take.
func byteSize(t onnx.DType, shape []int64) (int, error) {
	if t.Size() == 0 {
		return 0, fmt.Errorf("type %v has no fixed size", t)
	}
	n := int64(t.Size())
	empty := false
	for _, d := range shape {
		if d < 0 {
			return 0, fmt.Errorf("shape %v has a negative size", shape)
		}
		if d == 0 {
			empty = true
			continue
		}
		if n > (math.MaxInt64-alignment)/d {
			return 0, fmt.Errorf("shape %v takes more bytes than can be counted", shape)
		}
		n *= d
	}
	if empty {
		return 0, nil
	}
	if int64(int(n)) != n {
		return 0, fmt.Errorf("shape %v takes more bytes than this machine can address", shape)
	}
	return int(n), nil
}

// aligned returns n zero bytes at a multiple of alignment.
func aligned(n int) []byte {
	raw := make([]byte, n+alignment)
	skip := int(-uintptr(unsafe.Pointer(&raw[0])) & (alignment - 1))
	return raw[skip : skip+n : skip+n]
}
