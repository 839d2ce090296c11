package models

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// numbered is a tensor over a storage of the numbers 0, 1, 2, … of a size.
func numbered(v *view, dtype DType) tensor {
	v.storage.dtype = dtype
	size := dtypeSizes[dtype]
	file := make([]byte, v.storage.numel*size)
	for i := range v.storage.numel {
		binary.LittleEndian.PutUint16(file[i*size:], uint16(i))
	}
	return v.tensor("w", file, 0)
}

// genView draws a way through a storage: the axes of a row-by-row tensor,
// sliced, stepped over and permuted.
func genView(t *rapid.T) *view {
	sizes := rapid.SliceOfN(rapid.Int64Range(1, 5), 0, 4).Draw(t, "sizes")
	strides := make([]int64, len(sizes))
	numel := int64(1)
	for i := len(sizes) - 1; i >= 0; i-- {
		strides[i] = numel
		numel *= sizes[i]
	}
	v := &view{storage: storage{numel: numel}}
	for _, i := range rapid.Permutation(seq(len(sizes))).Draw(t, "order") {
		from := rapid.Int64Range(0, sizes[i]).Draw(t, "from")
		step := rapid.Int64Range(1, 3).Draw(t, "step")
		n := (sizes[i] - from + step - 1) / step
		v.offset += min(from, sizes[i]-1) * strides[i]
		v.shape, v.stride = append(v.shape, n), append(v.stride, strides[i]*step)
	}
	return v
}

func seq(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}

// at is the element of a view at an index, by definition.
func (v *view) at(index int64) int64 {
	at := v.offset
	for i := len(v.shape) - 1; i >= 0; i-- {
		at += index % v.shape[i] * v.stride[i]
		index /= v.shape[i]
	}
	return at
}

// Whatever the way through the storage, each span of elements is read in the
// order of their indices.
func TestTensorRaw(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := genView(t)
		if err := v.check(); err != nil {
			t.Fatal(err)
		}
		x := numbered(v, rapid.SampledFrom([]DType{F16, F32, I64}).Draw(t, "dtype"))
		size := dtypeSizes[x.DType]
		if x.Elements() != v.length {
			t.Fatalf("%d elements, wanted %d", x.Elements(), v.length)
		}
		from := rapid.Int64Range(0, v.length).Draw(t, "from")
		n := rapid.Int64Range(0, v.length-from).Draw(t, "n")
		var buf []byte
		if rapid.Bool().Draw(t, "buffer") {
			buf = make([]byte, n*size)
		}
		got := x.raw(buf, from, n)
		if int64(len(got)) != n*size {
			t.Fatalf("%d bytes", len(got))
		}
		for i := range n {
			if value := binary.LittleEndian.Uint16(got[i*size:]); int64(value) != v.at(from+i) {
				t.Fatalf("element %d is %d, wanted %d", from+i, value, v.at(from+i))
			}
		}
		if x.stride != nil && buf != nil && n > 0 && &got[0] != &buf[0] {
			t.Fatal("the buffer was left aside")
		}
	})
}

// A matrix is read by tiles, the rows at both ends of a span in part.
func TestTransposedMatrix(t *testing.T) {
	const rows, cols = 70, 45
	for _, dtype := range []DType{F16, F32, I64} {
		v := &view{storage: storage{numel: rows * cols}, shape: []int64{rows, cols}, stride: []int64{1, rows}}
		if err := v.check(); err != nil {
			t.Fatal(err)
		}
		x := numbered(v, dtype)
		size := dtypeSizes[dtype]
		for _, from := range []int64{0, 1, cols - 1, cols, 33*cols + 7, rows*cols - 1, rows * cols} {
			for n := int64(0); n <= rows*cols-from; n += 1 + n/3 {
				got := x.raw(nil, from, n)
				for i := range n {
					if value := binary.LittleEndian.Uint16(got[i*size:]); int64(value) != v.at(from+i) {
						t.Fatalf("%s: element %d of %d from %d is %d, wanted %d", dtype, i, n, from, value, v.at(from+i))
					}
				}
			}
		}
	}
}

// A view that reaches outside its storage is refused, and one that is taken
// never does.
func TestViewCheck(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rank := rapid.IntRange(0, 4).Draw(t, "rank")
		v := &view{
			storage: storage{numel: rapid.Int64Range(0, 30).Draw(t, "numel")},
			offset:  rapid.Int64Range(-1, 31).Draw(t, "offset"),
			shape:   rapid.SliceOfN(rapid.Int64Range(0, 5), rank, rank).Draw(t, "shape"),
			stride:  rapid.SliceOfN(rapid.Int64Range(0, 9), rank, rank).Draw(t, "stride"),
		}
		err := v.check()
		length, _ := byteLength(v.shape, 1)
		inside := v.offset >= 0 && v.offset <= v.storage.numel && length <= v.storage.numel
		for i := range length {
			inside = inside && v.at(i) >= 0 && v.at(i) < v.storage.numel
		}
		if (err == nil) != inside {
			t.Fatalf("%+v inside %v, but %v", v, inside, err)
		}
		if err == nil {
			numbered(v, F32).all()
		}
	})
}

func TestTensorEqual(t *testing.T) {
	file := encodeFloats([]float32{1, 2, 3, 4, 1, 3, 2, 4, 1, 2, 3, 5}, F32)
	at := func(offset int64, stride ...int64) tensor {
		v := &view{storage: storage{dtype: F32, numel: 12}, offset: offset, shape: []int64{2, 2}, stride: stride}
		if err := v.check(); err != nil {
			t.Fatal(err)
		}
		return v.tensor("w", file, 0)
	}
	first := at(0, 2, 1)
	for name, test := range map[string]struct {
		other       tensor
		same, equal bool
	}{
		"itself":              {at(0, 2, 1), true, true},
		"transposed":          {at(0, 1, 2), false, false},
		"a transposed copy":   {at(4, 1, 2), false, true},
		"one value off":       {at(8, 2, 1), false, false},
		"the same, elsewhere": {tensor{first.TensorInfo, bytes.Clone(first.data), nil}, false, true},
	} {
		if got := first.samePlace(test.other); got != test.same {
			t.Errorf("%s: the same place: %v", name, got)
		}
		if a, b := first.equal(test.other), test.other.equal(first); a != test.equal || b != test.equal {
			t.Errorf("%s: equal: %v, %v", name, a, b)
		}
	}
	other := first
	other.Shape = []int64{4}
	half := first
	half.DType = F16
	if first.equal(other) || first.equal(half) {
		t.Error("tensors of another shape or type are equal")
	}
	long := make([]float32, 200_000)
	long[199_999] = 1
	a, b := encodeFloats(long, F32), encodeFloats(slices.Repeat([]float32{0}, len(long)), F32)
	info := TensorInfo{DType: F32, Shape: []int64{200_000}, Length: 800_000}
	if (tensor{info, a, nil}).equal(tensor{info, b, nil}) || !(tensor{info, a, nil}).equal(tensor{info, bytes.Clone(a), nil}) {
		t.Error("the last of many values is not compared")
	}
}

func TestTensorInPlace(t *testing.T) {
	for _, test := range []struct {
		dtype  DType
		offset int64
		stride []int64
		want   bool
	}{{F32, 64, nil, true}, {F32, 4, nil, true}, {F32, 6, nil, false}, {F16, 64, nil, false}, {F32, Scattered, []int64{1, 2}, false}} {
		if got := (tensor{TensorInfo{DType: test.dtype, Offset: test.offset}, nil, test.stride}).inPlace(); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
}
