package ort

/*
#cgo linux LDFLAGS: -ldl
#include <stdlib.h>
#include "native.h"
*/
import "C"

import (
	"reflect"
	"strings"
	"unsafe"
)

// This file and native.c reach past the Go wrapper where it falls short: names
// of symbolic sizes, outputs of any type and rank, error codes, the list of
// providers, devices of a provider library, and the log.

// handle returns the C pointer that a wrapper's struct keeps in an unexported
// field, named by the path to it. A wrapper that renames the field makes it
// nil, which a test turns into a clear failure.
func handle(v any, path ...string) unsafe.Pointer {
	r := reflect.ValueOf(v)
	for _, name := range path {
		if r.Kind() == reflect.Pointer {
			r = r.Elem()
		}
		if r.Kind() != reflect.Struct {
			return nil
		}
		if r = r.FieldByName(name); !r.IsValid() {
			return nil
		}
	}
	if r.Kind() != reflect.Pointer {
		return nil
	}
	return r.UnsafePointer()
}

// statusError is what the runtime said, as it said it. [explain] turns it into
// an error for people.
type statusError struct {
	code    int // OrtErrorCode; 0 when it came through the wrapper
	message string
}

func (e *statusError) Error() string { return e.message }

// failed turns an OrtStatus into an error, and frees it.
func failed(status unsafe.Pointer) error {
	if status == nil {
		return nil
	}
	var code C.int
	text := C.sp_status_message(status, &code)
	defer C.free(unsafe.Pointer(text))
	return &statusError{int(code), strings.TrimSpace(C.GoString(text))}
}

// openNative loads the library and returns its version.
func openNative(path string) (version string, problem string) {
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	var v *C.char
	if msg := C.sp_open(name, &v); msg != nil {
		defer C.free(unsafe.Pointer(msg))
		return "", C.GoString(msg)
	}
	return C.GoString(v), ""
}

// bindNative takes the library's function table and creates the environment,
// with the log going to the current logger.
func bindNative() error {
	if msg := C.sp_bind(apiVersion); msg != nil {
		defer C.free(unsafe.Pointer(msg))
		return &statusError{0, C.GoString(msg)}
	}
	return failed(C.sp_create_env(severityWarning))
}

// providers lists the execution providers that the library was built with.
func providers() ([]string, error) {
	var names **C.char
	var n C.int
	if err := failed(C.sp_providers(&names, &n)); err != nil {
		return nil, err
	}
	defer C.sp_release_providers(names, n)
	var out []string
	for _, name := range unsafe.Slice(names, int(n)) {
		out = append(out, C.GoString(name))
	}
	return out, nil
}
