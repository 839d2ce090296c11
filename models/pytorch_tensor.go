package models

import (
	"errors"
	"fmt"
	"math"
)

// storageTypes are the classes of storages that torch.save names, whatever
// device they were on (torch/serialization.py, persistent_id). Complex and
// quantised ones are left out, as no T5 has them.
var storageTypes = map[pyGlobal]DType{
	"torch.FloatStorage": F32, "torch.HalfStorage": F16, "torch.BFloat16Storage": BF16, "torch.DoubleStorage": "F64",
	"torch.LongStorage": I64, "torch.IntStorage": I32, "torch.ShortStorage": "I16", "torch.CharStorage": "I8",
	"torch.ByteStorage": U8, "torch.BoolStorage": "BOOL",
}

// callables are the functions that a state dict's pickle calls, in Go.
var callables = map[pyGlobal]func(args pyTuple) (any, error){
	"collections.OrderedDict":         newDict,
	"torch.Size":                      newSize,
	"torch._utils._rebuild_tensor":    newView,
	"torch._utils._rebuild_tensor_v2": newView,
	"torch._utils._rebuild_parameter": newParameter,
}

// storage is a flat run of elements that tensors look into. Its bytes lie in
// the zip entry data/KEY, or one after the other at the end of an older file.
type storage struct {
	key   string
	dtype DType
	numel int64
}

// newStorage reads a persistent id: ("storage", class, key, location, numel),
// in the older format with None behind, where very old files had a view.
func newStorage(id any) (storage, error) {
	t, ok := id.(pyTuple)
	if ok && len(t) == 6 && t[5] == nil {
		t = t[:5]
	}
	if !ok || len(t) != 5 || t[0] != "storage" {
		return storage{}, fmt.Errorf("a reference to %s, wanted a storage", kind(id))
	}
	class, _ := t[1].(pyGlobal)
	key, okKey := t[2].(string)
	numel, okNumel := t[4].(int64)
	dtype, okType := storageTypes[class]
	if !okKey || !okNumel || !okType {
		return storage{}, errors.New("a storage without class, key or size")
	}
	if numel < 0 || numel > math.MaxInt64/dtypeSizes[dtype] {
		return storage{}, fmt.Errorf("storage %.40q has %d elements", key, numel)
	}
	return storage{key, dtype, numel}, nil
}

// bytes returns the storage's size.
func (s storage) bytes() int64 { return s.numel * dtypeSizes[s.dtype] }

// view is a tensor as PyTorch has it: a way through a storage, in elements.
type view struct {
	storage storage
	offset  int64
	shape   []int64
	stride  []int64
	length  int64 // elements
	reach   int64 // elements from offset to behind the last that is used
}

// maxRank is more dimensions than a weight has.
const maxRank = 8

// newView is torch._utils._rebuild_tensor(storage, offset, size, stride) and
// its second version, which has requires_grad, hooks and metadata behind.
func newView(args pyTuple) (any, error) {
	if len(args) < 4 || len(args) > 7 {
		return nil, fmt.Errorf("%d arguments, wanted storage, offset, size and stride", len(args))
	}
	s, ok := args[0].(storage)
	offset, okOffset := args[1].(int64)
	if !ok || !okOffset {
		return nil, fmt.Errorf("%s and %s, wanted a storage and an offset", kind(args[0]), kind(args[1]))
	}
	v := &view{storage: s, offset: offset}
	var err error
	if v.shape, err = sizes(args[2]); err != nil {
		return nil, fmt.Errorf("the shape: %w", err)
	}
	if v.stride, err = sizes(args[3]); err != nil {
		return nil, fmt.Errorf("the stride: %w", err)
	}
	return v, v.check()
}

// sizes reads a tuple of a few numbers.
func sizes(v any) ([]int64, error) {
	t, ok := v.(pyTuple)
	if !ok || len(t) > maxRank {
		return nil, fmt.Errorf("%s, wanted a tuple of at most %d numbers", kind(v), maxRank)
	}
	list := make([]int64, len(t))
	for i, n := range t {
		if list[i], ok = n.(int64); !ok {
			return nil, fmt.Errorf("%s in it, wanted a number", kind(n))
		}
		if list[i] < 0 {
			return nil, fmt.Errorf("%d in it, wanted 0 or more", list[i])
		}
	}
	return list, nil
}

// check holds the view against its storage: each element inside, and no more
// of them than the storage has, so that a small file cannot pose as a large
// tensor by a stride of nought.
func (v *view) check() error {
	if len(v.shape) != len(v.stride) {
		return fmt.Errorf("shape %v with stride %v", v.shape, v.stride)
	}
	var err error
	if v.length, err = byteLength(v.shape, 1); err != nil {
		return err
	}
	if v.length > v.storage.numel || v.offset < 0 || v.offset > v.storage.numel {
		return fmt.Errorf("shape %v at element %d of storage %.40q, which has %d", v.shape, v.offset, v.storage.key, v.storage.numel)
	}
	if v.length == 0 {
		return nil
	}
	left := v.storage.numel - v.offset - 1 // behind the first element
	for i, n := range v.shape {
		if n > 1 && left >= 0 && v.stride[i] <= left/(n-1) {
			left -= v.stride[i] * (n - 1)
		} else if n > 1 {
			left = -1
		}
	}
	if left < 0 {
		return fmt.Errorf("shape %v with stride %v at element %d leaves storage %.40q, which has %d elements", v.shape, v.stride, v.offset, v.storage.key, v.storage.numel)
	}
	v.reach = v.storage.numel - v.offset - left
	return nil
}

// rowByRow reports whether the elements lie in the order of their indices.
func (v *view) rowByRow() bool {
	step := int64(1)
	for i := len(v.shape) - 1; i >= 0; i-- {
		if v.shape[i] != 1 && v.stride[i] != step {
			return v.length == 0
		}
		step *= v.shape[i]
	}
	return true
}

// tensor is the view over a file in which the storage lies at a place.
func (v *view) tensor(name string, file []byte, place int64) tensor {
	size := dtypeSizes[v.storage.dtype]
	from := place + v.offset*size
	t := tensor{
		TensorInfo: TensorInfo{Name: name, DType: v.storage.dtype, Shape: v.shape, Offset: from, Length: v.length * size},
		data:       file[from : from+v.reach*size : from+v.reach*size],
	}
	if !v.rowByRow() {
		t.stride, t.Offset = v.stride, Scattered
	}
	return t
}

func newDict(args pyTuple) (any, error) {
	if len(args) != 0 {
		return nil, fmt.Errorf("%d arguments, wanted none", len(args))
	}
	return &pyDict{}, nil
}

func newSize(args pyTuple) (any, error) {
	if len(args) != 1 {
		return nil, fmt.Errorf("%d arguments, wanted a tuple", len(args))
	}
	_, err := sizes(args[0])
	return args[0], err
}

// newParameter is torch._utils._rebuild_parameter(data, requires_grad, hooks).
func newParameter(args pyTuple) (any, error) {
	if len(args) != 3 {
		return nil, fmt.Errorf("%d arguments, wanted a tensor, requires_grad and hooks", len(args))
	}
	v, ok := args[0].(*view)
	if !ok {
		return nil, fmt.Errorf("%s, wanted a tensor", kind(args[0]))
	}
	return v, nil
}
