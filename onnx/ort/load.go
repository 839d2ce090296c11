package ort

/*
#include <stdlib.h>
#include "native.h"
*/
import "C"

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"unsafe"

	ort "github.com/yalue/onnxruntime_go"

	"softprompt/onnx"
)

// Load makes a session of a model, with its external data in the folder that
// the model says. Large constants are not copied into the runtime but handed
// over where they lie, in memory that the caller may have mapped; it must stay
// there until the session is closed.
func (rt *Runtime) Load(ctx context.Context, m *onnx.Model, cfg Config) (*Session, error) {
	light, lent := lend(m)
	if cfg.Prepack && cfg.Pack != nil {
		light.Graph.Inputs = append(slices.Clip(light.Graph.Inputs), replaceable(light, cfg.Pack)...)
	}
	data, err := light.Marshal()
	if err != nil {
		return nil, err
	}
	cfg.Folder, cfg.lent = m.Dir, lent
	return rt.NewSession(ctx, data, cfg)
}

// lentBytes is the size from which a constant is lent: what is smaller the
// runtime may want to look into while it simplifies the graph.
const lentBytes = 1 << 16

// lentFile stands for the file of constants that are lent; there is none.
const lentFile = "lent"

// lend returns the model with its large constants taken out, and those.
func lend(m *onnx.Model) (light *onnx.Model, lent []*onnx.Tensor) {
	c, g := *m, *m.Graph
	g.Initializers = nil
	for _, t := range m.Graph.Initializers {
		if t.External == nil && len(t.Data) >= lentBytes {
			lent = append(lent, t)
			t = &onnx.Tensor{Name: t.Name, Type: t.Type, Dims: t.Dims, External: &onnx.External{Location: lentFile, Length: int64(len(t.Data))}}
		}
		g.Initializers = append(g.Initializers, t)
	}
	c.Graph = &g
	return &c, lent
}

// replaceable returns the float32 weights in external data that are not to be
// packed as inputs of the graph. An initializer that is an input as well is the input's default value,
// which a run may replace: the runtime takes it for no constant, and packs
// constants alone.
func replaceable(m *onnx.Model, pack func(string) bool) (inputs []onnx.Value) {
	for _, t := range m.Graph.Initializers {
		if !pack(t.Name) && t.Type == onnx.Float32 && t.External != nil && t.External.Location != lentFile {
			inputs = append(inputs, onnx.Value{Name: t.Name, Type: t.Type, Shape: onnx.Fixed(t.Dims...)})
		}
	}
	return inputs
}

// lendTo gives the constants to the options of a session. The pins hold what is
// Go's memory in its place.
func lendTo(o *ort.SessionOptions, lent []*onnx.Tensor, pins *runtime.Pinner) error {
	if len(lent) == 0 {
		return nil
	}
	list := make([]C.sp_tensor, len(lent))
	for i, t := range lent {
		data, sizes := unsafe.SliceData(t.Data), unsafe.SliceData(t.Dims)
		pins.Pin(data)
		c := C.sp_tensor{
			name: C.CString(t.Name), _type: C.int(t.Type),
			data: unsafe.Pointer(data), bytes: C.size_t(len(t.Data)), rank: C.size_t(len(t.Dims)),
		}
		defer C.free(unsafe.Pointer(c.name))
		if sizes != nil {
			pins.Pin(sizes)
			c.sizes = (*C.int64_t)(unsafe.Pointer(sizes))
		}
		list[i] = c
	}
	if err := failed(C.sp_add_initializers(handle(o, "o"), unsafe.SliceData(list), C.size_t(len(list)))); err != nil {
		return fmt.Errorf("handing over %d constants: %w", len(lent), explain(err))
	}
	return nil
}
