package ort

/*
#include "native.h"
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	ort "github.com/yalue/onnxruntime_go"

	"softprompt/onnx"
)

// Run computes the outputs named by out's keys from all inputs.
//
// A tensor in out is filled in place, so that a caller who keeps it allocates
// nothing from step to step. For a key with a nil tensor the runtime finds the
// size, and a new tensor is put into the map. Outputs that out does not name
// are not returned.
//
// When ctx ends the runtime stops before its next operator, and Run returns an
// error that wraps ctx.Err(). The tensors in out are then undefined.
func (s *Session) Run(ctx context.Context, in, out map[string]*Tensor) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.session == nil {
		return fmt.Errorf("running a model: %w", ErrClosed)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("running a model: %w", err)
	}
	if err := s.check(in, out); err != nil {
		return fmt.Errorf("running a model: %w", err)
	}
	if err := s.run(ctx, in, out); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return fmt.Errorf("running a model: %w", err)
	}
	return nil
}

func (s *Session) run(ctx context.Context, in, out map[string]*Tensor) error {
	options, err := ort.NewRunOptions()
	if err != nil {
		return err
	}
	defer options.Destroy()

	var pin runtime.Pinner // the tensors' memory stays where it is until the end
	defer pin.Unpin()
	cin := s.natives(&pin, s.inputs, in)
	cout := s.natives(&pin, s.outputs, out)

	stop := whenDone(ctx, func() { options.Terminate() })
	status := C.sp_run(s.handle(), handle(options, "o"),
		unsafe.SliceData(cin), C.size_t(len(cin)), unsafe.SliceData(cout), C.size_t(len(cout)))
	stop()
	if s.device {
		restoreSignals()
	}
	if err := failed(status); err != nil {
		return explain(err)
	}
	return s.collect(cout, out)
}

// natives lists the tensors for C, in the order of the session's values. A nil
// tensor is left for the runtime to allocate.
func (s *Session) natives(pin *runtime.Pinner, values []onnx.Value, given map[string]*Tensor) []C.sp_tensor {
	var list []C.sp_tensor
	for _, v := range values {
		t, ok := given[v.Name]
		if !ok {
			continue
		}
		c := C.sp_tensor{name: s.names[v.Name]}
		if t != nil {
			c._type = C.int(t.dtype)
			c.bytes = C.size_t(len(t.data))
			c.data = unsafe.Pointer(unsafe.SliceData(t.data))
			c.rank = C.size_t(len(t.shape))
			pin.Pin(c.data)
			if len(t.shape) > 0 {
				pin.Pin(&t.shape[0])
				c.sizes = (*C.int64_t)(unsafe.Pointer(&t.shape[0]))
			}
		}
		list = append(list, c)
	}
	return list
}

// collect copies what the runtime allocated into tensors of our own, and
// releases it.
func (s *Session) collect(list []C.sp_tensor, out map[string]*Tensor) (err error) {
	for i := range list {
		if c := &list[i]; c.value != nil {
			name := C.GoString(c.name)
			t, e := copyOut(c)
			if e == nil {
				out[name] = t
			} else {
				err = errors.Join(err, fmt.Errorf("output %s: %w", name, e))
			}
			C.sp_release_value(c.value)
		}
	}
	return err
}

// maxRank bounds the rank of an output that the runtime allocates.
const maxRank = 64

func copyOut(c *C.sp_tensor) (*Tensor, error) {
	var sizes [maxRank]C.int64_t
	if err := failed(C.sp_inspect(c, &sizes[0], maxRank)); err != nil {
		return nil, err
	}
	if c._type == 0 {
		return nil, errors.New("it is not a tensor")
	}
	if c.rank > maxRank {
		return nil, fmt.Errorf("rank %d is above %d", c.rank, maxRank)
	}
	shape := make([]int64, c.rank)
	for i := range shape {
		shape[i] = int64(sizes[i])
	}
	t, err := NewTensor(onnx.DType(c._type), shape...)
	if err == nil && len(t.data) > 0 {
		copy(t.data, unsafe.Slice((*byte)(c.data), len(t.data)))
	}
	return t, err
}
