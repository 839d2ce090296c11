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
	data := make([]byte, 0, 4*len(values))
	for _, v := range values {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
	}
	return &Tensor{Name: name, Type: Float32, Dims: dims, Data: data}
}

// Doubles returns a float64 tensor.
func Doubles(name string, dims []int64, values []float64) *Tensor {
	data := make([]byte, 0, 8*len(values))
	for _, v := range values {
		data = binary.LittleEndian.AppendUint64(data, math.Float64bits(v))
	}
	return &Tensor{Name: name, Type: Float64, Dims: dims, Data: data}
}

// Longs returns an int64 tensor, the type of ids, axes and shapes.
func Longs(name string, dims []int64, values []int64) *Tensor {
	data := make([]byte, 0, 8*len(values))
	for _, v := range values {
		data = binary.LittleEndian.AppendUint64(data, uint64(v))
	}
	return &Tensor{Name: name, Type: Int64, Dims: dims, Data: data}
}

// Scalar returns a rank-0 tensor of a float type that holds v. Float16 and
// BFloat16 are not covered: constants of those types come from casts.
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

// check returns an error unless the tensor holds n elements of type want.
func (t *Tensor) check(want DType) (n int, err error) {
	if t.Type != want {
		return 0, fmt.Errorf("tensor %s is %v, want %v", t.Name, t.Type, want)
	}
	if t.External != nil {
		return 0, fmt.Errorf("tensor %s lies in file %s and was not read", t.Name, t.External.Location)
	}
	if err := t.validate(); err != nil {
		return 0, err
	}
	return len(t.Data) / want.Size(), nil
}

// Float32s returns the elements of a float32 tensor.
func (t *Tensor) Float32s() ([]float32, error) {
	n, err := t.check(Float32)
	if err != nil {
		return nil, err
	}
	out := make([]float32, n)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(t.Data[4*i:]))
	}
	return out, nil
}

// Float64s returns the elements of a float64 tensor.
func (t *Tensor) Float64s() ([]float64, error) {
	n, err := t.check(Float64)
	if err != nil {
		return nil, err
	}
	out := make([]float64, n)
	for i := range out {
		out[i] = math.Float64frombits(binary.LittleEndian.Uint64(t.Data[8*i:]))
	}
	return out, nil
}

// Int64s returns the elements of an int64 tensor.
func (t *Tensor) Int64s() ([]int64, error) {
	n, err := t.check(Int64)
	if err != nil {
		return nil, err
	}
	out := make([]int64, n)
	for i := range out {
		out[i] = int64(binary.LittleEndian.Uint64(t.Data[8*i:]))
	}
	return out, nil
}
