package ort

/*
#include <stdlib.h>
#include "native.h"
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"unsafe"

	ort "github.com/yalue/onnxruntime_go"

	"softprompt/onnx"
)

// Session is a model made ready to run. Its Run may be called from many
// goroutines at once.
type Session struct {
	inputs, outputs []onnx.Value
	inputAt         map[string]int
	outputAt        map[string]int
	names           map[string]*C.char // inputs' and outputs', freed by Close
	device          bool               // runs on more than the processor

	lent []*onnx.Tensor // constants in our memory, kept alive
	pins runtime.Pinner // and where they are

	mu      sync.RWMutex // held for reading by runs, for writing by Close
	session *ort.DynamicAdvancedSession
}

// ErrClosed is the error of a run on a session that was closed.
var ErrClosed = errors.New("the session is closed")

// NewSession makes a session of a model's bytes, as [onnx.Model] marshals it.
// The bytes are not needed afterwards. If ctx ends while the runtime reads the
// model, it gives up.
func (rt *Runtime) NewSession(ctx context.Context, model []byte, cfg Config) (*Session, error) {
	s, err := rt.newSession(ctx, model, cfg)
	if err != nil {
		return nil, fmt.Errorf("making a session: %w", err)
	}
	return s, nil
}

func (rt *Runtime) newSession(ctx context.Context, model []byte, cfg Config) (*Session, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(model) == 0 {
		return nil, errors.New("the model is empty")
	}
	options, err := rt.options(cfg)
	if err != nil {
		return nil, err
	}
	defer options.Destroy()
	s := &Session{lent: cfg.lent, names: map[string]*C.char{}}
	if err := lendTo(options, s.lent, &s.pins); err != nil {
		s.pins.Unpin()
		return nil, err
	}

	stop := whenDone(ctx, func() { C.sp_set_load_cancelled(handle(options, "o"), 1) })
	var session *ort.DynamicAdvancedSession
	create := func() error {
		session, err = ort.NewDynamicAdvancedSessionWithONNXData(model, nil, nil, options)
		return err
	}
	device := cfg.Device.Kind != "" && cfg.Device.Kind != "cpu"
	if device {
		err = keepSignals(create)
	} else {
		err = create()
	}
	stop()
	if ctx.Err() != nil {
		if err == nil {
			session.Destroy()
		}
		s.pins.Unpin()
		return nil, ctx.Err()
	}
	if err != nil {
		s.pins.Unpin()
		return nil, explain(err)
	}
	s.session, s.device = session, device
	if err := s.describe(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// whenDone calls f if ctx ends. The function that it returns must be called
// once f's work is no longer wanted; afterwards f neither runs nor will run.
func whenDone(ctx context.Context, f func()) (stop func()) {
	finished := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		defer close(finished)
		f()
	})
	return func() {
		if !cancel() {
			<-finished
		}
	}
}

// describe asks the runtime for the inputs and outputs of the session.
func (s *Session) describe() error {
	var n [2]C.size_t
	if err := failed(C.sp_signature_counts(s.handle(), &n[0], &n[1])); err != nil {
		return err
	}
	var err error
	if s.inputs, err = s.values(0, int(n[0])); err != nil {
		return err
	}
	if s.outputs, err = s.values(1, int(n[1])); err != nil {
		return err
	}
	s.inputAt, s.outputAt = index(s.inputs), index(s.outputs)
	for _, v := range append(s.Inputs(), s.outputs...) {
		if s.names[v.Name] == nil {
			s.names[v.Name] = C.CString(v.Name)
		}
	}
	return nil
}

func index(values []onnx.Value) map[string]int {
	m := map[string]int{}
	for i, v := range values {
		m[v.Name] = i
	}
	return m
}

func (s *Session) values(output, n int) ([]onnx.Value, error) {
	list := make([]onnx.Value, n)
	for i := range list {
		var sig C.sp_signature
		err := failed(C.sp_signature_at(s.handle(), C.int(output), C.size_t(i), &sig))
		if err == nil {
			list[i] = valueOf(&sig)
		}
		C.sp_free_signature(&sig)
		if err != nil {
			return nil, err
		}
	}
	return list, nil
}

// valueOf copies a description out of C memory. What is no tensor has the type
// Undefined.
func valueOf(sig *C.sp_signature) onnx.Value {
	v := onnx.Value{Name: C.GoString(sig.name)}
	if sig.is_tensor == 0 {
		return v
	}
	v.Type = onnx.DType(sig._type)
	if sig.has_shape == 0 {
		return v
	}
	v.Shape = make(onnx.Shape, sig.rank)
	sizes := unsafe.Slice(sig.sizes, sig.rank)
	symbols := unsafe.Slice(sig.symbols, sig.rank)
	for i := range v.Shape {
		if sizes[i] >= 0 {
			v.Shape[i] = onnx.Size(int64(sizes[i]))
		} else {
			v.Shape[i] = onnx.Sym(C.GoString(symbols[i]))
		}
	}
	return v
}

func (s *Session) handle() unsafe.Pointer { return handle(s.session, "s", "ortSession") }

// Inputs describes what Run takes, in the model's order.
func (s *Session) Inputs() []onnx.Value { return append([]onnx.Value{}, s.inputs...) }

// Outputs describes what Run gives, in the model's order.
func (s *Session) Outputs() []onnx.Value { return append([]onnx.Value{}, s.outputs...) }

// Close waits for runs that are under way and frees what the runtime holds. A
// profile is written now. Closing twice does nothing.
func (s *Session) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.session == nil {
		return nil
	}
	err := s.session.Destroy()
	s.session = nil
	for _, name := range s.names {
		C.free(unsafe.Pointer(name))
	}
	s.names, s.lent = nil, nil
	s.pins.Unpin()
	if err != nil {
		return fmt.Errorf("closing a session: %w", err)
	}
	return nil
}
