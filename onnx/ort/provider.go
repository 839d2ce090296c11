package ort

/*
#include <stdlib.h>
#include "native.h"
*/
import "C"

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"unsafe"

	ort "github.com/yalue/onnxruntime_go"

	"softprompt/onnx/hint"
)

// appendDevice puts the device's execution provider first in the session
// options. The processor's own provider is always there, behind it, and runs
// what the device has no kernel for.
func (rt *Runtime) appendDevice(o *ort.SessionOptions, cfg Config) error {
	switch cfg.Device.Kind {
	case "", "cpu":
		if len(cfg.Provider) > 0 {
			return fmt.Errorf("device cpu takes no provider options")
		}
		return nil
	case "cuda":
		if !slices.Contains(rt.providers, "CUDAExecutionProvider") {
			return hint.Wrap(fmt.Errorf("device %v: the ONNX Runtime at %s was built without CUDA", cfg.Device, rt.library),
				"set %s to the %s of the GPU package of ONNX Runtime, or use --device cpu", LibraryVariable, libraryName)
		}
		if err := keepSignals(func() error { return appendCUDA(o, cfg) }); err != nil {
			return fmt.Errorf("device %v: %w", cfg.Device, err)
		}
		return nil
	case "library":
		if err := keepSignals(func() error { return rt.appendLibrary(o, cfg) }); err != nil {
			return fmt.Errorf("device %v: %w", cfg.Device, err)
		}
		return nil
	}
	return fmt.Errorf("there is no device of kind %q", cfg.Device.Kind)
}

// cudaOptions are the CUDA provider's options. The arena grows by what is
// asked for, not to the next power of two, so that a model that fits the card
// by its numbers fits it in fact; the convolution search is off because there
// are no convolutions to search for.
func cudaOptions(cfg Config) map[string]string {
	o := map[string]string{
		"device_id":                 strconv.Itoa(cfg.Device.Index),
		"use_tf32":                  bit(cfg.TF32),
		"arena_extend_strategy":     "kSameAsRequested",
		"cudnn_conv_algo_search":    "DEFAULT",
		"do_copy_in_default_stream": "1",
	}
	maps.Copy(o, cfg.Provider)
	return o
}

func appendCUDA(o *ort.SessionOptions, cfg Config) error {
	cuda, err := ort.NewCUDAProviderOptions()
	if err != nil {
		return explain(err)
	}
	defer cuda.Destroy()
	if err := cuda.Update(cudaOptions(cfg)); err != nil {
		return explain(err)
	}
	return explain(o.AppendExecutionProviderCUDA(cuda))
}

// appendLibrary registers the provider's library, once, and adds its device of
// the given number. The provider goes by the name that its devices carry.
func (rt *Runtime) appendLibrary(o *ort.SessionOptions, cfg Config) error {
	path, err := filepath.Abs(cfg.Device.Library)
	if err != nil {
		return err
	}
	ep, err := rt.register(path)
	if err != nil {
		return err
	}
	found, err := appendEP(o, ep, cfg.Device.Index, cfg.Provider)
	if err == nil && found <= cfg.Device.Index {
		err = hint.Wrap(fmt.Errorf("provider %s has %d devices, and there is no number %d", ep, found, cfg.Device.Index), "devices are counted from 0")
	}
	return err
}

// register loads a provider's library and returns the name of its provider:
// the first one of the devices that came with it.
func (rt *Runtime) register(path string) (string, error) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	if ep, ok := rt.libraries[path]; ok {
		return ep, nil
	}
	if err := checkFile(path); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	before := deviceNames()
	if err := ort.RegisterExecutionProviderLibrary(path, path); err != nil {
		return "", explain(err)
	}
	for _, ep := range deviceNames() {
		if !slices.Contains(before, ep) {
			rt.libraries[path] = ep
			return ep, nil
		}
	}
	ort.UnregisterExecutionProviderLibrary(path)
	return "", hint.Wrap(fmt.Errorf("%s found no device that it can run on", path), "check that the card and its driver are there, or use --device cpu")
}

// deviceNames lists the provider of each device that the runtime knows.
func deviceNames() (names []string) {
	for i := 0; ; i++ {
		name := C.sp_device_name(C.size_t(i))
		if name == nil {
			return names
		}
		names = append(names, C.GoString(name))
	}
}

// appendEP adds the index-th device of a provider and tells how many it has.
func appendEP(o *ort.SessionOptions, ep string, index int, options map[string]string) (found int, err error) {
	var keys, values []*C.char
	for k, v := range options {
		keys, values = append(keys, C.CString(k)), append(values, C.CString(v))
	}
	name := C.CString(ep)
	defer func() {
		for _, s := range append(append(keys, values...), name) {
			C.free(unsafe.Pointer(s))
		}
	}()
	var n C.int
	err = failed(C.sp_append_device(handle(o, "o"), name, C.int(index), &n,
		unsafe.SliceData(keys), unsafe.SliceData(values), C.size_t(len(keys))))
	return int(n), explain(err)
}

// libraryProvider returns the name of a registered library's provider, "" for
// one that was not loaded yet.
func (rt *Runtime) libraryProvider(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	rt.mu.Lock()
	defer rt.mu.Unlock()
	return rt.libraries[path]
}
