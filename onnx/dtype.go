package onnx

import "fmt"

// DType is the type of a tensor's elements. The numbers are those of
// TensorProto.DataType in onnx.proto.
type DType int32

// The element types.
const (
	Undefined  DType = 0
	Float32    DType = 1
	Uint8      DType = 2
	Int8       DType = 3
	Uint16     DType = 4
	Int16      DType = 5
	Int32      DType = 6
	Int64      DType = 7
	String     DType = 8
	Bool       DType = 9
	Float16    DType = 10
	Float64    DType = 11
	Uint32     DType = 12
	Uint64     DType = 13
	Complex64  DType = 14
	Complex128 DType = 15
	BFloat16   DType = 16
)

// dtypes has the name and the bytes an element of each type; strings have no
// fixed size.
var dtypes = [...]struct {
	name string
	size int
}{
	Undefined:  {"undefined", 0},
	Float32:    {"float32", 4},
	Uint8:      {"uint8", 1},
	Int8:       {"int8", 1},
	Uint16:     {"uint16", 2},
	Int16:      {"int16", 2},
	Int32:      {"int32", 4},
	Int64:      {"int64", 8},
	String:     {"string", 0},
	Bool:       {"bool", 1},
	Float16:    {"float16", 2},
	Float64:    {"float64", 8},
	Uint32:     {"uint32", 4},
	Uint64:     {"uint64", 8},
	Complex64:  {"complex64", 8},
	Complex128: {"complex128", 16},
	BFloat16:   {"bfloat16", 2},
}

// String returns the name of the type as Go and NumPy spell it.
func (d DType) String() string {
	if d < 0 || int(d) >= len(dtypes) {
		return fmt.Sprintf("dtype(%d)", int32(d))
	}
	return dtypes[d].name
}

// Size returns the bytes of one element; 0 for strings and for types that
// this package only carries.
func (d DType) Size() int {
	if d < 0 || int(d) >= len(dtypes) {
		return 0
	}
	return dtypes[d].size
}

// IsFloat tells the types that a gradient can flow through.
func (d DType) IsFloat() bool {
	return d == Float32 || d == Float64 || d == Float16 || d == BFloat16
}
