package onnx

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Tensor is a constant: a weight, or the value of a Constant node. Its
// elements lie either in Data or in another file (External), never in both.
type Tensor struct {
	Name string
	Type DType
	Dims []int64 // empty for a scalar
	// Data holds the elements, little-endian and in row-major order. It may
	// be memory mapped from a file, and is never to be written to.
	Data []byte
	// External says where the elements lie when they are not in Data.
	External *External
	// Strings holds the elements of a String tensor, which has no Data.
	Strings [][]byte
}

// External is a stretch of a file that holds a tensor's elements.
type External struct {
	Location string // path relative to the folder of the model
	Offset   int64  // bytes
	Length   int64  // bytes; 0 when the file did not say
}

// Floats returns a float32 tensor. It is the caller's business that values
// has as many elements as dims says; [Validate] reports it if not.
func Floats(name string, dims []int64, values []float32) *Tensor {
	return &Tensor{Name: name, Type: Float32, Dims: dims, Data: littleEndian(values)}
}

// Doubles returns a float64 tensor.
func Doubles(name string, dims []int64, values []float64) *Tensor {
	return &Tensor{Name: name, Type: Float64, Dims: dims, Data: littleEndian(values)}
}

// Longs returns an int64 tensor, the type of ids, axes and shapes.
func Longs(name string, dims []int64, values []int64) *Tensor {
	return &Tensor{Name: name, Type: Int64, Dims: dims, Data: littleEndian(values)}
}

// littleEndian returns the bytes of numbers, an empty slice for none.
func littleEndian[E int32 | int64 | uint16 | uint32 | uint64 | float32 | float64](values []E) []byte {
	b, _ := binary.Append([]byte{}, binary.LittleEndian, values) // fails only on types without a fixed size
	return b
}

// Scalar returns a rank-0 tensor of type float32, float64 or int64 that holds v.
// Constants of half-precision types come from casts.
func Scalar(name string, t DType, v float64) (*Tensor, error) {
	switch t {
	case Float32:
		return Floats(name, nil, []float32{float32(v)}), nil
	case Float64:
		return Doubles(name, nil, []float64{v}), nil
	case Int64:
		return Longs(name, nil, []int64{int64(v)}), nil
	}
	return nil, fmt.Errorf("making constant %s: no scalar of type %v", name, t)
}

// Len returns the number of elements that Dims gives, or −1 if a size is
// negative or the product does not fit.
func (t *Tensor) Len() int64 {
	n := int64(1)
	for _, d := range t.Dims {
		if d < 0 || d != 0 && n > math.MaxInt64/d {
			return -1
		}
		n *= d
	}
	return n
}

// validate checks the sizes against the elements, and where they lie.
func (t *Tensor) validate() error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("tensor %s, %v%v: %w", t.Name, t.Type, t.Dims, fmt.Errorf(format, args...))
	}
	n, size := t.Len(), int64(t.Type.Size())
	switch {
	case t.Type <= Undefined:
		return fail("it has no type")
	case n < 0 || size > 0 && n > math.MaxInt64/size:
		return fail("a size is negative, or they are too large")
	case t.Type == String && (t.External != nil || int64(len(t.Strings)) != n):
		return fail("it holds %d strings, want %d", len(t.Strings), n)
	case t.External != nil:
		at := *t.External
		if err := checkLocation(at.Location); err != nil {
			return fail("%w", err)
		}
		if at.Offset < 0 || at.Length < 0 || at.Offset > math.MaxInt64-n*size {
			return fail("offset %d and length %d of its external data", at.Offset, at.Length)
		}
		if size > 0 && at.Length > 0 && at.Length != n*size {
			return fail("it has %d bytes of external data, want %d", at.Length, n*size)
		}
	case size > 0 && int64(len(t.Data)) != n*size:
		return fail("it holds %d bytes, want %d", len(t.Data), n*size)
	}
	return nil
}

// Shape returns the tensor's dims as a Shape.
func (t *Tensor) Shape() Shape { return Fixed(t.Dims...) }

// elements returns the elements of a tensor of type want.
func elements[E int64 | float32 | float64](t *Tensor, want DType) ([]E, error) {
	if t.Type != want {
		return nil, fmt.Errorf("tensor %s is %v, want %v", t.Name, t.Type, want)
	}
	if t.External != nil {
		return nil, fmt.Errorf("tensor %s lies in file %s and was not read", t.Name, t.External.Location)
	}
	if err := t.validate(); err != nil {
		return nil, err
	}
	out := make([]E, len(t.Data)/want.Size())
	_, err := binary.Decode(t.Data, binary.LittleEndian, out)
	return out, err
}

// Float32s returns the elements of a float32 tensor.
func (t *Tensor) Float32s() ([]float32, error) { return elements[float32](t, Float32) }

// Float64s returns the elements of a float64 tensor.
func (t *Tensor) Float64s() ([]float64, error) { return elements[float64](t, Float64) }

// Int64s returns the elements of an int64 tensor.
func (t *Tensor) Int64s() ([]int64, error) { return elements[int64](t, Int64) }
